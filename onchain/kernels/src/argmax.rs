//! Index of the largest value, the lowest index where several are equal.
//!
//! Compute units, for `n >= 1`: `13 + n / 8 * 66 + n % 8 * 11` (`/` rounds down).
//!
//! The assembly looks for the smallest key `i - (value << 30)`, so values must fit an `i32` and `n < 2^30`.

crate::kernel! {
    /// Index of the largest of `n` values, the lowest one on ties.
    ///
    /// # Safety
    /// `values` reads `n` values, each within `i32`; `1 <= n < 2^30`.
    argmax(values: *const i64, n: u64) -> u64 = crate::argmax::argmax_ref
}

/// Portable twin of [`argmax`].
///
/// # Safety
/// As [`argmax`].
pub unsafe fn argmax_ref(values: *const i64, n: u64) -> u64 {
    // SAFETY: the caller vouches for `n` values.
    let values = unsafe { core::slice::from_raw_parts(values, n as usize) };
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best as u64
}
