//! Causal convolution over frames: four taps a channel, of which the last meets this frame's code.
//!
//! ```text
//!  bits   43           22           1 0
//!       +------------+------------+------------+-+
//!       |    x-3     |    x-2     |    x-1     |0|   memory[channel]: twice the codes of the last three frames
//!       +------------+------------+------------+-+
//!  bits   42           21           0
//!       +--------------+------------+------------+
//!       |      w2      |     w1     |     w0     |   filters[channel][0]: the taps of x-1, x-2 and x-3
//!       +--------------+------------+------------+
//!       |                   w3                   |   filters[channel][1]
//!       |                  bias                  |   filters[channel][2]
//!       +----------------------------------------+
//! ```
//!
//! Lanes are added up with their signs, modulo `2^64`. Codes are `-2048..=2047`, taps `-128..=127`. The product of the first
//! two words is
//!
//! ```text
//! 2^43 (x-1 w2 + x-2 w1 + x-3 w0) + 2^22 (x-1 w1 + x-2 w0) + 2 x-1 w0
//! ```
//!
//! as what is left of it, `x-2 w2` and all beyond, is a multiple of `2^64`. The first sum is at most `3 * 2^18` in magnitude
//! and fits its 21 bits; what lies below it is at most `2^41 + 2^19`. So with `2^42` on top, a shift by 43 leaves the sum. To
//! go on by a frame is a shift by 21, which drops the oldest code whole, and twice the new one.
//!
//! `conv_lut` multiplies the sums down and looks them up. What it adds to a sum times its multiplier is the bias times that,
//! half of what the shift divides by, and half a table, so that the shift leaves an entry's place; a place outside of the
//! table is that of its first or last entry.

use crate::table::{entry_at, ENTRIES};

/// Taps of a channel.
pub const TAPS: usize = 4;
/// Words of a channel's filter; of one whose sums are looked up.
pub const FILTER_WORDS: usize = 3;
/// As [`FILTER_WORDS`], for `conv_lut`.
pub const LUT_FILTER_WORDS: usize = 4;
const LANE: u32 = 21;
const SUM: u32 = 2 * LANE + 1;

/// The sum of four taps, without bias; `x` joins the word of memory, whose oldest code leaves it.
pub fn taps(x: i64, filter: &[u64], kept: &mut u64) -> i64 {
    let older = kept.wrapping_mul(filter[0]).wrapping_add(1 << (SUM - 1)) as i64 >> SUM;
    *kept = (*kept << LANE).wrapping_add(x.wrapping_mul(2) as u64);
    older.wrapping_add(x.wrapping_mul(filter[1] as i64))
}

/// `out[channel] = bias + taps * (memory[channel], x[channel])`; then the oldest code of the memory leaves it and `x` is
/// the newest.
pub fn conv(x: &[i64], filters: &[u64], memory: &mut [u64], out: &mut [i64]) {
    let channels = filters.chunks_exact(FILTER_WORDS).zip(memory);
    for ((x, out), (filter, kept)) in x.iter().zip(out).zip(channels) {
        *out = taps(*x, filter, kept).wrapping_add(filter[2] as i64);
    }
}

/// Portable twin of kernel `conv`: [`conv()`].
///
/// # Safety
/// `x` reads and `out` writes `n` values, `filters` reads `3 n` words, `memory` reads and writes `n`; none overlaps
/// another. `1 <= n < 2^32`, and codes and results are as this module says.
pub unsafe fn conv_ref(x: *const i64, filters: *const u64, memory: *mut u64, out: *mut i64, n: u64) {
    let n = n as usize;
    // SAFETY: the caller vouches for the lengths, and that nothing overlaps.
    let (x, filters, memory, out) = unsafe {
        (
            core::slice::from_raw_parts(x, n),
            core::slice::from_raw_parts(filters, FILTER_WORDS * n),
            core::slice::from_raw_parts_mut(memory, n),
            core::slice::from_raw_parts_mut(out, n),
        )
    };
    conv(x, filters, memory, out);
}

/// Portable twin of `conv_lut_<channels at a time>`: as [`conv_ref`], the sums multiplied down as by `requantize_fine`, and
/// of those what `lut` makes; also right for any `n`.
///
/// # Safety
/// As [`conv_ref`]. `filters` reads a table of [`crate::table`], whose first entry is as the second, the shift in
/// `4..=51`, and `4 n` words.
pub unsafe fn conv_lut_ref(x: *const i64, filters: *const u64, memory: *mut u64, out: *mut i64, n: u64) {
    let (n, words) = (n as usize, ENTRIES / 4 + 1);
    // SAFETY: the caller vouches for the lengths, and that nothing overlaps.
    let (x, front, filters, memory, out) = unsafe {
        (
            core::slice::from_raw_parts(x, n),
            core::slice::from_raw_parts(filters, words),
            core::slice::from_raw_parts(filters.add(words), LUT_FILTER_WORDS * n),
            core::slice::from_raw_parts_mut(memory, n),
            core::slice::from_raw_parts_mut(out, n),
        )
    };
    let channels = filters.chunks_exact(LUT_FILTER_WORDS).zip(memory);
    for ((x, out), (filter, kept)) in x.iter().zip(out).zip(channels) {
        let scaled = taps(*x, filter, kept).wrapping_mul(filter[2] as i64).wrapping_add(filter[3] as i64);
        let place = (scaled >> front[words - 1]).clamp(0, ENTRIES as i64 - 1);
        // SAFETY: the table is in front of the shift, and the place is inside of it.
        *out = unsafe { entry_at(front.as_ptr().cast(), place) };
    }
}
