"""The requantize kernels: accumulators times a multiplier, shifted to the next layer's grid; with or without ReLU."""

from functools import cache

from wm_export.lower.asm.listing import (
    NOTHING,
    UNBOUNDED,
    Count,
    Family,
    Fork,
    Kernel,
    Part,
    Repeat,
    load,
    segment,
    store,
)
from wm_train.grid.arithmetic import CODE_MAX

#: Elements come in multiples of it.
REQUANTIZE_UNROLL = 8


@cache
def requantize() -> Kernel:
    """out = (acc * mult + half) >> shift, ties toward +inf, no saturation."""
    return _requantize("requantize", "`out = (acc * mult + 2^(shift-1)) >> shift`, without saturation.", ())


@cache
def requantize_relu() -> Kernel:
    """The same, clamped to 0..CODE_MAX."""
    return _requantize("requantize_relu", f"As `requantize`, then clamped to `0..={CODE_MAX}`.", _clamp())


def requantize_family() -> Family:
    """Both; to be read, the longer."""
    sizes = ((REQUANTIZE_UNROLL,), (64 * REQUANTIZE_UNROLL,), (133 * REQUANTIZE_UNROLL,))
    return Family(kernels=(requantize(), requantize_relu()), listing="requantize_relu", metered=sizes)


def _requantize(name: str, about: str, clamp: tuple[Part, ...]) -> Kernel:
    """Registers: r1 acc, r2 mult, r3 out, r4 end of acc, r5 shift, r6 half, r7 the value."""
    n = REQUANTIZE_UNROLL
    entry = ["r4 <<= 3", "r4 += r1", "r7 = r5", "r7 += -1", "r6 = 1", "r6 <<= r7"]
    body: list[Part] = []
    for i in range(n):
        value = [load(7, 1, 8 * i), load(8, 2, 4 * i, "u32"), "r7 *= r8", "r7 += r6", "r7 s>>= r5"]
        body += [segment(value, "" if i else "1"), *clamp, segment([store(3, 8 * i, 7)], "3" if clamp else "")]
    body.append(segment([f"r1 += {8 * n}", f"r2 += {4 * n}", f"r3 += {8 * n}", "if r1 != r4 goto 1b"]))
    return Kernel(
        name=name,
        about=about,
        signature="(acc: *const i64, mult: *const u32, out: *mut i64, n: u64, shift: u64)",
        twin=f"requantize::{name}_ref",
        sizes={"n": range(n, UNBOUNDED, n)},
        parts=(segment(entry), Repeat(Count("n", n), tuple(body)), segment(["exit"])),
    )


def _clamp() -> tuple[Part, ...]:
    """r7 = clamp(r7, 0, CODE_MAX) for |r7| < 2^57; what follows has label 3.

    Without its sign, a value outside is one above CODE_MAX. The top seven bits of a small negative number are 127, so
    those of a value outside are the complement of what it is clamped to.
    """
    inside, outside = segment([NOTHING, "goto 3f"]), segment(["r7 >>= 57", f"r7 ^= {CODE_MAX}"], "2")
    return segment([f"if r7 > {CODE_MAX} goto 2f"]), Fork((inside,), (outside,))
