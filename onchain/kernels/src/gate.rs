//! The product of two vectors, element by element; `gated` makes both of them first.

use crate::branchless::{requantize1, round_shift};
use crate::table::{looked_up, ENTRIES};

/// Portable twin of `gate`: `out[i] = (values[i] * by[i] + 2^(shift-1)) >> shift`; also right for any `n`.
///
/// # Safety
/// `values` and `by` read and `out` writes `n` values; `out` may be either of them, and overlaps nothing otherwise. `n` is
/// a positive multiple of 8, `shift` in `1..=63`, and `values * by + 2^(shift-1)` fits an `i64`.
pub unsafe fn gate_ref(values: *const i64, by: *const i64, out: *mut i64, n: u64, shift: u64) {
    for i in 0..n as usize {
        // SAFETY: the caller vouches for `n` values behind each pointer.
        unsafe { *out.add(i) = round_shift((*values.add(i)).wrapping_mul(*by.add(i)), shift) };
    }
}

/// Portable twin of `gated`: `requantize_wide` of `acc`, clamped to `-MOST..=MOST`, times `lut` of `codes`, shifted down by
/// `SHIFT` as `gate` does; also right for any `n`.
///
/// # Safety
/// `acc` and `codes` read and `out` writes `n` values; `out` may be either of them, and overlaps nothing otherwise.
/// `scales` reads a table of [`crate::table`], then the shift of `acc` and `n` multipliers below `2^31`, words each.
/// `n` is a positive multiple of 8, the shift in `1..=63`, `acc * mult + 2^(shift-1)` fits an `i64`, and codes have entries.
pub unsafe fn gated_ref<const MOST: i64, const SHIFT: u64>(
    acc: *const i64,
    codes: *const i64,
    scales: *const u64,
    out: *mut i64,
    n: u64,
) {
    // SAFETY: the table is in front of the shift and the multipliers, and the caller vouches for `n` values behind each
    // pointer, and for an entry for each code.
    unsafe {
        let mult = scales.add(ENTRIES / 4 + 1);
        let shift = *mult.sub(1);
        for i in 0..n as usize {
            let value = requantize1(*acc.add(i), *mult.add(i) as u32, shift).clamp(-MOST, MOST);
            *out.add(i) = round_shift(value.wrapping_mul(looked_up(scales.cast(), *codes.add(i))), SHIFT);
        }
    }
}
