//! Causal convolution over frames: four taps a channel, of which the last meets this frame's code.
//!
//! ```text
//!  bits   48    32    16     0
//!       +-----+-----+-----+-----+
//!       |  0  | x-1 | x-2 | x-3 |   memory[channel]: codes of the last three frames, i16
//!       +-----+-----+-----+-----+
//!       |    w0     |    w2     |   filters[channel][0], of the first and the third tap
//!       |    w1     |    w3     |   filters[channel][1]
//!       |  b - 2^15 sum w, 2^31 |   filters[channel][2], bias
//!       +-----------+-----------+
//! ```
//!
//! Codes fit an `i16`. The kernel shifts the new one in from above, flips each sign (so that a code is `x + 2^15`, without
//! sign) and multiplies two codes by two taps at a time: `(x + y 2^32) (w2 + w0 2^32)` has `x w0 + y w2` in its upper half,
//! and in the lower one `x w2`. The lower halves of both products add up to less than `2 * 2^16 * 2^7 = 2^24` in magnitude,
//! so with `2^31` on top nothing is carried. The upper half is the result, if that fits an `i32`.

/// Taps of a channel.
pub const TAPS: usize = 4;
/// Words of a channel's filter.
pub const FILTER_WORDS: usize = 3;
const CODE_BIAS: i64 = 1 << 15;

/// The taps and the bias in the words of a channel's filter.
pub fn filter(words: &[u64]) -> ([i64; TAPS], i64) {
    let (lower, upper) = (|word: u64| i64::from(word as i32), |word: u64| (word as i64) >> 32);
    let half = |word: u64| (upper(word.wrapping_sub(lower(word) as u64)), lower(word));
    let ((w0, w2), (w1, w3)) = (half(words[0]), half(words[1]));
    let start = i64::from((upper(words[2]) + CODE_BIAS * (w0 + w1 + w2 + w3)) as i32);
    ([w0, w1, w2, w3], start)
}

/// `out[channel] = bias + taps * (memory[channel], x[channel])`; then the oldest code of the memory leaves it and `x` is
/// the newest.
pub fn conv(x: &[i64], filters: &[u64], memory: &mut [i16], out: &mut [i64]) {
    let channels = filters.chunks_exact(FILTER_WORDS).zip(memory.chunks_exact_mut(TAPS));
    for ((x, out), (words, codes)) in x.iter().zip(out).zip(channels) {
        let (taps, bias) = filter(words);
        codes[TAPS - 1] = *x as i16;
        *out = taps.iter().zip(codes.iter()).fold(bias, |sum, (w, &code)| sum + w * i64::from(code));
        codes.rotate_left(1);
        codes[TAPS - 1] = 0;
    }
}

/// Portable twin of kernel `conv`: [`conv()`].
///
/// # Safety
/// `x` reads and `out` writes `n` values, `filters` reads `3 n` words, `memory` reads and writes `4 n` codes of which each
/// fourth is zero; none overlaps another. `1 <= n < 2^32`, and codes and results are as this module says.
pub unsafe fn conv_ref(x: *const i64, filters: *const u64, memory: *mut i16, out: *mut i64, n: u64) {
    let n = n as usize;
    // SAFETY: the caller vouches for the lengths, and that nothing overlaps.
    let (x, filters, memory, out) = unsafe {
        (
            core::slice::from_raw_parts(x, n),
            core::slice::from_raw_parts(filters, FILTER_WORDS * n),
            core::slice::from_raw_parts_mut(memory, TAPS * n),
            core::slice::from_raw_parts_mut(out, n),
        )
    };
    conv(x, filters, memory, out);
}
