//! The kernels against `golden/kernels.txt`, which `gen_golden.py` worked out in plain Python integers.

mod common;
use common::*;
use wmq_kernels::geometry::{LANES, MATVEC_MAX_R};

const GOLDEN: &str = include_str!("../golden/kernels.txt");
const VOCABULARY: usize = 10;

fn matvec(lcg: &mut Lcg, bits: usize, r: usize, rows: usize, columns: usize) -> Vec<i64> {
    let most = weight_max(bits);
    let rows: Vec<_> = (0..rows).map(|_| lcg.draws(columns, -most, most)).collect();
    let x = lcg.draws(columns, -128, 127);
    let bias = lcg.draws(rows.len(), -(1 << 30), (1 << 30) - 1);
    matvec_packed(&rows, &x, &bias, bits, r)
}

fn gather_add(lcg: &mut Lcg, n: usize, size: usize) -> Vec<i64> {
    let rows: Vec<_> = (0..VOCABULARY).map(|_| lcg.draws(size, -128, 127)).collect();
    let picks: Vec<_> = lcg.draws(n, 0, VOCABULARY as i64 - 1).iter().map(|&pick| pick as usize).collect();
    let k: Vec<_> = lcg.draws(size, 0, (1 << 31) - 1).iter().map(|&k| k as u32).collect();
    let bias = lcg.draws(size, -(1 << 30), (1 << 30) - 1);
    gather_packed(&rows, &picks, &k, &bias)
}

fn requantize(lcg: &mut Lcg, n: usize, shift: u64, relu: bool) -> Vec<i64> {
    let acc = lcg.draws(n, -(1 << 20), (1 << 20) - 1);
    let most = 1i64 << shift.saturating_sub(13).max(1);
    let mult: Vec<_> = lcg.draws(n, 0, most).iter().map(|&mult| mult as u32).collect();
    requantize_packed(&acc, &mult, shift, relu)
}

fn argmax_every(lcg: &mut Lcg, n: usize, kinds: usize) -> Vec<i64> {
    let values = lcg.draws(n, -20, 20);
    let labels: Vec<_> =
        (0..kinds as i64).chain(lcg.draws(n - kinds, 0, kinds as i64 - 1)).map(|l| l as u8).collect();
    (0..kinds as u64).map(|label| argmax_within(&values, &labels, label) as i64).collect()
}

fn run(name: &str, sizes: &[usize], lcg: &mut Lcg) -> Vec<i64> {
    match (name, sizes) {
        ("matvec", &[bits, r, rows, columns]) => matvec(lcg, bits, r, rows, columns),
        ("gather_add", &[n, size]) => gather_add(lcg, n, size),
        ("requantize", &[n, shift]) => requantize(lcg, n, shift as u64, false),
        ("requantize_relu", &[n, shift]) => requantize(lcg, n, shift as u64, true),
        ("argmax", &[n]) => vec![argmax(&lcg.draws(n, -20, 20)) as i64],
        ("argmax_within", &[n, kinds]) => argmax_every(lcg, n, kinds),
        _ => panic!("golden/kernels.txt: no kernel `{name}` with sizes {sizes:?}"),
    }
}

#[test]
fn golden() {
    let lines: Vec<_> = GOLDEN.lines().filter(|line| !line.starts_with('#')).collect();
    for (bits, _) in LANES {
        for r in 1..=MATVEC_MAX_R {
            assert!(lines.iter().any(|line| line.starts_with(&format!("matvec {bits} {r} "))), "{bits} {r}");
        }
    }
    for line in lines {
        let (case, outputs) = line.split_once(" : ").expect("a line is `case : outputs`");
        let (name, numbers) = case.split_once(' ').expect("a case is `kernel numbers...`");
        let numbers: Vec<usize> = numbers.split(' ').map(|n| n.parse().expect("a size")).collect();
        let expected: Vec<i64> = outputs.split(' ').map(|n| n.parse().expect("an integer")).collect();
        let (seed, sizes) = numbers.split_last().expect("a case ends with its seed");
        assert_eq!(run(name, sizes, &mut Lcg(*seed as u64)), expected, "{case}");
    }
}
