//! The instruction `close_dispute`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::{
    accounts::{close_account, signs, Dispute},
    error::{require, WorldError},
};

/// `close_dispute`: returns the rent, verdict or not.
///
/// ```text
/// accounts  0 [signer, writable]  disputer
///           1 [writable]          dispute
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `load_mut`, `WrongAuthority`.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [disputer, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(disputer)?;
    let data = Dispute::load_mut(program, account)?;
    require(data.disputer_is(disputer.address()), WorldError::WrongAuthority)?;
    close_account(account, disputer)
}
