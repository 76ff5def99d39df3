//! The instruction `close_session`.

use ephemeral_rollups_pinocchio::{
    consts::DELEGATION_PROGRAM_ID, pda::delegation_record_pda_from_delegated_account,
};
use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::{
    accounts::{close_account, signs, Session, Status},
    error::{require, WorldError},
};

/// `close_session`: returns the rent, on the base chain. One that has frames must have been ended.
///
/// ```text
/// accounts  0 [signer, writable]  creator
///           1 [writable]          session, not delegated
///           2 []                  DLP's record of the session, absent
/// ```
/// A session that came back in the middle of a frame, or of loading, cannot be ended. No program commits such a one.
///
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Session::load_mut`, `WrongAuthority`, `WrongStatus`;
/// `WrongAccount`, `Delegated`.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [creator, account, record] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(creator)?;
    let session = Session::load_mut(program, account)?;
    require(session.creator_is(creator.address()), WorldError::WrongAuthority)?;
    require(!session.is(Status::Started) || session.step() != 0, WorldError::WrongStatus)?;
    let expected = delegation_record_pda_from_delegated_account(account.address());
    require(*record.address() == expected, WorldError::WrongAccount)?;
    require(!record.owned_by(&DELEGATION_PROGRAM_ID), WorldError::Delegated)?;
    close_account(account, creator)
}
