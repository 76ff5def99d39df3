//! The world program: models, sessions that advance a world frame by frame, and disputes over single frames.
//!
//! Accounts are checked before a byte of them is read (`state`); the world step itself is the generated crate's.
#![cfg_attr(target_os = "solana", no_std)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod error;
pub mod instruction;
pub mod processor;
pub mod state;
pub mod tree;

use pinocchio::{AccountView, Address, ProgramResult};

use crate::{
    instruction::{decode, Instruction},
    processor::{delegation, dispute, frame, model, scratch, session, Context},
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
            frame::submit_input(context, player, frame, input)
        }
        Instruction::Step { frame, step } => frame::step(context, frame, step),
        rare => process_rare(context, &rare),
    }
}

#[inline(never)]
fn process_rare(context: Context, instruction: &Instruction) -> ProgramResult {
    match *instruction {
        Instruction::SubmitInput { .. } | Instruction::Step { .. } => Ok(()), // dispatched already
        Instruction::CreateModel => model::create(context),
        Instruction::WriteChunk { chunk } => model::write_chunk(context, &chunk),
        Instruction::HashModel { pieces } => model::hash(context, pieces),
        Instruction::FreezeModel => model::freeze(context),
        Instruction::CloseModel => model::close(context),
        Instruction::CreateSession { id, ids, start, opponent, validator, key } => {
            session::create(context, &session::Terms { id, ids, start, opponent, validator, key })
        }
        Instruction::JoinSession { start, key } => session::join(context, start, &key),
        Instruction::SetKey { player, key } => session::set_key(context, player, &key),
        Instruction::EndSession => session::end(context),
        Instruction::CloseSession => session::close(context),
        Instruction::DelegateSession => delegation::delegate(context),
        Instruction::ProcessUndelegation => delegation::process_undelegation(context),
        Instruction::CommitSession => delegation::commit(context, false),
        Instruction::UndelegateSession => delegation::commit(context, true),
        Instruction::GrowScratch => scratch::grow(context),
        Instruction::CloseScratch => scratch::close(context),
        Instruction::OpenWindow { peaks } => scratch::open_window(context, peaks),
        Instruction::SeedFrame { index, record } => scratch::seed_frame(context, index, &record),
        Instruction::LoadFrame { leaf, proved } => scratch::load_frame(context, leaf, &proved),
        Instruction::OpenDispute { frame, peaks } => dispute::open(context, frame, peaks),
        Instruction::Judge { step, proved } => dispute::judge(context, step, &proved),
        Instruction::CloseDispute => dispute::close(context),
    }
}
