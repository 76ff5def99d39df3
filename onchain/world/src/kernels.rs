// Machine-written by wm_export/solana/rust_kernels.py (wmq export); do not edit.
//! The kernels that are called here: on chain the assembly that an export writes into `asm/`, elsewhere the portable
//! twins of `wmq_kernels`.

wmq_kernels::kernel! {
    /// `out += W x`, for groups of 18 rows of INT8 weights, 6 words a column.
    matvec_6x8_64(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)
        = wmq_kernels::matvec::matvec_ref::<8, 6>
}

wmq_kernels::kernel! {
    /// `out += W x`, for groups of 9 rows of INT8 weights, 3 words a column.
    matvec_3x8_64(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)
        = wmq_kernels::matvec::matvec_ref::<8, 3>
}

wmq_kernels::kernel! {
    /// `out += W x`, for groups of 18 rows of INT8 weights, 6 words a column.
    matvec_6x8_26(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)
        = wmq_kernels::matvec::matvec_ref::<8, 6>
}

wmq_kernels::kernel! {
    /// `out += W x`, for groups of 9 rows of INT8 weights, 3 words a column.
    matvec_3x8_26(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)
        = wmq_kernels::matvec::matvec_ref::<8, 3>
}

wmq_kernels::kernel! {
    /// `out += k * sum of n rows`, entries in blocks of 259.
    gather_add(rows: *const u64, k: *const u32, out: *mut i64, n: u64, blocks: u64)
        = wmq_kernels::gather::gather_add_ref
}

wmq_kernels::kernel! {
    /// `out = (acc * mult + 2^(shift-1)) >> shift`, clamped to `0..=127`.
    requantize_relu(acc: *const i64, mult: *const u32, out: *mut i64, n: u64, shift: u64)
        = wmq_kernels::requantize::requantize_within_ref::<0, 127>
}

wmq_kernels::kernel! {
    /// `out = W x` multiplied down, clamped to `0..=127`, for groups of 18 rows of INT8 weights, 6 words a column.
    matvec_6x8_64_relu(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)
        = wmq_kernels::matvec::matvec_within_ref::<8, 6, { usize::MAX }, 0, 127>
}

wmq_kernels::kernel! {
    /// `out = W x` multiplied down, clamped to `0..=127`, for groups of 6 rows of INT8 weights, 2 words a column.
    matvec_2x8_64_relu(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)
        = wmq_kernels::matvec::matvec_within_ref::<8, 2, { usize::MAX }, 0, 127>
}

wmq_kernels::kernel! {
    /// `out = W x` of 256 columns, multiplied down, without saturation, for groups of 21 rows of INT8 weights, 7 words a column.
    matvec_7x8_256of256_scale(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)
        = wmq_kernels::matvec::matvec_within_ref::<8, 7, 256, -9223372036854775808, 9223372036854775807>
}

wmq_kernels::kernel! {
    /// `out = W x` multiplied down, without saturation, for groups of 15 rows of INT8 weights, 5 words a column.
    matvec_5x8_64_scale(w: *const u64, x: *const i64, out: *mut i64, groups: u64, columns: u64)
        = wmq_kernels::matvec::matvec_within_ref::<8, 5, { usize::MAX }, -9223372036854775808, 9223372036854775807>
}

wmq_kernels::kernel! {
    /// Index of the largest of `n` values, the lowest one on ties.
    argmax(values: *const i64, n: u64) -> u64
        = wmq_kernels::argmax::argmax_ref
}
