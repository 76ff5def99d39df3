"""What is done with an accumulator that has been multiplied down, before it is stored: nothing, kept in a range, or
added to what is there. The requantize kernels do it, and the matvec kernels that end as those do."""

from collections.abc import Mapping
from dataclasses import dataclass

from wm_export.lower.asm.listing import NOTHING, Fork, Part, clamp, load, segment
from wm_train.grid.arithmetic import CODE_MAX
from wm_train.grid.integer_mamba2 import FINE_MAX, WIDE_MAX


@dataclass(frozen=True)
class Finish:
    """One way to end.

    low, high   what results are kept inside: 0..CODE_MAX, or -high..high; an i64 where nothing is cut off
    adds        what `out` holds is added first
    """

    low: int = -(1 << 63)
    high: int = (1 << 63) - 1
    adds: bool = False

    @property
    def about(self) -> str:
        """The end of a line of documentation."""
        added = ", added to `out`" if self.adds else ""
        return added + (", without saturation" if self.low < -self.high else f", clamped to `{self.low}..={self.high}`")

    def parts(self, value: int, spare: int, out: int, at: int, number: int) -> tuple[Part, ...]:
        """r<value> finished; `out` is the register that points at what it is added to, `at` bytes on; r<spare> is lost.

        number   0 and up, one that no other value of the kernel has
        """
        if self.adds:
            added = segment([load(spare, out, at), f"r{value} += r{spare}"])
            return added, *clamp(value, self.high, number)
        if self.low == 0:
            return _relu(value)
        return () if self.low < -self.high else clamp(value, self.high, number)


#: By the end of a kernel's name.
FINISHES: Mapping[str, Finish] = {
    "": Finish(),
    "relu": Finish(0, CODE_MAX),
    "code": Finish(-CODE_MAX, CODE_MAX),
    "fine": Finish(-FINE_MAX, FINE_MAX),
    "wide": Finish(-WIDE_MAX, WIDE_MAX),
    "add": Finish(-WIDE_MAX, WIDE_MAX, adds=True),
}


def _relu(value: int) -> tuple[Part, ...]:
    """r<value> = clamp(r<value>, 0, CODE_MAX) for |r<value>| < 2^57, in labels 8 and 9.

    Without its sign, a value outside is one above CODE_MAX. The top seven bits of a small negative number are 127, so
    those of a value outside are the complement of what it is clamped to.
    """
    out = [f"r{value} >>= 57", f"r{value} ^= {CODE_MAX}"]
    fork = Fork((segment([NOTHING, "goto 9f"]),), (segment(out, "8"),))
    return segment([f"if r{value} > {CODE_MAX} goto 8f"]), fork, segment([], "9")
