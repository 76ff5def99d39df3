//! Accounts as this program sees them: each `load` checks everything before it reads anything else.
//!
//! Order of the checks: writable if it is to be written, owner, length, tag, version, length written in the header,
//! manifest. What links accounts to each other (`session.model`, `scratch.session`) is checked by the instruction that
//! gets them.

use ephemeral_rollups_pinocchio::consts::DELEGATION_PROGRAM_ID;
use pinocchio::{
    error::ProgramError,
    sysvars::{clock::Clock, Sysvar},
    AccountView, Address, ProgramResult,
};
use wmq_world::layout::{self, dispute, model, player, scratch, session, work, LOOKAHEAD, PLAYERS, SLOTS};
#[cfg(feature = "meter")]
use wmq_world::OPS;

use crate::{
    error::{require, WorldError},
    instruction::{Input, SessionKey},
    tree::Hash,
};

/// What a metering program writes behind the scratch account's own data: a reading after every op, and one more.
#[cfg(feature = "meter")]
const METER_BYTES: usize = 8 * (OPS.len() + 1);
#[cfg(not(feature = "meter"))]
const METER_BYTES: usize = 0;

/// Bytes of a scratch account of this build.
pub const SCRATCH_BYTES: usize = scratch::BYTES + METER_BYTES;
/// Bytes of a dispute account of this build.
pub const DISPUTE_BYTES: usize = dispute::BYTES + METER_BYTES;

/// Start of the data of an account that has passed its checks.
pub struct Checked(*mut u8);

impl Checked {
    /// First byte of the account's data: 8-byte aligned, as long as `layout` says.
    #[inline(always)]
    pub fn start(&self) -> *mut u8 {
        self.0
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

/// A model account.
pub const MODEL: Kind = Kind { tag: model::ACCOUNT_TAG, bytes: model::BYTES };
/// A session account.
pub const SESSION: Kind = Kind { tag: session::ACCOUNT_TAG, bytes: session::BYTES };
/// A scratch account.
pub const SCRATCH: Kind = Kind { tag: scratch::ACCOUNT_TAG, bytes: SCRATCH_BYTES };
/// A dispute account.
pub const DISPUTE: Kind = Kind { tag: dispute::ACCOUNT_TAG, bytes: DISPUTE_BYTES };

const _: () = assert!(model::TAG == session::TAG && model::TAG == scratch::TAG && model::TAG == dispute::TAG);
const _: () = assert!(model::VERSION == session::VERSION && model::VERSION == scratch::VERSION);
const _: () = assert!(model::VERSION == dispute::VERSION && model::LENGTH == dispute::LENGTH);
const _: () = assert!(model::LENGTH == session::LENGTH && model::LENGTH == scratch::LENGTH);
// What kernels read and write is 8-byte aligned.
const _: () = assert!(
    (session::FRAME | scratch::WORK | dispute::WORK | dispute::FRAME | model::BLOB | work::BYTES) & 7 == 0
);

#[inline(always)]
fn check(account: &mut AccountView, kind: &Kind) -> Result<Checked, ProgramError> {
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

/// Moves all lamports of an account of this program to `to`, and gives it back to the system, empty.
///
/// # Errors
/// `SameAccount`; `Immutable`; `AccountBorrowFailed` never, as nothing here borrows.
#[inline(never)]
pub fn close_account(account: &mut AccountView, to: &mut AccountView) -> ProgramResult {
    require(account.address() != to.address(), WorldError::SameAccount)?;
    require(to.is_writable(), ProgramError::Immutable)?;
    // Lamports are fewer than 2^60 in all: the sum cannot wrap.
    to.set_lamports(to.lamports() + account.lamports());
    account.set_lamports(0);
    account.close()
}

#[inline(always)]
fn check_manifest(checked: Checked, offset: usize) -> Result<Checked, ProgramError> {
    let expected = Address::new_from_array(layout::MANIFEST_HASH);
    require(checked.names(offset, &expected), WorldError::WrongManifest)?;
    Ok(checked)
}

/// The model account, frozen: its blob is the manifest's, byte for byte.
///
/// # Errors
/// As `load`; `WrongManifest`, `ModelNotFrozen`.
#[inline(never)]
pub fn load_frozen_model(program: &Address, account: &mut AccountView) -> Result<Checked, ProgramError> {
    let checked = check_manifest(load(program, account, &MODEL)?, model::MANIFEST)?;
    require(checked.get::<u32>(model::FROZEN) == 1, WorldError::ModelNotFrozen)?;
    Ok(checked)
}

/// What can be done with a session: it goes through these from first to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// Waits for its second player.
    Open = 0,
    /// Both players are there; the window is being seeded.
    Joined,
    /// Frames are being computed.
    Started,
    /// Over.
    Ended,
}

/// A session account that has passed its checks.
pub struct Session(Checked);

/// A word of the ring of inputs: a player's input, and this bit while it waits for its frame.
const WAITING: u64 = 1 << 63;
const _: () = assert!(core::mem::size_of::<Input>() < 8);

impl Session {
    /// The session, to be read.
    ///
    /// # Errors
    /// As `load`; `WrongManifest`.
    #[inline(never)]
    pub fn load(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        Ok(Self(check_manifest(load(program, account, &SESSION)?, session::MANIFEST)?))
    }

    /// The session, to be written.
    ///
    /// # Errors
    /// As `load_mut`; `WrongManifest`.
    #[inline(never)]
    pub fn load_mut(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        Ok(Self(check_manifest(load_mut(program, account, &SESSION)?, session::MANIFEST)?))
    }

    /// The session as the base chain last saw it, whether or not it is delegated just now.
    ///
    /// A delegated account belongs to the delegation program. That it is a session of ours is then known by its address:
    /// only this program can have signed for it.
    ///
    /// # Errors
    /// As `load`; `WrongManifest`; `WrongAccount` if its address is not that of the session it says to be.
    #[inline(never)]
    pub fn load_committed(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        let owned = account.owned_by(program) || account.owned_by(&DELEGATION_PROGRAM_ID);
        require(owned, ProgramError::InvalidAccountOwner)?;
        let loaded = Self(check_manifest(check(account, &SESSION)?, session::MANIFEST)?);
        loaded.check_address(program, account)?;
        Ok(loaded)
    }

    /// The session account's start of a new session; everything else in it is zero.
    ///
    /// # Errors
    /// As `initialise`.
    pub fn initialise(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        let mut checked = initialise(program, account, &SESSION)?;
        checked.set(session::MANIFEST, layout::MANIFEST_HASH);
        Ok(Self(checked))
    }

    /// Checks that these bytes, which another program brought, are a session whose address `account` has.
    ///
    /// # Errors
    /// `WrongLength`, `WrongTag`, `WrongVersion`, `WrongManifest`, `WrongAccount`.
    #[inline(never)]
    pub fn check_bytes(
        program: &Address,
        bytes: &mut AccountView,
        account: &AccountView,
    ) -> Result<Self, ProgramError> {
        let session = Self(check_manifest(check(bytes, &SESSION)?, session::MANIFEST)?);
        session.check_address(program, account)?;
        Ok(session)
    }

    #[inline(never)]
    fn check_address(&self, program: &Address, account: &AccountView) -> ProgramResult {
        let bump = [self.bump()];
        let seeds: [&[u8]; 5] = [b"session", self.model(), self.creator(), self.id(), &bump];
        let derived = Address::create_program_address(&seeds, program);
        require(derived.is_ok_and(|it| it == *account.address()), WorldError::WrongAccount)
    }

    /// Fields, as the account holds them.
    #[inline(always)]
    pub fn fields(&self) -> &Checked {
        &self.0
    }

    /// Fields, to be written.
    #[inline(always)]
    pub fn fields_mut(&mut self) -> &mut Checked {
        &mut self.0
    }

    /// Seeds of the session's own address: `b"session"`, these three, and the bump.
    pub fn model(&self) -> &[u8; 32] {
        self.0.at(session::MODEL)
    }

    /// Who made the session, and gets its rent back.
    pub fn creator(&self) -> &[u8; 32] {
        self.0.at(session::CREATOR)
    }

    /// Validator of the rollup that it was created for.
    pub fn validator(&self) -> &[u8; 32] {
        self.0.at(session::VALIDATOR)
    }

    /// The creator's number for it, little-endian.
    pub fn id(&self) -> &[u8; 8] {
        self.0.at(session::ID)
    }

    /// Bump of its address.
    pub fn bump(&self) -> u8 {
        self.0.get::<u32>(session::BUMP) as u8
    }

    /// Bump of its scratch account's address.
    pub fn scratch_bump(&self) -> u8 {
        self.0.get::<u32>(session::SCRATCH_BUMP) as u8
    }

    /// Where it stands.
    #[inline(always)]
    pub fn is(&self, status: Status) -> bool {
        self.0.get::<u32>(session::STATUS) == status as u32
    }

    /// `WrongStatus` unless it stands there.
    ///
    /// # Errors
    /// `WrongStatus`.
    #[inline(always)]
    pub fn require(&self, status: Status) -> ProgramResult {
        require(self.is(status), WorldError::WrongStatus)
    }

    /// Moves it on.
    pub fn set_status(&mut self, status: Status) {
        self.0.set(session::STATUS, status as u32);
    }

    /// The frame that is computed next.
    #[inline(always)]
    pub fn frame_number(&self) -> u64 {
        self.0.get(session::FRAME_NUMBER)
    }

    /// Leaves of its hash tree: the window it started from, and a record of every frame since.
    #[inline(always)]
    pub fn leaves(&self) -> u64 {
        self.frame_number() + SLOTS
    }

    /// Root of its hash tree.
    #[inline(always)]
    pub fn root(&self) -> &Hash {
        self.0.at(session::ROOT)
    }

    /// Keeps the root of its hash tree.
    #[inline(always)]
    pub fn set_root(&mut self, root: Hash) {
        self.0.set(session::ROOT, root);
    }

    /// Start of the current Frame.
    #[inline(always)]
    pub fn frame(&self) -> *mut u8 {
        // SAFETY: the account is longer than that.
        unsafe { self.0.start().add(session::FRAME) }
    }

    /// Where a player's fields begin.
    ///
    /// # Errors
    /// `WrongPlayer`.
    #[inline(always)]
    pub fn player(index: u8) -> Result<usize, ProgramError> {
        require((index as usize) < PLAYERS, WorldError::WrongPlayer)?;
        Ok(session::PLAYERS + index as usize * player::BYTES)
    }

    /// Sets who may sign a player's inputs beside the player.
    ///
    /// # Errors
    /// `WrongPlayer`.
    pub fn set_key(&mut self, index: u8, key: &SessionKey) -> ProgramResult {
        let at = Self::player(index)?;
        self.0.set(at + player::KEY, *key.key);
        self.0.set(at + player::EXPIRES, key.expires);
        Ok(())
    }

    /// Checks that `signer` signs, and may act for player `index`: the player's wallet, or the session key in its time.
    ///
    /// # Errors
    /// `MissingRequiredSignature`, `WrongPlayer`, `WrongAuthority`, `KeyExpired`.
    #[inline(never)]
    pub fn acts_for(&self, index: u8, signer: &AccountView) -> ProgramResult {
        signs(signer)?;
        let at = Self::player(index)?;
        if self.0.names(at + player::KEY, signer.address()) {
            let now = Clock::get()?.unix_timestamp;
            return require(now < self.0.get::<i64>(at + player::EXPIRES), WorldError::KeyExpired);
        }
        require(self.0.names(at + player::WALLET, signer.address()), WorldError::WrongAuthority)
    }

    /// Checks that `signer` signs and has a part in this session: the creator or a player's wallet. A session key can only
    /// play.
    ///
    /// # Errors
    /// `MissingRequiredSignature`, `WrongAuthority`.
    #[inline(never)]
    pub fn has_part(&self, signer: &AccountView) -> ProgramResult {
        signs(signer)?;
        let seats = [session::CREATOR, Self::player(0)? + player::WALLET, Self::player(1)? + player::WALLET];
        let known = seats.iter().any(|&seat| self.0.names(seat, signer.address()));
        require(known, WorldError::WrongAuthority)
    }

    /// Where a player's input for a frame waits.
    #[inline(always)]
    fn ring(frame: u64, index: usize) -> usize {
        session::INPUTS + 8 * ((frame % LOOKAHEAD) as usize * PLAYERS + index)
    }

    /// Keeps an input until its frame is computed.
    ///
    /// # Errors
    /// `LateInput`, `EarlyInput`, `TakenInput`.
    #[inline(always)]
    pub fn keep_input(&mut self, index: u8, frame: u64, input: &Input) -> ProgramResult {
        let now = self.frame_number();
        require(frame >= now, WorldError::LateInput)?;
        require(frame - now < LOOKAHEAD, WorldError::EarlyInput)?;
        let at = Self::ring(frame, index as usize);
        require(self.0.get::<u64>(at) == 0, WorldError::TakenInput)?;
        let mut word = [0u8; 8];
        word[..input.len()].copy_from_slice(input);
        self.0.set(at, u64::from_le_bytes(word) | WAITING);
        Ok(())
    }

    /// Both inputs of the current frame.
    ///
    /// # Errors
    /// `MissingInput`.
    #[inline(always)]
    pub fn inputs(&self) -> Result<[Input; PLAYERS], ProgramError> {
        let mut inputs = [Input::default(); PLAYERS];
        for (index, input) in inputs.iter_mut().enumerate() {
            let word = self.0.get::<u64>(Self::ring(self.frame_number(), index));
            require(word & WAITING != 0, WorldError::MissingInput)?;
            let bytes = word.to_le_bytes();
            for (value, byte) in input.iter_mut().zip(bytes) {
                *value = byte;
            }
        }
        Ok(inputs)
    }

    /// Empties the ring where the current frame's inputs lay.
    #[inline(always)]
    pub fn drop_inputs(&mut self) {
        for index in 0..PLAYERS {
            self.0.set(Self::ring(self.frame_number(), index), 0u64);
        }
    }
}
