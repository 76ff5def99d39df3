"""Embedding tables folded through the first layer: a lookup instead of a matvec. numpy only, and exact.

A stack of folded tables is never held whole: rows are made from its factors when they are asked for. A training step
reads a third of them, and more than half the cost of making one is rounding and memory, not the product.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from wm_train.grid.arithmetic import SNAP_BITS, SNAP_LIMIT, Floats, Ints, snap
from wm_train.world.encoding import Encoding
from wm_train.world.fields import Field

#: Rows made at once: small enough for a core's cache.
CHUNK_ROWS = 128
#: Products of snapped numbers are multiples of 2^-(2 * SNAP_BITS); their sums are exact in float64 below this.
EXACT_BOUND = 2.0 ** (53 - 2 * SNAP_BITS)

#: (field, first network input of each place where it is read) of every table of a stack.
Tables = list[tuple[Field, list[int]]]


def table_starts(fields: list[Field]) -> Ints:
    """(len(fields) + 1,) first row of each field's table when they are stacked; the last entry is the row count."""
    return np.concatenate([[0], np.cumsum([f.vocab for f in fields])]).astype(np.int64)


@dataclass(frozen=True)
class Folded:
    """R rows of N real numbers: tables stacked in the order of their fields, as factors.

    factors  per table: its embedding (vocab, width), and the first layer's columns that it meets (width, N), float64;
             their product is exact whatever the order of its sums
    starts   (tables + 1,) see `table_starts`
    size     N
    """

    factors: tuple[tuple[Floats, Floats], ...]
    starts: Ints
    size: int

    def reach(self) -> Floats:
        """(tables, N) largest magnitude in each column of each table."""
        reach = np.zeros((len(self.factors), self.size))
        for most, (embedding, columns) in zip(reach, self.factors, strict=True):
            for chunk in _chunks(len(embedding)):
                entries = embedding[chunk] @ columns
                np.maximum(most, np.maximum(entries.max(0), -entries.min(0)), out=most)
        return reach

    def rows(self, unit: Floats, numbers: Ints | None = None) -> NDArray[np.float32]:
        """Rows by their `numbers` (ascending; all of them when None) in units of `unit` (N,), rounded by the tie rule.

        returns (len(numbers), N) integers of 24 significant bits
        """
        if numbers is None:
            numbers = np.arange(self.starts[-1])
        out = np.empty((len(numbers), self.size), np.float32)
        ends = np.searchsorted(numbers, self.starts)
        for (embedding, columns), start, first, last in zip(self.factors, self.starts, ends, ends[1:], strict=False):
            picked = embedding[numbers[first:last] - start]
            for chunk in _chunks(len(picked)):
                entries = picked[chunk] @ columns
                entries /= unit
                entries += 0.5
                np.floor(entries, out=entries)
                out[first:last][chunk] = entries
        return out


def _chunks(rows: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK_ROWS) for start in range(0, rows, CHUNK_ROWS))


@cache
def _id_tables(encoding: Encoding) -> Tables:
    return [(field, [encoding.offset(slot, player, field)]) for slot, player, field in encoding.id_fields()]


@cache
def _session_tables(encoding: Encoding) -> Tables:
    slots = range(encoding.slots)
    return [(f, [encoding.offset(slot, player, f) for slot in slots]) for player, f in encoding.session_fields()]


def folded(encoding: Encoding, arrays: Mapping[str, NDArray]) -> tuple[Folded, Folded]:
    """The tables of the per-frame ids, in the order of Encoding.id_fields, and those of the session ids, in the order
    of Encoding.session_fields, each summed over the slots that its id fills."""
    weight = _snapped(np.ascontiguousarray(arrays["layer1.weight"].T))
    embeddings = {f.name: _snapped(arrays[f"embeddings.{f.name}.weight"]) for f in encoding.embeddings}
    return _stacked(weight, embeddings, _id_tables(encoding)), _stacked(weight, embeddings, _session_tables(encoding))


def _snapped(values: NDArray) -> Floats:
    """Rounded to multiples of 2^-SNAP_BITS."""
    out = np.empty(values.shape)
    for chunk in _chunks(len(values)):
        np.multiply(snap(values[chunk]), 2.0**-SNAP_BITS, out=out[chunk])
    return out


def _stacked(weight: Floats, embeddings: Mapping[str, Floats], tables: Tables) -> Folded:
    factors = [(embeddings[field.name], _met(weight, field.width, starts)) for field, starts in tables]
    return Folded(tuple(factors), table_starts([field for field, _ in tables]), weight.shape[1])


def _met(weight: Floats, width: int, starts: list[int]) -> Floats:
    """The first layer's columns that a field meets, (width, N), summed over the places that `starts` names."""
    if len(starts) == 1:
        return weight[starts[0] : starts[0] + width]
    # A runaway weight that is added up over many slots saturates: past this limit sums would depend on their order.
    limit = EXACT_BOUND / (SNAP_LIMIT * width)
    return np.clip(np.sum([weight[at : at + width] for at in starts], axis=0), -limit, limit)
