//! What the instructions about scratch accounts share: the session pays for its own.

use ephemeral_rollups_pinocchio::{
    consts::{EPHEMERAL_VAULT_ID, MAGIC_PROGRAM_ID},
    ephemeral_accounts::EphemeralAccount,
};
use pinocchio::{cpi::Signer, error::ProgramError, AccountView, Address, ProgramResult};

use crate::{
    accounts::{Scratch, ScratchSeeds, Session},
    error::{require, WorldError},
};

/// Does something to the scratch account of a session, which pays for it: `act` gets the account and its bytes now.
///
/// `accounts` are session, scratch account, the rollup's vault and Magic program.
///
/// # Errors
/// `NotEnoughAccountKeys`, `WrongAccount`, `WrongProgram`; those of `act`.
pub fn with_sponsor(
    program: &Address,
    session: &Session,
    accounts: &[AccountView],
    act: impl FnOnce(&EphemeralAccount, usize) -> ProgramResult,
) -> ProgramResult {
    let [session_account, account, vault, magic] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    Scratch::check_address(program, session, session_account.address(), account)?;
    let known = *magic.address() == MAGIC_PROGRAM_ID && *vault.address() == EPHEMERAL_VAULT_ID;
    require(known, WorldError::WrongProgram)?;
    let (bump, scratch_bump) = ([session.bump()], [session.scratch_bump()]);
    let nonce = session.nonce().to_le_bytes();
    let (payer, own) =
        (session.seeds(), ScratchSeeds { session: *session_account.address().as_array(), nonce });
    let (payer, own) = (payer.signer(&bump), own.signer(&scratch_bump));
    let signers = [Signer::from(&own), Signer::from(&payer)];
    act(
        &EphemeralAccount::new(session_account, account, vault, magic).with_signers(&signers),
        account.data_len(),
    )
}
