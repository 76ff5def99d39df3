// Machine-written by wm_export/solana/rust_program.py; do not edit.
//! Seeds of the addresses that this program derives.

use pinocchio::{cpi::Seed, Address, ProgramResult};

use crate::error::{require, WorldError};

/// Seeds of a session account's address: `"session"`, model, creator, terms.
#[derive(Clone, Copy)]
pub struct SessionSeeds {
    /// Address of the model.
    pub model: [u8; 32],
    /// Address of the creator.
    pub creator: [u8; 32],
    /// Hash `terms`.
    pub terms: [u8; 32],
}

impl SessionSeeds {
    /// In order, without a bump.
    pub fn parts(&self) -> [&[u8]; 4] {
        [b"session", &self.model, &self.creator, &self.terms]
    }

    /// The address that they lead to first, and its bump.
    pub fn find(&self, program: &Address) -> (Address, u8) {
        Address::find_program_address(&self.parts(), program)
    }

    /// As a signature takes them.
    pub fn signer<'a>(&'a self, bump: &'a [u8; 1]) -> [Seed<'a>; 5] {
        let [a, b, c, d] = self.parts();
        [Seed::from(a), Seed::from(b), Seed::from(c), Seed::from(d), Seed::from(bump)]
    }

    /// Checks that `address` follows from them and a bump.
    ///
    /// # Errors
    /// `WrongAccount`.
    pub fn check(&self, bump: u8, program: &Address, address: &Address) -> ProgramResult {
        let [a, b, c, d] = self.parts();
        let derived = Address::create_program_address(&[a, b, c, d, &[bump]], program);
        require(derived.is_ok_and(|it| it == *address), WorldError::WrongAccount)
    }
}

/// Seeds of a scratch account's address: `"scratch"`, session, nonce.
#[derive(Clone, Copy)]
pub struct ScratchSeeds {
    /// Address of the session.
    pub session: [u8; 32],
    /// `nonce`, little-endian.
    pub nonce: [u8; 8],
}

impl ScratchSeeds {
    /// In order, without a bump.
    pub fn parts(&self) -> [&[u8]; 3] {
        [b"scratch", &self.session, &self.nonce]
    }

    /// The address that they lead to first, and its bump.
    pub fn find(&self, program: &Address) -> (Address, u8) {
        Address::find_program_address(&self.parts(), program)
    }

    /// As a signature takes them.
    pub fn signer<'a>(&'a self, bump: &'a [u8; 1]) -> [Seed<'a>; 4] {
        let [a, b, c] = self.parts();
        [Seed::from(a), Seed::from(b), Seed::from(c), Seed::from(bump)]
    }

    /// Checks that `address` follows from them and a bump.
    ///
    /// # Errors
    /// `WrongAccount`.
    pub fn check(&self, bump: u8, program: &Address, address: &Address) -> ProgramResult {
        let [a, b, c] = self.parts();
        let derived = Address::create_program_address(&[a, b, c, &[bump]], program);
        require(derived.is_ok_and(|it| it == *address), WorldError::WrongAccount)
    }
}

/// Seeds of a pin account's address: `"pin"`, session, pinner, root.
#[derive(Clone, Copy)]
pub struct PinSeeds {
    /// Address of the session.
    pub session: [u8; 32],
    /// Address of the pinner.
    pub pinner: [u8; 32],
    /// Hash `root`.
    pub root: [u8; 32],
}

impl PinSeeds {
    /// In order, without a bump.
    pub fn parts(&self) -> [&[u8]; 4] {
        [b"pin", &self.session, &self.pinner, &self.root]
    }

    /// The address that they lead to first, and its bump.
    pub fn find(&self, program: &Address) -> (Address, u8) {
        Address::find_program_address(&self.parts(), program)
    }

    /// As a signature takes them.
    pub fn signer<'a>(&'a self, bump: &'a [u8; 1]) -> [Seed<'a>; 5] {
        let [a, b, c, d] = self.parts();
        [Seed::from(a), Seed::from(b), Seed::from(c), Seed::from(d), Seed::from(bump)]
    }

    /// Checks that `address` follows from them and a bump.
    ///
    /// # Errors
    /// `WrongAccount`.
    pub fn check(&self, bump: u8, program: &Address, address: &Address) -> ProgramResult {
        let [a, b, c, d] = self.parts();
        let derived = Address::create_program_address(&[a, b, c, d, &[bump]], program);
        require(derived.is_ok_and(|it| it == *address), WorldError::WrongAccount)
    }
}

/// Seeds of a buffer account's address: `"buffer"`, session.
#[derive(Clone, Copy)]
pub struct BufferSeeds {
    /// Address of the session.
    pub session: [u8; 32],
}

impl BufferSeeds {
    /// In order, without a bump.
    pub fn parts(&self) -> [&[u8]; 2] {
        [b"buffer", &self.session]
    }

    /// The address that they lead to first, and its bump.
    pub fn find(&self, program: &Address) -> (Address, u8) {
        Address::find_program_address(&self.parts(), program)
    }

    /// As a signature takes them.
    pub fn signer<'a>(&'a self, bump: &'a [u8; 1]) -> [Seed<'a>; 3] {
        let [a, b] = self.parts();
        [Seed::from(a), Seed::from(b), Seed::from(bump)]
    }

    /// Checks that `address` follows from them and a bump.
    ///
    /// # Errors
    /// `WrongAccount`.
    pub fn check(&self, bump: u8, program: &Address, address: &Address) -> ProgramResult {
        let [a, b] = self.parts();
        let derived = Address::create_program_address(&[a, b, &[bump]], program);
        require(derived.is_ok_and(|it| it == *address), WorldError::WrongAccount)
    }
}
