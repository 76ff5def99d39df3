"""Neighbouring ops that become one routine, because what lies between them is read by nobody else.

Between two ops lies a vector: one stores it, the other loads it. A kernel that does the work of both keeps it in
registers. It computes the same integers (the tests compare such a program with the one whose every op is a routine of
its own, `lower(net, fused=False)`), but the vector is then nowhere: it has no buffer, and parity does not compare it.

A fusion takes ops that stand one behind the other, and is found by the class of the first of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wm_export.lower import conv_lowering, dense_lowering, gate_lowering
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import Routine
from wm_quant.ops.base import BIAS, Op
from wm_quant.ops.conv import Conv
from wm_quant.ops.dense import Matvec
from wm_quant.ops.gate import Gate
from wm_quant.ops.norm import RMSNorm
from wm_quant.ops.requantize import (
    Add,
    Requantize,
    RequantizeCode,
    RequantizeFine,
    RequantizeRelu,
    RequantizeWide,
)
from wm_quant.ops.table import Lut
from wm_quant.qnet import QNet
from wm_train.grid.integer_mamba2 import GATE_SHIFT


@dataclass(frozen=True)
class Fusion:
    """One routine of several ops.

    ops    those that it is of, one behind the other
    lower  makes it
    """

    ops: tuple[Op, ...]
    lower: Callable[[Builder], Routine]

    @property
    def between(self) -> set[str]:
        """The vectors that it does not store: those that the ops before its last make for each other."""
        return {op.out for op in self.ops if op.begins} & set().union(*map(_reads, self.ops))


#: The way that a product's kernel ends, by the op that reads it.
ENDINGS: Mapping[type[Op], str] = {
    Requantize: "",
    RequantizeRelu: "relu",
    RequantizeCode: "code",
    RequantizeFine: "fine",
    RequantizeWide: "wide",
    Add: "add",
}


def _product(net: QNet, product: Matvec, following: Sequence[Op]) -> Fusion | None:
    """A product that is all of its sum; what follows multiplies all of it down, stretch by stretch."""
    if product.init != BIAS or not dense_lowering.can_be_scaled(product, net.sizes[product.source]):
        return None
    parts: list[Any] = []
    at = 0
    for op in following:
        if type(op) not in ENDINGS or (op.source, getattr(op, "first", None)) != (product.out, at):
            break
        parts.append(op)
        at += op.size
    if at != product.size:
        return None
    endings = [(part, ENDINGS[type(part)]) for part in parts]
    return Fusion((product, *parts), lambda builder: dense_lowering.scaled(product, endings, builder))


def _gated(net: QNet, scaling: RequantizeWide, following: Sequence[Op]) -> Fusion | None:
    """A product of wide values and a function of codes, which are made for it and nobody else, and its norm."""
    match following[:3]:
        case [table, product, norm] if (type(table), type(product), type(norm)) == (Lut, Gate, RMSNorm):
            ops: tuple[Any, Any, Any, Any] = (scaling, table, product, norm)
        case _:
            return None
    read = (product.source, ops[2].by, norm.source, ops[3].first) == (scaling.out, table.out, product.out, 0)
    alike = ops[2].shift == GATE_SHIFT and len(net.tensor(table, "table")) == 1
    if not (read and alike and scaling.size == table.size == product.size == norm.size):
        return None
    return Fusion(ops, lambda builder: gate_lowering.gated_norm(*ops, builder))


def _looked_up(net: QNet, conv: Conv, following: Sequence[Op]) -> Fusion | None:
    """A convolution whose sums become codes, all of them, and those a function of each."""
    match following[:2]:
        case [scaling, table] if (type(scaling), type(table)) == (RequantizeFine, Lut):
            ops: tuple[Any, Any, Any] = (conv, scaling, table)
        case _:
            return None
    sources = [(op.source, op.first) for op in ops[1:]]
    alike = conv.size == scaling.size == table.size and ops[1].shift in conv_lowering.LUT_SHIFTS
    if sources != [(conv.out, 0), (scaling.out, 0)] or not alike:
        return None
    return Fusion(ops, lambda builder: conv_lowering.looked_up(*ops, builder))


#: By the class of the first op: network, that op and those behind it in; None where nothing is fused.
FUSIONS: Mapping[type[Op], Callable[[QNet, Any, Sequence[Op]], Fusion | None]] = {
    Matvec: _product,
    RequantizeWide: _gated,
    Conv: _looked_up,
}


def fusions(net: QNet) -> Iterator[Fusion]:
    """Those of a network, in the order of its ops."""
    at = 0
    while at < len(net.ops):
        find = FUSIONS.get(type(net.ops[at]))
        found = find(net, net.ops[at], net.ops[at + 1 :]) if find else None
        if found and not found.between & _read_elsewhere(net, found):
            yield found
            at += len(found.ops)
        else:
            at += 1


def _read_elsewhere(net: QNet, fusion: Fusion) -> set[str]:
    """What ops outside of a fusion read or add to, and what the world reads."""
    return set(net.read).union(*(_reads(op) for op in net.ops if op not in fusion.ops))


def _reads(op: Op) -> set[str]:
    """The vectors that an op reads, or adds to, and whatever else its fields hold."""
    held = {str(value) for field, value in vars(op).items() if field not in ("name", "out")}
    return held if op.begins else held | {op.out}
