//! The instruction `hash_model`.

use pinocchio::ProgramResult;
use wmq_world::layout::{PIECES, PIECE_BYTES};

use super::{blob_part, Context};
use crate::{
    accounts::Model,
    error::{require, WorldError},
    tree::sha256,
};

/// `hash_model`: hashes the next pieces of a shard of the blob on chain; a piece costs about half a compute unit a byte.
///
/// ```text
/// data      pieces u32, how many at most
/// accounts  0 [signer] authority, 1 [writable] model
/// ```
/// # Errors
/// As `write_chunk`, with `ChunkMissing` in place of `WrongChunk`.
#[inline(never)]
pub fn process(context: Context, pieces: u32) -> ProgramResult {
    let Context { program, accounts } = context;
    let mut data = Model::load_open(program, accounts)?;
    require(data.whole(), WorldError::ChunkMissing)?;
    let (shard, first) = (data.shard() as usize, data.pieces());
    let last = first.saturating_add(pieces).min(PIECES[shard]);
    for index in first..last {
        let (start, length) = blob_part(shard, index as usize, PIECE_BYTES);
        // SAFETY: the account was checked to hold the whole shard, in which the piece lies.
        let piece = unsafe { core::slice::from_raw_parts(data.blob().start().add(start), length) };
        let digest = sha256(&[data.digest(), piece]);
        data.set_digest(&digest);
    }
    data.set_pieces(last);
    Ok(())
}
