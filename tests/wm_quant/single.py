"""One op by itself: a network around it, and cases of every kind that reach the ends of all ranges."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.factories import small_model
from wm_quant.interp import Trace
from wm_quant.ops.base import BIAS, SESSION_BIAS, Op, Sum
from wm_quant.ops.conv import Conv
from wm_quant.ops.dense import Matvec
from wm_quant.ops.gate import Gate
from wm_quant.ops.gather import Gather
from wm_quant.ops.intervals import Interval
from wm_quant.ops.norm import RMSNorm
from wm_quant.ops.put import Put
from wm_quant.ops.requantize import (
    Add,
    Requantize,
    RequantizeCode,
    RequantizeFine,
    RequantizeRelu,
    RequantizeWide,
    Scaling,
)
from wm_quant.ops.ssm import SSM
from wm_quant.ops.ssm_chunked import ChunkedSSM
from wm_quant.ops.table import Lut
from wm_quant.ops.within import Within
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import CODE_MAX, CODE_MIN, INT8, WEIGHT_GRIDS
from wm_train.grid.chunked import Chunk
from wm_train.grid.integer_mamba2 import DECAY_BITS, FINE_MAX, GAIN_BITS, STATE_MAX, WIDE_MAX, held_most
from wm_train.grid.integer_mlp import table_starts

Rng = np.random.Generator
#: Small, and with two fields in a window's ids and in a session's.
MODEL = small_model("v2", slots=1)
WORLDS = 3


def single(op: Op, tensors: Mapping[str, Any], sizes: Mapping[str, int]) -> QNet:
    """A network in which vectors of these sizes come before `op`; only the op's own tensors are in it."""
    before = [RequantizeCode(f"make.{name}", "codes", name, size, shift=1) for name, size in sizes.items()]
    return QNet(MODEL, (*before, op), {f"{op.name}.{part}": np.asarray(value) for part, value in tensors.items()})


def both(op: Op, tensors: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, list[int]]:
    """What the op makes of one world's `values`, by `run` and by `ref`, which must agree."""
    net = single(op, tensors, {name: len(value) for name, value in values.items() if name != op.out})
    many = op.run(net, {name: np.array([value, value], np.int64) for name, value in values.items()})
    one = {name: list(value) for name, value in op.ref(net, {k: list(map(int, v)) for k, v in values.items()}).items()}
    assert {name: value.tolist() for name, value in many.items()} == {name: [value] * 2 for name, value in one.items()}
    return one


def spread(rng: Rng, low: int, high: int, *shape: int) -> Any:
    """int64 in low..high: everywhere, at the ends, at one of them, or close to zero."""
    values = rng.integers(low, high, shape, endpoint=True)
    ends = np.where(rng.integers(0, 2, shape) == 1, low, high)
    small = np.clip(rng.integers(-2, 3, shape), low, high)
    pick = int(rng.integers(6))
    mixed = np.where(rng.integers(0, 2, shape) == 1, values, ends)
    return (values, ends, np.full(shape, low), np.full(shape, high), mixed, small)[pick]


@dataclass(frozen=True)
class Case:
    """An op, its tensors by part, and what each vector that it reads can be: (length, low, high)."""

    op: Op
    tensors: Mapping[str, Any]
    reads: Mapping[str, tuple[int, int, int]]

    @property
    def net(self) -> QNet:
        """A network around the op; tensors in the types that it asks for."""
        sizes = {name: length for name, (length, *_) in self.reads.items() if name not in (self.op.out, "ids")}
        wide = single(self.op, self.tensors, sizes)
        types = {f"{self.op.name}.{part}": tensor.dtype for part, tensor in self.op.tensors(wide).items()}
        return replace(wide, tensors={name: wide.tensors[name].astype(dtype) for name, dtype in types.items()})

    @property
    def intervals(self) -> dict[str, Interval]:
        """What `bounds` gets."""
        return {
            name: Interval(np.full(length, float(low)), np.full(length, float(high)))
            for name, (length, low, high) in self.reads.items()
        }

    def values(self, rng: Rng, worlds: int = WORLDS) -> Trace:
        """What `run` gets."""
        values = {name: spread(rng, low, high, worlds, length) for name, (length, low, high) in self.reads.items()}
        fields = [field for _, _, field in MODEL.world.encoding.id_fields()]
        if self.op.reads_ids:
            values["ids"] = np.stack([spread(rng, 0, field.vocab - 1, worlds) for field in fields], 1)
        if isinstance(self.op, Sum) and self.op.init == SESSION_BIAS:
            vocab = [field.vocab for _, field in MODEL.world.encoding.session_fields()]
            session = np.stack([spread(rng, 0, v - 1, worlds) for v in vocab], 1)
            values[SESSION_BIAS] = self.op.session_start(self.net, session)
        return values


def _start(rng: Rng, size: int) -> tuple[str, dict[str, Any], dict[str, tuple[int, int, int]]]:
    """How a sum starts: init, tensors, reads."""
    init = str(rng.choice(["", BIAS, SESSION_BIAS]))
    most = 1 << 18
    if not init:
        return init, {}, {"out": (size, -most, most)}
    tensors = {"bias": spread(rng, -most, most, size)}
    if init == SESSION_BIAS:
        rows = table_starts([field for _, field in MODEL.world.encoding.session_fields()])[-1]
        tensors["session"] = spread(rng, -most, most, rows, size)
    return init, tensors, {}


def _most(bits: int, columns: int) -> int:
    """The largest weight of so many bits with which no lane spills over, whatever the codes."""
    grid = WEIGHT_GRIDS[bits]
    return min(grid.weight_max, (grid.lane_bound - 1) // (columns * -CODE_MIN))


def _matvec(rng: Rng) -> Case:
    bits, size = int(rng.choice(list(WEIGHT_GRIDS))), 5
    init, tensors, reads = _start(rng, size)
    op = Matvec("op", "in", "out", size, init, block=32, bits=bits)
    most = _most(bits, op.block)
    return Case(op, tensors | {"rows": spread(rng, -most, most, size, 37)}, reads | {"in": (37, CODE_MIN, CODE_MAX)})


def _gather(rng: Rng) -> Case:
    init, tensors, reads = _start(rng, 4)
    rows = table_starts([field for _, _, field in MODEL.world.encoding.id_fields()])[-1]
    tensors |= {"rows": spread(rng, -128, 127, rows, 4), "k": spread(rng, 0, 1 << 12, 4)}
    return Case(Gather("op", "ids", "out", 4, init), tensors, reads)


def _scaling(kind: type[Scaling]) -> Callable[[Rng], Case]:
    def make(rng: Rng) -> Case:
        least = kind.shift_min if kind.clamp else 23
        shift = int(rng.choice([spread(rng, least, 62), 33, 44]))
        op = kind("op", "in", "out", 6, shift=shift, first=int(rng.integers(3)))
        reads = {"in": (9, 1 - INT8.acc_bound, INT8.acc_bound - 1)}
        reads |= {} if op.begins else {"out": (6, -WIDE_MAX, WIDE_MAX)}
        return Case(op, {"mult": spread(rng, 0, 2**31 - 1, 6)}, reads)

    return make


def _rmsnorm(rng: Rng) -> Case:
    bits, most = int(rng.integers(1, 27)), int(rng.choice([0, 1, 3, 700, WIDE_MAX]))
    op = RMSNorm("op", "in", "out", 6, shift=int(rng.integers(max(5, bits - 8), 40)), first=int(rng.integers(3)))
    eps = int(rng.choice([1, 2, 255, 256, 511, 512, 1023, 1024, 4095, 4096, 2**40 + 1]))
    return Case(op, {"table": spread(rng, -1 << bits, 1 << bits, 768), "eps": [eps]}, {"in": (9, -most, most)})


def _conv(rng: Rng) -> Case:
    op = Conv("op", "in", "out", 5, first=int(rng.integers(3)))
    tensors = {"rows": spread(rng, -128, 127, 5, 4), "bias": spread(rng, -(1 << 20), 1 << 20, 5)}
    return Case(op, tensors, {"in": (8, -FINE_MAX, FINE_MAX), op.kept: (15, -FINE_MAX, FINE_MAX)})


def _lut(rng: Rng) -> Case:
    op = Lut("op", "in", "out", 6, first=int(rng.integers(3)))
    tensors = {"table": spread(rng, -(1 << 15), (1 << 15) - 1, 2, 4096), "group": [0, 1, 1, 0, 1, 0]}
    return Case(op, tensors, {"in": (9, -FINE_MAX, FINE_MAX)})


def _ssm(rng: Rng) -> Case:
    """Two heads of three channels; two cells. Gains that take a state just to the end of its range."""
    op, one = SSM("op", "in", "out", 6, by="dt"), 1 << DECAY_BITS
    most = int(rng.choice([1, 100, CODE_MAX]))
    decay = spread(rng, 1 - one, one - 1, 2, 256)
    room = ((STATE_MAX + 1) * one - 1 - one // 2 - STATE_MAX * np.abs(decay)) // most
    gain = (room << GAIN_BITS) // most - (1 << GAIN_BITS)
    gain = np.clip(gain, 0, 2**31 - 1) * rng.choice([-1, 0, 1], (2, 256))
    tensors = {"decay": decay, "gain": gain, "skip": spread(rng, -(1 << 20), 1 << 20, 2)}
    reads = {"in": (10, -most, most), "dt": (2, -CODE_MAX, CODE_MAX), op.kept: (12, -STATE_MAX, STATE_MAX)}
    return Case(op, tensors, reads)


def _ssm_chunked(rng: Rng) -> Case:
    """Six heads of two channels; four cells. Gains that take what a head holds to its end; a memory whose sums fit."""
    every = int(rng.choice([1, 2, 3, 6]))
    op, one = ChunkedSSM("op", "in", "out", 12, by="dt", every=every), 1 << DECAY_BITS
    most = int(rng.choice([1, 100, CODE_MAX]))
    decay = spread(rng, 0, one - 1, 6, 256)
    room = (held_most(every, most) * (1 - decay / one)).astype(np.int64) // most
    gain = np.clip((room << GAIN_BITS) // most, 0, 2**31 - 1) * rng.choice([0, 1], (6, 256))
    tensors = {"decay": decay, "gain": gain, "skip": spread(rng, -(1 << 20), 1 << 20, 6)}
    reads = {"in": (20, -most, most), "dt": (6, -CODE_MAX, CODE_MAX)}
    return Case(op, tensors, reads | {op.kept: (Chunk(6, 2, 4, every).size, 0, every - 1)})


def _gate(rng: Rng) -> Case:
    op = Gate("op", "in", "out", 5, by="by", shift=int(spread(rng, 1, 62)), first=int(rng.integers(3)))
    return Case(op, {}, {"in": (8, -WIDE_MAX, WIDE_MAX), "by": (5, -(1 << 32), 1 << 32)})


def _put(rng: Rng) -> Case:
    """The first into its vector, or the one that goes on behind four values."""
    at = int(rng.choice([0, 4]))
    op = Put("op", "in", "out", 9, first=int(rng.integers(3)), at=at, count=5)
    most = 1 << 31
    return Case(op, {}, {"in": (8, -most, most)} | ({"out": (9, -most, most)} if at else {}))


def _within(rng: Rng) -> Case:
    """Three groups of five; equal values of groups among those that are read."""
    bits = int(rng.choice(list(WEIGHT_GRIDS)))
    most, product = _most(bits, 33), (1 << 25) if bits == 16 else (1 << 31) - 1
    block, shift, first = int(rng.choice([32, 64])), int(spread(rng, 26, 62)), int(rng.integers(3))
    op = Within("op", "in", "out", 5, by="by", first=first, groups=3, layer="op", block=block, shift=shift, bits=bits)
    tensors = {
        "rows": spread(rng, -most, most, 3, 5, 33),
        "bias": spread(rng, -(1 << 18), 1 << 18, 3, 5),
        "mult": spread(rng, 0, product, 3, 5),
    }
    return Case(op, tensors, {"in": (33, CODE_MIN, CODE_MAX), "by": (5, -(1 << 31), (1 << 31) - 1)})


#: A case of each kind.
CASES: dict[str, Callable[[Rng], Case]] = {
    "matvec": _matvec,
    "gather": _gather,
    **{k.kind: _scaling(k) for k in (Requantize, RequantizeRelu, RequantizeCode, RequantizeFine, RequantizeWide, Add)},
    "rmsnorm": _rmsnorm,
    "conv": _conv,
    "lut": _lut,
    "ssm": _ssm,
    "ssm_chunked": _ssm_chunked,
    "gate": _gate,
    "put": _put,
    "within": _within,
}
