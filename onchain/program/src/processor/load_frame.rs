//! The instruction `load_frame`.

use pinocchio::{error::ProgramError, ProgramResult};
use wmq_world::layout::SLOTS;

use super::Context;
use crate::{
    accounts::{Scratch, Session, Status},
    error::{require, WorldError},
    instruction::Proved,
    tree,
    window::{check_record, push_record},
};

/// `load_frame`: one record of the window before the session's current frame, in order, proved against its hash tree.
/// Anyone may.
///
/// ```text
/// data      leaf u64 | both inputs | Frame | proof (u32 length first) 32 each
/// accounts  0 [writable]  session
///           1 [writable]  scratch, its window open
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `SameAccount`, those of `accounts`, `WrongStatus`, `WrongAccount`, `WrongStep` if it is not the
/// next, those of `check_record`, `WrongProof`.
#[inline(never)]
pub fn process(context: Context, leaf: u64, proved: &Proved) -> ProgramResult {
    let Context { program, accounts } = context;
    let [session_account, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(session_account.address() != account.address(), WorldError::SameAccount)?;
    let mut session = Session::load_mut(program, session_account)?;
    session.require(Status::Started)?;
    let mut data = Scratch::load_mut(program, account)?;
    require(data.session_is(session_account.address()), WorldError::WrongAccount)?;
    let (first, loaded) = (session.frame_number(), data.loaded());
    require(loaded < SLOTS && leaf == first + loaded, WorldError::WrongStep)?;
    check_record(&proved.record)?;
    tree::verify(data.peaks(), session.leaves(), leaf, proved)?;
    push_record(session.frame_area(), data.work(), &proved.record);
    data.set_loaded(loaded + 1);
    data.set_frame_number(first);
    // Whatever steps of the frame were run went with the old scratch account.
    session.set_step(0);
    Ok(())
}
