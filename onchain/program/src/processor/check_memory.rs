//! The instruction `check_memory`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::{
    accounts::{Scratch, Session, Status, WHOLE},
    error::{require, WorldError},
    instruction::Proved,
    memory, tree,
};

/// `check_memory`: holds the memory against the hash tree; then frames are computed again. Anyone may.
///
/// ```text
/// data      both inputs | Frame | digest of the memory | proof (u32 length first) 32 each: the tree's last leaf
/// accounts  0 [writable]  session
///           1 [writable]  scratch, its window and memory loaded
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `SameAccount`, those of `accounts`, `WrongAccount`; `WrongStatus` unless the window is there and the
/// memory is not; `WrongProof`; `WrongDigest` if the memory is another.
#[inline(never)]
pub fn process(context: Context, proved: &Proved) -> ProgramResult {
    let Context { program, accounts } = context;
    let [session_account, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(session_account.address() != account.address(), WorldError::SameAccount)?;
    let session = Session::load_mut(program, session_account)?;
    session.require(Status::Started)?;
    let mut data = Scratch::load_mut(program, account)?;
    require(data.session_is(session_account.address()), WorldError::WrongAccount)?;
    require(data.lacks_memory_at(session.frame_number()), WorldError::WrongStatus)?;
    let leaves = session.leaves()?;
    tree::verify(data.peaks(), leaves, leaves.wrapping_sub(1), proved)?;
    require(memory::digest_of_all(data.work()) == *proved.memory, WorldError::WrongDigest)?;
    data.set_loaded(WHOLE);
    Ok(())
}
