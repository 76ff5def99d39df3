//! Dense layer: three INT8 rows to a word, or four INT4 rows, or two INT16 rows.
//!
//! Compute units, for `groups >= 1` and `columns` a positive multiple of 32:
//!
//! | kernel | rows a group | compute units |
//! |---|---|---|
//! | `matvec_r1` | 3 | `8 + groups * (27 + columns / 32 * 132)` |
//! | `matvec_r2` | 6 | `8 + groups * (46 + columns / 32 * 228)` |
//! | `matvec_r3` | 9 | `8 + groups * (65 + columns / 32 * 324)` |
//! | `matvec_r4` | 12 | `8 + groups * (84 + columns / 32 * 420)` |
//! | `matvec_r5` | 15 | `8 + groups * (103 + columns / 32 * 516)` |
//! | `matvec_r6` | 18 | `8 + groups * (122 + columns / 32 * 612)` |
//! | `matvec4_r1` | 4 | `8 + groups * (30 + columns / 32 * 132)` |
//! | `matvec4_r2` | 8 | `8 + groups * (52 + columns / 32 * 228)` |
//! | `matvec4_r3` | 12 | `8 + groups * (74 + columns / 32 * 324)` |
//! | `matvec4_r4` | 16 | `8 + groups * (96 + columns / 32 * 420)` |
//! | `matvec4_r5` | 20 | `8 + groups * (118 + columns / 32 * 516)` |
//! | `matvec4_r6` | 24 | `8 + groups * (140 + columns / 32 * 612)` |
//! | `matvec16_r1` | 2 | `8 + groups * (20 + columns / 32 * 132)` |
//! | `matvec16_r2` | 4 | `8 + groups * (32 + columns / 32 * 228)` |
//! | `matvec16_r3` | 6 | `8 + groups * (44 + columns / 32 * 324)` |
//! | `matvec16_r4` | 8 | `8 + groups * (56 + columns / 32 * 420)` |
//! | `matvec16_r5` | 10 | `8 + groups * (68 + columns / 32 * 516)` |
//! | `matvec16_r6` | 12 | `8 + groups * (80 + columns / 32 * 612)` |
//!
//! Layout of `w`, for group `g`, column `k`, accumulator `r` of `R`; `wl` is the signed weight of row
//! `(g * R + r) * LANES + l`:
//!
//! ```text
//! matvec_r<R>   w[(g * columns + k) * R + r] = w0 + (w1 << 21) + (w2 << 42)
//! matvec4_r<R>  w[(g * columns + k) * R + r] = w0 + (w1 << 16) + (w2 << 32) + (w3 << 48)
//! matvec16_r<R> w[(g * columns + k) * R + r] = w0 + (w1 << 32)
//!
//!  bit 63           42 41            21 20             0
//!     +---------------+----------------+----------------+
//!     | row 3r+2      | row 3r+1       | row 3r         |   plus the borrows of negative weights below
//!     +---------------+----------------+----------------+
//!  bit 63       48 47       32 31       16 15        0
//!     +-----------+-----------+-----------+-----------+
//!     | row 4r+3  | row 4r+2  | row 4r+1  | row 4r    |
//!     +-----------+-----------+-----------+-----------+
//!  bit 63                   32 31                    0
//!     +-----------------------+-----------------------+
//!     | row 2r+1              | row 2r                |
//!     +-----------------------+-----------------------+
//! ```
//!
//! One multiplication by `x[k]` serves all rows of a word. An accumulator starts at [`lane_bias`], half of each lane's
//! range (2^20, 2^15 or 2^31), so that lanes stay non-negative and no borrow crosses them: for every row, the sum over
//! the columns of `|w| * max|x|` must stay below that. At the end of a group each lane, less its start, is added to its
//! output.

/// Rows in a word of INT8 weights.
pub const LANES_INT8: usize = 3;
/// Rows in a word of INT4 weights.
pub const LANES_INT4: usize = 4;
/// Rows in a word of INT16 weights.
pub const LANES_INT16: usize = 2;
/// Columns come in multiples of this.
pub const COLUMN_TILE: usize = 32;

/// Columns that the portable twin takes at once: where it does run on chain (Solana's own compiler), loops are costly.
const UNROLL: usize = 8;

/// Bits of a lane, if there are that many in a word.
pub const fn lane_bits(lanes: usize) -> usize {
    64 / lanes
}

/// What an accumulator starts from: half of each lane's range.
pub const fn lane_bias(lanes: usize) -> u64 {
    let (mut bias, mut lane) = (0, 0);
    while lane < lanes {
        bias |= 1 << (lane_bits(lanes) * (lane + 1) - 1);
        lane += 1;
    }
    bias
}

/// Portable twin of `matvec_r<R>` (three `LANES`), `matvec4_r<R>` (four) and `matvec16_r<R>` (two); also right for zero
/// groups or columns.
///
/// # Safety
/// As [`matvec_r6`], with `R` in place of 6 and `LANES` in place of 3.
pub unsafe fn matvec_ref<const LANES: usize, const R: usize>(
    w: *const u64,
    x: *const i64,
    out: *mut i64,
    groups: u64,
    columns: u64,
) {
    let (groups, columns) = (groups as usize, columns as usize);
    // SAFETY: the caller vouches for the three lengths and for `out` overlapping neither input.
    let (w, x, out) = unsafe {
        (
            core::slice::from_raw_parts(w, groups * columns * R),
            core::slice::from_raw_parts(x, columns),
            core::slice::from_raw_parts_mut(out, groups * LANES * R),
        )
    };
    for (group, rows) in out.chunks_exact_mut(LANES * R).enumerate() {
        let words = &w[group * columns * R..][..columns * R];
        let mut acc = [lane_bias(LANES); R];
        for (x, words) in x.chunks_exact(UNROLL).zip(words.chunks_exact(UNROLL * R)) {
            for (k, &x) in x.iter().enumerate() {
                for (r, acc) in acc.iter_mut().enumerate() {
                    *acc = acc.wrapping_add(words[k * R + r].wrapping_mul(x as u64));
                }
            }
        }
        for (lanes, acc) in rows.chunks_exact_mut(LANES).zip(acc) {
            add_lanes::<LANES>(lanes, acc);
        }
    }
}

/// Adds the lanes of an accumulator, each less its start, to their outputs.
fn add_lanes<const LANES: usize>(out: &mut [i64], acc: u64) {
    let (bits, half) = (lane_bits(LANES), 1 << (lane_bits(LANES) - 1));
    for (lane, out) in out.iter_mut().enumerate() {
        // The topmost lane has the bit that is left over, if there is one, for itself.
        let mask = if lane + 1 == LANES { u64::MAX } else { (1 << bits) - 1 };
        let sum = (acc >> (bits * lane)) & mask;
        *out = out.wrapping_add(sum.wrapping_sub(half) as i64);
    }
}

macro_rules! matvec {
    ($name:ident, $lanes:ident, $r:literal, $rows:literal) => {
        crate::kernel! {
            #[doc = concat!("`out += W x` for groups of ", $rows, " rows, ", $r, " words a column.")]
            ///
            /// `out` holds the bias, or the sum of earlier column blocks, before the call.
            ///
            /// # Safety
            #[doc = concat!("`w` reads `groups * columns * ", $r, "` words, `x` reads `columns` values, `out`")]
            #[doc = concat!("reads and writes `groups * ", $rows, "` values and overlaps neither;")]
            /// `groups >= 1`; `columns` is a positive multiple of 32.
            $name(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)
                = crate::matvec::matvec_ref::<{ crate::matvec::$lanes }, $r>
        }
    };
}

matvec!(matvec_r1, LANES_INT8, 1, 3);
matvec!(matvec_r2, LANES_INT8, 2, 6);
matvec!(matvec_r3, LANES_INT8, 3, 9);
matvec!(matvec_r4, LANES_INT8, 4, 12);
matvec!(matvec_r5, LANES_INT8, 5, 15);
matvec!(matvec_r6, LANES_INT8, 6, 18);
matvec!(matvec4_r1, LANES_INT4, 1, 4);
matvec!(matvec4_r2, LANES_INT4, 2, 8);
matvec!(matvec4_r3, LANES_INT4, 3, 12);
matvec!(matvec4_r4, LANES_INT4, 4, 16);
matvec!(matvec4_r5, LANES_INT4, 5, 20);
matvec!(matvec4_r6, LANES_INT4, 6, 24);
matvec!(matvec16_r1, LANES_INT16, 1, 2);
matvec!(matvec16_r2, LANES_INT16, 2, 4);
matvec!(matvec16_r3, LANES_INT16, 3, 6);
matvec!(matvec16_r4, LANES_INT16, 4, 8);
matvec!(matvec16_r5, LANES_INT16, 5, 10);
matvec!(matvec16_r6, LANES_INT16, 6, 12);
