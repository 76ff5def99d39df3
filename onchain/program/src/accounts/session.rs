//! A session account: who plays, whose input waits, and where it stands.

use ephemeral_rollups_pinocchio::consts::DELEGATION_PROGRAM_ID;
use pinocchio::{
    error::ProgramError,
    sysvars::{clock::Clock, Sysvar},
    AccountView, Address, ProgramResult,
};
use wmq_world::layout::{player, session, FRAME_BYTES, LOOKAHEAD, MANIFEST_HASH, PEAKS, PLAYERS, SLOTS};

use super::{
    checked::{check, check_manifest, initialise, load_mut, signs, SESSION},
    fields::{Session, Status},
    seeds::SessionSeeds,
};
use crate::{
    error::{require, WorldError},
    instruction::{Agreed, Input, SessionKey},
    tree::Pinned,
};

/// A word of the ring of inputs: a player's input, and this bit while it waits for its frame.
const WAITING: u64 = 1 << 63;
const _: () = assert!(core::mem::size_of::<Input>() < 8);
/// Most leaves of its hash tree: a bit for each peak.
const MOST_LEAVES: u64 = (1 << PEAKS) - 1;

impl Session {
    /// The session, to be written by the instructions of every frame.
    ///
    /// That what it says was agreed is what its address says is not checked here, for that costs two thousand compute units.
    /// Nothing but this program writes it, which keeps them as they are, and takes no others back from a rollup.
    ///
    /// # Errors
    /// As `load_mut`; `WrongManifest`.
    #[inline(never)]
    pub fn load_in_frame(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        Ok(Self(check_manifest(load_mut(program, account, &SESSION)?, session::MANIFEST)?))
    }

    /// The session, to be written.
    ///
    /// # Errors
    /// As `load_mut`; `WrongManifest`; `WrongAccount` if its address is not that of what it says was agreed.
    #[inline(never)]
    pub fn load_mut(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        let loaded = Self::load_in_frame(program, account)?;
        loaded.check_address(program, account)?;
        Ok(loaded)
    }

    /// The session as the base chain last saw it, whether or not it is delegated just now.
    ///
    /// A delegated account belongs to the delegation program. That it is a session of ours, and of these players, is then
    /// known by its address: only this program can have signed for it.
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
        checked.set(session::MANIFEST, MANIFEST_HASH);
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

    /// What was agreed.
    pub fn agreed(&self) -> Agreed<'_> {
        Agreed {
            id: self.id(),
            ids: self.ids(),
            start: self.start(),
            opponent: self.opponent(),
            validator: self.validator(),
        }
    }

    /// Seeds of its own address.
    pub fn seeds(&self) -> SessionSeeds {
        SessionSeeds { model: *self.model(), creator: *self.creator(), terms: self.agreed().hash() }
    }

    #[inline(never)]
    fn check_address(&self, program: &Address, account: &AccountView) -> ProgramResult {
        self.seeds().check(self.bump(), program, account.address())
    }

    /// `WrongStatus` unless it stands there.
    ///
    /// # Errors
    /// `WrongStatus`.
    #[inline(always)]
    pub fn require(&self, status: Status) -> ProgramResult {
        require(self.is(status), WorldError::WrongStatus)
    }

    /// Checks that it is neither in the middle of a frame nor waits for its window: then the current Frame is the one that
    /// its hash tree ends with, and it may be ended, committed or given back.
    ///
    /// # Errors
    /// `WrongStatus`, `WrongStep`.
    pub fn between_frames(&self) -> ProgramResult {
        require(!self.is(Status::Loading), WorldError::WrongStatus)?;
        require(self.step() == 0, WorldError::WrongStep)
    }

    /// Leaves of its hash tree: the window it started from, and a record of every frame since.
    ///
    /// # Errors
    /// `WrongFrame` if no tree has so many.
    #[inline(always)]
    pub fn leaves(&self) -> Result<u64, ProgramError> {
        let most = MOST_LEAVES - SLOTS;
        require(self.frame_number() <= most, WorldError::WrongFrame)?;
        Ok(self.frame_number().wrapping_add(SLOTS))
    }

    /// Checks that its hash tree takes one more leaf: at the end of the range a session takes no more frames.
    ///
    /// # Errors
    /// `WrongFrame`.
    #[inline(always)]
    pub fn has_room(&self) -> ProgramResult {
        require(self.frame_number() < MOST_LEAVES - SLOTS, WorldError::WrongFrame)
    }

    /// Its hash tree.
    ///
    /// # Errors
    /// As `leaves`.
    #[inline(always)]
    pub fn tree(&self) -> Result<Pinned<'_>, ProgramError> {
        Ok(Pinned { count: self.leaves()?, root: self.root() })
    }

    /// The current Frame's bytes.
    #[inline(always)]
    pub fn frame_bytes(&self) -> &[u8; FRAME_BYTES] {
        self.0.at(session::FRAME)
    }

    /// Where a player's fields begin.
    #[inline(always)]
    fn player(index: u8) -> Result<usize, ProgramError> {
        require((index as usize) < PLAYERS, WorldError::WrongPlayer)?;
        Ok(session::PLAYERS + index as usize * player::BYTES)
    }

    /// A player's wallet; all zeros for a free seat.
    ///
    /// # Errors
    /// `WrongPlayer`.
    #[inline(always)]
    pub fn wallet(&self, index: u8) -> Result<&[u8; 32], ProgramError> {
        Ok(self.0.at(Self::player(index)? + player::WALLET))
    }

    /// Whether that is a player's wallet.
    ///
    /// # Errors
    /// `WrongPlayer`.
    #[inline(always)]
    pub fn wallet_is(&self, index: u8, address: &Address) -> Result<bool, ProgramError> {
        Ok(self.0.names(Self::player(index)? + player::WALLET, address))
    }

    /// Gives a player's seat to a wallet.
    ///
    /// # Errors
    /// `WrongPlayer`.
    pub fn set_wallet(&mut self, index: u8, wallet: &[u8; 32]) -> ProgramResult {
        self.0.set(Self::player(index)? + player::WALLET, *wallet);
        Ok(())
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

    /// Checks that `signer` signs, and may act for player `index`: the player's wallet, or the session key in its time. A
    /// wallet that named itself as its session key stays the player's wallet.
    ///
    /// # Errors
    /// `MissingRequiredSignature`, `WrongPlayer`, `WrongAuthority`, `KeyExpired`.
    #[inline(never)]
    pub fn acts_for(&self, index: u8, signer: &AccountView) -> ProgramResult {
        signs(signer)?;
        let at = Self::player(index)?;
        if self.0.names(at + player::KEY, signer.address()) {
            let valid = Clock::get()?.unix_timestamp < self.0.get::<i64>(at + player::EXPIRES);
            let own = || self.0.names(at + player::WALLET, signer.address());
            return require(valid || own(), WorldError::KeyExpired);
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

    /// Whether a player has not sent an input for the current frame yet.
    pub fn waits_for_input(&self) -> bool {
        (0..PLAYERS).any(|index| self.0.get::<u64>(Self::ring(self.frame_number(), index)) & WAITING == 0)
    }

    /// Empties the ring where the current frame's inputs lay.
    #[inline(always)]
    pub fn drop_inputs(&mut self) {
        for index in 0..PLAYERS {
            self.0.set(Self::ring(self.frame_number(), index), 0u64);
        }
    }
}
