//! The instruction `process_undelegation`.

use ephemeral_rollups_pinocchio::{
    consts::DELEGATION_PROGRAM_ID, pda::undelegate_buffer_pda_from_delegated_account,
};
use pinocchio::{cpi::Signer, error::ProgramError, sysvars::rent::Rent, sysvars::Sysvar, ProgramResult};
use pinocchio_system::instructions::CreateAccount;
use wmq_world::layout::session;

use super::Context;
use crate::{
    accounts::{is_system_program, signs, Session},
    error::{require, WorldError},
};

/// DLP's callback: makes the session again, with the bytes that were committed last.
///
/// ```text
/// accounts  0 [writable]          session, empty
///           1 [signer, writable]  DLP's buffer for it, which holds the bytes
///           2 [signer, writable]  payer
///           3 []                  system program
/// ```
/// Only DLP can sign for the buffer, at the one address it derives for this session; the bytes must be a session of this
/// program whose own address this is. Else anyone could bring a session of their own making. System program and buffer
/// are known before the first of its bytes is read.
///
/// # Errors
/// `NotEnoughAccountKeys`, `WrongProgram`, `MissingRequiredSignature`, `InvalidAccountOwner`, `WrongAccount`, those of
/// `Session::check_bytes`; those of the system program.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [account, buffer, payer, system] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    is_system_program(system)?;
    signs(buffer)?;
    require(buffer.owned_by(&DELEGATION_PROGRAM_ID), ProgramError::InvalidAccountOwner)?;
    let expected = undelegate_buffer_pda_from_delegated_account(account.address());
    require(*buffer.address() == expected, WorldError::WrongAccount)?;
    let bytes = Session::check_bytes(program, buffer, account)?;
    let (seeds, bump) = (bytes.seeds(), [bytes.bump()]);
    CreateAccount {
        from: payer,
        to: account,
        lamports: Rent::get()?.try_minimum_balance(session::BYTES)?,
        space: session::BYTES as u64,
        owner: program,
    }
    .invoke_signed(&[Signer::from(&seeds.signer(&bump))])?;
    account.try_borrow_mut()?.copy_from_slice(&buffer.try_borrow()?);
    Ok(())
}
