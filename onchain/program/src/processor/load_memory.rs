//! The instruction `load_memory`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::{
    accounts::{Scratch, Session, Status},
    error::{require, WorldError},
    instruction::Chunk,
    memory,
};

/// `load_memory`: a chunk of what the network keeps, once the window is loaded again, into the scratch account.
///
/// No chunk is proved by itself: `check_memory` proves them all. So a player signs each. Meanwhile the session may be ended,
/// committed and given back, and who writes false chunks holds up no more than who sends no inputs.
///
/// ```text
/// data      index u32 | bytes (u32 length first)
/// accounts  0 [signer]    who has a part in the session
///           1 [writable]  session
///           2 [writable]  scratch, its window loaded
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `SameAccount`, those of `accounts` and `has_part`, `WrongAccount`; `WrongStatus` unless the window is
/// there and the memory is not; `WrongChunk`.
#[inline(never)]
pub fn process(context: Context, chunk: &Chunk) -> ProgramResult {
    let Context { program, accounts } = context;
    let [party, session_account, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(session_account.address() != account.address(), WorldError::SameAccount)?;
    let session = Session::load_mut(program, session_account)?;
    session.has_part(party)?;
    session.require(Status::Started)?;
    let data = Scratch::load_mut(program, account)?;
    require(data.session_is(session_account.address()), WorldError::WrongAccount)?;
    require(data.lacks_memory_at(session.frame_number()), WorldError::WrongStatus)?;
    memory::write(data.work(), chunk)
}
