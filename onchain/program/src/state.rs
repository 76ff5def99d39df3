//! Accounts as this program sees them: each `load` checks everything before it reads anything else.
//!
//! Order of the checks: owner, length, tag, version, length written in the header, manifest. What links accounts to
//! each other (`session.model`, `session.scratch`, `scratch.session`) is checked by the instruction that gets them.

use pinocchio::{error::ProgramError, AccountView, Address};
use wmq_world::layout::{self, model, scratch, session};
#[cfg(feature = "meter")]
use wmq_world::OPS;

use crate::error::WorldError;

/// What a metering program writes behind the scratch account's own data: a reading after every op, and one more.
#[cfg(feature = "meter")]
const METER_BYTES: usize = 8 * (OPS.len() + 1);
#[cfg(not(feature = "meter"))]
const METER_BYTES: usize = 0;

/// Start of the data of an account that has passed its checks.
pub struct Checked(*mut u8);

impl Checked {
    /// First byte of the account's data: 8-byte aligned, as long as `layout` says.
    #[inline(always)]
    pub fn start(&self) -> *mut u8 {
        self.0
    }

    /// The `u64` at `offset`.
    #[inline(always)]
    pub fn u64_at(&self, offset: usize) -> u64 {
        // SAFETY: offsets come from `layout`, whose length the account was checked to have; reads may be unaligned.
        unsafe { (self.0.add(offset) as *const u64).read_unaligned() }
    }

    /// Writes the `u64` at `offset`.
    #[inline(always)]
    pub fn set_u64(&mut self, offset: usize, value: u64) {
        // SAFETY: as `u64_at`; the account was checked to be writable.
        unsafe { (self.0.add(offset) as *mut u64).write_unaligned(value) }
    }

    /// The `u32` at `offset`.
    #[inline(always)]
    pub fn u32_at(&self, offset: usize) -> u32 {
        // SAFETY: as `u64_at`.
        unsafe { (self.0.add(offset) as *const u32).read_unaligned() }
    }

    /// Writes the `u32` at `offset`.
    #[inline(always)]
    pub fn set_u32(&mut self, offset: usize, value: u32) {
        // SAFETY: as `set_u64`.
        unsafe { (self.0.add(offset) as *mut u32).write_unaligned(value) }
    }

    /// Whether the 32 bytes at `offset` are `address`.
    #[inline(always)]
    pub fn names(&self, offset: usize, address: &Address) -> bool {
        let bytes: &[u8; 32] = address.as_array();
        (0..4).all(|i| {
            let mut word = [0u8; 8];
            word.copy_from_slice(&bytes[8 * i..8 * i + 8]);
            self.u64_at(offset + 8 * i) == u64::from_le_bytes(word)
        })
    }
}

/// What `check` holds an account against; offsets of tag, version and length are the same in every header.
struct Kind {
    tag: [u8; 8],
    bytes: usize,
}

#[inline(always)]
fn check(program: &Address, account: &mut AccountView, kind: &Kind) -> Result<Checked, ProgramError> {
    if !account.owned_by(program) {
        return Err(ProgramError::InvalidAccountOwner);
    }
    if account.data_len() != kind.bytes {
        return Err(WorldError::WrongLength.into());
    }
    let checked = Checked(account.data_mut_ptr());
    if checked.u64_at(model::TAG) != u64::from_le_bytes(kind.tag) {
        return Err(WorldError::WrongTag.into());
    }
    if checked.u32_at(model::VERSION) != layout::ACCOUNT_VERSION {
        return Err(WorldError::WrongVersion.into());
    }
    if checked.u64_at(model::LENGTH) != kind.bytes as u64 {
        return Err(WorldError::WrongLength.into());
    }
    Ok(checked)
}

#[inline(always)]
fn check_manifest(checked: Checked, offset: usize) -> Result<Checked, ProgramError> {
    let expected = Address::new_from_array(layout::MANIFEST_HASH);
    if !checked.names(offset, &expected) {
        return Err(WorldError::WrongManifest.into());
    }
    Ok(checked)
}

#[inline(always)]
fn writable(account: &AccountView) -> Result<(), ProgramError> {
    if !account.is_writable() {
        return Err(ProgramError::Immutable);
    }
    Ok(())
}

/// The model account: weights that are only read.
///
/// # Errors
/// `InvalidAccountOwner`, `WrongLength`, `WrongTag`, `WrongVersion`, `WrongManifest`.
#[inline(always)]
pub fn load_model(program: &Address, account: &mut AccountView) -> Result<Checked, ProgramError> {
    check_manifest(
        check(program, account, &Kind { tag: model::ACCOUNT_TAG, bytes: model::BYTES })?,
        model::MANIFEST,
    )
}

/// The session account, to be written.
///
/// # Errors
/// As `load_model`, and `Immutable` if it is not writable.
#[inline(always)]
pub fn load_session(program: &Address, account: &mut AccountView) -> Result<Checked, ProgramError> {
    writable(account)?;
    let kind = Kind { tag: session::ACCOUNT_TAG, bytes: session::BYTES };
    check_manifest(check(program, account, &kind)?, session::MANIFEST)
}

/// The scratch account, to be written. It bears no manifest: it names its session, which does.
///
/// # Errors
/// As `load_session`, without `WrongManifest`.
#[inline(always)]
pub fn load_scratch(program: &Address, account: &mut AccountView) -> Result<Checked, ProgramError> {
    writable(account)?;
    check(program, account, &Kind { tag: scratch::ACCOUNT_TAG, bytes: scratch::BYTES + METER_BYTES })
}

const _: () = assert!(model::TAG == session::TAG && model::TAG == scratch::TAG);
const _: () = assert!(model::VERSION == session::VERSION && model::VERSION == scratch::VERSION);
const _: () = assert!(model::LENGTH == session::LENGTH && model::LENGTH == scratch::LENGTH);
