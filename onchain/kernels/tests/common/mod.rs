//! What the kernel tests share: a seeded generator, and the kernels' portable twins on plain vectors of any size.

use wmq_kernels::{argmax::*, gather::*, geometry::*, matvec::*, requantize::*};

/// The generator of `gen_golden.py`.
pub struct Lcg(pub u64);

impl Lcg {
    /// Integer in `low..=high`.
    pub fn draw(&mut self, low: i64, high: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        low + ((self.0 >> 33) % (high - low + 1) as u64) as i64
    }

    /// The next `count` integers in `low..=high`.
    pub fn draws(&mut self, count: usize, low: i64, high: i64) -> Vec<i64> {
        (0..count).map(|_| self.draw(low, high)).collect()
    }
}

type Matvec = unsafe fn(*const u64, *const i64, *mut i64, u64, u64);

/// The twin of the kernels for weights of so many bits, `r` words a column.
pub fn matvec_kernel(bits: usize, r: usize) -> Matvec {
    const fn all<const BITS: usize>() -> [Matvec; MATVEC_MAX_R] {
        [
            matvec_ref::<BITS, 1>,
            matvec_ref::<BITS, 2>,
            matvec_ref::<BITS, 3>,
            matvec_ref::<BITS, 4>,
            matvec_ref::<BITS, 5>,
            matvec_ref::<BITS, 6>,
        ]
    }
    match bits {
        4 => all::<4>()[r - 1],
        8 => all::<8>()[r - 1],
        16 => all::<16>()[r - 1],
        _ => panic!("no kernel for weights of {bits} bits"),
    }
}

/// The largest weight of so many bits; the least is its negative.
pub fn weight_max(bits: usize) -> i64 {
    (1 << (bits - 1)) - 1
}

/// `values`, then zeros up to a multiple of `step`.
fn padded<T: Clone + Default>(values: &[T], step: usize) -> Vec<T> {
    let mut out = values.to_vec();
    out.resize(values.len().next_multiple_of(step), T::default());
    out
}

/// Weights by row, in whole groups and tiles, to words of `lanes` rows, `r` words a column.
pub fn pack_weights(rows: &[Vec<i64>], lanes: usize, r: usize) -> Vec<u64> {
    let mut words = Vec::new();
    for group in rows.chunks(lanes * r) {
        for k in 0..group[0].len() {
            for word in group.chunks(lanes) {
                words
                    .push(word.iter().rev().fold(0i64, |sum, row| (sum << lane_bits(lanes)) + row[k]) as u64);
            }
        }
    }
    words
}

/// The twin under test on the same integers: rows and columns are filled up with zeros as an export does.
pub fn matvec_packed(rows: &[Vec<i64>], x: &[i64], bias: &[i64], bits: usize, r: usize) -> Vec<i64> {
    let (lanes, size) = (lanes(bits), rows.len());
    let (x, mut out) = (padded(x, COLUMN_TILE), padded(bias, lanes * r));
    let mut rows: Vec<_> = rows.iter().map(|row| padded(row, COLUMN_TILE)).collect();
    rows.resize(out.len(), vec![0; x.len()]);
    let (words, groups) = (pack_weights(&rows, lanes, r), (rows.len() / (lanes * r)) as u64);
    // SAFETY: `words`, `x` and `out` have the lengths that these sizes ask for, and `out` is its own vector.
    unsafe { matvec_kernel(bits, r)(words.as_ptr(), x.as_ptr(), out.as_mut_ptr(), groups, x.len() as u64) };
    assert!(out[size..].iter().all(|&padding| padding == 0));
    out[..size].to_vec()
}

/// The twin under test on the same integers: entries are filled up to whole blocks, picks with a row of zeros.
pub fn gather_packed(rows: &[Vec<i64>], picks: &[usize], k: &[u32], bias: &[i64]) -> Vec<i64> {
    let word = |entries: &[i64]| entries.iter().rev().fold(0u64, |word, b| word << 8 | (b + 128) as u64);
    let pack = |row: &[i64]| -> Vec<u64> {
        padded(row, ENTRIES_PER_BLOCK).chunks(ENTRIES_PER_WORD).map(word).collect()
    };
    let packed: Vec<_> = rows.iter().map(|row| pack(row)).collect();
    let neutral = pack(&vec![0; bias.len()]);
    let mut list: Vec<_> = picks.iter().map(|&pick| packed[pick].as_ptr() as u64).collect();
    list.resize(list.len().next_multiple_of(ROWS_STEP), neutral.as_ptr() as u64);
    let (k, mut out) = (padded(k, ENTRIES_PER_BLOCK), padded(bias, ENTRIES_PER_BLOCK));
    let blocks = (out.len() / ENTRIES_PER_BLOCK) as u64;
    // SAFETY: the list holds addresses of rows that live to the end of this function; all have whole blocks.
    unsafe { gather_add_ref(list.as_ptr(), k.as_ptr(), out.as_mut_ptr(), list.len() as u64, blocks) };
    out[..bias.len()].to_vec()
}

/// The twins under test, of `requantize` or `requantize_relu`.
pub fn requantize_packed(acc: &[i64], mult: &[u32], shift: u64, relu: bool) -> Vec<i64> {
    let kernel = if relu { requantize_relu_ref } else { requantize_ref };
    let mut out = vec![0; acc.len()];
    // SAFETY: the three vectors have the same length.
    unsafe { kernel(acc.as_ptr(), mult.as_ptr(), out.as_mut_ptr(), acc.len() as u64, shift) };
    out
}

/// The twin under test.
pub fn argmax_within(values: &[i64], labels: &[u8], label: u64) -> usize {
    // SAFETY: slices of that many values and labels.
    unsafe { argmax_within_ref(values.as_ptr(), values.len() as u64, labels.as_ptr(), label) as usize }
}

/// The twin under test.
pub fn argmax(values: &[i64]) -> usize {
    // SAFETY: a slice of that many values.
    unsafe { argmax_ref(values.as_ptr(), values.len() as u64) as usize }
}
