"""The gate kernels: products of two vectors, shifted down; one of them makes both of its vectors first."""

from functools import cache

from wm_export.lower.asm.finish_asm import FINISHES
from wm_export.lower.asm.listing import UNBOUNDED, Count, Family, Kernel, Part, Repeat, half, load, segment, store
from wm_export.lower.asm.table_asm import TABLE_BIAS, TABLE_ENTRIES
from wm_train.grid.integer_mamba2 import GATE_SHIFT

#: Elements come in multiples of it.
GATE_UNROLL = 8
#: Words in front of the multipliers of what `gated` reads: the table's, four entries each, then the shift.
TABLE_WORDS = TABLE_ENTRIES // 4


@cache
def gate() -> Kernel:
    """Registers: r1 the values, r2 the other vector, r3 out, r4 end of the values, r5 shift, r6 half, r7 the value."""
    n = GATE_UNROLL
    body = [line for i in range(n) for line in _product(i)]
    body += [f"r1 += {8 * n}", f"r2 += {8 * n}", f"r3 += {8 * n}", "if r1 != r4 goto 1b"]
    return Kernel(
        name="gate",
        about="`out = (values * by + 2^(shift-1)) >> shift`, without saturation.",
        signature="(values: *const i64, by: *const i64, out: *mut i64, n: u64, shift: u64)",
        twin="gate::gate_ref",
        sizes={"n": range(n, UNBOUNDED, n)},
        parts=(
            segment(["r4 <<= 3", "r4 += r1", *half(6, 5, 7)]),
            Repeat(Count("n", n), (segment(body, "1"),)),
            segment(["exit"]),
        ),
    )


@cache
def gated() -> Kernel:
    """As `requantize_wide` of acc, times what `lut` makes of codes, as `gate` with GATE_SHIFT.

    Registers: r1 acc, r2 codes, r3 multipliers, r4 out, r5 end of acc, r6 the entry of code 0, r7 half, r8 shift, r9
    the value.
    """
    n = GATE_UNROLL
    entry = ["r5 <<= 3", "r5 += r1", "r6 = r3", f"r6 += {TABLE_ENTRIES}", f"r3 += {8 * (TABLE_WORDS + 1)}"]
    entry += [load(8, 3, -8), *half(7, 8, 0)]
    body: list[Part] = []
    for i in range(n):
        value = [load(9, 1, 8 * i), load(0, 3, 8 * i), "r9 *= r0", "r9 += r7", "r9 s>>= r8"]
        factor = [load(0, 2, 8 * i), "r0 <<= 1", "r0 += r6", load(0, 0, 0, "u16"), f"r0 += {-TABLE_BIAS}"]
        product = ["r9 *= r0", f"r9 += {1 << (GATE_SHIFT - 1)}", f"r9 s>>= {GATE_SHIFT}", store(4, 8 * i, 9)]
        body += [segment(value, "" if i else "1"), *FINISHES["wide"].parts(9, 0, 4, 0, i), segment([*factor, *product])]
    body.append(segment([f"r{walks} += {8 * n}" for walks in (1, 2, 3, 4)] + ["if r1 != r5 goto 1b"]))
    return Kernel(
        name="gated",
        about=f"`requantize_wide` of `acc`, times `lut` of `codes`, shifted down by {GATE_SHIFT} as `gate` does.",
        signature="(acc: *const i64, codes: *const i64, scales: *const u64, out: *mut i64, n: u64)",
        twin=f"gate::gated_ref::<{FINISHES['wide'].high}, {GATE_SHIFT}>",
        sizes={"n": range(n, UNBOUNDED, n)},
        parts=(segment(entry), Repeat(Count("n", n), tuple(body)), segment(["exit"])),
    )


def gate_family() -> Family:
    """Both; to be read, the short one."""
    return Family(kernels=(gate(), gated()), listing="gate", metered=((GATE_UNROLL,), (64 * GATE_UNROLL,)))


def _product(i: int) -> list[str]:
    """Value i of the stretch."""
    return [load(7, 1, 8 * i), load(8, 2, 8 * i), "r7 *= r8", "r7 += r6", "r7 s>>= r5", store(3, 8 * i, 7)]
