"""Traces: what one run of a world wrote down, by tensor name; and where two of them part."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Difference:
    """The first place where an executor leaves the reference."""

    executor: str
    frame: int
    tensor: str
    index: int
    got: int
    expected: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, keys as `wmq parity --json` prints them."""
        return asdict(self)


def first_difference(
    executor: str, frame: int, got: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]
) -> Difference | None:
    """Compare every tensor that `got` has, whole first, then down to the first number that differs.

    Both hold one world: arrays (1, N). `expected` must have every tensor of `got`.
    """
    for name, values in got.items():
        wanted = expected[name]
        if np.array_equal(values, wanted):
            continue
        a, b = np.ravel(values), np.ravel(wanted)
        if a.size != b.size:
            return Difference(executor, frame, f"{name} (length)", 0, a.size, b.size)
        index = int(np.argmax(a != b))
        return Difference(executor, frame, name, index, int(a[index]), int(b[index]))
    return None
