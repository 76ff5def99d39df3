//! A function of a code of twelve bits, as a table of 4096 entries of 16 bits, held without sign: each + 2^15.

/// Entries of a table.
pub const ENTRIES: usize = 1 << 12;

/// The entry at a place, with its sign.
///
/// # Safety
/// `table` reads [`ENTRIES`] entries, 2-byte aligned; `place` is one of them.
pub unsafe fn entry_at(table: *const u16, place: i64) -> i64 {
    // SAFETY: the caller vouches for an entry at this place.
    let entry = unsafe { *table.offset(place as isize) };
    i64::from(entry) - (1 << 15)
}

/// What a table makes of a code.
///
/// # Safety
/// As [`entry_at`]; `code` is in `-2048..=2047`.
pub unsafe fn looked_up(table: *const u16, code: i64) -> i64 {
    // SAFETY: the caller vouches for an entry for the code.
    unsafe { entry_at(table, code + (ENTRIES / 2) as i64) }
}

/// Portable twin of `lut`: `out[i] = table[codes[i] + 2048] - 2^15`.
///
/// # Safety
/// `codes` reads and `out` writes `n` values; `out` may be `codes` itself, and overlaps nothing otherwise. `table` reads
/// 4096 entries, 2-byte aligned; every code is in `-2048..=2047`.
pub unsafe fn lut_ref(codes: *const i64, table: *const u16, out: *mut i64, n: u64) {
    for i in 0..n as usize {
        // SAFETY: the caller vouches for `n` values behind each pointer, and for an entry for each code.
        unsafe { *out.add(i) = looked_up(table, *codes.add(i)) };
    }
}
