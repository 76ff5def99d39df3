//! A model account: a shard of the blob, and the marks of the chunks that have been written.

use pinocchio::{error::ProgramError, AccountView, Address};
use wmq_world::layout::{model, Blobs, CHUNKS, MANIFEST_HASH, SHARDS};

use super::{
    checked::{check_manifest, initialise, load, load_mut, model_of, peek, signs, Area},
    fields::Model,
};
use crate::error::{require, WorldError};

/// The shards of a model whose first account was loaded: the others are held against what freezing has proved of them,
/// so that there is but one blob that they can be.
///
/// # Errors
/// Those of `Model::load_frozen`.
#[inline(always)]
pub fn blobs(
    program: &Address,
    first: &Model,
    others: &mut [AccountView; SHARDS - 1],
) -> Result<Blobs, ProgramError> {
    let mut blobs = Blobs { first: first.blob().start(), others: [core::ptr::null(); SHARDS - 1] };
    for (i, (start, account)) in blobs.others.iter_mut().zip(others).enumerate() {
        *start = Model::load_frozen(program, account, i + 1)?.blob().start();
    }
    Ok(blobs)
}

impl Model {
    /// The model's first account, to be read. It may be of another manifest: a session's own is named by its address.
    ///
    /// # Errors
    /// As `load`.
    #[inline(always)]
    pub fn load(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        Ok(Self(load(program, account, &model_of(0))?))
    }

    /// The account of a shard, frozen: its blob is the manifest's, byte for byte.
    ///
    /// # Errors
    /// As `load`; `WrongManifest`, `WrongAccount` if it is another shard's, `ModelNotFrozen`.
    #[inline(never)]
    pub fn load_frozen(
        program: &Address,
        account: &mut AccountView,
        shard: usize,
    ) -> Result<Self, ProgramError> {
        let model = Self(check_manifest(load(program, account, &model_of(shard))?, model::MANIFEST)?);
        require(SHARDS == 1 || model.shard() as usize == shard, WorldError::WrongAccount)?;
        require(model.frozen(), WorldError::ModelNotFrozen)?;
        Ok(model)
    }

    /// The model, still open, and its authority's signature.
    ///
    /// # Errors
    /// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `load_mut`, `WrongAccount` if there is no such shard,
    /// `WrongManifest`, `WrongAuthority`, `ModelFrozen`.
    pub fn load_open(program: &Address, accounts: &mut [AccountView]) -> Result<Self, ProgramError> {
        let [authority, account] = accounts else {
            return Err(ProgramError::NotEnoughAccountKeys);
        };
        signs(authority)?;
        let kind = model_of(shard_of(program, account)?);
        let model = Self(check_manifest(load_mut(program, account, &kind)?, model::MANIFEST)?);
        require(model.authority_is(authority.address()), WorldError::WrongAuthority)?;
        require(!model.frozen(), WorldError::ModelFrozen)?;
        Ok(model)
    }

    /// The start of the account of a shard; everything else in it is zero.
    ///
    /// # Errors
    /// As `initialise`.
    pub fn initialise(
        program: &Address,
        account: &mut AccountView,
        shard: usize,
    ) -> Result<Self, ProgramError> {
        let mut model = Self(initialise(program, account, &model_of(shard))?);
        model.set_shard(shard as u32);
        model.set_manifest(&MANIFEST_HASH);
        Ok(model)
    }

    /// Where the blob lies.
    #[inline(always)]
    pub fn blob(&self) -> Area {
        self.0.area(model::BLOB)
    }

    /// Marks a chunk, which there must be, as written.
    pub fn mark(&mut self, chunk: usize) {
        let at = model::CHUNKS + chunk / 8;
        let marks: u8 = self.0.get(at);
        self.0.set(at, marks | 1 << (chunk % 8));
    }

    /// Whether every chunk has been written.
    pub fn whole(&self) -> bool {
        let chunks = CHUNKS[self.shard() as usize];
        let full = (0..chunks / 8).all(|i| self.0.get::<u8>(model::CHUNKS + i) == 0xff);
        let rest = chunks % 8;
        full && (rest == 0 || self.0.get::<u8>(model::CHUNKS + chunks / 8) == (1u8 << rest) - 1)
    }
}

/// The number that the account of a shard says it has, before anything else of it is known.
fn shard_of(program: &Address, account: &mut AccountView) -> Result<usize, ProgramError> {
    let shard = peek::<u32>(program, account, model::SHARD)? as usize;
    require(shard < SHARDS, WorldError::WrongAccount)?;
    Ok(shard)
}
