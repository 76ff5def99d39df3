// Machine-written by wm_export/lower/kernel_files.py; do not edit.
//! Sizes that the kernels, the weights of a blob and the calls agree on.

/// Bits of a weight, and rows in a word.
pub const LANES: [(usize, usize); 5] = [(8, 3), (4, 4), (5, 4), (10, 3), (16, 2)];
/// Most words of a column.
pub const MATVEC_MAX_R: usize = 6;
/// Words of a gathered row in one block.
pub const WORDS_PER_BLOCK: usize = 37;
/// Entries of a gathered row in one word.
pub const ENTRIES_PER_WORD: usize = 7;
/// Entries of a gathered row in one block.
pub const ENTRIES_PER_BLOCK: usize = 259;
/// Gathered rows come in multiples of this.
pub const ROWS_STEP: usize = 8;
/// Most gathered rows in one sum.
pub const MAX_ROWS: usize = 256;
