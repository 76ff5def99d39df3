//! Each kernel's portable twin against the same sum on unpacked integers: random values and extremes.

mod common;
use common::*;
use wmq_kernels::{
    branchless::*,
    geometry::*,
    matvec::{lane_bits, lanes},
};

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
fn divided(product: i128, shift: u64) -> i64 {
    let unit = 1i128 << shift;
    (product + unit / 2).div_euclid(unit) as i64
}

const ENDINGS: [&str; 6] = [
    "requantize",
    "requantize_relu",
    "requantize_code",
    "requantize_fine",
    "requantize_wide",
    "requantize_add",
];

/// What a requantize kernel keeps its results inside: nothing, `0..=127`, or `-most..=most`.
fn ends(name: &str) -> (i64, i64) {
    match name {
        "requantize" => (i64::MIN, i64::MAX),
        "requantize_relu" => (0, 127),
        "requantize_code" => (-127, 127),
        "requantize_fine" => (-2047, 2047),
        "requantize_wide" | "requantize_add" => (-WIDE_MAX, WIDE_MAX),
        _ => panic!("no kernel `{name}`"),
    }
}

/// What a requantize kernel computes, with its clamp; one that adds, to `out`.
fn requantize_slow(name: &str, acc: &[i64], mult: &[u32], out: &[i64], shift: u64) -> Vec<i64> {
    let (low, high) = ends(name);
    let one = |((acc, mult), out): ((&i64, &u32), &i64)| {
        let value = divided(i128::from(*acc) * i128::from(*mult), shift);
        let start = if name == "requantize_add" { *out } else { 0 };
        (value + start).clamp(low, high)
    };
    acc.iter().zip(mult).zip(out).map(one).collect()
}

#[test]
fn matvec_random() {
    let mut lcg = Lcg(1);
    for (bits, lanes) in LANES {
        // Half of what a weight can be, so that many columns stay inside a lane of three or four.
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
fn matvec_that_ends_as_requantize_is_matvec_then_requantize() {
    let mut lcg = Lcg(8);
    for (bits, lanes) in LANES {
        for r in 1..=MATVEC_MAX_R {
            for (finish, (columns, shift)) in
                ENDINGS.iter().zip([(1, 7), (37, 9), (64, 20), (98, 8), (32, 40), (9, 7)])
            {
                let (count, most) = (2 * lanes * r, weight_max(bits) / 2);
                let rows: Vec<_> = (0..count).map(|_| lcg.draws(columns, -most, most)).collect();
                let x = lcg.draws(columns, -128, 127);
                let mult = lcg.draws(count, 0, 1 << (shift / 2)).iter().map(|&mult| mult as u32).collect();
                let scales = Scales { bias: lcg.draws(count, -1 << 20, 1 << 20), mult, shift, broken: false };
                let out = lcg.draws(count, -WIDE_MAX, WIDE_MAX);
                let sums = matvec_slow(&rows, &x, &scales.bias);
                let expected = requantize_slow(finish, &sums, &scales.mult, &out, shift);
                assert_eq!(
                    finished_packed(&rows, &x, &scales, out, (bits, r, finish)),
                    expected,
                    "{bits} {r} {finish}"
                );
            }
        }
    }
}

#[test]
fn matvec_in_blocks_of_which_each_fills_its_lanes() {
    // In every block sums of -half a lane's range, or of half of it less 1, whichever their neighbours have.
    let mut lcg = Lcg(10);
    for (bits, lanes) in LANES {
        let half = 1i64 << (lane_bits(lanes) - 1);
        for r in 1..=MATVEC_MAX_R + 1 {
            for (finish, columns) in ENDINGS.iter().zip([1, 4, 5, 6, 10, 23]) {
                let (count, shift) = (2 * lanes * r, 9);
                let mut rows: Vec<_> = (0..count).map(|_| vec![0; columns]).collect();
                let mut x = lcg.draws(columns, -9, 9);
                for first in (0..columns).step_by(BLOCK) {
                    x[first] = 1 - half;
                    x[first + 1..columns.min(first + 2)].fill(1);
                    for row in &mut rows {
                        row[first] = lcg.draw(-1, 1);
                        row[first + 1..columns.min(first + 2)].fill(-1);
                    }
                }
                let mult = lcg.draws(count, 0, 1 << 14).iter().map(|&mult| mult as u32).collect();
                let scales = Scales { bias: lcg.draws(count, -1 << 20, 1 << 20), mult, shift, broken: true };
                let out = lcg.draws(count, -WIDE_MAX, WIDE_MAX);
                let sums = matvec_slow(&rows, &x, &scales.bias);
                let expected = requantize_slow(finish, &sums, &scales.mult, &out, shift);
                let got = finished_packed(&rows, &x, &scales, out, (bits, r, finish));
                assert_eq!(got, expected, "{bits} {r} {finish}");
            }
        }
    }
}

#[test]
fn matvec_lanes_at_their_bound_do_not_touch_each_other() {
    // 64 * 127 * 128 = 2^20 - 8192, 16 * 511 * 128 = 2^20 - 2048, 32 * 7 * 128 = 2^15 - 4096, 16 * 15 * 128 = 2^15 - 2048
    // and 512 * 32767 * 128 = 2^31 - 65536, in every mixture of lanes.
    for (bits, columns) in [(16, 512), (8, 64), (10, 16), (4, 32), (5, 16)] {
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
fn requantize_random_and_around_ties_and_ends() {
    let mut lcg = Lcg(3);
    for name in ENDINGS {
        for shift in [7, 8, 20, 31, 40] {
            let half = 1i64 << (shift - 1);
            let mut acc = vec![0, 1, -1, half, half - 1, -half, -half - 1, 1 << 61, -(1 << 61)];
            for end in [127, 2047, WIDE_MAX] {
                // The last value that is an end, the first beyond it, and the same below.
                acc.extend([(2 * end + 1) * half - 1, (2 * end + 1) * half]);
                acc.extend([-(2 * end + 1) * half, -(2 * end + 1) * half - 1]);
            }
            let mut mult = vec![1u32; acc.len()];
            acc.extend(lcg.draws(51, -1 << 30, 1 << 30));
            mult.extend((0..51).map(|_| lcg.draw(0, (1 << 31) - 1) as u32 * 2));
            for start in [0, 1, -1, WIDE_MAX, -WIDE_MAX] {
                let out = vec![start; acc.len()];
                let expected = requantize_slow(name, &acc, &mult, &out, shift);
                assert_eq!(requantize_packed(name, &acc, &mult, out, shift), expected, "{name}");
            }
        }
    }
}

#[test]
fn lut_of_every_code() {
    let mut lcg = Lcg(6);
    let codes: Vec<_> = (-2048..2048).collect();
    for table in
        [lcg.draws(4096, -(1 << 15), (1 << 15) - 1), vec![-(1 << 15); 4096], vec![(1 << 15) - 1; 4096]]
    {
        assert_eq!(lut_packed(&codes, &table), table);
    }
}

#[test]
fn gate_random_and_around_ties() {
    let mut lcg = Lcg(7);
    for shift in [1, 11, 40] {
        let half = 1i64 << (shift - 1);
        let mut values =
            vec![half, half - 1, -half, -half - 1, WIDE_MAX, -WIDE_MAX, WIDE_MAX, -WIDE_MAX, 1 << 30];
        let mut by = vec![1, 1, 1, 1, 1 << 32, 1 << 32, -(1 << 32), -(1 << 32), 1 << 31];
        values.extend(lcg.draws(39, -WIDE_MAX, WIDE_MAX));
        by.extend(lcg.draws(39, -2047, 2047));
        let product = |(a, b): (&i64, &i64)| divided(i128::from(*a) * i128::from(*b), shift);
        let expected: Vec<_> = values.iter().zip(&by).map(product).collect();
        assert_eq!(gate_packed(&values, &by, shift), expected);
    }
}

#[test]
fn gated_norm_is_requantize_then_lut_then_gate_then_rmsnorm() {
    let mut lcg = Lcg(9);
    let (table, roots) = (lcg.draws(4096, -2047, 2047), (256..1024).map(|m| m << 22).collect::<Vec<_>>());
    for (shift, eps) in [(1, 1), (20, 1 << 30), (40, 77)] {
        let mut acc = lcg.draws(48, -(1 << 30), 1 << 30);
        let most = WIDE_MAX << shift;
        acc[..6].copy_from_slice(&[most, -most, most + (1 << shift), -most - (1 << shift), 1 << 61, 0]);
        let mut mult = lcg.draws(48, 0, (1 << 21) - 1);
        mult[..6].fill(1);
        let mut codes = lcg.draws(48, -2048, 2047);
        codes[..2].copy_from_slice(&[-2048, 2047]);
        let words: Vec<_> = mult.iter().map(|&mult| mult as u32).collect();
        let wide = requantize_packed("requantize_wide", &acc, &words, vec![0; 48], shift);
        let gated = gate_packed(&wide, &lut_packed(&codes, &table), 11);
        let expected = rmsnorm_packed(&gated, eps, &roots, 12);
        let by = Gated { table: table.clone(), eps, roots: roots.clone(), norm_shift: 12, shift, mult };
        assert_eq!(gated_norm_packed(&acc, &codes, &by), expected);
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

/// What a memory holds of a channel: its last three codes, oldest first.
fn kept_packed(codes: &[i64]) -> u64 {
    ((codes[0] << 43) + (codes[1] << 22) + (codes[2] << 1)) as u64
}

/// Frame by frame on plain vectors: what a convolution gives, as sums and looked up, and that the memory holds the last
/// three codes.
fn conv_checked(taps: &[Vec<i64>], bias: &[i64], then: &LookedUp, frames: &[Vec<i64>]) {
    let n = bias.len();
    let (mut memory, mut other, mut seen) = (vec![0; n], vec![0; n], vec![vec![0; n]; 3]);
    for x in frames {
        let got = conv_packed(taps, bias, &mut memory, x);
        let looked_up = conv_lut_packed(taps, bias, then, &mut other, x);
        assert_eq!(memory, other);
        seen.push(x.clone());
        let last = &seen[seen.len() - 4..];
        for c in 0..n {
            let sum: i64 = (0..4).map(|i| taps[c][i] * last[i][c]).sum();
            assert_eq!(got[c], bias[c] + sum);
            let code = divided(i128::from(got[c]) * i128::from(then.mult[c]), then.shift).clamp(-2047, 2047);
            assert_eq!(looked_up[c], then.table[(code + 2048) as usize]);
            assert_eq!(memory[c], kept_packed(&last[1..].iter().map(|codes| codes[c]).collect::<Vec<_>>()));
        }
    }
}

#[test]
fn conv_random() {
    let mut lcg = Lcg(6);
    for (n, shift) in [(1, 4u64), (7, 20), (8, 31), (9, 40), (40, 51)] {
        let taps: Vec<_> = (0..n).map(|_| lcg.draws(4, -128, 127)).collect();
        let bias = lcg.draws(n, -1 << 21, 1 << 21);
        let table = lcg.draws(4096, -(1 << 15), (1 << 15) - 1);
        // Sums of some channels stay inside of the table, of others not.
        let then =
            LookedUp { mult: lcg.draws(n, 0, 1 << shift.saturating_sub(7).clamp(3, 30)), shift, table };
        let frames: Vec<_> = (0..6).map(|_| lcg.draws(n, -2048, 2047)).collect();
        conv_checked(&taps, &bias, &then, &frames);
    }
}

#[test]
fn conv_extremes() {
    let ends = [-2048, 2047, 0, -1];
    let table: Vec<_> = (0..4096).map(|place| (place * 7919) % 65536 - 32768).collect();
    for (i, tap) in [-128, 127].into_iter().enumerate() {
        let taps: Vec<Vec<_>> =
            (0..16).map(|c| (0..4).map(|k| if c >> k & 1 == 0 { tap } else { -1 - tap }).collect()).collect();
        let most = i64::from(i32::MAX) - 4 * 2048 * 128;
        let bias: Vec<_> = (0..16).map(|c| if (c + i) % 2 == 0 { most } else { -most }).collect();
        let frames: Vec<_> = (0..64).map(|t| vec![ends[(t >> (2 * (t % 3))) % 4]; 16]).collect();
        for shift in [4, 51] {
            let mult = (0..16).map(|c| if c % 3 == 0 { 1 } else { (1 << 21) - 1 }).collect();
            conv_checked(&taps, &bias, &LookedUp { mult, shift, table: table.clone() }, &frames);
        }
    }
}

/// The last sum of a code and the first of the next, at both ends of the table and beyond.
#[test]
fn conv_lut_around_ties_and_ends() {
    let (table, shift) = ((0..4096).map(|place| place - 2048).collect::<Vec<_>>(), 12);
    let bias: Vec<_> = [-2049, -2048, -2047, -1, 0, 1, 2046, 2047, 2048]
        .into_iter()
        .flat_map(|code| [(code << shift) - (1 << 11) - 1, (code << shift) - (1 << 11)])
        .collect();
    let n = bias.len();
    let then = LookedUp { mult: vec![1; n], shift, table };
    conv_checked(&vec![vec![0; 4]; n], &bias, &then, &[vec![0; n]]);
}

/// With roots that say their mantissa: at both ends of every power of two, and between.
#[test]
fn rmsnorm_mantissas() {
    let (roots, values) = ((256..1024).collect::<Vec<_>>(), [1, -1, 0, 1000, -1000]);
    let squares: i64 = values.iter().map(|v| v * v).sum();
    for sum in (21..53).flat_map(|bits| [1i64 << bits, (1 << bits) | 1 << (bits / 2), (2 << bits) - 1]) {
        let half = (0..).find(|half| sum >> (2 * half) < 1024).expect("few places");
        let (m, shift) = (sum >> (2 * half), 10 + half);
        let want = values.map(|v| (v * m + (1 << (shift - 1))).div_euclid(1 << shift));
        assert_eq!(rmsnorm_packed(&values, sum - squares, &roots, 10), want, "{sum}");
    }
    for sum in 1..1024 {
        let half = (0..).find(|half| sum << (2 * half) >= 256).expect("few places");
        let (m, shift) = (sum << (2 * half), 10 - half);
        assert_eq!(rmsnorm_packed(&[0, 0], sum, &roots, 10), [0, 0]);
        let want = (m + (1 << (shift - 1))).div_euclid(1 << shift);
        assert!(sum == 1 || rmsnorm_packed(&[1], sum - 1, &roots, 10) == [want], "{sum}");
    }
}

#[test]
fn rmsnorm_random() {
    let mut lcg = Lcg(8);
    for n in [1, 7, 8, 9, 40] {
        for bits in 0..21 {
            let (values, eps) = (lcg.draws(n, -(1 << bits), 1 << bits), lcg.draw(1, 1 << 30));
            let roots: Vec<_> =
                (0..768).map(|m| (f64::from(1 << 24) / f64::from(m + 256).sqrt()) as i64).collect();
            let got = rmsnorm_packed(&values, eps, &roots, 10);
            let sum = values.iter().fold(eps, |sum, value| sum + value * value) as f64;
            let exact = |v: &i64| *v as f64 * 16384.0 / sum.sqrt();
            let near =
                |(got, v): (&i64, &i64)| (*got as f64 - exact(v)).abs() <= exact(v).abs() / 256.0 + 1.0;
            assert!(got.iter().zip(&values).all(near), "{n} {bits}");
        }
    }
}

/// The recurrence on plain vectors, with a floor division in 128 bits.
fn ssm_checked(lcg: &mut Lcg, decay: i64, most: i64, cells: usize, ends: bool) {
    let (heads, channels) = (2, 3);
    let room = ((1 << 31) - (1 << 14) - 65535 * decay.abs() - 1) / most * (1 << 16) / most - (1 << 16);
    let gain = room.clamp(0, i64::from(i32::MAX));
    let full = |value| vec![vec![value; 256]; heads];
    let skip = [1 << 18, -(1 << 18)];
    let mut ssm = Ssm::new(&full(decay), &full(gain), &skip, channels, cells);
    let mut h = vec![vec![0i64; cells]; heads * channels];
    for _ in 0..40 {
        let mut codes = lcg.draws(heads * channels + 2 * cells, -most, most);
        if ends {
            codes.iter_mut().for_each(|code| *code = if *code < -most / 4 { -most } else { most });
        }
        let got = ssm.frame(&codes, &[-128, 127]);
        let (x, bc) = codes.split_at(heads * channels);
        for (row, h) in h.iter_mut().enumerate() {
            let floor = |value: i64, bits: u32| i128::from(value).div_euclid(1 << bits) as i64;
            let w = floor(x[row] * gain + (1 << 15), 16);
            for (state, b) in h.iter_mut().zip(bc) {
                *state = floor(*state * decay + w * b + (1 << 14), 15);
                assert!(state.abs() <= 65535);
            }
            let y: i64 = h.iter().zip(&bc[cells..]).map(|(h, c)| h * c).sum();
            assert_eq!(got[row], y + x[row] * skip[row / channels]);
            let kept = &ssm.memory[row * cells.next_multiple_of(2)..][..cells];
            assert!(kept.iter().zip(h).all(|(&kept, &mut h)| i64::from(kept) == h + (1 << 16)));
        }
        assert!(cells.is_multiple_of(2) || ssm.memory.chunks(cells + 1).all(|row| row[cells] == 1 << 16));
    }
}

#[test]
fn ssm_random_and_extremes() {
    let mut lcg = Lcg(7);
    for decay in [0, 1, 20_000, 32_766, 32_767, -32_767] {
        for most in [1, 127, 2047] {
            for (cells, ends) in [(1, true), (2, false), (5, true), (32, true), (33, false), (64, true)] {
                ssm_checked(&mut lcg, decay, most, cells, ends);
            }
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
