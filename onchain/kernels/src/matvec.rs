//! Dense layer, a GEMV with SWAR lanes: three INT8 or INT10 rows to a word, or four INT4 or INT5 rows, or two INT16
//! rows.
//!
//! Kernel `matvec_<R>x<BITS>_<TILE>` takes weights of `BITS` bits and works on groups of `R` words a column, `R`
//! accumulators. A wider group loads `x[k]` less often; the last rows of a layer are a smaller one. It works on `TILE`
//! columns at a time: a larger tile is longer code and fewer turns of a loop. Its name ends with what it does with a sum
//! beyond adding it to what is there (`_scale`, `_relu`, `_code`, `_fine`, `_wide`, `_add`: as the requantize kernels do).
//! One that is for so many columns and no others, `matvec_<R>x<BITS>_<BLOCK>of<COLUMNS>_fine`, has no loop over them, and
//! empties the lanes after each block of columns.
//!
//! Layout of `w`, for group `g`, column `k`, accumulator `r` of `R`; `wl` is the signed weight of row
//! `(g * R + r) * lanes + l`:
//!
//! ```text
//! matvec_<R>x8   w[(g * columns + k) * R + r] = w0 + (w1 << 21) + (w2 << 42)
//! matvec_<R>x10  w[(g * columns + k) * R + r] = w0 + (w1 << 21) + (w2 << 42)
//! matvec_<R>x4   w[(g * columns + k) * R + r] = w0 + (w1 << 16) + (w2 << 32) + (w3 << 48)
//! matvec_<R>x5   w[(g * columns + k) * R + r] = w0 + (w1 << 16) + (w2 << 32) + (w3 << 48)
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
//!
//! Where that holds for every block of columns, but not for all together, lanes of blocks are added up row by row. Four
//! lanes of 16 bits do so as a sum of lanes 0 and 2, at bits 0 and 32, and one of lanes 1, 2 and 3, at bits 0, 16 and 32,
//! from which the one of lane 2 is taken off: below 2^16 blocks, no sum gets into the next one's bits, and where they lie
//! across each other they are added as one number.

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

/// The accumulators of one group: each lane half of its range, and the sum over all columns.
fn accumulate<const BITS: usize, const R: usize>(words: &[u64], x: &[i64]) -> [u64; R] {
    let mut acc = [const { lane_bias(lanes(BITS)) }; R];
    let mut add = |x: &[i64], words: &[u64]| {
        for (k, &x) in x.iter().enumerate() {
            for (r, acc) in acc.iter_mut().enumerate() {
                *acc = acc.wrapping_add(words[k * R + r].wrapping_mul(x as u64));
            }
        }
    };
    let (some, rest) = x.split_at(x.len() / UNROLL * UNROLL);
    for (x, words) in some.chunks_exact(UNROLL).zip(words.chunks_exact(UNROLL * R)) {
        add(x, words);
    }
    add(rest, &words[some.len() * R..]);
    acc
}

/// `out += W x`, for as many groups as `out` has rows for; `w` has a group's words for each of them.
///
/// `out` holds the bias, or the sum of earlier column blocks, before the call.
pub fn matvec<const BITS: usize, const R: usize>(w: &[u64], x: &[i64], out: &mut [i64]) {
    let lanes = const { lanes(BITS) };
    for (group, rows) in out.chunks_exact_mut(lanes * R).enumerate() {
        let acc = accumulate::<BITS, R>(&w[group * x.len() * R..][..x.len() * R], x);
        for (rows, acc) in rows.chunks_exact_mut(lanes).zip(acc) {
            for (lane, out) in rows.iter_mut().enumerate() {
                *out = out.wrapping_add(of_lane::<BITS>(acc, lane).wrapping_sub(const { half(BITS) }) as i64);
            }
        }
    }
}

/// Most rows in a word.
const LANES_MAX: usize = 4;

/// The lanes of one group, row by row, added up over blocks of `BLOCK` columns.
fn sums<const BITS: usize, const R: usize, const BLOCK: usize>(
    words: &[u64],
    x: &[i64],
) -> [[u64; LANES_MAX]; R] {
    let mut sums = [[0; LANES_MAX]; R];
    for (x, words) in x.chunks(BLOCK).zip(words.chunks(BLOCK.saturating_mul(R))) {
        for (sums, acc) in sums.iter_mut().zip(accumulate::<BITS, R>(words, x)) {
            for (lane, sum) in sums.iter_mut().enumerate().take(const { lanes(BITS) }) {
                *sum += of_lane::<BITS>(acc, lane);
            }
        }
    }
    sums
}

/// `out = finish((W x + bias) * mult / 2^shift, out)` by the tie rule. The words of a group end with the shift and with two
/// words for each row: `mult`, and `(bias - half a lane for each block) * mult + 2^(shift-1)`.
fn matvec_scaled<const BITS: usize, const R: usize, const BLOCK: usize>(
    w: &[u64],
    x: &[i64],
    out: &mut [i64],
    finish: impl Fn(i64, i64) -> i64,
) {
    let (lanes, weights) = (const { lanes(BITS) }, x.len() * R);
    for (w, out) in w.chunks_exact(weights + 1 + 2 * lanes * R).zip(out.chunks_exact_mut(lanes * R)) {
        let (words, scales) = (&w[..weights], &w[weights..]);
        let sums = sums::<BITS, R, BLOCK>(words, x);
        for (row, out) in out.iter_mut().enumerate() {
            let (mult, constant) = (scales[1 + 2 * row], scales[2 + 2 * row]);
            let sum = sums[row / lanes][row % lanes].wrapping_mul(mult).wrapping_add(constant);
            *out = finish(sum as i64 >> scales[0], *out);
        }
    }
}

/// Portable twin of `matvec_<R>x<BITS>_<TILE>`: [`matvec`]; also right for zero groups or columns.
///
/// # Safety
/// `w` reads `groups * columns * R` words, `x` reads `columns` values, `out` reads and writes
/// `groups * R * lanes(BITS)` values and overlaps neither; `groups >= 1`; `columns` is a positive multiple of the
/// kernel's tile.
pub unsafe fn matvec_ref<const BITS: usize, const R: usize>(
    w: *const u64,
    x: *const i64,
    out: *mut i64,
    groups: u64,
    columns: u64,
) {
    // SAFETY: the same contract.
    let (w, x, out) = unsafe { parts::<BITS, R>(w, x, out, groups, columns, 0) };
    matvec::<BITS, R>(w, x, out);
}

/// Portable twin of `matvec_<R>x<BITS>_<TILE>_relu` and of all others that write what they make of their sums: clamped to
/// `LOW..=HIGH`, which are an `i64`'s ends where nothing is; and of those `of` so many columns, in blocks of `BLOCK`.
///
/// # Safety
/// `w` reads `groups * (columns * R + 1 + 2 * R * lanes(BITS))` words, `x` reads `columns` values, `out` writes
/// `groups * R * lanes(BITS)` values and overlaps neither; `groups >= 1`; `columns` is a positive multiple of the kernel's
/// tile. Shifts are in `1..=63`, where `LOW` is 0 in `7..=63`.
pub unsafe fn matvec_within_ref<
    const BITS: usize,
    const R: usize,
    const BLOCK: usize,
    const LOW: i64,
    const HIGH: i64,
>(
    w: *const u64,
    x: *const i64,
    out: *mut i64,
    groups: u64,
    columns: u64,
) {
    // SAFETY: the same contract.
    let (w, x, out) = unsafe { parts::<BITS, R>(w, x, out, groups, columns, 1 + 2 * R * lanes(BITS)) };
    matvec_scaled::<BITS, R, BLOCK>(w, x, out, |value, _| value.clamp(LOW, HIGH));
}

/// Portable twin of `matvec_<R>x<BITS>_<TILE>_add`: what is made of the sums is added to `out`, and that clamped to
/// `-MOST..=MOST`.
///
/// # Safety
/// As [`matvec_within_ref`]; `out` is read too.
pub unsafe fn matvec_add_ref<const BITS: usize, const R: usize, const BLOCK: usize, const MOST: i64>(
    w: *const u64,
    x: *const i64,
    out: *mut i64,
    groups: u64,
    columns: u64,
) {
    // SAFETY: the same contract.
    let (w, x, out) = unsafe { parts::<BITS, R>(w, x, out, groups, columns, 1 + 2 * R * lanes(BITS)) };
    matvec_scaled::<BITS, R, BLOCK>(w, x, out, |value, before| value.wrapping_add(before).clamp(-MOST, MOST));
}

/// The three slices of a call; `more` words follow those of a group's columns.
///
/// # Safety
/// `w` reads `groups * (columns * R + more)` words, `x` reads `columns` values, `out` reads and writes
/// `groups * R * lanes(BITS)` values and overlaps neither, for as long as the slices live.
unsafe fn parts<'a, const BITS: usize, const R: usize>(
    w: *const u64,
    x: *const i64,
    out: *mut i64,
    groups: u64,
    columns: u64,
    more: usize,
) -> (&'a [u64], &'a [i64], &'a mut [i64]) {
    let (groups, columns) = (groups as usize, columns as usize);
    // SAFETY: the caller vouches for the three lengths and for `out` overlapping neither input.
    unsafe {
        (
            core::slice::from_raw_parts(w, groups * (columns * R + more)),
            core::slice::from_raw_parts(x, columns),
            core::slice::from_raw_parts_mut(out, groups * const { lanes(BITS) } * R),
        )
    }
}

/// Half of the range of a lane.
const fn half(bits: usize) -> u64 {
    1 << (lane_bits(lanes(bits)) - 1)
}

/// One lane of an accumulator.
fn of_lane<const BITS: usize>(acc: u64, lane: usize) -> u64 {
    let (lanes, bits) = const { (lanes(BITS), lane_bits(lanes(BITS))) };
    // The topmost lane has the bit that is left over, if there is one, for itself.
    let mask = if lane + 1 == lanes { u64::MAX } else { (1 << bits) - 1 };
    (acc >> (bits * lane)) & mask
}
