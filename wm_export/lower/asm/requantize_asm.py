"""The requantize kernels: accumulators times a multiplier, shifted to the grid of what reads them, and finished."""

from functools import cache

from wm_export.lower.asm.finish_asm import FINISHES
from wm_export.lower.asm.listing import UNBOUNDED, Count, Family, Kernel, Part, Repeat, half, load, segment, store

#: Elements come in multiples of it.
REQUANTIZE_UNROLL = 8


def requantize_name(finish: str) -> str:
    """The kernel that ends so, a name in FINISHES."""
    return "_".join(["requantize", finish]).rstrip("_")


@cache
def requantize(finish: str) -> Kernel:
    """out = (acc * mult + half) >> shift, ties toward +inf, finished.

    Registers: r1 acc, r2 mult, r3 out, r4 end of acc, r5 shift, r6 half, r7 the value.
    """
    n, end = REQUANTIZE_UNROLL, FINISHES[finish]
    entry = ["r4 <<= 3", "r4 += r1", *half(6, 5, 7)]
    body: list[Part] = []
    for i in range(n):
        value = [load(7, 1, 8 * i), load(8, 2, 4 * i, "u32"), "r7 *= r8", "r7 += r6", "r7 s>>= r5"]
        body += [segment(value, "" if i else "1"), *end.parts(7, 8, 3, 8 * i, i), segment([store(3, 8 * i, 7)])]
    body.append(segment([f"r1 += {8 * n}", f"r2 += {4 * n}", f"r3 += {8 * n}", "if r1 != r4 goto 1b"]))
    generic = f"::<{end.high}>" if end.adds else f"::<{end.low}, {end.high}>"
    return Kernel(
        name=requantize_name(finish),
        about=f"`out = (acc * mult + 2^(shift-1)) >> shift`{end.about}.",
        signature="(acc: *const i64, mult: *const u32, out: *mut i64, n: u64, shift: u64)",
        twin=f"requantize::requantize_{'add' if end.adds else 'within'}_ref{generic}",
        sizes={"n": range(n, UNBOUNDED, n)},
        parts=(segment(entry), Repeat(Count("n", n), tuple(body)), segment(["exit"])),
    )


def requantize_family() -> Family:
    """One for each way to end; to be read, the one of codes behind a ReLU."""
    sizes = ((REQUANTIZE_UNROLL,), (64 * REQUANTIZE_UNROLL,), (133 * REQUANTIZE_UNROLL,))
    return Family(kernels=tuple(map(requantize, FINISHES)), listing=requantize_name("relu"), metered=sizes)
