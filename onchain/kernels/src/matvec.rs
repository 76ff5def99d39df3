//! Dense layer: three INT8 rows to a word.
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
//!
//! Layout of `w`, for group `g`, column `k`, accumulator `r` of `R`:
//!
//! ```text
//! w[(g * columns + k) * R + r] = w0 + (w1 << 21) + (w2 << 42)     wl = weight of row g*3R + 3r + l, signed
//!
//!  bit 63           42 41            21 20             0
//!     +---------------+----------------+----------------+
//!     | row 3r+2      | row 3r+1       | row 3r         |   plus the borrows of negative weights below
//!     +---------------+----------------+----------------+
//! ```
//!
//! One multiplication by `x[k]` serves three rows. An accumulator starts at [`LANE_BIAS`], 2^20 in each lane,
//! so that lanes stay non-negative and no borrow crosses them: for every row, the sum over the columns of
//! `|w| * max|x|` must stay below 2^20. At the end of a group each lane, less 2^20, is added to its output.

/// Bits of a lane.
pub const LANE_BITS: u32 = 21;
/// Rows in a word.
pub const LANES: usize = 3;
/// Columns come in multiples of this.
pub const COLUMN_TILE: usize = 32;
/// What an accumulator starts from: 2^20 in each lane.
pub const LANE_BIAS: u64 = (1 << 20) | (1 << 41) | (1 << 62);

/// Columns that the portable twin takes at once: where it does run on chain (Solana's own compiler), loops are costly.
const UNROLL: usize = 8;
const LANE_HALF: u64 = 1 << (LANE_BITS - 1);
const LANE_MASK: u64 = (1 << LANE_BITS) - 1;

/// Portable twin of `matvec_r<R>`; also right for zero groups or columns.
///
/// # Safety
/// As [`matvec_r6`], with `R` in place of 6.
pub unsafe fn matvec_ref<const R: usize>(
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
        let mut acc = [LANE_BIAS; R];
        for (x, words) in x.chunks_exact(UNROLL).zip(words.chunks_exact(UNROLL * R)) {
            for (k, &x) in x.iter().enumerate() {
                for (r, acc) in acc.iter_mut().enumerate() {
                    *acc = acc.wrapping_add(words[k * R + r].wrapping_mul(x as u64));
                }
            }
        }
        for (lanes, acc) in rows.chunks_exact_mut(LANES).zip(acc) {
            add_lanes(lanes, acc);
        }
    }
}

/// Adds the three lanes of an accumulator, less their bias, to their outputs.
fn add_lanes(out: &mut [i64], acc: u64) {
    let lanes = [acc & LANE_MASK, (acc >> LANE_BITS) & LANE_MASK, acc >> (2 * LANE_BITS)];
    for (out, lane) in out.iter_mut().zip(lanes) {
        *out = out.wrapping_add(lane.wrapping_sub(LANE_HALF) as i64);
    }
}

macro_rules! matvec {
    ($name:ident, $r:literal, $rows:literal) => {
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
                = crate::matvec::matvec_ref::<$r>
        }
    };
}

matvec!(matvec_r1, 1, 3);
matvec!(matvec_r2, 2, 6);
matvec!(matvec_r3, 3, 9);
matvec!(matvec_r4, 4, 12);
matvec!(matvec_r5, 5, 15);
matvec!(matvec_r6, 6, 18);
