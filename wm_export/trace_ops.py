"""World rules as recorded operations: world.encode and world.decode run on `Sym`s instead of numbers.

A target (Rust, ONNX) says how each operation is written; the rules themselves stay in wm_train/world.py.
"""

from typing import Any, Protocol


class Target(Protocol):
    """Where recorded operations go; every method gives the name of its result. Operands are names or ints."""

    def binary(self, op: str, a: "str | int", b: "str | int") -> str:
        """`a op b` for + - >> << >."""

    def where(self, mask: "str | int", a: "str | int", b: "str | int") -> str:
        """`a` where `mask`, else `b`."""

    def clip(self, value: "str | int", low: "str | int", high: "str | int") -> str:
        """`value` inside low..high."""

    def requantize(self, value: "str | int", mult: int, shift: int) -> str:
        """The tie rule."""


class Sym:
    """A value that only has a name yet."""

    def __init__(self, target: Target, name: str) -> None:
        self.target, self.name = target, name

    def _binary(self, op: str, other: Any) -> "Sym":
        return Sym(self.target, self.target.binary(op, self.name, operand(other)))

    def __add__(self, other: Any) -> "Sym":
        return self._binary("+", other)

    def __sub__(self, other: Any) -> "Sym":
        return self._binary("-", other)

    def __rshift__(self, other: Any) -> "Sym":
        return self._binary(">>", other)

    def __lshift__(self, other: Any) -> "Sym":
        return self._binary("<<", other)

    def __gt__(self, other: Any) -> "Sym":
        return self._binary(">", other)


def operand(value: Any) -> str | int:
    """A Sym's name, or a constant."""
    return value.name if isinstance(value, Sym) else int(value)


class SymOps:
    """world.Ops on Syms."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def where(self, mask: Any, a: Any, b: Any) -> Sym:
        """See world.Ops."""
        return Sym(self.target, self.target.where(operand(mask), operand(a), operand(b)))

    def clip(self, value: Any, low: Any, high: Any) -> Sym:
        """See world.Ops."""
        return Sym(self.target, self.target.clip(operand(value), operand(low), operand(high)))

    def requantize(self, value: Any, mult: int, shift: int) -> Sym:
        """See world.Ops."""
        return Sym(self.target, self.target.requantize(operand(value), mult, shift))
