//! Accumulators back to the INT8 grid, element by element.
//!
//! The tie rule: `(acc * mult + 2^(shift-1)) >> shift`, arithmetic shift, so ties round toward +inf.

use crate::branchless::{clamp, requantize1};

/// Portable twin of `requantize`: `out[i] = (acc[i] * mult[i] + 2^(shift-1)) >> shift`, without saturation; also right
/// for any `n`.
///
/// # Safety
/// `acc` and `mult` read and `out` writes `n` values; `out` may be `acc` itself, and overlaps nothing otherwise. `n` is a
/// positive multiple of 8, `shift` in `1..=63`, and `acc * mult + 2^(shift-1)` fits an `i64`.
pub unsafe fn requantize_ref(acc: *const i64, mult: *const u32, out: *mut i64, n: u64, shift: u64) {
    for i in 0..n as usize {
        // SAFETY: the caller vouches for `n` values behind each pointer.
        unsafe { *out.add(i) = requantize1(*acc.add(i), *mult.add(i), shift) };
    }
}

/// Portable twin of `requantize_relu`: [`requantize_ref`], then clamped to `0..=127`.
///
/// # Safety
/// As [`requantize_ref`], with `shift` in `7..=63`.
pub unsafe fn requantize_relu_ref(acc: *const i64, mult: *const u32, out: *mut i64, n: u64, shift: u64) {
    for i in 0..n as usize {
        // SAFETY: the caller vouches for `n` values behind each pointer.
        unsafe { *out.add(i) = clamp(requantize1(*acc.add(i), *mult.add(i), shift), 0, 127) };
    }
}
