//! The world program: one instruction advances the world of a session by one frame, or by one step of it.
//!
//! Accounts are checked before a byte of them is read (`state`), the world step itself is the generated crate's.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod error;
pub mod processor;
pub mod state;

use pinocchio::{error::ProgramError, AccountView, Address, ProgramResult};

pinocchio::program_entrypoint!(process, 8);
pinocchio::no_allocator!();
#[cfg(target_arch = "bpf")]
pinocchio::nostd_panic_handler!();

/// First eight bytes of an instruction's data say which one it is, as Anchor derives them: sha256("global:<name>").
pub const STEP: [u8; 8] = [0x16, 0x38, 0xfe, 0x1d, 0x4d, 0x20, 0xbf, 0x25];

/// Dispatches an instruction.
///
/// # Errors
/// `InvalidInstructionData` if the data is too short or names no instruction; else the instruction's own.
#[inline(always)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    let Some((name, data)) = data.split_first_chunk::<8>() else {
        return Err(ProgramError::InvalidInstructionData);
    };
    match *name {
        STEP => processor::step::process(program, accounts, data),
        _ => Err(ProgramError::InvalidInstructionData),
    }
}
