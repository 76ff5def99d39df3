//! Index of the largest value, the lowest index where several are equal.
//!
//! Compute units, for `n >= 1` (`/` rounds down):
//!
//! | kernel | compute units |
//! |---|---|
//! | `argmax` | `13 + n / 8 * 66 + n % 8 * 11` |
//! | `argmax_within` | `12 + n / 8 * 99 + n % 8 * 16` |
//!
//! The assembly looks for the smallest key `i - (value << 30)`, so values must fit an `i32` and `n < 2^30`. That of
//! `argmax_within` is `i - (value << 16) + ((its label ^ label) << 49)`: any value with the wanted label comes before
//! all of the others.

crate::kernel! {
    /// Index of the largest of `n` values, the lowest one on ties.
    ///
    /// # Safety
    /// `values` reads `n` values, each within `i32`; `1 <= n < 2^30`.
    argmax(values: *const i64, n: u64) -> u64 = crate::argmax::argmax_ref
}

crate::kernel! {
    /// Index of the largest of those of `n` values whose entry in `labels` is `label`, the lowest one on ties.
    ///
    /// # Safety
    /// `values` reads `n` values, each within `i32`, and `labels` as many bytes; `1 <= n < 2^16`, `label < 256`, and one
    /// of the labels is `label`.
    argmax_within(values: *const i64, n: u64, labels: *const u8, label: u64) -> u64
        = crate::argmax::argmax_within_ref
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

/// Portable twin of [`argmax_within`].
///
/// # Safety
/// As [`argmax_within`].
pub unsafe fn argmax_within_ref(values: *const i64, n: u64, labels: *const u8, label: u64) -> u64 {
    let n = n as usize;
    // SAFETY: the caller vouches for `n` values, and as many labels.
    let (values, labels) =
        unsafe { (core::slice::from_raw_parts(values, n), core::slice::from_raw_parts(labels, n)) };
    let mut best = n;
    for i in 0..n {
        if u64::from(labels[i]) == label && (best == n || values[i] > values[best]) {
            best = i;
        }
    }
    best as u64
}
