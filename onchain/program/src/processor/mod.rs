//! Instructions, by what they are about.
//!
//! All but those of every frame are kept out of line: each has the 4,096 bytes of a stack frame to itself.

pub mod delegation;
pub mod dispute;
pub mod frame;
pub mod model;
pub mod scratch;
pub mod session;

use pinocchio::{cpi::Signer, error::ProgramError, AccountView, Address, ProgramResult};
use pinocchio_system::instructions::Transfer;
use wmq_world::{in_range, layout::AXIS_RANGES};

use crate::{
    error::{require, WorldError},
    instruction::{Input, Record},
};

/// What every instruction is called with. One value, because this target passes five and no more.
pub struct Context<'a> {
    /// This program.
    pub program: &'a Address,
    /// Accounts, in the order that each instruction says.
    pub accounts: &'a mut [AccountView],
}

/// Checks that a controller can send this.
///
/// # Errors
/// `WrongInput`.
#[inline(always)]
pub fn check_input(input: &Input) -> Result<(), ProgramError> {
    for (&axis, (low, high)) in input.iter().zip(AXIS_RANGES) {
        require(low <= axis as i8 && axis as i8 <= high, WorldError::WrongInput)?;
    }
    Ok(())
}

/// Checks that every input and every field of a record lies in its range, so that no table is read outside its end.
///
/// # Errors
/// `WrongInput`, `WrongRecord`.
#[inline(never)]
pub fn check_record(record: &Record) -> Result<(), ProgramError> {
    for input in &record.inputs {
        check_input(input)?;
    }
    require(in_range(record.frame), WorldError::WrongRecord)
}

/// Moves lamports that somebody has sent to an address of this program on to `to`.
///
/// The system program makes no account where lamports lie: without this a stranger could keep one from ever being made.
///
/// # Errors
/// Those of the system program.
#[inline(never)]
pub fn sweep(from: &AccountView, to: &AccountView, signer: Signer) -> ProgramResult {
    if from.lamports() == 0 {
        return Ok(());
    }
    Transfer { from, to, lamports: from.lamports() }.invoke_signed(&[signer])
}
