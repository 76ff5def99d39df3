//! The instruction `seed_frame`.

use pinocchio::{error::ProgramError, ProgramResult};
use wmq_world::layout::{memory::EMPTY, SLOTS};

use super::Context;
use crate::{
    accounts::{Scratch, Session, Status, WHOLE},
    error::{require, WorldError},
    instruction::Record,
    tree,
    window::{check_record, push_record, write_frame},
};

/// `seed_frame`: one record of the window that the session starts from, in order; number 0 starts again.
///
/// ```text
/// data      index u32 | inputs 2 x 6 | Frame
/// accounts  0 [signer]    who has a part in the session
///           1 [writable]  session
///           2 [writable]  scratch, its window open
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `SameAccount`, those of `accounts` and `has_part`, `WrongAccount`, `WrongStatus`, `WrongStep` if it
/// is not the next, those of `check_record`; `WrongStart` if the whole window is not the one the session was created for.
#[inline(never)]
pub fn process(context: Context, index: u32, record: &Record) -> ProgramResult {
    let Context { program, accounts } = context;
    let [party, session_account, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(session_account.address() != account.address(), WorldError::SameAccount)?;
    let mut session = Session::load_mut(program, session_account)?;
    session.has_part(party)?;
    session.require(Status::Joined)?;
    let mut data = Scratch::load_mut(program, account)?;
    require(data.session_is(session_account.address()), WorldError::WrongAccount)?;
    let index = u64::from(index);
    require(index == 0 || index == data.loaded(), WorldError::WrongStep)?;
    check_record(record)?;
    push_record(data.work(), record);
    let peaks = data.peaks_mut();
    tree::append(peaks, index, tree::leaf(record, &EMPTY))?;
    let root = tree::root(peaks, index + 1);
    data.set_loaded(index + 1);
    if index + 1 == SLOTS {
        require(root == *session.start(), WorldError::WrongStart)?;
        session.set_root(&root);
        write_frame(session.frame_area(), record);
        *session.memory_mut() = EMPTY;
        data.set_loaded(WHOLE);
        data.set_frame_number(0);
        session.set_status(Status::Started);
    }
    Ok(())
}
