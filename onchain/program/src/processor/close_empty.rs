//! The instruction `close_empty`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::{
    accounts::{close_account, signs, SessionSeeds},
    error::{require, WorldError},
    tree::Hash,
};

/// `close_empty`: returns the rent of a session that came back without a byte, and frees its address.
///
/// DLP gives an account whose validator has committed no bytes back without asking the program.
///
/// ```text
/// data      terms 32, the hash of what was agreed
/// accounts  0 [signer, writable]  creator
///           1 [writable]          session: address of ("session", model, creator, terms), empty
///           2 []                  model
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, `InvalidAccountOwner`, `NotEmpty`; `WrongAccount` if it is not the
/// creator's.
#[inline(never)]
pub fn process(context: Context, terms: &Hash) -> ProgramResult {
    let Context { program, accounts } = context;
    let [creator, account, model] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(creator)?;
    require(account.owned_by(program), ProgramError::InvalidAccountOwner)?;
    require(account.is_data_empty(), WorldError::NotEmpty)?;
    let seeds = SessionSeeds {
        model: *model.address().as_array(),
        creator: *creator.address().as_array(),
        terms: *terms,
    };
    require(seeds.find(program).0 == *account.address(), WorldError::WrongAccount)?;
    close_account(account, creator)
}
