"""The table kernel: a function of a code of twelve bits, looked up."""

from functools import cache

from wm_export.lower.asm.listing import UNBOUNDED, Count, Family, Kernel, Repeat, load, segment, store
from wm_train.grid.integer_mamba2 import FINE_CODES

TABLE_UNROLL = 16
#: Entries of a table, and what is added to each so that none is negative.
TABLE_ENTRIES, TABLE_BIAS = len(FINE_CODES), 1 << 15
#: Words of a table that lies among words: four entries each.
TABLE_WORDS = TABLE_ENTRIES // 4


@cache
def lut() -> Kernel:
    """Registers: r1 codes, r2 the entry of code 0, r3 out, r5 end of the stretches, r4 values left, r7 the value."""
    entry = [f"r2 += {TABLE_ENTRIES}", "r5 = r4", f"r4 &= {TABLE_UNROLL - 1}", "r5 -= r4", "r5 <<= 3", "r5 += r1"]
    many = [line for i in range(TABLE_UNROLL) for line in _look_up(i)]
    many += [f"r1 += {8 * TABLE_UNROLL}", f"r3 += {8 * TABLE_UNROLL}", "if r1 != r5 goto 1b"]
    ones = [*_look_up(0), "r1 += 8", "r3 += 8", "r4 += -1", "if r4 != 0 goto 3b"]
    half = TABLE_ENTRIES // 2
    return Kernel(
        name="lut",
        about=f"`out = table[code + {half}] - {TABLE_BIAS}` for `n` codes in `-{half}..={half - 1}`.",
        signature="(codes: *const i64, table: *const u16, out: *mut i64, n: u64)",
        twin="table::lut_ref",
        sizes={"n": range(1, UNBOUNDED)},
        parts=(
            segment([*entry, "if r1 == r5 goto 2f"]),
            Repeat(Count("n", TABLE_UNROLL), (segment(many, "1"),)),
            segment(["if r4 == 0 goto 4f"], "2"),
            Repeat(Count("n", TABLE_UNROLL, remainder=True), (segment(ones, "3"),)),
            segment(["exit"], "4"),
        ),
    )


def table_family() -> Family:
    """The one."""
    return Family(kernels=(lut(),), listing="lut", metered=((1,), (TABLE_UNROLL + 1,), (32 * TABLE_UNROLL,)))


def _look_up(i: int) -> list[str]:
    """Value i of the stretch: two bytes an entry."""
    return [load(7, 1, 8 * i), "r7 <<= 1", "r7 += r2", load(7, 7, 0, "u16"), f"r7 += {-TABLE_BIAS}", store(3, 8 * i, 7)]
