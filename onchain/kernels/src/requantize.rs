//! Accumulators to the grid of what reads them, element by element.
//!
//! The tie rule: `(acc * mult + 2^(shift-1)) >> shift`, arithmetic shift, so ties round toward +inf.

use crate::branchless::requantize1;

/// Portable twin of `requantize`, `requantize_relu`, `requantize_code`, `requantize_fine` and `requantize_wide`:
/// `out[i] = (acc[i] * mult[i] + 2^(shift-1)) >> shift`, clamped to `LOW..=HIGH`, which are an `i64`'s ends where nothing
/// is; also right for any `n`.
///
/// # Safety
/// `acc` and `mult` read and `out` writes `n` values; `out` may be `acc` itself, and overlaps nothing otherwise. `n` is a
/// positive multiple of 8, `shift` in `1..=63`, where `LOW` is 0 in `7..=63`, and `acc * mult + 2^(shift-1)` fits an
/// `i64`.
pub unsafe fn requantize_within_ref<const LOW: i64, const HIGH: i64>(
    acc: *const i64,
    mult: *const u32,
    out: *mut i64,
    n: u64,
    shift: u64,
) {
    for i in 0..n as usize {
        // SAFETY: the caller vouches for `n` values behind each pointer.
        unsafe { *out.add(i) = requantize1(*acc.add(i), *mult.add(i), shift).clamp(LOW, HIGH) };
    }
}

/// Portable twin of `requantize_add`: as [`requantize_within_ref`], added to `out`, the sum clamped to `-MOST..=MOST`.
///
/// # Safety
/// As [`requantize_within_ref`]; `out` is read too, and the sum fits an `i64`.
pub unsafe fn requantize_add_ref<const MOST: i64>(
    acc: *const i64,
    mult: *const u32,
    out: *mut i64,
    n: u64,
    shift: u64,
) {
    for i in 0..n as usize {
        // SAFETY: the caller vouches for `n` values behind each pointer.
        unsafe {
            let sum = requantize1(*acc.add(i), *mult.add(i), shift).wrapping_add(*out.add(i));
            *out.add(i) = sum.clamp(-MOST, MOST);
        }
    }
}
