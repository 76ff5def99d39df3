"""Worlds that come with wmq, by name: to be watched and played at once, and to train further on games of one's own.

    wm_cli/worlds/NAME/qnet.json, qnet.safetensors           the world, if it is one to be played
    wm_cli/worlds/NAME/start/run.json, part-N.safetensors    the float run that it is of, parameters in float16
    wm_cli/worlds/NAME/manifest.json                         how they were made, and figures: packing.py writes all

Files are less than a MiB each.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from click.shell_completion import CompletionItem

from wm_cli.artifacts import FLOAT_RUN, QNET, RUN, Kind, need
from wm_cli.errors import WmCliError

WORLDS = Path(__file__).resolve().parent / "worlds"
START = "start"
PARTS = "part-*.safetensors"
#: The one array of a part: the next of all parameters, in the order of array_shapes.
VALUES = "values"


def worlds(kind: Kind = QNET) -> list[str]:
    """Names of those that can be played, or, of kind RUN, trained further."""
    inner = "" if kind is QNET else START
    return sorted(path.name for path in WORLDS.glob("*") if kind.lies_at(path / inner))


def example(kind: Kind = QNET) -> str:
    """A name for an example of a command."""
    return next(iter(worlds(kind)), "NAME")


def demo_start() -> str:
    """The name of the float run that `wmq demo` trains further: a game's, `GAME-start`."""
    return next((name for name in worlds(RUN) if name.endswith(f"-{START}")), example(RUN))


def start_of(config: Path) -> Path | None:
    """The name of the float run that comes with wmq for a config's name, if it has its model; else None."""
    from wm_train.checkpoint import RUN_JSON
    from wm_train.config import RunConfig, load_config
    from wm_train.reading import read_json

    if config.stem not in worlds(RUN):
        return None
    meta = read_json(WORLDS / config.stem / START / "run.json", RUN_JSON)
    same = RunConfig.from_json(meta["config"]).model == load_config(config).model
    return Path(config.stem) if same else None


def packaged(name: Path, kind: Kind = QNET) -> Path | None:
    """The folder of a world of that name, unless there is such a path here."""
    return WORLDS / name if not name.exists() and str(name) in worlds(kind) else None


class World(click.ParamType):
    """A path, or the name of a world that comes with wmq. Gives the path where it lies."""

    name = "path or name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """One that is neither stays as it is; `need_world` says so."""
        return packaged(Path(value)) or Path(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin so, else files."""
        names = [CompletionItem(name) for name in worlds() if name.startswith(incomplete)]
        return names or [CompletionItem(incomplete, type="file")]


def need_world(path: Path) -> None:
    """WmCliError, which lists the names, for a world that is neither here nor comes with wmq."""
    _need(path, "a run, a QNet", worlds(), f"wmq play --world {example()}")


def need_start(path: Path) -> None:
    """The same of what is trained further; and, where something is here, unless it is a float run."""
    _need(path, "a float run", worlds(RUN), f"wmq train --start {example(RUN)}")
    need(path, FLOAT_RUN, option="--start")


def need_qnet(path: Path) -> None:
    """The same of what is exported."""
    _need(path, "a QNet", worlds(), QNET.maker())


def _need(path: Path, wanted: str, names: list[str], command: str) -> None:
    if not path.exists():
        raise WmCliError(
            f"{path}: is not there, expected {wanted}, or one of those that come with wmq: {', '.join(names)}; "
            f"next: {command}"
        )


@contextmanager
def start_at(start: Path) -> Iterator[Path]:
    """The folder of a float run: of one that comes with wmq as long as it is needed, by its name; else the path."""
    found = packaged(start, RUN)
    if found is None:
        yield start
        return
    with TemporaryDirectory(prefix="wmq-start-") as folder:
        run = Path(folder) / start
        unpack(found / START, run)
        yield run


def unpack(start: Path, run: Path) -> None:
    """Write the run folder of a packaged float run: the same bytes each time. WmCliError if it is damaged."""
    import numpy as np
    from safetensors.numpy import save

    from wm_train.checkpoint import ARRAYS, RUN_JSON
    from wm_train.config import RunConfig
    from wm_train.files import atomic_write_files, json_bytes
    from wm_train.reading import parse_arrays, read_json
    from wm_train.shapes import array_shapes

    meta = read_json(start / "run.json", RUN_JSON)
    shapes = array_shapes(RunConfig.from_json(meta["config"]).model)
    ends = np.cumsum([prod(shape) for shape in shapes.values()])
    parts = [parse_arrays(ARRAYS.read(part), part, ARRAYS).get(VALUES) for part in sorted(start.glob(PARTS))]
    values = np.concatenate([part.ravel() for part in parts if part is not None]).astype(np.float32)
    if len(values) != ends[-1]:
        raise WmCliError(f"{start}: {len(values):,} parameters, expected {ends[-1]:,}; install wmq again")
    pieces = zip(shapes.items(), np.split(values, ends[:-1]), strict=True)
    blob = save({name: piece.reshape(shape) for (name, shape), piece in pieces})
    meta["sha256"] = hashlib.sha256(blob).hexdigest()
    run.mkdir(parents=True, exist_ok=True)
    atomic_write_files({run / "model.safetensors": blob, run / "run.json": json_bytes(meta)})
