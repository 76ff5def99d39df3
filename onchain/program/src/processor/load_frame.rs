//! The instruction `load_frame`.

use pinocchio::{error::ProgramError, ProgramResult};
use wmq_world::layout::SLOTS;

use super::Context;
use crate::{
    accounts::{Scratch, Session, Status},
    error::{require, WorldError},
    instruction::Proved,
    tree,
    window::{check_record, push_record, write_frame},
};

/// `load_frame`: one record of the window before the session's current frame, in order, proved against its hash tree.
/// Anyone may. A network that keeps something computes no frame before its memory is there, too (`load_memory`).
///
/// ```text
/// data      leaf u64 | both inputs | Frame | digest of the memory | proof (u32 length first) 32 each
/// accounts  0 [writable]  session
///           1 [writable]  scratch, its window open
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `SameAccount`, those of `accounts`, `WrongStatus` unless it is loading, `WrongAccount`; `WrongFrame`
/// if the window was opened for another frame, `WrongStep` if it is not the next; those of `check_record`, `WrongProof`.
#[inline(never)]
pub fn process(context: Context, leaf: u64, proved: &Proved) -> ProgramResult {
    let Context { program, accounts } = context;
    let [session_account, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(session_account.address() != account.address(), WorldError::SameAccount)?;
    let mut session = Session::load_mut(program, session_account)?;
    session.require(Status::Loading)?;
    let mut data = Scratch::load_mut(program, account)?;
    require(data.session_is(session_account.address()), WorldError::WrongAccount)?;
    let (first, loaded, leaves) = (session.frame_number(), data.loaded(), session.leaves()?);
    require(data.frame_number() == first, WorldError::WrongFrame)?;
    require(loaded < SLOTS && leaf == first + loaded, WorldError::WrongStep)?;
    check_record(&proved.record)?;
    tree::verify(data.peaks(), leaves, leaf, proved)?;
    push_record(data.work(), &proved.record);
    data.set_loaded(loaded + 1);
    if loaded + 1 == SLOTS {
        // With the last record, never before: what is committed holds the Frame that its hash tree ends with. Whatever steps
        // of the frame were run went with the old scratch account.
        write_frame(session.frame_area(), &proved.record);
        *session.memory_mut() = *proved.memory;
        session.set_step(0);
        session.set_status(Status::Started);
    }
    Ok(())
}
