//! The instruction `write_chunk`.

use pinocchio::ProgramResult;
use wmq_world::layout::{CHUNKS, CHUNK_BYTES};

use super::{blob_part, Context};
use crate::{
    accounts::Model,
    error::{require, WorldError},
    instruction::Chunk,
};

/// `write_chunk`: writes one chunk of a shard of the blob and marks it. Hashing starts again.
///
/// ```text
/// data      index u32 | bytes (u32 length first)
/// accounts  0 [signer] authority, 1 [writable] model
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `load_mut`, `WrongManifest`, `WrongAuthority`,
/// `ModelFrozen`; `WrongChunk`.
#[inline(never)]
pub fn process(context: Context, chunk: &Chunk) -> ProgramResult {
    let Context { program, accounts } = context;
    let mut data = Model::load_open(program, accounts)?;
    let (shard, index) = (data.shard() as usize, chunk.index as usize);
    require(index < CHUNKS[shard], WorldError::WrongChunk)?;
    let (start, length) = blob_part(shard, index, CHUNK_BYTES);
    require(chunk.data.len() == length, WorldError::WrongChunk)?;
    // SAFETY: the account was checked to hold the whole shard, in which the chunk lies; instruction data is elsewhere.
    unsafe {
        let to = data.blob().start().add(start);
        core::ptr::copy_nonoverlapping(chunk.data.as_ptr(), to, length);
    }
    data.mark(index);
    data.set_pieces(0);
    data.set_digest(&[0; 32]);
    Ok(())
}
