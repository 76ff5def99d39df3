// Machine-written by wm_export/rustgen.py (wmq export); do not edit.
//! One frame as ops: `begin` (inputs to codes), the network, `decode` and `push`; and its split into transactions.

use crate::{
    layout::{scratch, INPUT_BYTES, PLAYERS},
    network, rules,
};

/// Name of every op, in order.
pub const OPS: [&str; 10] =
    ["begin", "layer1", "gather", "relu1", "layer2", "relu2", "heads", "scale", "decode", "push"];

/// First op and the one after the last, of each transaction of a frame.
pub const PLAN: [(usize, usize); 1] = [(0, 10)];

/// Runs the ops of transaction `step` of a frame; `after_op` is called with the number of each op that ended.
///
/// # Safety
/// `blob`, `session` and `scratch` are the 8-byte aligned starts of areas of the lengths that `layout` gives, written
/// by this program alone; `scratch` and `session` overlap nothing. `step` is below `PLAN.len()`.
#[inline(always)]
pub unsafe fn run(
    step: usize,
    inputs: &[[u8; INPUT_BYTES]; PLAYERS],
    blob: *const u8,
    session: *mut u8,
    scratch: *mut u8,
    mut after_op: impl FnMut(usize, *mut u8),
) {
    // SAFETY: the caller's contract is that of every call below.
    unsafe {
        if step == 0 {
            rules::encode_inputs(inputs, scratch.add(scratch::CODES + 4640));
            after_op(0, scratch);
            network::op(0, blob, session, scratch);
            after_op(1, scratch);
            network::op(1, blob, session, scratch);
            after_op(2, scratch);
            network::op(2, blob, session, scratch);
            after_op(3, scratch);
            network::op(3, blob, session, scratch);
            after_op(4, scratch);
            network::op(4, blob, session, scratch);
            after_op(5, scratch);
            network::op(5, blob, session, scratch);
            after_op(6, scratch);
            network::op(6, blob, session, scratch);
            after_op(7, scratch);
            rules::decode(session, scratch);
            after_op(8, scratch);
            rules::push(session, scratch);
            after_op(9, scratch);
        }
    }
}
