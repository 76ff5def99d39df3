//! What the world does to a work area: its window of records, and the transactions of a frame.

use pinocchio::{error::ProgramError, ProgramResult};
use wmq_world::{
    in_range,
    layout::{Blobs, AXIS_RANGES, FRAME_BYTES, PLAYERS, SESSION_IDS, SESSION_VOCAB},
    push, run, session_bias,
};

use crate::{
    accounts::Area,
    error::{require, WorldError},
    instruction::{Input, Record},
    memory,
};

/// Checks that a controller can send this.
///
/// # Errors
/// `WrongInput`.
#[inline(always)]
pub fn check_input(input: &Input) -> Result<(), ProgramError> {
    for (&axis, (low, high)) in input.iter().zip(AXIS_RANGES) {
        require(low <= axis as i8 && axis as i8 <= high, WorldError::WrongInput)?;
    }
    Ok(())
}

/// Checks that every input and every field of a record lies in its range, so that no table is read outside its end.
///
/// # Errors
/// `WrongInput`, `WrongRecord`.
#[inline(never)]
pub fn check_record(record: &Record) -> Result<(), ProgramError> {
    for input in &record.inputs {
        check_input(input)?;
    }
    require(in_range(record.frame), WorldError::WrongRecord)
}

/// Checks that every id of a session lies in its table.
///
/// # Errors
/// `WrongIds`.
pub fn check_ids(ids: &[u16; SESSION_IDS]) -> ProgramResult {
    let allowed = ids.iter().enumerate().all(|(i, &id)| id < SESSION_VOCAB.get(i).copied().unwrap_or(1));
    require(allowed, WorldError::WrongIds)
}

/// Writes what a session with these ids begins with into a work area: the start of its first accumulator, an empty memory.
///
/// The ids are checked again: what a rollup commits is its operator's word, and they say where the model is read.
///
/// # Errors
/// `WrongIds`.
#[inline(never)]
pub fn write_bias(all: &[u16; SESSION_IDS], blobs: Blobs, work: Area) -> ProgramResult {
    check_ids(all)?;
    let ids: [u16; SESSION_VOCAB.len()] = core::array::from_fn(|i| all[i]);
    // SAFETY: the ids lie in their tables; the model's shards and the work area are as long as `layout` says.
    unsafe { session_bias(&ids, blobs, work.start()) }
    memory::hash_all(work);
    Ok(())
}

/// A Frame where rules may read it.
#[repr(align(8))]
struct Aligned([u8; FRAME_BYTES]);

/// Pushes a record whose fields are in range into a window.
#[inline(never)]
pub fn push_record(work: Area, record: &Record) {
    let mut frame = Aligned(*record.frame);
    // SAFETY: the work area lies in a checked account, 8-byte aligned; so is the Frame; the record was checked.
    unsafe { push(&record.inputs, frame.0.as_mut_ptr(), work.start()) }
}

/// Makes a record's Frame the one that an account holds.
pub fn write_frame(frame: Area, record: &Record) {
    // SAFETY: the Frame lies in a checked account; instruction data is elsewhere.
    unsafe { core::ptr::copy_nonoverlapping(record.frame.as_ptr(), frame.start(), FRAME_BYTES) }
}

/// `run`, once in the program: a frame that is played and one that is judged are computed by the same instructions.
///
/// # Safety
/// `step` is below the Plan's length; the areas are the shards of a model's blob, and the Frame and work area of accounts that only
/// this program has written. They do not overlap.
#[inline(never)]
pub unsafe fn run_transaction(step: usize, inputs: &[Input; PLAYERS], blobs: Blobs, frame: Area, work: Area) {
    // SAFETY: the caller's contract; areas are 8-byte aligned and as long as `layout` says.
    unsafe { run(step, inputs, blobs, frame.start(), work.start(), meter) }
}

/// Without the feature `meter`: nothing, and no cost.
#[cfg(not(feature = "meter"))]
#[inline(always)]
fn meter(_op: usize, _work: *mut u8) {}

/// Writes the compute units left behind the work area, one `u64` per op.
#[cfg(feature = "meter")]
#[inline(always)]
fn meter(op: usize, work: *mut u8) {
    // SAFETY: the account was checked to be longer than `scratch::BYTES` by a reading per op and one more.
    unsafe {
        let left = pinocchio::syscalls::sol_remaining_compute_units();
        (work.add(wmq_world::layout::work::BYTES) as *mut u64).add(op).write(left);
    }
}

/// One more reading, right after the last: what a reading costs.
#[cfg(feature = "meter")]
#[inline(always)]
pub fn meter_reading(work: Area) {
    meter(wmq_world::OPS.len(), work.start());
}
