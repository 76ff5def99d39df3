//! The kernels against `golden/kernels.txt`, which `gen_golden.py` worked out in plain Python integers.

mod common;
mod in_turn;
use common::*;
use in_turn::Chunked;
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

fn finished(
    lcg: &mut Lcg,
    finish: &str,
    (bits, r): (usize, usize),
    rows: usize,
    columns: usize,
    shift: u64,
) -> Vec<i64> {
    let most = weight_max(bits);
    let weights: Vec<_> = (0..rows).map(|_| lcg.draws(columns, -most, most)).collect();
    let x = lcg.draws(columns, -128, 127);
    let bias = lcg.draws(rows, -(1 << 30), (1 << 30) - 1);
    let most = 1i64 << shift.saturating_sub(13).max(1);
    let mult = lcg.draws(rows, 0, most).iter().map(|&mult| mult as u32).collect();
    let out = lcg.draws(rows, -WIDE_MAX, WIDE_MAX);
    let (broken, end) = (finish.starts_with("matvec_blocks"), finish.rsplit('_').next().unwrap());
    let finish = if end == "scale" { "requantize".into() } else { format!("requantize_{end}") };
    finished_packed(&weights, &x, &Scales { bias, mult, shift, broken }, out, (bits, r, &finish))
}

fn gather_add(lcg: &mut Lcg, n: usize, size: usize) -> Vec<i64> {
    let rows: Vec<_> = (0..VOCABULARY).map(|_| lcg.draws(size, -128, 127)).collect();
    let picks: Vec<_> = lcg.draws(n, 0, VOCABULARY as i64 - 1).iter().map(|&pick| pick as usize).collect();
    let k: Vec<_> = lcg.draws(size, 0, (1 << 31) - 1).iter().map(|&k| k as u32).collect();
    let bias = lcg.draws(size, -(1 << 30), (1 << 30) - 1);
    gather_packed(&rows, &picks, &k, &bias)
}

fn requantize(lcg: &mut Lcg, name: &str, n: usize, shift: u64) -> Vec<i64> {
    let out = if name == "requantize_add" { lcg.draws(n, -WIDE_MAX, WIDE_MAX) } else { vec![0; n] };
    let acc = lcg.draws(n, -(1 << 20), (1 << 20) - 1);
    let most = 1i64 << shift.saturating_sub(13).max(1);
    let mult: Vec<_> = lcg.draws(n, 0, most).iter().map(|&mult| mult as u32).collect();
    requantize_packed(name, &acc, &mult, out, shift)
}

fn lut(lcg: &mut Lcg, n: usize) -> Vec<i64> {
    let table = lcg.draws(4096, -(1 << 15), (1 << 15) - 1);
    lut_packed(&lcg.draws(n, -2048, 2047), &table)
}

fn gated_norm(lcg: &mut Lcg, n: usize, shift: u64) -> Vec<i64> {
    let (table, roots) = (lcg.draws(4096, -2047, 2047), lcg.draws(768, 0, 1 << 16));
    let (acc, codes) = (lcg.draws(n, -(1 << 30), 1 << 30), lcg.draws(n, -2048, 2047));
    let (mult, eps) = (lcg.draws(n, 0, (1 << 21) - 1), lcg.draw(1, 1 << 30));
    gated_norm_packed(&acc, &codes, &Gated { table, eps, roots, norm_shift: 10, shift, mult })
}

fn gate(lcg: &mut Lcg, n: usize, shift: u64) -> Vec<i64> {
    let values = lcg.draws(n, -WIDE_MAX, WIDE_MAX);
    gate_packed(&values, &lcg.draws(n, -2047, 2047), shift)
}

fn argmax_every(lcg: &mut Lcg, n: usize, kinds: usize) -> Vec<i64> {
    let values = lcg.draws(n, -20, 20);
    let labels: Vec<_> =
        (0..kinds as i64).chain(lcg.draws(n - kinds, 0, kinds as i64 - 1)).map(|l| l as u8).collect();
    (0..kinds as u64).map(|label| argmax_within(&values, &labels, label) as i64).collect()
}

fn conv(lcg: &mut Lcg, n: usize, frames: usize) -> Vec<i64> {
    let taps: Vec<_> = (0..n).map(|_| lcg.draws(4, -128, 127)).collect();
    let bias = lcg.draws(n, -(1 << 30), (1 << 30) - 1);
    let mut memory = vec![0; n];
    let frame = |_| conv_packed(&taps, &bias, &mut memory, &lcg.draws(n, -2048, 2047));
    (0..frames).flat_map(frame).collect()
}

fn conv_lut(lcg: &mut Lcg, n: usize, frames: usize, shift: u64) -> Vec<i64> {
    let table = lcg.draws(4096, -(1 << 15), (1 << 15) - 1);
    let taps: Vec<_> = (0..n).map(|_| lcg.draws(4, -128, 127)).collect();
    let bias = lcg.draws(n, -(1 << 18), (1 << 18) - 1);
    let then = LookedUp { mult: lcg.draws(n, 0, 1 << (shift - 7)), shift, table };
    let mut memory = vec![0; n];
    let frame = |_| conv_lut_packed(&taps, &bias, &then, &mut memory, &lcg.draws(n, -2048, 2047));
    (0..frames).flat_map(frame).collect()
}

fn rmsnorm(lcg: &mut Lcg, n: usize, shift: u64) -> Vec<i64> {
    let roots = lcg.draws(768, 0, 1 << 16);
    let one = |_| {
        let most = (1 << lcg.draw(0, 20)) - 1;
        let (values, eps) = (lcg.draws(n, -most, most), lcg.draw(1, 1 << 30));
        rmsnorm_packed(&values, eps, &roots, shift)
    };
    (0..16).flat_map(one).collect()
}

fn ssm(lcg: &mut Lcg, heads: usize, channels: usize, cells: usize, frames: usize) -> Vec<i64> {
    let decay: Vec<_> = (0..heads).map(|_| lcg.draws(256, 0, (1 << 15) - 1)).collect();
    let most = |d: i64| {
        let most = ((1 << 31) - (1 << 14) - 65535 * d) / 127 * (1 << 16) / 127 - (1 << 16);
        most.min(i32::MAX.into())
    };
    let gain: Vec<Vec<_>> =
        decay.iter().map(|row| row.iter().map(|&d| lcg.draw(-1, 1) * most(d)).collect()).collect();
    let (skip, rows) = (lcg.draws(heads, -(1 << 20), 1 << 20), heads * channels);
    let mut state = Ssm::new(&decay, &gain, &skip, channels, cells);
    let frame = |_| {
        let codes: Vec<_> = [rows, cells, cells].iter().flat_map(|&n| lcg.draws(n, -127, 127)).collect();
        state.frame(&codes, &lcg.draws(heads, -127, 127))
    };
    (0..frames).flat_map(frame).collect()
}

fn ssm_chunked(lcg: &mut Lcg, sizes: &[usize; 5]) -> Vec<i64> {
    let &[heads, channels, cells, every, frames] = sizes;
    let decay: Vec<_> = (0..heads).map(|_| lcg.draws(256, 0, (1 << 15) - 1)).collect();
    let most = |d: i64| {
        let held = ((1i64 << 31) - (1 << 14) - every as i64 * 64) * ((1 << 15) - d) / (1 << 15);
        (held * (1 << 16) / (127 * 127)).min(i32::MAX.into())
    };
    let gain: Vec<Vec<_>> =
        decay.iter().map(|row| row.iter().map(|&d| lcg.draw(0, 1) * most(d)).collect()).collect();
    let skip = lcg.draws(heads, -(1 << 20), 1 << 20);
    let mut kept = Chunked::new(&decay, &gain, &skip, (channels, cells, every));
    let frame = |_| {
        let counts = std::iter::repeat_n(channels, heads).chain([cells, cells]);
        let codes: Vec<_> = counts.flat_map(|n| lcg.draws(n, -127, 127)).collect();
        kept.frame(&codes, &lcg.draws(heads, -127, 127))
    };
    (0..frames).flat_map(frame).collect()
}

fn run(name: &str, sizes: &[usize], lcg: &mut Lcg) -> Vec<i64> {
    match (name, sizes) {
        ("matvec", &[bits, r, rows, columns]) => matvec(lcg, bits, r, rows, columns),
        (name, &[bits, r, rows, columns, shift]) if name.starts_with("matvec_") => {
            finished(lcg, name, (bits, r), rows, columns, shift as u64)
        }
        ("gather_add", &[n, size]) => gather_add(lcg, n, size),
        ("lut", &[n]) => lut(lcg, n),
        ("gated_norm", &[n, shift]) => gated_norm(lcg, n, shift as u64),
        ("gate", &[n, shift]) => gate(lcg, n, shift as u64),
        ("argmax", &[n]) => vec![argmax(&lcg.draws(n, -20, 20)) as i64],
        ("argmax_within", &[n, kinds]) => argmax_every(lcg, n, kinds),
        ("rmsnorm", &[n, shift]) => rmsnorm(lcg, n, shift as u64),
        ("ssm", &[heads, channels, cells, frames]) => ssm(lcg, heads, channels, cells, frames),
        ("ssm_chunked", sizes) => ssm_chunked(lcg, sizes.try_into().expect("five sizes")),
        ("conv", &[n, frames]) => conv(lcg, n, frames),
        ("conv_lut", &[n, frames, shift]) => conv_lut(lcg, n, frames, shift as u64),
        (name, &[n, shift]) if name.starts_with("requantize") => requantize(lcg, name, n, shift as u64),
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
