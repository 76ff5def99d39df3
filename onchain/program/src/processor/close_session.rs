//! The instruction `close_session`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::{
    accounts::{close_account, signs, Session, Status},
    error::{require, WorldError},
};

/// `close_session`: returns the rent. One that has frames must have been ended.
///
/// ```text
/// accounts  0 [signer, writable]  creator
///           1 [writable]          session, not delegated
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Session::load_mut`, `WrongAuthority`, `WrongStatus`.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [creator, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(creator)?;
    let session = Session::load_mut(program, account)?;
    require(session.creator_is(creator.address()), WorldError::WrongAuthority)?;
    require(!session.is(Status::Started), WorldError::WrongStatus)?;
    close_account(account, creator)
}
