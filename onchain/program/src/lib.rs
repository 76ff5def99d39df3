//! The world program: models, sessions that advance a world frame by frame, and disputes over single frames.
//!
//! Accounts are checked before a byte of them is read (`accounts`); the world step itself is the generated crate's.
#![cfg_attr(target_os = "solana", no_std)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod accounts;
pub mod error;
pub mod instruction;
pub mod memory;
pub mod processor;
#[cfg(target_os = "solana")]
mod security;
pub mod tree;
pub mod window;

use pinocchio::{AccountView, Address, ProgramResult};

use crate::{
    instruction::{decode, Instruction},
    processor::*,
};

pinocchio::program_entrypoint!(process, 12);
#[cfg(target_os = "solana")]
pinocchio::default_allocator!();
#[cfg(target_os = "solana")]
pinocchio::nostd_panic_handler!();

/// Dispatches an instruction.
///
/// # Errors
/// `InvalidInstructionData` if the data is no instruction; else the instruction's own.
#[inline(always)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    let context = Context { program, accounts };
    match decode(data)? {
        Instruction::SubmitInput { player, frame, input } => {
            submit_input::process(context, player, frame, input)
        }
        Instruction::Step { frame, step } => step::process(context, frame, step),
        rare => process_rare(context, &rare),
    }
}

#[inline(never)]
fn process_rare(context: Context, instruction: &Instruction) -> ProgramResult {
    match *instruction {
        Instruction::SubmitInput { .. } | Instruction::Step { .. } => Ok(()), // dispatched already
        Instruction::Advance => advance::process(context),
        Instruction::CreateModel => create_model::process(context),
        Instruction::WriteChunk { chunk } => write_chunk::process(context, &chunk),
        Instruction::HashModel { pieces } => hash_model::process(context, pieces),
        Instruction::FreezeModel => freeze_model::process(context),
        Instruction::CloseModel => close_model::process(context),
        Instruction::CreateSession { terms } => create_session::process(context, &terms),
        Instruction::JoinSession { terms, key } => join_session::process(context, terms, &key),
        Instruction::SetKey { player, key } => set_key::process(context, player, &key),
        Instruction::EndSession => end_session::process(context),
        Instruction::CloseSession => close_session::process(context),
        Instruction::CloseEmpty { terms } => close_empty::process(context, terms),
        Instruction::DelegateSession => delegate_session::process(context),
        Instruction::ProcessUndelegation => process_undelegation::process(context),
        Instruction::CommitSession => commit_session::process(context),
        Instruction::UndelegateSession => undelegate_session::process(context),
        Instruction::GrowScratch { nonce } => grow_scratch::process(context, nonce),
        Instruction::CloseScratch => close_scratch::process(context),
        Instruction::OpenWindow { peaks } => open_window::process(context, peaks),
        Instruction::SeedFrame { index, record } => seed_frame::process(context, index, &record),
        Instruction::LoadFrame { leaf, proved } => load_frame::process(context, leaf, &proved),
        Instruction::LoadMemory { chunk } => load_memory::process(context, &chunk),
        Instruction::CheckMemory { proved } => check_memory::process(context, &proved),
        Instruction::LoadDisputedMemory { chunk } => load_disputed_memory::process(context, &chunk),
        Instruction::LoadDisputed { leaf, proved } => load_disputed::process(context, leaf, &proved),
        Instruction::PinCommit { root } => pin_commit::process(context, root),
        Instruction::ClosePin => close_pin::process(context),
        Instruction::OpenDispute { frame, peaks } => open_dispute::process(context, frame, peaks),
        Instruction::Judge { step, proved } => judge::process(context, step, &proved),
        Instruction::CloseDispute => close_dispute::process(context),
    }
}
