//! The instruction `commit_session`.

use ephemeral_rollups_pinocchio::consts::{MAGIC_CONTEXT_ID, MAGIC_PROGRAM_ID};
use pinocchio::{
    cpi::invoke_signed_with_bounds,
    error::ProgramError,
    instruction::{InstructionAccount, InstructionView},
    AccountView, ProgramResult,
};

use super::Context;
use crate::{
    accounts::Session,
    error::{require, WorldError},
};

/// The Magic program's number for a commit.
const COMMIT: u8 = 1;

/// `commit_session`: asks the rollup to write the session to the base chain.
///
/// ```text
/// accounts  0 [signer, writable]  who has a part in the session
///           1 [writable]          session
///           2 [writable]          Magic context
///           3 []                  Magic program
///           4 [writable]          the validator's fee vault, if the signer pays for commits
/// ```
/// # Errors
/// As `ask`.
pub fn process(context: Context) -> ProgramResult {
    ask(context, COMMIT)
}

/// Passes a request on to the Magic program.
///
/// # Errors
/// `NotEnoughAccountKeys`, those of `Session::load_mut`, `has_part` and `between_frames`, `WrongProgram`; those of the Magic
/// program.
#[inline(never)]
pub fn ask(context: Context, request: u8) -> ProgramResult {
    let Context { program, accounts } = context;
    let [party, account, context, magic, vault @ ..] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(vault.len() <= 1, ProgramError::NotEnoughAccountKeys)?;
    let session = Session::load_mut(program, account)?;
    session.has_part(party)?;
    session.between_frames()?;
    let known = *magic.address() == MAGIC_PROGRAM_ID && *context.address() == MAGIC_CONTEXT_ID;
    require(known, WorldError::WrongProgram)?;
    let data = [request, 0, 0, 0];
    let session_meta = InstructionAccount::writable(account.address());
    let last = vault.first().unwrap_or(account);
    let metas = [
        InstructionAccount::writable_signer(party.address()),
        InstructionAccount::writable(context.address()),
        InstructionAccount::writable(last.address()),
        session_meta,
    ];
    // With a vault: party, context, vault, session; without: party, context, session.
    let count = 3 + vault.len();
    let views: [&AccountView; 4] = [party, context, last, account];
    let instruction =
        InstructionView { program_id: &MAGIC_PROGRAM_ID, data: &data, accounts: &metas[..count] };
    invoke_signed_with_bounds::<4, _>(&instruction, &views[..count], &[])
}
