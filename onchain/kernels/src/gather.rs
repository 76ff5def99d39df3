//! Sum of embedding rows, each entry a byte, scaled into an accumulator.
//!
//! Compute units, for `n` a multiple of 8 in `8..=256` and `blocks >= 1`:
//! `12 + n / 8 * 19 + blocks * (2172 + n / 8 * 1330)`
//!
//! A row is `blocks` blocks of 37 words, 259 entries: two blocks cover 512 outputs, one covers 256.
//!
//! ```text
//!  byte    7    6    5    4    3    2    1    0
//!       +----+----+----+----+----+----+----+----+
//!       |  0 | b6 | b5 | b4 | b3 | b2 | b1 | b0 |   entry 7 * word + i of the row is bi - 128
//!       +----+----+----+----+----+----+----+----+
//! ```
//!
//! `A` sums whole words and `B` the even bytes in 16-bit lanes; `A - B` then holds the odd ones, at bits 8, 24
//! and 40. With at most 256 rows no lane overflows. Three words are summed at a time (six registers).

/// Words of a row in one block.
pub const WORDS_PER_BLOCK: usize = 37;
/// Entries in one word.
pub const ENTRIES_PER_WORD: usize = 7;
/// Entries of a row in one block.
pub const ENTRIES_PER_BLOCK: usize = WORDS_PER_BLOCK * ENTRIES_PER_WORD;
/// Most rows in one sum.
pub const MAX_ROWS: usize = 256;
/// Rows come in multiples of this.
pub const ROWS_STEP: usize = 8;

const EVEN_BYTES: u64 = 0x00ff_00ff_00ff_00ff;

crate::kernel! {
    /// `out[e] += k[e] * sum over the n rows of (byte e - 128)`, for the `blocks * 259` entries of a row.
    ///
    /// `rows` lists the rows' addresses; a row may be listed more than once.
    ///
    /// # Safety
    /// `rows` reads `n` addresses, each of `blocks * 37` readable words; `k` reads and `out` reads and writes
    /// `blocks * 259` values; `out` overlaps nothing that is read. `n` is a multiple of 8 in `8..=256`,
    /// `blocks >= 1`.
    gather_add(rows: *const u64, k: *const u32, out: *mut i64, n: u64, blocks: u64)
        = crate::gather::gather_add_ref
}

/// Portable twin of [`gather_add`]; also right for any `n <= 256` and for zero blocks.
///
/// # Safety
/// As [`gather_add`].
pub unsafe fn gather_add_ref(rows: *const u64, k: *const u32, out: *mut i64, n: u64, blocks: u64) {
    let words = blocks as usize * WORDS_PER_BLOCK;
    // SAFETY: the caller vouches for the lengths and for `out` overlapping nothing that is read.
    let (rows, k, out) = unsafe {
        (
            core::slice::from_raw_parts(rows, n as usize),
            core::slice::from_raw_parts(k, words * ENTRIES_PER_WORD),
            core::slice::from_raw_parts_mut(out, words * ENTRIES_PER_WORD),
        )
    };
    let entries = out.chunks_exact_mut(ENTRIES_PER_WORD).zip(k.chunks_exact(ENTRIES_PER_WORD));
    for (word, (out, k)) in entries.enumerate() {
        let (mut all, mut even) = (0u64, 0u64);
        for &row in rows {
            // SAFETY: each address is that of `words` readable words, and `word < words`.
            let bytes = unsafe { (row as usize as *const u64).add(word).read() };
            all = all.wrapping_add(bytes);
            even = even.wrapping_add(bytes & EVEN_BYTES);
        }
        add_entries(out, k, all.wrapping_sub(even) >> 8, even, 128 * n);
    }
}

/// Adds the seven sums of one word, less `bias`, times `k`; `odd` and `even` hold them in 16-bit lanes.
fn add_entries(out: &mut [i64], k: &[u32], odd: u64, even: u64, bias: u64) {
    for (i, (out, &k)) in out.iter_mut().zip(k).enumerate() {
        let lanes = if i % 2 == 0 { even } else { odd };
        let sum = (lanes >> (16 * (i / 2))) & 0xffff;
        *out = out.wrapping_add(sum.wrapping_sub(bias).wrapping_mul(u64::from(k)) as i64);
    }
}
