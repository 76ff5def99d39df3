//! What the network keeps from frame to frame: a region of the work area, and the digest of it that is committed with each
//! frame. Of a network that keeps nothing both have no bytes, and nothing here costs anything.

use pinocchio::ProgramResult;
use wmq_world::layout::memory::{BYTES, CHUNKS, CHUNK_BYTES, EMPTY, MEMORY_DIGEST_BYTES, START};

use crate::{
    accounts::Area,
    error::{require, WorldError},
    instruction::Chunk,
    tree::sha256,
};

/// Digest of a region: sha256, or nothing.
pub type Digest = [u8; MEMORY_DIGEST_BYTES];

/// Digest of the region of a work area; about half a compute unit a byte.
#[inline(always)]
pub fn digest(work: Area) -> Digest {
    let mut digest = EMPTY;
    if BYTES != 0 {
        // SAFETY: the region lies in a work area, which lies in a checked account; nothing writes it meanwhile.
        let region = unsafe { core::slice::from_raw_parts(work.start().add(START), BYTES) };
        digest.copy_from_slice(&sha256(&[region]));
    }
    digest
}

/// Writes one chunk of the region of a work area.
///
/// # Errors
/// `WrongChunk`.
#[inline(never)]
pub fn write(work: Area, chunk: &Chunk) -> ProgramResult {
    let index = chunk.index as usize;
    require((0..CHUNKS).contains(&index), WorldError::WrongChunk)?;
    let start = index * CHUNK_BYTES;
    let length = CHUNK_BYTES.min(BYTES - start);
    require(chunk.data.len() == length, WorldError::WrongChunk)?;
    // SAFETY: the chunk lies in the region, which lies in a checked account; instruction data is elsewhere.
    unsafe { core::ptr::copy_nonoverlapping(chunk.data.as_ptr(), work.start().add(START + start), length) }
    Ok(())
}
