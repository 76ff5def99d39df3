//! A dispute account: one frame that the base chain computes again.

use pinocchio::{error::ProgramError, AccountView, Address};
use wmq_world::layout::{dispute, FRAME_BYTES};

use super::{
    checked::{initialise, load_mut, Area, DISPUTE},
    fields::Dispute,
};

impl Dispute {
    /// The dispute, to be written.
    ///
    /// # Errors
    /// As `load_mut`.
    #[inline(always)]
    pub fn load_mut(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        Ok(Self(load_mut(program, account, &DISPUTE)?))
    }

    /// The start of a new dispute; everything else in it is zero.
    ///
    /// # Errors
    /// As `initialise`.
    pub fn initialise(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        Ok(Self(initialise(program, account, &DISPUTE)?))
    }

    /// The bytes of the Frame computed last.
    pub fn frame_bytes(&self) -> &[u8; FRAME_BYTES] {
        self.0.at(dispute::FRAME)
    }

    /// Where the work area lies.
    #[inline(always)]
    pub fn work(&self) -> Area {
        self.0.area(dispute::WORK)
    }
}
