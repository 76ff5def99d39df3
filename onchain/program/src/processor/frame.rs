//! A frame: inputs of both players, then the transactions of the Plan.

use pinocchio::{error::ProgramError, ProgramResult};
use wmq_world::{
    layout::{model, scratch, session, FRAME_BYTES, PEAKS, PLAYERS},
    run, PLAN,
};

use super::{check_input, Context};
use crate::{
    error::{require, WorldError},
    instruction::{Input, Record},
    state::{load, load_mut, Session, Status, MODEL, SCRATCH},
    tree::{self, Hash},
};

/// `submit_input`: keeps a player's input for a frame, once.
///
/// ```text
/// data      player u8 | frame u64 | an i8 per axis, button bits
/// accounts  0 [signer]    the player's wallet or session key
///           1 [writable]  session
/// ```
/// # Errors
/// `NotEnoughAccountKeys`; those of `Session::load_mut`, `acts_for` and `keep_input`; `WrongStatus`, `WrongInput`.
#[inline(always)]
pub fn submit_input(context: Context, player: u8, frame: u64, input: &Input) -> ProgramResult {
    let Context { program, accounts } = context;
    let [signer, session] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let mut session = Session::load_mut(program, session)?;
    session.acts_for(player, signer)?;
    session.require(Status::Started)?;
    check_input(input)?;
    session.keep_input(player, frame, input)
}

/// `step`: runs one transaction of a frame. Anyone may send it: what it computes follows from the accounts.
///
/// ```text
/// data      frame u64 | step u8
/// accounts  0 [writable]  session
///           1 [writable]  scratch
///           2 []          model
/// ```
/// The cursor (frame, step) of the session makes a step idempotent: one that was run, or is not next, changes nothing.
/// The last step appends the frame's record to the hash tree and moves the session on.
///
/// # Errors
/// `NotEnoughAccountKeys`, `SameAccount`; those of `state`; `WrongAccount`, `WrongStatus`, `WindowMissing`, `WrongFrame`,
/// `WrongStep`, `MissingInput`.
#[inline(always)]
pub fn step(context: Context, frame: u64, step: u8) -> ProgramResult {
    let Context { program, accounts } = context;
    let [session_account, scratch_account, model_account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(session_account.address() != scratch_account.address(), WorldError::SameAccount)?;
    let mut session_data = Session::load_mut(program, session_account)?;
    let mut scratch_data = load_mut(program, scratch_account, &SCRATCH)?;
    let model_data = load(program, model_account, &MODEL)?;
    require(session_data.fields().names(session::MODEL, model_account.address()), WorldError::WrongAccount)?;
    require(scratch_data.names(scratch::SESSION, session_account.address()), WorldError::WrongAccount)?;
    session_data.require(Status::Started)?;
    require(frame == session_data.frame_number(), WorldError::WrongFrame)?;
    require(super::scratch::window_stands_at(&scratch_data, frame), WorldError::WindowMissing)?;
    let step = usize::from(step);
    let next = session_data.fields().get::<u32>(session::STEP) as usize;
    require(step == next && step < PLAN.len(), WorldError::WrongStep)?;
    let inputs = session_data.inputs()?;
    // SAFETY: the three accounts are distinct (their tags differ), owned by this program, and as long as `layout` says;
    // account data is 8-byte aligned, and so are the offsets of blob, Frame and work area. Only this program wrote them.
    unsafe {
        let (blob, work) = (model_data.start().add(model::BLOB), scratch_data.start().add(scratch::WORK));
        run_transaction(step, &inputs, blob, session_data.frame(), work);
        #[cfg(feature = "meter")]
        meter(wmq_world::OPS.len(), work); // right after the last reading: what a reading costs
    }
    if step + 1 < PLAN.len() {
        session_data.fields_mut().set(session::STEP, step as u32 + 1);
        return Ok(());
    }
    let record = Record { inputs, frame: session_data.fields().at::<[u8; FRAME_BYTES]>(session::FRAME) };
    let (leaf, leaves) = (tree::leaf(&record), session_data.leaves());
    let peaks: &mut [Hash; PEAKS] = scratch_data.at_mut(scratch::PEAKS);
    tree::append(peaks, leaves, leaf)?;
    session_data.set_root(tree::root(peaks, leaves + 1));
    session_data.drop_inputs();
    session_data.fields_mut().set(session::STEP, 0u32);
    session_data.fields_mut().set(session::FRAME_NUMBER, frame + 1);
    scratch_data.set(scratch::FRAME_NUMBER, frame + 1);
    Ok(())
}

/// `run`, once in the program: a frame that is played and one that is judged are computed by the same instructions.
///
/// # Safety
/// As `run`.
#[inline(never)]
pub unsafe fn run_transaction(
    step: usize,
    inputs: &[Input; PLAYERS],
    blob: *const u8,
    frame: *mut u8,
    work: *mut u8,
) {
    // SAFETY: the caller's contract.
    unsafe { run(step, inputs, blob, frame, work, meter) }
}

/// Without the feature `meter`: nothing, and no cost.
#[cfg(not(feature = "meter"))]
#[inline(always)]
fn meter(_op: usize, _work: *mut u8) {}

/// Writes the compute units left behind the work area, one `u64` per op.
#[cfg(feature = "meter")]
#[inline(always)]
fn meter(op: usize, work: *mut u8) {
    // SAFETY: `state` checked that the account is longer than `scratch::BYTES` by a reading per op and one more.
    unsafe {
        let left = pinocchio::syscalls::sol_remaining_compute_units();
        (work.add(wmq_world::layout::work::BYTES) as *mut u64).add(op).write(left);
    }
}
