//! Errors of this program, by number; the IDL and the Python client list the same.

use pinocchio::error::ProgramError;

/// What can be wrong with an instruction, from 6000 on as Anchor counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum WorldError {
    /// The account does not start with the tag of its kind.
    WrongTag = 6000,
    /// The account was written by another version of this program.
    WrongVersion,
    /// The account is not as long as this world needs, or not as long as it says.
    WrongLength,
    /// The account belongs to a model with another manifest.
    WrongManifest,
    /// The session does not name this account, or the account another session.
    WrongAccount,
    /// Session and scratch are one account.
    SameAccount,
    /// The signer is not the session's authority.
    WrongAuthority,
    /// The frame is not the session's current one: already computed, or still to come.
    WrongFrame,
    /// The step is not the next one of the frame.
    WrongStep,
    /// An input lies outside what a controller can send.
    WrongInput,
}

impl From<WorldError> for ProgramError {
    fn from(error: WorldError) -> Self {
        Self::Custom(error as u32)
    }
}
