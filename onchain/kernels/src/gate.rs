//! The product of two vectors, element by element; `gated_norm` makes both of them first, and norms the products.

use crate::branchless::{requantize1, round_shift};
use crate::norm::{root, NORM_WORDS};
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

/// Portable twin of `gated_norm_<values at a time>`: `requantize_wide` of `acc`, clamped to `-MOST..=MOST`, times `lut` of
/// `codes`, shifted down by `SHIFT` as `gate` does, then `rmsnorm`.
///
/// # Safety
/// `acc` and `codes` read and `out` writes `n` values; none overlaps another. `scales` reads a table of [`crate::table`],
/// one of [`crate::norm`], the norm's shift, the shift of `acc` and `n` multipliers below `2^31`, words each. `n` is
/// positive, the shift in `1..=63`, `acc * mult + 2^(shift-1)` fits an `i64`, and codes have entries; otherwise as
/// [`crate::norm::rmsnorm_ref`].
pub unsafe fn gated_norm_ref<const MOST: i64, const SHIFT: u64>(
    acc: *const i64,
    codes: *const i64,
    scales: *const u64,
    out: *mut i64,
    n: u64,
) {
    // SAFETY: the tables are in front of the shifts and the multipliers, and the caller vouches for `n` values behind each
    // pointer, and for an entry for each code.
    unsafe {
        let roots = core::slice::from_raw_parts(scales.add(ENTRIES / 4) as *const i64, NORM_WORDS);
        let shifts = scales.add(ENTRIES / 4 + NORM_WORDS);
        let mut sum = roots[0];
        for i in 0..n as usize {
            let mult = *shifts.add(2 + i) as u32;
            let value = requantize1(*acc.add(i), mult, *shifts.add(1)).clamp(-MOST, MOST);
            let gated = round_shift(value.wrapping_mul(looked_up(scales.cast(), *codes.add(i))), SHIFT);
            sum = sum.wrapping_add(gated.wrapping_mul(gated));
            *out.add(i) = gated;
        }
        let (root, shift) = root(sum, roots, *shifts);
        for i in 0..n as usize {
            *out.add(i) = round_shift((*out.add(i)).wrapping_mul(root), shift);
        }
    }
}
