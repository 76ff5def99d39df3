//! Sum of embedding rows, each entry a byte, scaled into an accumulator.
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

use crate::geometry::{ENTRIES_PER_WORD, WORDS_PER_BLOCK};

const EVEN_BYTES: u64 = 0x00ff_00ff_00ff_00ff;

/// `out[e] += k[e] * sum over the rows of (byte e - 128)`, for as many words of a row as `out` has entries for; at most
/// 256 rows, `n` of them.
pub fn gather_add<'a>(rows: impl Iterator<Item = &'a [u64]> + Clone, n: usize, k: &[u32], out: &mut [i64]) {
    let entries = out.chunks_exact_mut(ENTRIES_PER_WORD).zip(k.chunks_exact(ENTRIES_PER_WORD));
    for (word, (out, k)) in entries.enumerate() {
        let (mut all, mut even) = (0u64, 0u64);
        for row in rows.clone() {
            all = all.wrapping_add(row[word]);
            even = even.wrapping_add(row[word] & EVEN_BYTES);
        }
        add_entries(out, k, all.wrapping_sub(even) >> 8, even, 128 * n as u64);
    }
}

/// Portable twin of kernel `gather_add`: [`gather_add`], for the `blocks * 259` entries of a row; also right for any `n`
/// up to 256 and for zero blocks.
///
/// `rows` lists the rows' addresses; a row may be listed more than once.
///
/// # Safety
/// `rows` reads `n` addresses, each of `blocks * 37` readable words; `k` reads and `out` reads and writes
/// `blocks * 259` values; `out` overlaps nothing that is read. `n` is a multiple of 8 in `8..=256`,
/// `blocks >= 1`.
pub unsafe fn gather_add_ref(rows: *const u64, k: *const u32, out: *mut i64, n: u64, blocks: u64) {
    let (n, words) = (n as usize, blocks as usize * WORDS_PER_BLOCK);
    // SAFETY: the caller vouches for the lengths and for `out` overlapping nothing that is read.
    let (addresses, k, out) = unsafe {
        (
            core::slice::from_raw_parts(rows, n),
            core::slice::from_raw_parts(k, words * ENTRIES_PER_WORD),
            core::slice::from_raw_parts_mut(out, words * ENTRIES_PER_WORD),
        )
    };
    // SAFETY: each address is that of `words` readable words.
    let row = |&row: &u64| unsafe { core::slice::from_raw_parts(row as usize as *const u64, words) };
    gather_add(addresses.iter().map(row), n, k, out);
}

/// Adds the seven sums of one word, less `bias`, times `k`; `odd` and `even` hold them in 16-bit lanes.
fn add_entries(out: &mut [i64], k: &[u32], odd: u64, even: u64, bias: u64) {
    for (i, (out, &k)) in out.iter_mut().zip(k).enumerate() {
        let lanes = if i % 2 == 0 { even } else { odd };
        let sum = (lanes >> (16 * (i / 2))) & 0xffff;
        *out = out.wrapping_add(sum.wrapping_sub(bias).wrapping_mul(u64::from(k)) as i64);
    }
}
