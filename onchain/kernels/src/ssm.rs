//! The recurrence of a Mamba-2, frame by frame: `h = (h decay + w B + 2^14) >> 15`, `w = (x gain + 2^15) >> 16`,
//! `out = h C + skip x`.
//!
//! ```text
//!  bits       63..32      31..0
//!          +-----------+-----------+
//!          | h1 + 2^16 | h0 + 2^16 |   memory, a word for two cells of a channel
//!          |   gain    |   decay   |   tables[head][dt + 128]
//!          |   skip    |     0     |   tables[head][256]
//!          +-----------+-----------+
//!          |    B1     |    B0     |   in the kernel's frame
//!          |    C0     |    C1     |
//!          +-----------+-----------+
//! ```
//!
//! Both lanes of a word decay and are written by one multiplication each. The bias decays too, so `2^16 decay` is taken
//! off again, and `2^31` added: a lane holds `h decay + w B + 2^14 + 2^31`, which is between 0 and `2^32` because the
//! network's proof keeps `65535 |decay| + |w| |B| + 2^14` below `2^31`. Shifted by 15 it is the next `h + 2^16`, of 17 bits
//! once what the upper lane shifted in is masked away.
//!
//! `(h0 + h1 2^32) (C1 + C0 2^32)` has `h0 C0 + h1 C1` in its upper half and in the lower one `h0 C1`. Sums of both stay
//! below `2^31` in magnitude: the proof keeps `65535 sum |C| + |skip x|` below it. What the biases add is known from `C`
//! alone, and taken off before the first channel; with `2^31` on top nothing is carried from the lower half.

/// What is added to a state where it lies in memory.
pub const STATE_BIAS: i64 = 1 << 16;
/// Codes of a step size.
pub const CODES: usize = 256;
/// Words of a head's table.
pub const HEAD_WORDS: usize = CODES + 1;

/// Decay, gain and skip of a head whose step size has the code `dt`.
pub fn entry(table: &[u64], dt: i64) -> (i64, i64, i64) {
    let word = table[(dt + CODES as i64 / 2) as usize];
    (i64::from(word as i32), word as i64 >> 32, table[CODES] as i64 >> 32)
}

/// One channel: its states `memory` decay and are written to, and what is read is returned.
pub fn channel(
    x: i64,
    b: &[i64],
    c: &[i64],
    (decay, gain, skip): (i64, i64, i64),
    memory: &mut [u32],
) -> i64 {
    let w = (x * gain + (1 << 15)) >> 16;
    let mut y = skip * x;
    for ((state, b), c) in memory.iter_mut().zip(b).zip(c) {
        let h = ((i64::from(*state) - STATE_BIAS) * decay + w * b + (1 << 14)) >> 15;
        *state = (h + STATE_BIAS) as u32;
        y += h * c;
    }
    y
}

/// Portable twin of kernel `ssm_<CELLS>`: [`channel`] for `channels` channels of each head, of `CELLS` cells each.
///
/// `places` lists the addresses of x, of B (with C behind it), of a code of dt for each head, of the heads' tables, of the
/// memory and of the results.
///
/// # Safety
/// `places` reads six addresses: of `heads * channels` values, of `2 CELLS` values, of `heads` codes in `-128..=127`, of
/// `heads` tables, of `heads * channels` channels of states, `CELLS` each and one more where that is odd (read and
/// written), and of `heads * channels` results (written); what is written overlaps nothing else. No size is zero; `CELLS` is
/// at most 192, and a cell without a B holds the state zero. Numbers are as this module says.
pub unsafe fn ssm_ref<const CELLS: usize>(places: *const u64, heads: u64, channels: u64) {
    let (heads, channels, width) = (heads as usize, channels as usize, CELLS.next_multiple_of(2));
    let rows = heads * channels;
    // SAFETY: the caller vouches for the addresses, the lengths behind them, and that nothing overlaps what is written.
    unsafe {
        let place = |i: usize| *places.add(i) as usize;
        let x = core::slice::from_raw_parts(place(0) as *const i64, rows);
        let (b, c) = core::slice::from_raw_parts(place(1) as *const i64, 2 * CELLS).split_at(CELLS);
        let dt = core::slice::from_raw_parts(place(2) as *const i64, heads);
        let tables = core::slice::from_raw_parts(place(3) as *const u64, heads * HEAD_WORDS);
        let memory = core::slice::from_raw_parts_mut(place(4) as *mut u32, rows * width);
        let out = core::slice::from_raw_parts_mut(place(5) as *mut i64, rows);
        for (row, memory) in memory.chunks_exact_mut(width).enumerate() {
            let head = row / channels;
            let picked = entry(&tables[HEAD_WORDS * head..][..HEAD_WORDS], dt[head]);
            out[row] = channel(x[row], b, c, picked, memory);
        }
    }
}
