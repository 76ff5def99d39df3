//! The instruction `join_session`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::{
    accounts::{signs, Session, Status},
    error::{require, WorldError},
    instruction::SessionKey,
    tree::Hash,
};

/// `join_session`: takes the second seat.
///
/// ```text
/// data      terms 32 | key 32 | expires i64
/// accounts  0 [signer]    player
///           1 [writable]  session
/// ```
/// `terms` is the hash of what the player agrees to: number, ids, window, opponent and validator (`Agreed`). The session's
/// address is made from it too.
///
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Session::load_mut`; `WrongStatus` if the seat is taken,
/// `WrongAuthority` if it is kept for another, `WrongTerms`.
#[inline(never)]
pub fn process(context: Context, terms: &Hash, key: &SessionKey) -> ProgramResult {
    let Context { program, accounts } = context;
    let [player, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(player)?;
    let mut session = Session::load_mut(program, account)?;
    session.require(Status::Open)?;
    require(session.agreed().hash() == *terms, WorldError::WrongTerms)?;
    let open = *session.wallet(1)? == [0; 32];
    require(open || session.wallet_is(1, player.address())?, WorldError::WrongAuthority)?;
    session.set_wallet(1, player.address().as_array())?;
    session.set_key(1, key)?;
    session.set_status(Status::Joined);
    Ok(())
}
