//! The instruction `freeze_model`.

use pinocchio::ProgramResult;
use wmq_world::layout::{BLOB_DIGESTS, PIECES};

use super::Context;
use crate::{
    accounts::Model,
    error::{require, WorldError},
};

/// `freeze_model`: from here on nobody changes it, and sessions may use it.
///
/// ```text
/// accounts  0 [signer] authority, 1 [writable] model
/// ```
/// # Errors
/// As `write_chunk`, with `WrongDigest` in place of `WrongChunk`.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let mut data = Model::load_open(program, accounts)?;
    let shard = data.shard() as usize;
    let hashed = data.pieces() == PIECES[shard];
    require(hashed && *data.digest() == BLOB_DIGESTS[shard], WorldError::WrongDigest)?;
    data.set_frozen(true);
    Ok(())
}
