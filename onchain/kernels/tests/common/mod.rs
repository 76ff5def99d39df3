//! What the kernel tests share: a seeded generator, and the kernels' portable twins on plain vectors of any size.

use wmq_kernels::{
    argmax::*, conv::*, gate::*, gather::*, geometry::*, matvec::*, norm::*, requantize::*, ssm::*, table::*,
};

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

/// Columns of a block, where a kernel empties its lanes between blocks.
pub const BLOCK: usize = 5;

/// One function for each number of words a column: of `twin`, for weights of so many bits, with its block and its ends.
macro_rules! every_r {
    ($twin:ident, $bits:tt) => {
        [
            $twin::<$bits, 1>,
            $twin::<$bits, 2>,
            $twin::<$bits, 3>,
            $twin::<$bits, 4>,
            $twin::<$bits, 5>,
            $twin::<$bits, 6>,
        ]
    };
    ($twin:ident, $bits:tt, $block:tt, $($ends:tt),*) => {{
        const fn of<const R: usize>() -> Matvec {
            $twin::<$bits, R, $block, $($ends),*>
        }
        [of::<1>(), of::<2>(), of::<3>(), of::<4>(), of::<5>(), of::<6>(), of::<7>()]
    }};
}

/// The twin of the kernels for weights of so many bits, `r` words a column.
pub fn matvec_kernel(bits: usize, r: usize) -> Matvec {
    let all: [Matvec; MATVEC_MAX_R] = match bits {
        4 => every_r!(matvec_ref, 4),
        5 => every_r!(matvec_ref, 5),
        8 => every_r!(matvec_ref, 8),
        10 => every_r!(matvec_ref, 10),
        16 => every_r!(matvec_ref, 16),
        _ => panic!("no kernel for weights of {bits} bits"),
    };
    all[r - 1]
}

/// The same of those that end as a requantize kernel does, with the ends that it has; `broken` into blocks of [`BLOCK`].
pub fn finished_kernel(bits: usize, r: usize, finish: &str, broken: bool) -> Matvec {
    macro_rules! every_end {
        ($bits:tt, $block:tt) => {
            match finish {
                "requantize" => every_r!(matvec_within_ref, $bits, $block, { i64::MIN }, { i64::MAX }),
                "requantize_relu" => every_r!(matvec_within_ref, $bits, $block, 0, 127),
                "requantize_code" => every_r!(matvec_within_ref, $bits, $block, { -127 }, 127),
                "requantize_fine" => every_r!(matvec_within_ref, $bits, $block, { -2047 }, 2047),
                "requantize_wide" => every_r!(matvec_within_ref, $bits, $block, { -WIDE_MAX }, WIDE_MAX),
                "requantize_add" => every_r!(matvec_add_ref, $bits, $block, WIDE_MAX),
                _ => panic!("no way to end `{finish}`"),
            }
        };
    }
    let all: [Matvec; MATVEC_MAX_R + 1] = match (bits, broken) {
        (4, false) => every_end!(4, { usize::MAX }),
        (5, false) => every_end!(5, { usize::MAX }),
        (8, false) => every_end!(8, { usize::MAX }),
        (10, false) => every_end!(10, { usize::MAX }),
        (16, false) => every_end!(16, { usize::MAX }),
        (4, true) => every_end!(4, BLOCK),
        (5, true) => every_end!(5, BLOCK),
        (8, true) => every_end!(8, BLOCK),
        (10, true) => every_end!(10, BLOCK),
        (16, true) => every_end!(16, BLOCK),
        _ => panic!("no kernel for weights of {bits} bits"),
    };
    all[r - 1]
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

/// The twin under test on the same integers: rows are filled up with zeros as an export does.
pub fn matvec_packed(rows: &[Vec<i64>], x: &[i64], bias: &[i64], bits: usize, r: usize) -> Vec<i64> {
    let (lanes, size) = (lanes(bits), rows.len());
    let mut out = padded(bias, lanes * r);
    let mut rows = rows.to_vec();
    rows.resize(out.len(), vec![0; x.len()]);
    let (words, groups) = (pack_weights(&rows, lanes, r), (rows.len() / (lanes * r)) as u64);
    // SAFETY: `words`, `x` and `out` have the lengths that these sizes ask for, and `out` is its own vector.
    unsafe { matvec_kernel(bits, r)(words.as_ptr(), x.as_ptr(), out.as_mut_ptr(), groups, x.len() as u64) };
    assert!(out[size..].iter().all(|&padding| padding == 0));
    out[..size].to_vec()
}

/// What a requantize kernel is called with beyond accumulators, in whole groups of rows; and whether lanes are emptied
/// between blocks.
pub struct Scales {
    pub bias: Vec<i64>,
    pub mult: Vec<u32>,
    pub shift: u64,
    pub broken: bool,
}

/// The twin that ends as kernel `finish` does, on rows in whole groups; `out` is what it begins with.
pub fn finished_packed(
    rows: &[Vec<i64>],
    x: &[i64],
    scales: &Scales,
    mut out: Vec<i64>,
    (bits, r, finish): (usize, usize, &str),
) -> Vec<i64> {
    let lanes = lanes(bits);
    let blocks = if scales.broken { x.len().div_ceil(BLOCK) } else { 1 };
    let (words, starts) = (pack_weights(rows, lanes, r), (blocks as i64) << (lane_bits(lanes) - 1));
    let mut w = Vec::new();
    for (group, words) in words.chunks(x.len() * r).enumerate() {
        w.extend(words);
        w.push(scales.shift);
        for row in group * lanes * r..(group + 1) * lanes * r {
            let mult = i64::from(scales.mult[row]);
            let constant =
                (scales.bias[row] - starts).wrapping_mul(mult).wrapping_add(1 << (scales.shift - 1));
            w.extend([mult as u64, constant as u64]);
        }
    }
    let groups = (rows.len() / (lanes * r)) as u64;
    // SAFETY: `w`, `x` and `out` have the lengths that these sizes ask for, and `out` is its own vector.
    unsafe {
        finished_kernel(bits, r, finish, scales.broken)(
            w.as_ptr(),
            x.as_ptr(),
            out.as_mut_ptr(),
            groups,
            x.len() as u64,
        )
    };
    out
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

/// The largest value of 21 bits; the least is its negative.
pub const WIDE_MAX: i64 = (1 << 20) - 1;

/// The twins under test, by the names of their kernels; `out` is what they begin with.
pub fn requantize_packed(name: &str, acc: &[i64], mult: &[u32], mut out: Vec<i64>, shift: u64) -> Vec<i64> {
    let kernel = match name {
        "requantize" => requantize_within_ref::<{ i64::MIN }, { i64::MAX }>,
        "requantize_relu" => requantize_within_ref::<0, 127>,
        "requantize_code" => requantize_within_ref::<-127, 127>,
        "requantize_fine" => requantize_within_ref::<-2047, 2047>,
        "requantize_wide" => requantize_within_ref::<{ -WIDE_MAX }, WIDE_MAX>,
        "requantize_add" => requantize_add_ref::<WIDE_MAX>,
        _ => panic!("no kernel `{name}`"),
    };
    // SAFETY: the three vectors have the same length.
    unsafe { kernel(acc.as_ptr(), mult.as_ptr(), out.as_mut_ptr(), acc.len() as u64, shift) };
    out
}

/// The words of a channel's four taps.
fn taps_packed(w: &[i64]) -> [u64; 2] {
    [(w[2] << 42) + (w[1] << 21) + w[0], w[3]].map(|word| word as u64)
}

/// The twin under test, one frame: taps by channel, each channel's bias, a word a channel of memory.
pub fn conv_packed(taps: &[Vec<i64>], bias: &[i64], memory: &mut [u64], x: &[i64]) -> Vec<i64> {
    let filter = |(w, b): (&Vec<i64>, &i64)| taps_packed(w).into_iter().chain([*b as u64]);
    let (filters, mut out): (Vec<_>, _) =
        (taps.iter().zip(bias).flat_map(filter).collect(), vec![0; x.len()]);
    // SAFETY: all have the lengths that so many channels ask for, and are vectors of their own.
    unsafe {
        let (memory, out) = (memory.as_mut_ptr(), out.as_mut_ptr());
        conv_ref(x.as_ptr(), filters.as_ptr(), memory, out, x.len() as u64);
    }
    out
}

/// What a convolution's sums become: a multiplier each, one shift, and entries with their signs.
pub struct LookedUp {
    pub mult: Vec<i64>,
    pub shift: u64,
    pub table: Vec<i64>,
}

/// The twin under test, one frame: as [`conv_packed`], then looked up.
pub fn conv_lut_packed(
    taps: &[Vec<i64>],
    bias: &[i64],
    then: &LookedUp,
    memory: &mut [u64],
    x: &[i64],
) -> Vec<i64> {
    let mut words = table_packed(&[&then.table[1..2], &then.table[1..]].concat());
    words.push(then.shift);
    for ((w, b), mult) in taps.iter().zip(bias).zip(&then.mult) {
        let place = b * mult + (1 << (then.shift - 1)) + (2048 << then.shift);
        words.extend(taps_packed(w).into_iter().chain([*mult as u64, place as u64]));
    }
    let mut out = vec![0; x.len()];
    // SAFETY: all have the lengths that so many channels ask for, and are vectors of their own.
    unsafe {
        let (memory, out) = (memory.as_mut_ptr(), out.as_mut_ptr());
        conv_lut_ref(x.as_ptr(), words.as_ptr(), memory, out, x.len() as u64);
    }
    out
}

/// A table of entries with their signs, four to a word.
fn table_packed(table: &[i64]) -> Vec<u64> {
    let entry = |entry: &i64| (entry + (1 << 15)) as u64;
    table.chunks(4).map(|four| four.iter().rev().fold(0, |word, it| word << 16 | entry(it))).collect()
}

/// The twin under test, of entries with their signs.
pub fn lut_packed(codes: &[i64], table: &[i64]) -> Vec<i64> {
    let table: Vec<_> = table.iter().map(|entry| (entry + (1 << 15)) as u16).collect();
    let mut out = vec![0; codes.len()];
    assert_eq!(table.len(), 4096);
    // SAFETY: as many codes as results, and an entry for each code.
    unsafe { lut_ref(codes.as_ptr(), table.as_ptr(), out.as_mut_ptr(), codes.len() as u64) };
    out
}

/// What `gated_norm` reads beside accumulators and codes; entries have their signs.
pub struct Gated {
    pub table: Vec<i64>,
    pub eps: i64,
    pub roots: Vec<i64>,
    pub norm_shift: u64,
    pub shift: u64,
    pub mult: Vec<i64>,
}

/// The twin under test.
pub fn gated_norm_packed(acc: &[i64], codes: &[i64], by: &Gated) -> Vec<i64> {
    let mut scales = table_packed(&by.table);
    scales.extend([by.eps].iter().chain(&by.roots).map(|&word| word as u64));
    scales.extend([by.norm_shift, by.shift]);
    scales.extend(by.mult.iter().map(|&mult| mult as u64));
    let (mut out, n) = (vec![0; acc.len()], acc.len() as u64);
    // SAFETY: as many codes and multipliers as results, an entry for each code, and a root for each mantissa.
    unsafe {
        gated_norm_ref::<WIDE_MAX, 11>(acc.as_ptr(), codes.as_ptr(), scales.as_ptr(), out.as_mut_ptr(), n);
    }
    out
}

/// The twin under test.
pub fn gate_packed(values: &[i64], by: &[i64], shift: u64) -> Vec<i64> {
    let mut out = vec![0; values.len()];
    // SAFETY: the three vectors have the same length.
    unsafe { gate_ref(values.as_ptr(), by.as_ptr(), out.as_mut_ptr(), values.len() as u64, shift) };
    out
}

/// The twin under test.
pub fn rmsnorm_packed(values: &[i64], eps: i64, roots: &[i64], shift: u64) -> Vec<i64> {
    let table: Vec<_> = [eps].iter().chain(roots).copied().collect();
    let mut out = vec![0; values.len()];
    assert_eq!(table.len(), NORM_WORDS);
    // SAFETY: as many results as values, and a root for each mantissa.
    unsafe {
        rmsnorm_ref(values.as_ptr(), table.as_ptr(), out.as_mut_ptr(), values.len() as u64, shift);
    }
    out
}

/// The twin under test and what it keeps.
pub struct Ssm {
    pub memory: Vec<u32>,
    pub tables: Vec<u64>,
    channels: usize,
    cells: usize,
}

impl Ssm {
    /// Heads of `channels` channels of `cells` cells, decays and gains by head and code, skips by head; states are zero.
    pub fn new(decay: &[Vec<i64>], gain: &[Vec<i64>], skip: &[i64], channels: usize, cells: usize) -> Self {
        let entry = |(d, g): (&i64, &i64)| u64::from(*d as u32) | (*g as u64) << 32;
        let table =
            |head: usize| decay[head].iter().zip(&gain[head]).map(entry).chain([(skip[head] as u64) << 32]);
        let tables = (0..skip.len()).flat_map(table).collect();
        let memory = vec![STATE_BIAS as u32; skip.len() * channels * cells.next_multiple_of(2)];
        Self { memory, tables, channels, cells }
    }

    /// One frame: `codes` are x, B and C one after the other.
    pub fn frame(&mut self, codes: &[i64], dt: &[i64]) -> Vec<i64> {
        let rows = dt.len() * self.channels;
        let mut out = vec![0; rows];
        let places = [
            codes.as_ptr() as u64,
            codes[rows..].as_ptr() as u64,
            dt.as_ptr() as u64,
            self.tables.as_ptr() as u64,
            self.memory.as_mut_ptr() as u64,
            out.as_mut_ptr() as u64,
        ];
        let twin = match self.cells {
            1 => ssm_ref::<1>,
            2 => ssm_ref::<2>,
            5 => ssm_ref::<5>,
            32 => ssm_ref::<32>,
            33 => ssm_ref::<33>,
            64 => ssm_ref::<64>,
            69 => ssm_ref::<69>,
            cells => panic!("no twin of {cells} cells here"),
        };
        // SAFETY: all have the lengths that these sizes ask for, and are vectors of their own.
        unsafe { twin(places.as_ptr(), dt.len() as u64, self.channels as u64) };
        out
    }
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
