//! The portable twin of the recurrence whose heads are written in turn, on plain vectors.

use crate::common::Ssm;
use wmq_kernels::{chunked::*, ssm::STATE_BIAS};

/// The twin under test and what it keeps.
pub struct Chunked {
    pub memory: Vec<u32>,
    tables: Vec<u64>,
    shape: (usize, usize, usize),
}

impl Chunked {
    /// Decays and gains by head and code, skips by head; of so many channels of so many cells, written every so many frames.
    pub fn new(decay: &[Vec<i64>], gain: &[Vec<i64>], skip: &[i64], shape: (usize, usize, usize)) -> Self {
        let (channels, cells, every) = shape;
        let tables = Ssm::new(decay, gain, skip, channels, cells).tables;
        let record = 2 + every.next_multiple_of(2) + every * channels + channels * cells;
        Self { memory: vec![STATE_BIAS as u32; 2 + every * cells + skip.len() * record], tables, shape }
    }

    /// One frame: `codes` are x, B and C one after the other.
    pub fn frame(&mut self, codes: &[i64], dt: &[i64]) -> Vec<i64> {
        let rows = dt.len() * self.shape.0;
        let mut out = vec![0; rows];
        let places = [
            codes.as_ptr() as u64,
            codes[rows..].as_ptr() as u64,
            dt.as_ptr() as u64,
            self.tables.as_ptr() as u64,
            self.memory.as_mut_ptr() as u64,
            out.as_mut_ptr() as u64,
        ];
        let twin = match self.shape {
            (4, 4, 2) => ssm_chunked_ref::<4, 4, 2, 3>,
            (14, 6, 3) => ssm_chunked_ref::<6, 14, 3, 3>,
            shape => panic!("no twin of {shape:?} here"),
        };
        // SAFETY: all have the lengths that this shape asks for, and are vectors of their own.
        unsafe { twin(places.as_ptr(), dt.len() as u64) };
        out
    }
}
