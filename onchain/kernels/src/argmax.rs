//! Index of the largest value, the lowest index where several are equal.
//!
//! The assembly of `argmax_within` looks for the smallest key `i - (value << 16) + ((its label ^ label) << 49)`, so
//! values must fit an `i32` and `n < 2^16`: any value with the wanted label comes before all of the others.

/// Index of the largest of `values`, the lowest one on ties; 0 if there are none.
pub fn argmax(values: &[i64]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

/// Index of the largest of those of `values` whose entry in `labels` is `label`, the lowest one on ties; the number of
/// values if there is none.
pub fn argmax_within(values: &[i64], labels: &[u8], label: u64) -> usize {
    let mut best = values.len();
    for (i, (value, own)) in values.iter().zip(labels).enumerate() {
        if u64::from(*own) == label && (best == values.len() || *value > values[best]) {
            best = i;
        }
    }
    best
}

/// Portable twin of kernel `argmax`: [`argmax()`].
///
/// # Safety
/// `values` reads `n` values; `1 <= n < 2^32`.
pub unsafe fn argmax_ref(values: *const i64, n: u64) -> u64 {
    // SAFETY: the caller vouches for `n` values.
    argmax(unsafe { core::slice::from_raw_parts(values, n as usize) }) as u64
}

/// Portable twin of kernel `argmax_within`: [`argmax_within()`].
///
/// # Safety
/// `values` reads `n` values, each within `i32`, and `labels` as many bytes; `1 <= n < 2^16`, `label < 256`, and one
/// of the labels is `label`.
pub unsafe fn argmax_within_ref(values: *const i64, n: u64, labels: *const u8, label: u64) -> u64 {
    let n = n as usize;
    // SAFETY: the caller vouches for `n` values, and as many labels.
    let (values, labels) =
        unsafe { (core::slice::from_raw_parts(values, n), core::slice::from_raw_parts(labels, n)) };
    argmax_within(values, labels, label) as u64
}
