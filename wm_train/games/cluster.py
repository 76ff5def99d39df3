"""Work spread over the machines of a Ray cluster. Ray is imported when it is asked for, and not before."""

import contextlib
import logging
import os
import pickle
import platform
import socket
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from wm_train.errors import WmTrainError

#: The address that stands for a cluster of this machine alone, which lasts as long as the work.
LOCAL = "local"
_OBJECT_STORE = 256 << 20
_CONNECT_SECONDS = 5.0
#: Read when Ray is imported: no report of use to its makers, no log of what goes well, no warning of what will change.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}

T = TypeVar("T")
R = TypeVar("R")


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """The `ray` module, connected to `address` (`local`, or host:port of a running cluster). Raises WmTrainError.

    The machines of a cluster need this project's dependencies; its own code is sent to them.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray.data
    except ModuleNotFoundError:
        raise WmTrainError('--ray needs Ray, which is not installed; get it with: pip install "wmq[ray]"') from None
    if ray.is_initialized():  # by whoever called: theirs to end
        yield ray
        return
    try:
        _connect(ray, address)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise WmTrainError(f"Ray at {address}: {error!s:.300}; expected `{LOCAL}` or host:port of a cluster") from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str) -> None:
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address == LOCAL:
        ray.init(address=LOCAL, include_dashboard=False, object_store_memory=_OBJECT_STORE, **quiet)
    else:
        _reach(address)
        ray.init(address=address, runtime_env={"py_modules": [str(Path(__file__).parents[1])]}, **quiet)


def _reach(address: str) -> None:
    """ConnectionError or ValueError unless somebody listens there: Ray itself would go on asking for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError("not an address")
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(f"nobody answers ({error})") from None


def spread(address: str, function: Callable[[T], R], items: Sequence[T]) -> Generator[R, None, None]:
    """`function` of every item, by Ray Data, as they come; work of machines that are lost is done by others.

    Function, items and results travel pickled. Raises WmTrainError: the function's own, or one that says what failed.
    """
    if not items:
        return
    with connected(address) as ray:
        ray.data.DataContext.get_current().enable_progress_bars = False
        rows = [{"item": pickle.dumps(item)} for item in items]
        mapped = ray.data.from_items(rows, override_num_blocks=len(rows)).map(_row_of(function))
        results = iter(mapped.iter_rows())
        while (row := _next_row(results, address)) is not None:
            result = pickle.loads(row["result"])
            if isinstance(result, WmTrainError):
                raise result
            yield result


def _next_row(results: Iterator[dict[str, bytes]], address: str) -> dict[str, bytes] | None:
    try:
        return next(results, None)
    except Exception as error:  # whatever Ray, or Python over there, makes of a failure
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise WmTrainError(f"Ray at {address}: {text:.300}; what was done is kept: mend it and run again") from None


def _row_of(function: Callable[[T], R]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def one(row: dict[str, bytes]) -> dict[str, bytes]:
        try:
            return {"result": pickle.dumps(function(pickle.loads(row["item"])))}
        except WmTrainError as error:
            return {"result": pickle.dumps(error)}
        except Exception as error:  # Ray would try three times more, and then speak of itself
            text = (
                f"{platform.node()}: {type(error).__name__}: {error!s:.200}; what was done is kept: mend it, run again"
            )
            return {"result": pickle.dumps(WmTrainError(text))}

    return one
