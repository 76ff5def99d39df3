//! Choices without branches, for Rust code whose compute units must not depend on data.
//!
//! A *mask* is 0 (no) or -1 (yes). On chain the one instruction that makes a mask is opaque to the compiler,
//! which would otherwise turn the choices back into jumps. Differences must fit an `i64`: `|a - b| < 2^63`.
//!
//! Everything here is inlined, so there is no formula of its own: the cost is that of the place it is used in,
//! the same for all values.

/// -1 if `x` is negative, else 0.
#[cfg(all(target_arch = "bpf", not(feature = "portable")))]
#[inline(always)]
pub fn sign_mask(x: i64) -> i64 {
    let mut mask = x;
    // SAFETY: one arithmetic shift of the register; no memory, no stack.
    unsafe { core::arch::asm!("{0} s>>= 63", inout(reg) mask, options(pure, nomem, nostack)) };
    mask
}

/// -1 if `x` is negative, else 0.
#[cfg(any(not(target_arch = "bpf"), feature = "portable"))]
#[inline(always)]
pub fn sign_mask(x: i64) -> i64 {
    if x < 0 {
        -1
    } else {
        0
    }
}

/// `a` where the mask is -1, `b` where it is 0.
#[inline(always)]
pub fn select(mask: i64, a: i64, b: i64) -> i64 {
    b ^ (mask & (a ^ b))
}

/// Mask of `a < b`.
#[inline(always)]
pub fn lt(a: i64, b: i64) -> i64 {
    sign_mask(a.wrapping_sub(b))
}

/// Mask of `a > b`.
#[inline(always)]
pub fn gt(a: i64, b: i64) -> i64 {
    lt(b, a)
}

/// Mask of `a >= b`.
#[inline(always)]
pub fn ge(a: i64, b: i64) -> i64 {
    !lt(a, b)
}

/// Mask of `a != b`; any two values.
#[inline(always)]
pub fn ne(a: i64, b: i64) -> i64 {
    let differing = a ^ b;
    sign_mask(differing | differing.wrapping_neg())
}

/// Mask of `a == b`; any two values.
#[inline(always)]
pub fn eq(a: i64, b: i64) -> i64 {
    !ne(a, b)
}

/// The smaller of two.
#[inline(always)]
pub fn min(a: i64, b: i64) -> i64 {
    let difference = a.wrapping_sub(b);
    b.wrapping_add(difference & sign_mask(difference))
}

/// The larger of two.
#[inline(always)]
pub fn max(a: i64, b: i64) -> i64 {
    let difference = a.wrapping_sub(b);
    a.wrapping_sub(difference & sign_mask(difference))
}

/// `x` held between `low` and `high`, `low <= high`.
#[inline(always)]
pub fn clamp(x: i64, low: i64, high: i64) -> i64 {
    min(max(x, low), high)
}

/// The tie rule: `(value + 2^(shift-1)) >> shift`, ties toward +inf; `shift` in `1..=63`.
#[inline(always)]
pub fn round_shift(value: i64, shift: u64) -> i64 {
    value.wrapping_add(1i64 << (shift - 1)) >> shift
}

/// `acc * mult / 2^shift` by the tie rule, no saturation; `shift` in `1..=63`.
#[inline(always)]
pub fn requantize1(acc: i64, mult: u32, shift: u64) -> i64 {
    round_shift(acc.wrapping_mul(i64::from(mult)), shift)
}
