//! The instruction `delegate_session`.

use ephemeral_rollups_pinocchio::{
    consts::DELEGATION_PROGRAM_ID, instruction::delegate_account, types::DelegateConfig,
};
use pinocchio::{cpi::Signer, error::ProgramError, Address, ProgramResult};

use super::{sweep, Context};
use crate::{
    accounts::{is_system_program, signs, BufferSeeds, Session, Status},
    error::{require, WorldError},
};

/// `delegate_session`: hands the session to the rollup that it was created for.
///
/// ```text
/// accounts  0 [signer, writable]  creator, who pays for the records
///           1 [writable]          session
///           2 []                  this program
///           3 [writable]          DLP's buffer, 4 record, 5 metadata
///           6 []                  system program
///           7 []                  DLP
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Session::load_mut`, `WrongAuthority`; `WrongStatus` unless
/// both players are there and it has not ended; `WrongProgram`; those of DLP.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [creator, account, own, buffer, _record, _metadata, system, dlp] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(creator)?;
    is_system_program(system)?;
    let session = Session::load_mut(program, account)?;
    require(session.creator_is(creator.address()), WorldError::WrongAuthority)?;
    require(session.is(Status::Joined) || session.is(Status::Started), WorldError::WrongStatus)?;
    require(own.address() == program && *dlp.address() == DELEGATION_PROGRAM_ID, WorldError::WrongProgram)?;
    if buffer.lamports() > 0 {
        let seeds = BufferSeeds { session: *account.address().as_array() };
        let bump = [seeds.find(program).1];
        sweep(buffer, creator, Signer::from(&seeds.signer(&bump)))?;
    }
    // Copied: the account is emptied on its way.
    let (seeds, bump) = (session.seeds(), session.bump());
    let validator = Address::new_from_array(*session.validator());
    let config = DelegateConfig { commit_frequency_ms: u32::MAX, validator: Some(validator) };
    delegate_account(&mut accounts[..7], &seeds.parts(), bump, config)
}
