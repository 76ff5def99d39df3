//! The instruction `end_session`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::{
    accounts::{Session, Status},
    error::{require, WorldError},
};

/// `end_session`: no more inputs, no more frames. On the rollup or on the base chain.
///
/// ```text
/// accounts  0 [signer]    who has a part in the session
///           1 [writable]  session
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `Session::load_mut`, `has_part` and `between_frames`; `WrongStatus` if it has ended.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [party, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let mut session = Session::load_mut(program, account)?;
    session.has_part(party)?;
    require(!session.is(Status::Ended), WorldError::WrongStatus)?;
    session.between_frames()?;
    session.set_status(Status::Ended);
    Ok(())
}
