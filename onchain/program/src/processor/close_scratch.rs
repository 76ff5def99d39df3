//! The instruction `close_scratch`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::{sponsored::with_sponsor, Context};
use crate::{
    accounts::{Session, Status},
    error::{require, WorldError},
};

/// `close_scratch`: gives up the scratch account of a session that plays no more; the session gets its rent back.
///
/// ```text
/// accounts  0 [signer]    who has a part in the session
///           1 [writable]  session, delegated
///           2 [writable]  scratch
///           3 [writable]  the rollup's vault
///           4 []          Magic program
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `Session::load_mut` and `has_part`; `WrongStatus` while it plays: else either player could
/// keep the other from ever ending a frame; those of `with_sponsor` and of the Magic program.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [party, rest @ ..] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(rest.len() == 4, ProgramError::NotEnoughAccountKeys)?;
    let session = Session::load_mut(program, &mut rest[0])?;
    session.has_part(party)?;
    let plays = session.is(Status::Started) || session.is(Status::Loading);
    require(!plays, WorldError::WrongStatus)?;
    with_sponsor(program, &session, rest, |scratch, _| scratch.close())
}
