// Machine-written by wm_export/solana/rust.py (wmq export); do not edit.
//! One frame as ops: `begin` (inputs to codes), the network, `decode` and `push`; and its split into transactions.

use crate::{
    layout::{Blobs, INPUT_BYTES, PLAYERS},
    network, rules,
};

/// Name of every op, in order.
pub const OPS: [&str; 8] = ["begin", "layer1", "gather", "relu1", "layer2", "heads", "decode", "push"];

/// First op and the one after the last, of each transaction of a frame.
pub const PLAN: [(usize, usize); 1] = [(0, 8)];

/// Runs the ops of transaction `step` of a frame; `after_op` is called with the number of each op that ended.
///
/// # Safety
/// `blobs`, `frame` and `work` are the 8-byte aligned starts of areas of the lengths that `layout` gives, which do not
/// overlap; `frame` and `work` were written by this crate alone. `step` is below `PLAN.len()`.
#[inline(always)]
pub unsafe fn run(
    step: usize,
    inputs: &[[u8; INPUT_BYTES]; PLAYERS],
    blobs: Blobs,
    frame: *mut u8,
    work: *mut u8,
    mut after_op: impl FnMut(usize, *mut u8),
) {
    // SAFETY: the caller's contract is that of every call below.
    unsafe {
        if step == 0 {
            rules::encode_inputs(inputs, work);
            after_op(0, work);
            network::layer1(blobs, work);
            after_op(1, work);
            network::gather(blobs, work);
            after_op(2, work);
            network::relu1(blobs, work);
            after_op(3, work);
            network::layer2(blobs, work);
            after_op(4, work);
            network::heads(blobs, work);
            after_op(5, work);
            rules::decode(frame, work);
            after_op(6, work);
            rules::push(frame, work);
            after_op(7, work);
        }
    }
}

/// Moves the window on by a Frame that is known already, and the inputs it was computed with.
///
/// # Safety
/// As `run`; every field of the Frame is in its range.
pub unsafe fn push(inputs: &[[u8; INPUT_BYTES]; PLAYERS], frame: *const u8, work: *mut u8) {
    // SAFETY: the caller's contract is that of both calls.
    unsafe {
        rules::encode_inputs(inputs, work);
        rules::push(frame, work);
    }
}
