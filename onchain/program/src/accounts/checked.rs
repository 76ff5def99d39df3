//! What every account is held against before anything else in it is read.
//!
//! Order of the checks: writable if it is to be written, owner, length, tag, version, length written in the header,
//! manifest. What links accounts to each other (`session.model`, `scratch.session`) is checked by the instruction that
//! gets them.

use pinocchio::{error::ProgramError, AccountView, Address, ProgramResult};
use wmq_world::layout::{self, dispute, model, pin, scratch, session, work};
#[cfg(feature = "meter")]
use wmq_world::OPS;

use crate::error::{require, WorldError};

/// What a metering program writes behind the scratch account's own data: a reading after every op, and one more.
#[cfg(feature = "meter")]
const METER_BYTES: usize = 8 * (OPS.len() + 1);
#[cfg(not(feature = "meter"))]
const METER_BYTES: usize = 0;

/// Bytes of a scratch account of this build.
pub const SCRATCH_BYTES: usize = scratch::BYTES + METER_BYTES;
/// Bytes of a dispute account of this build.
pub const DISPUTE_BYTES: usize = dispute::BYTES + METER_BYTES;

/// Start of a section of an account that has passed its checks: 8-byte aligned, as long as `layout` says.
#[derive(Clone, Copy)]
pub struct Area(*mut u8);

impl Area {
    /// Its first byte.
    #[inline(always)]
    pub fn start(self) -> *mut u8 {
        self.0
    }
}

/// Start of the data of an account that has passed its checks.
pub struct Checked(*mut u8);

impl Checked {
    /// The section that begins at `offset`.
    #[inline(always)]
    pub fn area(&self, offset: usize) -> Area {
        // SAFETY: offsets come from `layout`, whose length the account was checked to have.
        Area(unsafe { self.0.add(offset) })
    }

    /// A copy of what lies at `offset`.
    #[inline(always)]
    pub fn get<T: Copy + Plain>(&self, offset: usize) -> T {
        // SAFETY: offsets come from `layout`, whose length the account was checked to have; reads may be unaligned.
        unsafe { (self.0.add(offset) as *const T).read_unaligned() }
    }

    /// Writes `value` at `offset`.
    #[inline(always)]
    pub fn set<T: Copy + Plain>(&mut self, offset: usize, value: T) {
        // SAFETY: as `get`; the account was checked to be writable.
        unsafe { (self.0.add(offset) as *mut T).write_unaligned(value) }
    }

    /// What lies at `offset`, in place.
    #[inline(always)]
    pub fn at<T: Plain>(&self, offset: usize) -> &T {
        const { assert!(core::mem::align_of::<T>() == 1) };
        // SAFETY: as `get`; every bit pattern is a `T`, and no other reference to these bytes lives meanwhile.
        unsafe { &*(self.0.add(offset) as *const T) }
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn at_mut<T: Plain>(&mut self, offset: usize) -> &mut T {
        const { assert!(core::mem::align_of::<T>() == 1) };
        // SAFETY: as `at`; the account was checked to be writable.
        unsafe { &mut *(self.0.add(offset) as *mut T) }
    }

    /// Whether the 32 bytes at `offset` are `address`.
    #[inline(always)]
    pub fn names(&self, offset: usize, address: &Address) -> bool {
        let bytes: &[u8; 32] = address.as_array();
        (0..4).all(|i| {
            let mut word = [0u8; 8];
            word.copy_from_slice(&bytes[8 * i..8 * i + 8]);
            self.get::<u64>(offset + 8 * i) == u64::from_le_bytes(word)
        })
    }

    /// An account of this program, turned into one of `kind` whatever it was.
    ///
    /// # Errors
    /// `Immutable`, `InvalidAccountOwner`, `WrongLength`.
    pub fn claim(program: &Address, account: &mut AccountView, kind: &Kind) -> Result<Self, ProgramError> {
        require(account.is_writable(), ProgramError::Immutable)?;
        require(account.owned_by(program), ProgramError::InvalidAccountOwner)?;
        require(account.data_len() == kind.bytes, WorldError::WrongLength)?;
        let mut checked = Self(account.data_mut_ptr());
        checked.write_header(kind);
        Ok(checked)
    }

    fn write_header(&mut self, kind: &Kind) {
        self.set(model::TAG, u64::from_le_bytes(kind.tag));
        self.set(model::VERSION, layout::ACCOUNT_VERSION);
        self.set(model::LENGTH, kind.bytes as u64);
    }
}

/// Plain bytes and integers: every bit pattern is a value.
///
/// # Safety
/// That must be true of the type.
pub unsafe trait Plain {}
// SAFETY: integers, and arrays of bytes, have no invalid bit patterns.
unsafe impl Plain for u8 {}
// SAFETY: as above.
unsafe impl Plain for u32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for i64 {}
// SAFETY: as above.
unsafe impl Plain for u16 {}
// SAFETY: as above.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// What an account is held against; offsets of tag, version and length are the same in every header.
pub struct Kind {
    tag: [u8; 8],
    bytes: usize,
}

/// The model account of a shard.
pub const fn model_of(shard: usize) -> Kind {
    Kind { tag: model::ACCOUNT_TAG, bytes: model::BYTES[shard] }
}
/// A session account.
pub const SESSION: Kind = Kind { tag: session::ACCOUNT_TAG, bytes: session::BYTES };
/// A scratch account.
pub const SCRATCH: Kind = Kind { tag: scratch::ACCOUNT_TAG, bytes: SCRATCH_BYTES };
/// A pin account.
pub const PIN: Kind = Kind { tag: pin::ACCOUNT_TAG, bytes: pin::BYTES };
/// A dispute account.
pub const DISPUTE: Kind = Kind { tag: dispute::ACCOUNT_TAG, bytes: DISPUTE_BYTES };

const _: () = assert!(model::TAG == session::TAG && model::TAG == scratch::TAG && model::TAG == dispute::TAG);
const _: () = assert!(model::VERSION == session::VERSION && model::VERSION == scratch::VERSION);
const _: () = assert!(model::VERSION == dispute::VERSION && model::LENGTH == dispute::LENGTH);
const _: () =
    assert!(model::TAG == pin::TAG && model::VERSION == pin::VERSION && model::LENGTH == pin::LENGTH);
const _: () = assert!(model::LENGTH == session::LENGTH && model::LENGTH == scratch::LENGTH);
// What kernels read and write is 8-byte aligned.
const _: () = assert!(
    (session::FRAME | scratch::WORK | dispute::WORK | dispute::FRAME | model::BLOB | work::BYTES) & 7 == 0
);

/// An account of any owner.
///
/// # Errors
/// `WrongLength`, `WrongTag`, `WrongVersion`.
#[inline(always)]
pub fn check(account: &mut AccountView, kind: &Kind) -> Result<Checked, ProgramError> {
    require(account.data_len() == kind.bytes, WorldError::WrongLength)?;
    let checked = Checked(account.data_mut_ptr());
    require(checked.get::<u64>(model::TAG) == u64::from_le_bytes(kind.tag), WorldError::WrongTag)?;
    require(checked.get::<u32>(model::VERSION) == layout::ACCOUNT_VERSION, WorldError::WrongVersion)?;
    require(checked.get::<u64>(model::LENGTH) == kind.bytes as u64, WorldError::WrongLength)?;
    Ok(checked)
}

/// An account of this program, to be read.
///
/// # Errors
/// `InvalidAccountOwner`, `WrongLength`, `WrongTag`, `WrongVersion`.
#[inline(always)]
pub fn load(program: &Address, account: &mut AccountView, kind: &Kind) -> Result<Checked, ProgramError> {
    require(account.owned_by(program), ProgramError::InvalidAccountOwner)?;
    check(account, kind)
}

/// An account of this program, to be written.
///
/// # Errors
/// As `load`, and `Immutable` if it is not writable.
#[inline(always)]
pub fn load_mut(program: &Address, account: &mut AccountView, kind: &Kind) -> Result<Checked, ProgramError> {
    require(account.is_writable(), ProgramError::Immutable)?;
    load(program, account, kind)
}

/// What lies at `offset` of an account of this program, before anything else of it is known.
///
/// # Errors
/// `InvalidAccountOwner`, `WrongLength` if the account ends before it.
pub fn peek<T: Copy + Plain>(
    program: &Address,
    account: &mut AccountView,
    offset: usize,
) -> Result<T, ProgramError> {
    require(account.owned_by(program), ProgramError::InvalidAccountOwner)?;
    require(offset + core::mem::size_of::<T>() <= account.data_len(), WorldError::WrongLength)?;
    Ok(Checked(account.data_mut_ptr()).get(offset))
}

/// An account of this program that was never written, turned into one of `kind`.
///
/// # Errors
/// `Immutable`, `InvalidAccountOwner`, `WrongLength`; `NotEmpty` if its header is not all zeros.
#[inline(never)]
pub fn initialise(
    program: &Address,
    account: &mut AccountView,
    kind: &Kind,
) -> Result<Checked, ProgramError> {
    require(account.owned_by(program), ProgramError::InvalidAccountOwner)?;
    require(account.data_len() == kind.bytes, WorldError::WrongLength)?;
    let header = *Checked(account.data_mut_ptr()).at::<[u8; model::MANIFEST]>(0);
    require(header == [0; model::MANIFEST], WorldError::NotEmpty)?;
    Checked::claim(program, account, kind)
}

/// `MissingRequiredSignature` unless the account signs.
#[inline(always)]
pub fn signs(account: &AccountView) -> ProgramResult {
    require(account.is_signer(), ProgramError::MissingRequiredSignature)
}

/// Whether `account` is the system program: what creates accounts is a constant, and no other may stand in its place.
///
/// # Errors
/// `WrongProgram`.
pub fn is_system_program(account: &AccountView) -> ProgramResult {
    require(*account.address() == pinocchio_system::ID, WorldError::WrongProgram)
}

/// Moves all lamports of an account of this program to `to`, and gives it back to the system, empty.
///
/// # Errors
/// `SameAccount`; `Immutable`; `ArithmeticOverflow` and `AccountBorrowFailed` never, as there are fewer than 2^60 lamports
/// and nothing here borrows.
#[inline(never)]
pub fn close_account(account: &mut AccountView, to: &mut AccountView) -> ProgramResult {
    require(account.address() != to.address(), WorldError::SameAccount)?;
    require(to.is_writable(), ProgramError::Immutable)?;
    let sum = to.lamports().checked_add(account.lamports()).ok_or(ProgramError::ArithmeticOverflow)?;
    to.set_lamports(sum);
    account.set_lamports(0);
    account.close()
}

/// The same, if the manifest whose hash lies at `offset` is this program's.
///
/// # Errors
/// `WrongManifest`.
#[inline(always)]
pub fn check_manifest(checked: Checked, offset: usize) -> Result<Checked, ProgramError> {
    let expected = Address::new_from_array(layout::MANIFEST_HASH);
    require(checked.names(offset, &expected), WorldError::WrongManifest)?;
    Ok(checked)
}
