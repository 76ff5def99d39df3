//! The instruction `close_pin`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::{
    accounts::{close_account, signs, Pin},
    error::{require, WorldError},
};

/// `close_pin`: returns the rent. A dispute that was opened with the pin does not need it any more.
///
/// ```text
/// accounts  0 [signer, writable]  pinner
///           1 [writable]          pin
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Pin::load_mut`, `WrongAuthority`.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [pinner, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(pinner)?;
    let data = Pin::load_mut(program, account)?;
    require(data.pinner_is(pinner.address()), WorldError::WrongAuthority)?;
    close_account(account, pinner)
}
