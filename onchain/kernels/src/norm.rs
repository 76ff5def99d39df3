//! Values over their root mean square: a sum of squares becomes a mantissa and an even exponent, and a table has the
//! reciprocal root of each mantissa.
//!
//! `eps + sum of squares = m 2^e` with `m` in `256..1024`, cut down to a whole number; then `out = value * root[m - 256] /
//! 2^(shift + e / 2)`, ties toward +inf. The sum is at least 1 and below `2^53`.

/// Least mantissa, and what mantissas are below.
pub const MANTISSAS: (i64, i64) = (256, 1024);
/// Words of a table: what is added to the sum of squares, then a root for each mantissa.
pub const NORM_WORDS: usize = 1 + (MANTISSAS.1 - MANTISSAS.0) as usize;

/// The mantissa of a sum, and half of its exponent.
pub fn mantissa(mut sum: i64) -> (i64, i64) {
    let mut half = 0;
    while sum >= MANTISSAS.1 {
        (sum, half) = (sum >> 2, half + 1);
    }
    while sum < MANTISSAS.0 {
        (sum, half) = (sum << 2, half - 1);
    }
    (sum, half)
}

/// What a sum, eps among it, makes of a table and the shift of an exponent of zero: the root, and the results' shift.
pub fn root(sum: i64, table: &[i64], shift: u64) -> (i64, u64) {
    let (m, half) = mantissa(sum);
    (table[1 + (m - MANTISSAS.0) as usize], shift.wrapping_add_signed(half))
}

/// `out = values` over their root mean square; `table` as the module says, `shift` that of an exponent of zero.
pub fn rmsnorm(values: &[i64], table: &[i64], out: &mut [i64], shift: u64) {
    let sum = values.iter().fold(table[0], |sum, value| sum + value * value);
    let (root, shift) = root(sum, table, shift);
    for (out, value) in out.iter_mut().zip(values) {
        *out = (value * root + (1 << (shift - 1))) >> shift;
    }
}

/// Portable twin of kernel `rmsnorm`: [`rmsnorm()`].
///
/// # Safety
/// `values` reads and `out` writes `n` values, which do not overlap; `table` reads 769. `1 <= n < 2^32`; the sum of
/// squares, `shift` with half of its exponent, and products with the root are in the ranges that a network's proof keeps:
/// below `2^53`, `1..=62`, and below `2^53`.
pub unsafe fn rmsnorm_ref(values: *const i64, table: *const i64, out: *mut i64, n: u64, shift: u64) {
    let n = n as usize;
    // SAFETY: the caller vouches for the lengths, and that `out` overlaps nothing.
    let (values, table, out) = unsafe {
        (
            core::slice::from_raw_parts(values, n),
            core::slice::from_raw_parts(table, NORM_WORDS),
            core::slice::from_raw_parts_mut(out, n),
        )
    };
    rmsnorm(values, table, out, shift);
}
