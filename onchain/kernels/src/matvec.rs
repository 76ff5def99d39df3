//! Dense layer, a GEMV with SWAR lanes: three INT8 rows to a word, or four INT4 rows, or two INT16 rows.
//!
//! Kernel `matvec_<R>x<BITS>` takes weights of `BITS` bits and works on groups of `R` words a column, `R` accumulators.
//! A wider group loads `x[k]` less often; the last rows of a layer are a smaller one.
//!
//! Layout of `w`, for group `g`, column `k`, accumulator `r` of `R`; `wl` is the signed weight of row
//! `(g * R + r) * lanes + l`:
//!
//! ```text
//! matvec_<R>x8   w[(g * columns + k) * R + r] = w0 + (w1 << 21) + (w2 << 42)
//! matvec_<R>x4   w[(g * columns + k) * R + r] = w0 + (w1 << 16) + (w2 << 32) + (w3 << 48)
//! matvec_<R>x16  w[(g * columns + k) * R + r] = w0 + (w1 << 32)
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

use crate::geometry::LANES;

/// Columns that the portable twin takes at once: where it does run on chain (Solana's own compiler), loops are costly.
const UNROLL: usize = 8;

/// Rows in a word of weights of so many bits.
pub const fn lanes(bits: usize) -> usize {
    let mut i = 0;
    while LANES[i].0 != bits {
        i += 1;
    }
    LANES[i].1
}

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

/// `out += W x`, for as many groups as `out` has rows for; `w` has a group's words for each of them. Columns come in
/// multiples of eight.
///
/// `out` holds the bias, or the sum of earlier column blocks, before the call.
pub fn matvec<const BITS: usize, const R: usize>(w: &[u64], x: &[i64], out: &mut [i64]) {
    let (lanes, bias) = const { (lanes(BITS), lane_bias(lanes(BITS))) };
    for (group, rows) in out.chunks_exact_mut(lanes * R).enumerate() {
        let words = &w[group * x.len() * R..][..x.len() * R];
        let mut acc = [bias; R];
        for (x, words) in x.chunks_exact(UNROLL).zip(words.chunks_exact(UNROLL * R)) {
            for (k, &x) in x.iter().enumerate() {
                for (r, acc) in acc.iter_mut().enumerate() {
                    *acc = acc.wrapping_add(words[k * R + r].wrapping_mul(x as u64));
                }
            }
        }
        for (rows, acc) in rows.chunks_exact_mut(lanes).zip(acc) {
            add_lanes::<BITS>(rows, acc);
        }
    }
}

/// Portable twin of `matvec_<R>x<BITS>`: [`matvec`]; also right for zero groups or columns.
///
/// # Safety
/// `w` reads `groups * columns * R` words, `x` reads `columns` values, `out` reads and writes
/// `groups * R * lanes(BITS)` values and overlaps neither; `groups >= 1`; `columns` is a positive multiple of 32.
pub unsafe fn matvec_ref<const BITS: usize, const R: usize>(
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
            core::slice::from_raw_parts_mut(out, groups * const { lanes(BITS) } * R),
        )
    };
    matvec::<BITS, R>(w, x, out);
}

/// Adds the lanes of an accumulator, each less its start, to their outputs.
fn add_lanes<const BITS: usize>(out: &mut [i64], acc: u64) {
    let (lanes, bits) = const { (lanes(BITS), lane_bits(lanes(BITS))) };
    let half = 1 << (bits - 1);
    for (lane, out) in out.iter_mut().enumerate() {
        // The topmost lane has the bit that is left over, if there is one, for itself.
        let mask = if lane + 1 == lanes { u64::MAX } else { (1 << bits) - 1 };
        let sum = (acc >> (bits * lane)) & mask;
        *out = out.wrapping_add(sum.wrapping_sub(half) as i64);
    }
}
