"""What the lowerings of the op families build a program with.

A lowering declares the buffers and constants that its calls need, and gives the routine. A buffer is as long as the
longest of what its ops ask for: what lies behind the `size` values of a vector is padding.
"""

from collections.abc import Callable

from wm_export.lower.lowered_program import Buffer, Constant, Lifetime, Load, SessionStart, Values, Write
from wm_quant.qnet import QNet


class Builder:
    """A program in the making.

    start   what is computed when a session opens, once the op that starts from its ids has been lowered
    """

    def __init__(self, net: QNet) -> None:
        self.net = net
        self.buffers: dict[str, Buffer] = {}
        self.constants: dict[str, Constant] = {}
        self.start: SessionStart | None = None

    def buffer(self, name: str, count: int, lifetime: Lifetime = Lifetime.FRAME, dtype: str = "i64") -> None:
        """A buffer of at least `count` elements; lifetime and type are those it was first asked for with."""
        known = self.buffers.get(name, Buffer(name, 0, lifetime, dtype))
        self.buffers[name] = Buffer(name, max(known.count, count), known.lifetime, known.dtype)

    def memory(self, buffer: Buffer) -> Write:
        """What an op keeps from frame to frame, where it does not lie as i64 in the interpreter's order."""
        assert buffer.lifetime is Lifetime.MEMORY, buffer
        self.buffers[buffer.name] = buffer
        return Write(buffer.name)

    def write(self, name: str, count: int) -> Write:
        """A buffer of a frame that is written, `count` elements of it."""
        self.buffer(name, count)
        return Write(name)

    def constant(self, name: str, dtype: str, count: int, values: Callable[[], Values]) -> Load:
        """A constant, from its first element on."""
        self.constants[name] = Constant(name, dtype, count, values)
        return Load(name)
