"""Where a network computes, and what differs there.

Games are read and prepared by numpy wherever that is; what torch makes of them is made on the device. A step runs
within `placed`, so that every tensor that code makes without saying where is where the parameters are.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from wm_train.errors import WmTrainError

#: Kinds of devices in the order in which AUTO looks for one: config.DEVICES.
CUDA, MPS, CPU = "cuda", "mps", "cpu"
AUTO = "auto"


def present() -> tuple[str, ...]:
    """Kinds of devices that this machine has and this torch can use, the fastest first."""
    has = {CUDA: torch.cuda.is_available(), MPS: torch.backends.mps.is_available(), CPU: True}
    return tuple(kind for kind, there in has.items() if there)


def find_device(asked: str, exact: bool) -> torch.device:
    """The device of a kind, or for `auto` of the first kind that there is. WmTrainError says which there are.

    exact  for integers in float64, which MPS does not have
    """
    usable = tuple(kind for kind in present() if not (exact and kind == MPS))
    kind = usable[0] if asked == AUTO else asked
    if kind not in usable:
        why = "it has no float64, which integers need" if kind in present() else "torch finds none here"
        raise WmTrainError(f"device {asked}: {why}; expected {' or '.join((AUTO, *usable))}")
    # torchrun numbers the processes of a machine, each of which has a device of its own.
    return torch.device(kind, int(os.environ.get("LOCAL_RANK", "0"))) if kind == CUDA else torch.device(kind)


#: What needs no finding.
HERE = torch.device(CPU)


@contextmanager
def placed(device: torch.device) -> Iterator[None]:
    """Tensors are made on a device. On the CPU nothing is done, and nothing costs."""
    if device.type == CPU:
        yield
        return
    with device:
        yield


def begin_chance(device: torch.device, seed: int) -> None:
    """Where a device's random numbers begin. torch.manual_seed asks every kind of device, which takes a hundredth of a
    training step; the CPU's own generator needs no asking."""
    if device.type == CPU:
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


@cache
def widest(kind: str) -> torch.dtype:
    """The widest float that a kind of device computes in."""
    return torch.float32 if kind == MPS else torch.float64


def named(device: torch.device) -> str:
    """A device as its maker calls it."""
    return torch.cuda.get_device_name(device) if device.type == CUDA else device.type
