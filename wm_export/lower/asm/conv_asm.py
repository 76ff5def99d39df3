"""The conv kernel: a filter of four taps for each channel, over this frame's code and the three before.

Layout of the words and proof of the lanes: onchain/kernels/src/conv.rs.
"""

from functools import cache

from wm_export.lower.asm.listing import UNBOUNDED, Family, Kernel, load, segment, store, unrolled

CONV_UNROLL = 16
#: Words of a channel's filter.
FILTER_WORDS = 3
#: Bits of a code in the memory, and what is added to one so that it has no sign.
CODE_BITS = 16
CODE_BIAS = 1 << (CODE_BITS - 1)
#: Every other code of a word, and the bias of each.
OTHERS = 0x0000_FFFF_0000_FFFF
OTHERS_BIAS = CODE_BIAS | CODE_BIAS << 32


@cache
def conv() -> Kernel:
    """Registers: r1 walks x, r2 filters, r3 memory, r4 out; r5 channels left, r6 and r9 OTHERS and its bias."""
    entry = [f"r6 = {OTHERS:#x} ll", f"r9 = {OTHERS_BIAS:#x} ll", f"if r5 < {CONV_UNROLL} goto 2f"]
    return Kernel(
        name="conv",
        about="Four taps a channel: the last one times `x`, the others times what `memory` holds; then `x` joins it.",
        signature="(x: *const i64, filters: *const u64, memory: *mut i16, out: *mut i64, n: u64)",
        twin="conv::conv_ref",
        sizes={"n": range(1, UNBOUNDED)},
        parts=(
            segment(entry),
            *unrolled("n", CONV_UNROLL, "r5", _channel, _step),
            segment(["exit"], "4"),
        ),
    )


def conv_family() -> Family:
    """The one."""
    return Family(kernels=(conv(),), listing="conv", metered=((1,), (CONV_UNROLL + 1,), (36 * CONV_UNROLL,)))


def _channel(i: int) -> list[str]:
    """Channel i: its code becomes the last of the four, of which the memory keeps the last three."""
    codes = [load(7, 3, 8 * i), load(8, 1, 8 * i), f"r8 <<= {3 * CODE_BITS}", "r7 |= r8"]
    kept = ["r8 = r7", f"r8 >>= {CODE_BITS}", store(3, 8 * i, 8)]
    taps = ["r7 &= r6", "r7 ^= r9", "r8 &= r6", "r8 ^= r9"]
    at = 8 * FILTER_WORDS * i
    dot = [load(0, 2, at), "r7 *= r0", load(0, 2, at + 8), "r8 *= r0", "r7 += r8"]
    return [*codes, *kept, *taps, *dot, load(0, 2, at + 16), "r7 += r0", "r7 s>>= 32", store(4, 8 * i, 7)]


def _step(count: int) -> list[str]:
    """On to the next channels."""
    return [f"r1 += {8 * count}", f"r2 += {8 * FILTER_WORDS * count}", f"r3 += {8 * count}", f"r4 += {8 * count}",
            f"r5 += {-count}"]  # fmt: skip
