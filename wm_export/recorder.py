"""World rules as recorded operations: encode, decode and the rules of subsystems run on `Sym`s instead of numbers.

A target (Rust, ONNX) says how each operation is written; the rules themselves are the game's.
"""

from typing import Any, Protocol

from wm_train.world.rule_ops import ONE


class Target(Protocol):
    """Where recorded operations go. An operand is an int, or a text that is a name or an expression; what gives a text
    gives that of its result."""

    def binary(self, op: str, a: "str | int", b: "str | int") -> str:
        """`a op b` for + - >> << > on values, & | on masks."""

    def where(self, mask: "str | int", a: "str | int", b: "str | int") -> str:
        """`a` where `mask`, else `b`."""

    def clip(self, value: "str | int", low: "str | int", high: "str | int") -> str:
        """`value` inside low..high."""

    def requantize(self, value: "str | int", mult: int, shift: int) -> str:
        """The tie rule."""

    def pick(self, name: str, table: tuple[int, ...], index: str | int) -> str:
        """The entry of the table of that name at an id below its length."""

    def begin(self, subsystem: str) -> None:
        """The operations of this subsystem's rule, or of this law, come next."""

    def name(self, name: str, value: str) -> str:
        """`value`, called `name` if the target writes names."""


class Sym:
    """A value that is only written down yet: `text` is what a target calls it."""

    def __init__(self, target: Target, text: str) -> None:
        self.target, self.text = target, text

    def _binary(self, op: str, other: Any) -> "Sym":
        return Sym(self.target, self.target.binary(op, self.text, operand(other)))

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

    def __lt__(self, other: Any) -> "Sym":
        return Sym(self.target, self.target.binary(">", operand(other), self.text))

    def __and__(self, other: Any) -> "Sym":
        return self._binary("&", other)

    def __or__(self, other: Any) -> "Sym":
        return self._binary("|", other)


def operand(value: Any) -> str | int:
    """A Sym's text, or a constant."""
    return value.text if isinstance(value, Sym) else int(value)


class SymOps:
    """Ops, LawOps and CodeOps on Syms."""

    one = ONE

    def __init__(self, target: Target) -> None:
        self.target = target

    def where(self, mask: Any, a: Any, b: Any) -> Sym:
        """See rule_ops.Ops."""
        return Sym(self.target, self.target.where(operand(mask), operand(a), operand(b)))

    def clip(self, value: Any, low: Any, high: Any) -> Sym:
        """See rule_ops.Ops."""
        return Sym(self.target, self.target.clip(operand(value), operand(low), operand(high)))

    def pick(self, name: str, table: tuple[int, ...], index: Any) -> Sym:
        """See rule_ops.Ops."""
        return Sym(self.target, self.target.pick(name, table, operand(index)))

    def begin(self, subsystem: str) -> None:
        """See rule_ops.Ops."""
        self.target.begin(subsystem)

    def name(self, name: str, value: Any) -> Any:
        """See rule_ops.Ops."""
        return Sym(self.target, self.target.name(name, value.text)) if isinstance(value, Sym) else value

    def requantize(self, value: Any, mult: int, shift: int) -> Sym:
        """See rule_ops.Ops."""
        return Sym(self.target, self.target.requantize(operand(value), mult, shift))
