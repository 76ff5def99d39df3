//! A recurrence whose states are written every `L` frames, head by head in turn. Between two writes a head's states `S`
//! stay as they are; what the frames since then gave is kept beside them.
//!
//! ```text
//! kept  = (kept decay) >> 15        G = (G decay) >> 15, the newest one gain        of all frames since the last write
//! k     = ((C B) G + 2^(30-f)) >> (31-f)
//! y     = ((kept (C S) + 2^(15-f) sum k x + 2^14) >> 15) + skip x
//! S     = (S kept + sum ((x G + 2^15) >> 16) B + 2^14) >> 15, then kept = 2^15, G = 0      where (t - head) mod L = L - 1
//! ```
//!
//! The memory is `u32`, each integer with `2^16` added; `t` is the frame's number mod `L`, and a head's place
//! `(t - head) mod L`:
//!
//! ```text
//! t | 0 | B of frame 0 .. L-1 | of each head: lost = 2^15 - kept | 0 | G of place 0 .. L-1 (| 0) | x of place 0 .. L-1 | S
//!
//!  bits       63..32      31..0
//!          +-----------+-----------+
//!          | x1 + 2^16 | x0 + 2^16 |   two channels; of states likewise, in groups of six words (the last may be smaller):
//!          | S1 + 2^16 | S0 + 2^16 |   cell by cell, the group's words one after the other
//!          |    B1     |    B0     |   two cells
//!          +-----------+-----------+
//! ```
//!
//! Sums of words times a code, or times a k, are exact in each lane once the biases' share is taken off, which is known
//! from the codes alone: `(C S)` and `sum k x` stay below `2^31` by the network's proof, and so does `S kept + sum w B +
//! 2^14`, whatever comes: a head never holds more than `2^16` in units of a state, as what it holds fades by a decay and
//! grows by what a frame writes. A state is written as in [`crate::ssm`].

use crate::ssm::{entry, HEAD_WORDS, STATE_BIAS};

/// Words of states, of two channels each, that the kernel works on at once.
pub const GROUP: usize = 6;

/// Most frames between two writes.
pub const EVERY_MAX: usize = 64;

/// What was biased.
fn value(element: u32) -> i64 {
    i64::from(element) - STATE_BIAS
}

/// The element of a biased value.
fn element(value: i64) -> u32 {
    (value + STATE_BIAS) as u32
}

/// The element, among those of a head's states, of a channel's cell.
pub fn place(channel: usize, cell: usize, channels: usize, cells: usize) -> usize {
    let (word, first) = (channel / 2, channel / 2 / GROUP * GROUP);
    let words = GROUP.min(channels / 2 - first);
    2 * (first * cells + cell * words + word - first) + channel % 2
}

/// What one frame gives to a head.
pub struct Frame<'a> {
    /// Codes of the head's channels.
    pub x: &'a [i64],
    /// C, cell by cell.
    pub c: &'a [i64],
    /// B of each frame of the ring, with bias.
    pub ring: &'a [u32],
    /// Decay, gain and skip.
    pub entry: (i64, i64, i64),
    /// Frames between two writes, the frame's number among them, and the head's.
    pub turn: (usize, usize, usize),
    /// `f`.
    pub places: u32,
}

impl Frame<'_> {
    /// B of the frame at a place of the head.
    fn b(&self, place: usize) -> &[u32] {
        let (every, _, head) = self.turn;
        &self.ring[(head + place) % every * self.c.len()..][..self.c.len()]
    }

    /// One head: its record moves on, and y of its channels is written.
    pub fn head(&self, record: &mut [u32], y: &mut [i64]) {
        let (channels, cells, (every, t, head)) = (self.x.len(), self.c.len(), self.turn);
        let ((decay, gain, skip), now) = (self.entry, (t + every - head % every) % every);
        let (lost, record) = record.split_at_mut(2);
        let (gains, record) = record.split_at_mut(every.next_multiple_of(2));
        let (rows, states) = record.split_at_mut(every * channels);
        let kept = ((1 << 15) - value(lost[0])).wrapping_mul(decay) >> 15;
        gains[..now].iter_mut().for_each(|g| *g = element(value(*g).wrapping_mul(decay) >> 15));
        gains[now] = element(gain);
        rows[now * channels..].iter_mut().zip(self.x).for_each(|(row, &x)| *row = element(x));
        let dot = |b: &[u32]| b.iter().zip(self.c).map(|(&b, c)| value(b) * c).sum::<i64>();
        let shift = 31 - self.places;
        let mut counts = [0; EVERY_MAX];
        for (place, k) in counts[..=now].iter_mut().enumerate() {
            *k = (dot(self.b(place)).wrapping_mul(value(gains[place])) + (1 << (shift - 1))) >> shift;
        }
        for (channel, y) in y.iter_mut().enumerate() {
            let late: i64 =
                (0..=now).map(|p| counts[p].wrapping_mul(value(rows[p * channels + channel]))).sum();
            let at = |cell| place(channel, cell, channels, cells);
            let read: i64 = self.c.iter().enumerate().map(|(cell, c)| value(states[at(cell)]) * c).sum();
            let sum = kept.wrapping_mul(read).wrapping_add(late << (15 - self.places)).wrapping_add(1 << 14);
            *y = (sum >> 15) + skip * self.x[channel];
        }
        lost[0] = element((1 << 15) - kept);
        if now + 1 == every {
            for channel in 0..channels {
                self.write(channel, kept, (gains, rows), states);
            }
            (lost[0], _) = (element(0), gains[..every].fill(element(0)));
        }
    }

    /// The states of one channel.
    fn write(&self, channel: usize, kept: i64, (gains, rows): (&[u32], &[u32]), states: &mut [u32]) {
        let (channels, cells) = (self.x.len(), self.c.len());
        for cell in 0..cells {
            let w = |p: usize| (value(rows[p * channels + channel]) * value(gains[p]) + (1 << 15)) >> 16;
            let written: i64 = (0..self.turn.0).map(|p| w(p) * value(self.b(p)[cell])).sum();
            let state = &mut states[place(channel, cell, channels, cells)];
            *state = element((value(*state) * kept + written + (1 << 14)) >> 15);
        }
    }
}

/// Portable twin of kernel `ssm_chunked_<CELLS>x<CHANNELS>_<EVERY>`: [`Frame::head`] for each head; t moves on and B joins
/// its ring.
///
/// `places` lists the addresses of x, of B (with C behind it), of a code of dt for each head, of the heads' tables, of the
/// memory and of the results.
///
/// # Safety
/// `places` reads six addresses: of `heads * CHANNELS` values, of `2 CELLS` values, of `heads` codes in `-128..=127`, of
/// `heads` tables, of the memory as this module says (read and written) and of `heads * CHANNELS` results (written); what is
/// written overlaps nothing else. `heads` is a positive multiple of `EVERY`; `CELLS` and `CHANNELS` are even. Numbers are as
/// this module says.
pub unsafe fn ssm_chunked_ref<
    const CELLS: usize,
    const CHANNELS: usize,
    const EVERY: usize,
    const PLACES: u32,
>(
    places: *const u64,
    heads: u64,
) {
    let (heads, start) = (heads as usize, 2 + EVERY * CELLS);
    let record = 2 + EVERY.next_multiple_of(2) + EVERY * CHANNELS + CHANNELS * CELLS;
    // SAFETY: the caller vouches for the addresses, the lengths behind them, and that nothing overlaps what is written.
    unsafe {
        let place = |i: usize| *places.add(i) as usize;
        let x = core::slice::from_raw_parts(place(0) as *const i64, heads * CHANNELS);
        let (b, c) = core::slice::from_raw_parts(place(1) as *const i64, 2 * CELLS).split_at(CELLS);
        let dt = core::slice::from_raw_parts(place(2) as *const i64, heads);
        let tables = core::slice::from_raw_parts(place(3) as *const u64, heads * HEAD_WORDS);
        let memory = core::slice::from_raw_parts_mut(place(4) as *mut u32, start + heads * record);
        let out = core::slice::from_raw_parts_mut(place(5) as *mut i64, heads * CHANNELS);
        let (front, records) = memory.split_at_mut(start);
        let t = value(front[0]).clamp(0, EVERY as i64 - 1) as usize;
        front[0] = element((t as i64 + 1) % EVERY as i64);
        front[2 + t * CELLS..].iter_mut().zip(b).for_each(|(kept, &b)| *kept = element(b));
        let each = records.chunks_exact_mut(record).zip(out.chunks_exact_mut(CHANNELS)).enumerate();
        for (head, (record, y)) in each {
            let frame = Frame {
                x: &x[head * CHANNELS..][..CHANNELS],
                c,
                ring: &front[2..],
                entry: entry(&tables[HEAD_WORDS * head..][..HEAD_WORDS], dt[head]),
                turn: (EVERY, t, head),
                places: PLACES,
            };
            frame.head(record, y);
        }
    }
}
