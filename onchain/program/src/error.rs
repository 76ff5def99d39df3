// Machine-written by wm_export/solana/rust_program.py; do not edit.
//! Errors of this program, by number, and the one way in which a check fails.

use pinocchio::{error::ProgramError, ProgramResult};

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
    /// The account is not the one that the session, or the address rule, names.
    WrongAccount,
    /// The program or account of the platform is not the one of that name.
    WrongProgram,
    /// Two accounts that are written are one.
    SameAccount,
    /// The account to be made exists already.
    NotEmpty,
    /// The signer is not the one who may do this.
    WrongAuthority,
    /// The session key has expired.
    KeyExpired,
    /// The session is not in the state in which this can be done.
    WrongStatus,
    /// The frame is not the session's current one: already computed, or still to come.
    WrongFrame,
    /// The step is not the next one of the frame.
    WrongStep,
    /// An input lies outside what a controller can send.
    WrongInput,
    /// The frame of the input has been computed already.
    LateInput,
    /// The frame of the input is too far ahead.
    EarlyInput,
    /// The player has sent an input for this frame already.
    TakenInput,
    /// A player has not sent an input for this frame yet.
    MissingInput,
    /// There is no such player.
    WrongPlayer,
    /// A stage or character lies outside its table.
    WrongIds,
    /// A field of the Frame lies outside its range.
    WrongRecord,
    /// The window is not the one that the session was created for.
    WrongStart,
    /// The record is not the one that the session has committed to.
    WrongProof,
    /// The window has not been loaded whole.
    WindowMissing,
    /// The model is frozen for ever.
    ModelFrozen,
    /// The model is not frozen yet.
    ModelNotFrozen,
    /// No chunk of the blob, or of the memory, has this number and length.
    WrongChunk,
    /// A chunk of the blob has not been written yet.
    ChunkMissing,
    /// The bytes of the blob are not those of the manifest, or not hashed whole; or the memory is not what was committed.
    WrongDigest,
    /// The dispute has its verdict already.
    Judged,
    /// What is named is not what the session was created with.
    WrongTerms,
    /// The session is delegated: that can be done after it has come back to the base chain.
    Delegated,
}

impl From<WorldError> for ProgramError {
    fn from(error: WorldError) -> Self {
        Self::Custom(error as u32)
    }
}

/// Every check of this program goes through here: `error` unless `holds`.
///
/// # Errors
/// `error`.
#[inline(always)]
pub fn require(holds: bool, error: impl Into<ProgramError>) -> ProgramResult {
    if holds {
        Ok(())
    } else {
        Err(error.into())
    }
}
