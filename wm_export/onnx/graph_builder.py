"""Nodes and constants of an ONNX graph, in the order they were made.

ONNX has no signed shift, so a value is lifted by 2^62 and shifted as uint64.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

#: Old enough for every ONNX Runtime since 1.12.
OPSET, IR_VERSION = 17, 8
#: Lifts what is shifted above zero. -2^62 <= value < 2^62 goes in; proofs keep products below 2^53.
LIFT = 1 << 62
#: Zero point of a matrix product's operands, which are uint8.
MIDDLE = 128


@dataclass(frozen=True)
class Byte:
    """A value of uint8 that stands for (value - zero) * factor: an operand of a product, or one of its bytes."""

    value: str
    zero: int = MIDDLE
    factor: int = 1

    def as_value(self, value: str) -> "Byte":
        """The same of another value."""
        return replace(self, value=value)


class Graph:
    """Nodes and constants in the order they were made; every name follows from that order.

    It is also a recorder.Target. A value is a name, an int stands for an int64 constant.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def add(self, kind: str, *inputs: str | int, name: str = "", **attributes: Any) -> str:
        """A node with one output; gives the output's name."""
        name = name or f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.value(i) for i in inputs], [name], **attributes))
        return name

    def split(self, source: str, widths: Sequence[int]) -> list[str]:
        """`source` cut along its last axis (2) into parts of these widths."""
        names = [f"v{len(self.nodes)}.{i}" for i in range(len(widths))]
        sizes = self.constant(f"split{len(self.nodes)}", np.array(widths, np.int64))
        self.nodes.append(helper.make_node("Split", [source, sizes], names, axis=2))
        return names

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """A named tensor."""
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def value(self, value: str | int) -> str:
        """The name of a value."""
        return value if isinstance(value, str) else self.constant(f"int64.{value}", np.array(value, np.int64))

    def cast(self, value: str, dtype: int, name: str = "") -> str:
        """`value` as another integer type."""
        return self.add("Cast", value, to=dtype, name=name)

    def axis(self, number: int) -> str:
        """The list of one axis."""
        return self.constant(f"axis.{number}", np.array([number]))

    def part(self, value: str, first: int, size: int) -> str:
        """(B, size) of (B, N), from `first` on."""
        ends = (self.constant(f"int64.[{end}]", np.array([end])) for end in (first, first + size))
        return self.add("Slice", value, *ends, self.axis(1))

    def total(self, value: str) -> str:
        """(B, 1) the sum of (B, N)."""
        return self.add("ReduceSum", value, self.axis(1), keepdims=1)

    def concat(self, values: Sequence[str], axis: int, name: str = "") -> str:
        """Values end to end."""
        return self.add("Concat", *values, axis=axis, name=name)

    def reshape(self, value: str, *shape: int) -> str:
        """`value` as (B, *shape)."""
        return self.add("Reshape", value, self.constant("shape." + "x".join(map(str, shape)), np.array([0, *shape])))

    def shift_right(self, value: str | int, shift: int, plus: int = 0) -> str:
        """(value + plus) >> shift, rounding down; shift 1..62, -2^62 <= value + plus < 2^62."""
        lifted = self.cast(self.add("Add", value, LIFT + plus), TensorProto.UINT64)
        by = self.constant(f"uint64.{shift}", np.array(shift, np.uint64))
        shifted = self.add("BitShift", lifted, by, direction="RIGHT")
        return self.add("Sub", self.cast(shifted, TensorProto.INT64), LIFT >> shift)

    def shift_by(self, value: str, shift: str, rounded: bool = False) -> str:
        """value >> shift of a shift that is a value itself, rounding down, or ties toward +inf.

        shift 0..62, from 1 where it is rounded; |value| + 2^(shift - 1) < 2^62.
        """
        lift, by = self.constant("uint64.lift", np.array(LIFT, np.uint64)), self.cast(shift, TensorProto.UINT64)

        def right(lifted: str, places: str) -> str:
            return self.cast(self.add("BitShift", lifted, places, direction="RIGHT"), TensorProto.INT64)

        lifted = self.add("Add", value, LIFT)
        if rounded:
            half = right(lift, self.cast(self.add("Sub", 63, shift), TensorProto.UINT64))
            lifted = self.add("Add", lifted, half)
        return self.add("Sub", right(self.cast(lifted, TensorProto.UINT64), by), right(lift, by))

    def product(self, a: Sequence[Byte], b: Sequence[Byte]) -> str:
        """a @ b in int64, exact on every processor: a product of uint8 for each pair of bytes, added up.

        ONNX Runtime's kernels for uint8 by int8 saturate pairs of products at 16 bits on x86 without VNNI, and those
        for int8 by int8 are not vectorized there.
        """
        total = ""
        for left, right in product(a, b):
            zeros = (self.constant(f"uint8.{byte.zero}", np.array(byte.zero, np.uint8)) for byte in (left, right))
            part = self.cast(self.add("MatMulInteger", left.value, right.value, *zeros), TensorProto.INT64)
            factor = left.factor * right.factor
            scaled = part if factor == 1 else self.add("Mul", part, factor)
            total = self.add("Add", total, scaled) if total else scaled
        return total

    def binary(self, op: str, a: str | int, b: str | int) -> str:
        """See Target."""
        if op == ">>":
            return self.shift_right(a, int(b))
        if op == "<<":
            return self.add("Mul", a, 1 << int(b))
        return self.add({"+": "Add", "-": "Sub", ">": "Greater", "&": "And", "|": "Or"}[op], a, b)

    def where(self, mask: str | int, a: str | int, b: str | int) -> str:
        """See Target."""
        return self.add("Where", mask, a, b)

    def pick(self, name: str, table: tuple[int, ...], index: str | int) -> str:
        """See Target."""
        return self.add("Gather", self.constant(f"table.{name}", np.array(table, np.int64)), index, axis=0)

    def begin(self, subsystem: str) -> None:
        """See Target: nodes are not grouped."""

    def name(self, name: str, value: str) -> str:
        """See Target: a value keeps the name of its node's output."""
        return value

    def clip(self, value: str | int, low: str | int, high: str | int) -> str:
        """See Target."""
        if isinstance(low, int) and isinstance(high, int):
            return self.add("Clip", value, low, high)
        # The ends of a Clip are scalars; these differ from world to world.
        return self.add("Min", self.add("Max", value, low), high)

    def requantize(self, value: str | int, mult: str | int, shift: int) -> str:
        """See Target; `mult` may be a vector. value * mult + 2^(shift-1) < 2^62."""
        return self.shift_right(self.add("Mul", value, mult), shift, plus=1 << (shift - 1))
