//! Accumulators back to the INT8 grid, element by element.
//!
//! Compute units, for `n` a positive multiple of 8:
//!
//! | kernel | compute units |
//! |---|---|
//! | `requantize` | `7 + n / 8 * 52` |
//! | `requantize_relu` | `7 + n / 8 * 116` |
//!
//! The tie rule: `(acc * mult + 2^(shift-1)) >> shift`, arithmetic shift, so ties round toward +inf.

use crate::branchless::{clamp, requantize1};

crate::kernel! {
    /// `out[i] = (acc[i] * mult[i] + 2^(shift-1)) >> shift`, without saturation.
    ///
    /// # Safety
    /// `acc` and `mult` read and `out` writes `n` values; `out` may be `acc` itself, and overlaps nothing
    /// otherwise. `n` is a positive multiple of 8, `shift` in `1..=63`, and `acc * mult + 2^(shift-1)` fits an
    /// `i64`.
    requantize(acc: *const i64, mult: *const u32, out: *mut i64, n: u64, shift: u64)
        = crate::requantize::requantize_ref
}

crate::kernel! {
    /// [`requantize`], then clamped to `0..=127`.
    ///
    /// # Safety
    /// As [`requantize`], with `shift` in `7..=63`.
    requantize_relu(acc: *const i64, mult: *const u32, out: *mut i64, n: u64, shift: u64)
        = crate::requantize::requantize_relu_ref
}

/// Portable twin of [`requantize`]; also right for any `n`.
///
/// # Safety
/// As [`requantize`].
pub unsafe fn requantize_ref(acc: *const i64, mult: *const u32, out: *mut i64, n: u64, shift: u64) {
    for i in 0..n as usize {
        // SAFETY: the caller vouches for `n` values behind each pointer.
        unsafe { *out.add(i) = requantize1(*acc.add(i), *mult.add(i), shift) };
    }
}

/// Portable twin of [`requantize_relu`]; also right for any `n` and `shift` in `1..=63`.
///
/// # Safety
/// As [`requantize_relu`].
pub unsafe fn requantize_relu_ref(acc: *const i64, mult: *const u32, out: *mut i64, n: u64, shift: u64) {
    for i in 0..n as usize {
        // SAFETY: the caller vouches for `n` values behind each pointer.
        unsafe { *out.add(i) = clamp(requantize1(*acc.add(i), *mult.add(i), shift), 0, 127) };
    }
}
