//! Each kernel's portable twin against the same sum on unpacked integers: random values and extremes.

mod common;
use common::*;
use wmq_kernels::{branchless::*, geometry::*, matvec::lanes};

/// `bias + rows * x`.
fn matvec_slow(rows: &[Vec<i64>], x: &[i64], bias: &[i64]) -> Vec<i64> {
    let dot = |row: &Vec<i64>| row.iter().zip(x).map(|(w, x)| w * x).sum::<i64>();
    rows.iter().zip(bias).map(|(row, b)| b + dot(row)).collect()
}

/// `bias[e] + k[e] * sum of rows[pick][e]`.
fn gather_slow(rows: &[Vec<i64>], picks: &[usize], k: &[u32], bias: &[i64]) -> Vec<i64> {
    let sum = |e: usize| picks.iter().map(|&pick| rows[pick][e]).sum::<i64>();
    (0..bias.len()).map(|e| bias[e] + sum(e) * i64::from(k[e])).collect()
}

/// Ties toward +inf, through 128 bits and a floor division.
fn requantize_slow(acc: &[i64], mult: &[u32], shift: u64, relu: bool) -> Vec<i64> {
    let one = |(acc, mult): (&i64, &u32)| {
        let unit = 1i128 << shift;
        let value = (i128::from(*acc) * i128::from(*mult) + unit / 2).div_euclid(unit) as i64;
        if relu {
            value.clamp(0, 127)
        } else {
            value
        }
    };
    acc.iter().zip(mult).map(one).collect()
}

#[test]
fn matvec_random() {
    let mut lcg = Lcg(1);
    for (bits, lanes) in LANES {
        // Half of what a weight can be, so that many columns stay inside a lane of INT8 or INT4 rows.
        let most = if bits == 16 { weight_max(bits) } else { weight_max(bits) / 2 };
        for r in 1..=MATVEC_MAX_R {
            for (groups, columns) in [(1, 32), (3, 64), (2, 128)] {
                let rows: Vec<_> = (0..groups * lanes * r).map(|_| lcg.draws(columns, -most, most)).collect();
                let (x, bias) = (lcg.draws(columns, -128, 127), lcg.draws(rows.len(), -1 << 30, 1 << 30));
                let got = matvec_packed(&rows, &x, &bias, bits, r);
                assert_eq!(got, matvec_slow(&rows, &x, &bias), "{bits} bits, r {r}");
            }
        }
    }
}

#[test]
fn matvec_lanes_at_their_bound_do_not_touch_each_other() {
    // 64 * 127 * 128 = 2^20 - 8192, 32 * 7 * 128 = 2^15 - 4096 and 512 * 32767 * 128 = 2^31 - 65536, in every mixture
    // of lanes.
    for (bits, columns) in [(16, 512), (8, 64), (4, 32)] {
        let (lanes, most) = (lanes(bits), weight_max(bits));
        for mix in 0..3usize.pow(lanes as u32) {
            let sign = |row: usize| (mix / 3usize.pow((row % lanes) as u32) % 3) as i64 - 1;
            let rows: Vec<_> = (0..6 * lanes).map(|row| vec![most * sign(row); columns]).collect();
            let (x, bias) = (vec![-128; columns], vec![0; rows.len()]);
            let got = matvec_packed(&rows, &x, &bias, bits, 6);
            assert_eq!(got, matvec_slow(&rows, &x, &bias), "{bits} bits, mixture {mix}");
        }
    }
}

#[test]
fn gather_random() {
    let mut lcg = Lcg(2);
    for (n, size) in [(8, ENTRIES_PER_BLOCK), (115, 512), (MAX_ROWS, 256)] {
        let rows: Vec<_> = (0..12).map(|_| lcg.draws(size, -128, 127)).collect();
        let picks: Vec<_> = (0..n).map(|_| lcg.draw(0, 11) as usize).collect();
        let k: Vec<_> = (0..size).map(|_| lcg.draw(0, 1 << 30) as u32 * 3).collect();
        let bias = lcg.draws(size, -1 << 30, 1 << 30);
        assert_eq!(gather_packed(&rows, &picks, &k, &bias), gather_slow(&rows, &picks, &k, &bias));
    }
}

#[test]
fn gather_extremes() {
    for value in [-128, 127] {
        let (rows, picks, k, bias) =
            (vec![vec![value; 259]], vec![0; MAX_ROWS], vec![u32::MAX; 259], vec![0; 259]);
        assert_eq!(gather_packed(&rows, &picks, &k, &bias), gather_slow(&rows, &picks, &k, &bias));
    }
}

#[test]
fn requantize_random_and_around_ties() {
    let mut lcg = Lcg(3);
    for shift in [7, 8, 20, 31, 40] {
        let half = 1i64 << (shift - 1);
        let mut acc =
            vec![0, 1, -1, half, half - 1, -half, -half - 1, 255 * half, 255 * half - 1, 1 << 61, -(1 << 61)];
        let mut mult = vec![1u32; acc.len()];
        acc.extend(lcg.draws(53, -1 << 30, 1 << 30));
        mult.extend((0..53).map(|_| lcg.draw(0, (1 << 31) - 1) as u32 * 2));
        for relu in [false, true] {
            assert_eq!(
                requantize_packed(&acc, &mult, shift, relu),
                requantize_slow(&acc, &mult, shift, relu)
            );
        }
    }
}

#[test]
fn argmax_random_and_ties() {
    let mut lcg = Lcg(4);
    for n in (1..40).chain([400]) {
        for span in [1, 3, 1 << 30] {
            let values = lcg.draws(n, -span, span);
            let most = values.iter().max();
            assert_eq!(Some(argmax(&values)), values.iter().position(|v| Some(v) == most));
        }
    }
    assert_eq!(argmax(&[i64::from(i32::MIN), i64::from(i32::MAX), i64::from(i32::MAX)]), 1);
}

#[test]
fn argmax_within_random_and_ties() {
    let mut lcg = Lcg(5);
    for n in (1..40).chain([400]) {
        for span in [1, 3, 1 << 30] {
            let values = lcg.draws(n, -span, span);
            let labels: Vec<_> = lcg.draws(n, 0, 3).iter().map(|&label| label as u8 * 85).collect();
            let label = labels[lcg.draw(0, n as i64 - 1) as usize];
            let most = values.iter().zip(&labels).filter(|(_, l)| **l == label).map(|(v, _)| *v).max();
            let first = (0..n).position(|i| labels[i] == label && Some(values[i]) == most);
            assert_eq!(Some(argmax_within(&values, &labels, label.into())), first);
        }
    }
}

#[test]
fn choices() {
    let edges = [0, 1, -1, 127, 128, -128, i64::from(i32::MAX), i64::from(i32::MIN), 1 << 61, -(1 << 61)];
    let mask = |yes: bool| -i64::from(yes);
    for a in edges {
        assert_eq!(sign_mask(a), mask(a < 0));
        for b in edges {
            assert_eq!([lt(a, b), gt(a, b), ge(a, b)], [mask(a < b), mask(a > b), mask(a >= b)], "{a} {b}");
            assert_eq!([eq(a, b), ne(a, b)], [mask(a == b), mask(a != b)], "{a} {b}");
            assert_eq!([min(a, b), max(a, b)], [Ord::min(a, b), Ord::max(a, b)], "{a} {b}");
            assert_eq!([select(-1, a, b), select(0, a, b)], [a, b]);
            assert_eq!(clamp(a, -b.abs(), b.abs()), Ord::clamp(a, -b.abs(), b.abs()), "{a} {b}");
        }
    }
    assert_eq!(ne(i64::MIN, 0), -1);
    assert_eq!([requantize1(3, 1, 1), requantize1(-3, 1, 1), requantize1(-4, 1, 1)], [2, -1, -2]);
}
