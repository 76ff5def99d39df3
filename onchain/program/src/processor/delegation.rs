//! A session's way to the rollup and back, through the delegation program (DLP) and the rollup's own Magic program.

use ephemeral_rollups_pinocchio::{
    consts::{DELEGATION_PROGRAM_ID, MAGIC_CONTEXT_ID, MAGIC_PROGRAM_ID},
    instruction::delegate_account,
    pda::undelegate_buffer_pda_from_delegated_account,
    types::DelegateConfig,
};
use pinocchio::{
    cpi::{invoke_signed_with_bounds, Seed, Signer},
    error::ProgramError,
    instruction::{InstructionAccount, InstructionView},
    sysvars::{rent::Rent, Sysvar},
    AccountView, Address, ProgramResult,
};
use pinocchio_system::instructions::CreateAccount;
use wmq_world::layout::session;

use super::{sweep, Context};
use crate::{
    error::{require, WorldError},
    state::{signs, Session, Status},
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
pub fn delegate(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [creator, account, own, buffer, _record, _metadata, _system, dlp] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(creator)?;
    let session = Session::load_mut(program, account)?;
    require(session.fields().names(session::CREATOR, creator.address()), WorldError::WrongAuthority)?;
    require(session.is(Status::Joined) || session.is(Status::Started), WorldError::WrongStatus)?;
    require(own.address() == program && *dlp.address() == DELEGATION_PROGRAM_ID, WorldError::WrongProgram)?;
    if buffer.lamports() > 0 {
        let seeds: [&[u8]; 2] = [b"buffer", account.address().as_array()];
        let bump = [Address::find_program_address(&seeds, program).1];
        let seeds = [Seed::from(seeds[0]), Seed::from(seeds[1]), Seed::from(&bump)];
        sweep(buffer, creator, Signer::from(&seeds))?;
    }
    // Copied: the account is emptied on its way.
    let (model, creator_key, id, bump) =
        (*session.model(), *session.creator(), *session.id(), session.bump());
    let validator = Address::new_from_array(*session.validator());
    let seeds: [&[u8]; 4] = [b"session", &model, &creator_key, &id];
    let config = DelegateConfig { commit_frequency_ms: u32::MAX, validator: Some(validator) };
    delegate_account(&mut accounts[..7], &seeds, bump, config)
}

/// `commit_session` and `undelegate_session`: asks the rollup to write the session to the base chain, and to give it back.
///
/// ```text
/// accounts  0 [signer, writable]  who has a part in the session
///           1 [writable]          session
///           2 [writable]          Magic context
///           3 []                  Magic program
///           4 [writable]          the validator's fee vault, if the signer pays for commits
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `Session::load_mut` and `has_part`, `WrongProgram`; those of the Magic program.
#[inline(never)]
pub fn commit(context: Context, undelegate: bool) -> ProgramResult {
    let Context { program, accounts } = context;
    let [party, account, context, magic, vault @ ..] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(vault.len() <= 1, ProgramError::NotEnoughAccountKeys)?;
    Session::load_mut(program, account)?.has_part(party)?;
    let known = *magic.address() == MAGIC_PROGRAM_ID && *context.address() == MAGIC_CONTEXT_ID;
    require(known, WorldError::WrongProgram)?;
    let data = [if undelegate { 2u8 } else { 1 }, 0, 0, 0];
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

/// DLP's callback: makes the session again, with the bytes that were committed last.
///
/// ```text
/// accounts  0 [writable]          session, empty
///           1 [signer, writable]  DLP's buffer for it, which holds the bytes
///           2 [signer, writable]  payer
///           3 []                  system program
/// ```
/// Only DLP can sign for the buffer, at the one address it derives for this session; the bytes must be a session of this
/// program whose own address this is. Else anyone could bring a session of their own making.
///
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, `InvalidAccountOwner`, `WrongAccount`, those of
/// `Session::check_bytes`; those of the system program.
#[inline(never)]
pub fn process_undelegation(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [account, buffer, payer, _system] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(buffer)?;
    require(buffer.owned_by(&DELEGATION_PROGRAM_ID), ProgramError::InvalidAccountOwner)?;
    let expected = undelegate_buffer_pda_from_delegated_account(account.address());
    require(*buffer.address() == expected, WorldError::WrongAccount)?;
    let bytes = Session::check_bytes(program, buffer, account)?;
    let (model, creator, id, bump) = (*bytes.model(), *bytes.creator(), *bytes.id(), [bytes.bump()]);
    let seeds = [
        Seed::from(b"session"),
        Seed::from(&model),
        Seed::from(&creator),
        Seed::from(&id),
        Seed::from(&bump),
    ];
    CreateAccount {
        from: payer,
        to: account,
        lamports: Rent::get()?.try_minimum_balance(session::BYTES)?,
        space: session::BYTES as u64,
        owner: program,
    }
    .invoke_signed(&[Signer::from(&seeds)])?;
    account.try_borrow_mut()?.copy_from_slice(&buffer.try_borrow()?);
    Ok(())
}
