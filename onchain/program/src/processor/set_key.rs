//! The instruction `set_key`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::{
    accounts::{signs, Session},
    error::{require, WorldError},
    instruction::SessionKey,
};

/// `set_key`: a player names another session key, or none.
///
/// ```text
/// data      player u8 | key 32 | expires i64
/// accounts  0 [signer]    the player's wallet: no session key can prolong itself
///           1 [writable]  session
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Session::load_mut`, `WrongPlayer`, `WrongAuthority`.
#[inline(never)]
pub fn process(context: Context, player: u8, key: &SessionKey) -> ProgramResult {
    let Context { program, accounts } = context;
    let [wallet, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(wallet)?;
    let mut session = Session::load_mut(program, account)?;
    require(session.wallet_is(player, wallet.address())?, WorldError::WrongAuthority)?;
    session.set_key(player, key)
}
