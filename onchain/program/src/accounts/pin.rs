//! A pin account: leaves and root that a session has once committed.

use pinocchio::{error::ProgramError, AccountView, Address};

use super::{
    checked::{initialise, load, load_mut, PIN},
    fields::Pin,
};
use crate::tree::Pinned;

impl Pin {
    /// The pin, to be read.
    ///
    /// # Errors
    /// As `load`.
    pub fn load(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        Ok(Self(load(program, account, &PIN)?))
    }

    /// The pin, to be closed.
    ///
    /// # Errors
    /// As `load_mut`.
    pub fn load_mut(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        Ok(Self(load_mut(program, account, &PIN)?))
    }

    /// The start of a new pin; everything else in it is zero.
    ///
    /// # Errors
    /// As `initialise`.
    pub fn initialise(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        Ok(Self(initialise(program, account, &PIN)?))
    }

    /// The tree that was committed.
    pub fn tree(&self) -> Pinned<'_> {
        Pinned { count: self.leaves(), root: self.root() }
    }
}
