//! What the kernel tests share: a seeded generator, and the kernels under test on plain vectors.

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

type Matvec = unsafe extern "C" fn(*const u64, *const i64, *mut i64, u64, u64);

/// Kernels of two, three or four rows a word, with 1 to 6 words a column.
pub fn matvec_kernel(lanes: usize, r: usize) -> Matvec {
    use wmq_kernels::matvec::*;
    match lanes {
        2 => [matvec16_r1, matvec16_r2, matvec16_r3, matvec16_r4, matvec16_r5, matvec16_r6][r - 1],
        3 => [matvec_r1, matvec_r2, matvec_r3, matvec_r4, matvec_r5, matvec_r6][r - 1],
        4 => [matvec4_r1, matvec4_r2, matvec4_r3, matvec4_r4, matvec4_r5, matvec4_r6][r - 1],
        _ => panic!("no kernel of {lanes} lanes"),
    }
}

/// Weights by row to words of `lanes` rows, `r` words a column.
pub fn pack_weights(rows: &[Vec<i64>], lanes: usize, r: usize) -> Vec<u64> {
    let mut words = Vec::new();
    for group in rows.chunks(lanes * r) {
        for k in 0..group[0].len() {
            for word in group.chunks(lanes) {
                words.push(word.iter().rev().fold(0i64, |sum, row| (sum << (64 / lanes)) + row[k]) as u64);
            }
        }
    }
    words
}

/// The kernel under test on the same integers.
pub fn matvec_packed(rows: &[Vec<i64>], x: &[i64], bias: &[i64], lanes: usize, r: usize) -> Vec<i64> {
    let (words, mut out) = (pack_weights(rows, lanes, r), bias.to_vec());
    let groups = (rows.len() / (lanes * r)) as u64;
    // SAFETY: `words`, `x` and `out` have the lengths that these sizes ask for, and `out` is its own vector.
    unsafe { matvec_kernel(lanes, r)(words.as_ptr(), x.as_ptr(), out.as_mut_ptr(), groups, x.len() as u64) };
    out
}

/// The kernel under test on the same integers.
pub fn gather_packed(rows: &[Vec<i64>], picks: &[usize], k: &[u32], bias: &[i64]) -> Vec<i64> {
    let word = |seven: &[i64]| seven.iter().rev().fold(0u64, |word, b| word << 8 | (b + 128) as u64);
    let packed: Vec<Vec<u64>> = rows.iter().map(|row| row.chunks(7).map(word).collect()).collect();
    let list: Vec<u64> = picks.iter().map(|&pick| packed[pick].as_ptr() as u64).collect();
    let (mut out, blocks) = (bias.to_vec(), (bias.len() / 259) as u64);
    // SAFETY: the list holds addresses of rows that live to the end of this function; all have whole blocks.
    unsafe {
        wmq_kernels::gather::gather_add(
            list.as_ptr(),
            k.as_ptr(),
            out.as_mut_ptr(),
            list.len() as u64,
            blocks,
        )
    };
    out
}

/// The kernels under test, `requantize` or `requantize_relu`.
pub fn requantize_packed(acc: &[i64], mult: &[u32], shift: u64, relu: bool) -> Vec<i64> {
    use wmq_kernels::requantize::{requantize, requantize_relu};
    let kernel = if relu { requantize_relu } else { requantize };
    let mut out = vec![0; acc.len()];
    // SAFETY: the three vectors have the same length.
    unsafe { kernel(acc.as_ptr(), mult.as_ptr(), out.as_mut_ptr(), acc.len() as u64, shift) };
    out
}

/// The kernel under test.
pub fn argmax_within(values: &[i64], labels: &[u8], label: u64) -> usize {
    // SAFETY: slices of that many values and labels.
    unsafe {
        wmq_kernels::argmax::argmax_within(values.as_ptr(), values.len() as u64, labels.as_ptr(), label)
            as usize
    }
}

/// The kernel under test.
pub fn argmax(values: &[i64]) -> usize {
    // SAFETY: a slice of that many values.
    unsafe { wmq_kernels::argmax::argmax(values.as_ptr(), values.len() as u64) as usize }
}
