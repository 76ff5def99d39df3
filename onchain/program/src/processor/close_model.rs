//! The instruction `close_model`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::accounts::{close_account, Model};

/// `close_model`: gives up an upload and returns its rent. A frozen model stays.
///
/// ```text
/// accounts  0 [signer, writable] authority, 1 [writable] model
/// ```
/// # Errors
/// As `write_chunk`, without `WrongChunk`; those of `close_account`.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    Model::load_open(program, accounts)?;
    let [authority, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    close_account(account, authority)
}
