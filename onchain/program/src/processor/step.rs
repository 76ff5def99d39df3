//! The instruction `step`.

use pinocchio::{error::ProgramError, AccountView, ProgramResult};
use wmq_world::{
    layout::{SHARDS, SLOTS},
    PLAN,
};

use super::Context;
use crate::{
    accounts::{blobs, Model, Scratch, Session, Status},
    error::{require, WorldError},
    instruction::Record,
    memory, tree,
    window::run_transaction,
};

/// `step`: runs one transaction of a frame. Anyone may send it: what it computes follows from the accounts.
///
/// ```text
/// data      frame u64 | step u8
/// accounts  0 [writable]  session
///           1 [writable]  scratch
///           2 []          model
///           3.. []        the model's further accounts, where its blob has more shards than one
/// ```
/// The cursor (frame, step) of the session makes a step idempotent: one that was run, or is not next, changes nothing.
/// The last step appends the frame's record to the hash tree and moves the session on.
///
/// # Errors
/// `NotEnoughAccountKeys`, `SameAccount`; those of `accounts`; `WrongAccount`, `WrongStatus`, `WindowMissing`, `WrongFrame`,
/// `WrongStep`, `MissingInput`. `WrongFrame` too if the hash tree is full: before the frame's first step.
#[inline(always)]
pub fn process(context: Context, frame: u64, step: u8) -> ProgramResult {
    let Context { program, accounts } = context;
    let Ok([session_account, scratch_account, model_account, others @ ..]) =
        <&mut [AccountView; 2 + SHARDS]>::try_from(accounts)
    else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(session_account.address() != scratch_account.address(), WorldError::SameAccount)?;
    let mut session_data = Session::load_in_frame(program, session_account)?;
    let mut scratch_data = Scratch::load_mut(program, scratch_account)?;
    let model_data = Model::load(program, model_account)?;
    require(session_data.model_is(model_account.address()), WorldError::WrongAccount)?;
    let blobs = blobs(program, &model_data, others)?;
    require(scratch_data.session_is(session_account.address()), WorldError::WrongAccount)?;
    session_data.require(Status::Started)?;
    require(frame == session_data.frame_number(), WorldError::WrongFrame)?;
    session_data.has_room()?;
    require(scratch_data.window_stands_at(frame), WorldError::WindowMissing)?;
    let step = usize::from(step);
    let next = session_data.step() as usize;
    require(step == next && step < PLAN.len(), WorldError::WrongStep)?;
    let inputs = session_data.inputs()?;
    // SAFETY: the accounts that are written and the model's are distinct (their tags differ), owned by this program, and as long as `layout` says;
    // account data is 8-byte aligned, and so are the offsets of blob, Frame and work area. Only this program wrote them.
    unsafe {
        run_transaction(step, &inputs, blobs, session_data.frame_area(), scratch_data.work());
    }
    #[cfg(feature = "meter")]
    crate::window::meter_reading(scratch_data.work());
    if step + 1 < PLAN.len() {
        session_data.set_step(step as u32 + 1);
        return Ok(());
    }
    let record = Record { inputs, frame: session_data.frame_bytes() };
    let digest = memory::digest(scratch_data.work());
    let (leaf, leaves) = (tree::leaf(&record, &digest), frame + SLOTS);
    let peaks = scratch_data.peaks_mut();
    tree::append(peaks, leaves, leaf)?;
    session_data.set_root(&tree::root(peaks, leaves + 1));
    *session_data.memory_mut() = digest;
    session_data.drop_inputs();
    session_data.set_step(0);
    session_data.set_frame_number(frame + 1);
    scratch_data.set_frame_number(frame + 1);
    Ok(())
}
