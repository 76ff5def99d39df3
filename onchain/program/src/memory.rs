//! What the network keeps from frame to frame: a region of the work area, and the digest of it that is committed with each
//! frame. Of a network that keeps nothing both have no bytes, and nothing here costs anything.
//!
//! ```text
//! hash     sha256(what a frame writes only if it is the turn of it)      of each turn of each op that writes in turn
//! digest   sha256(what is in no turn | hashes)
//! ```
//! The hashes lie behind the region. A frame makes those of its own turns anew, and what has not been written is what the
//! others say: so they hold for whatever the region holds, as long as all were made from it once ([`hash_all`]).

use pinocchio::ProgramResult;
use wmq_world::layout::memory::{
    InTurn, Stretch, ALWAYS, BYTES, CHUNKS, CHUNK_BYTES, EMPTY, HASHES, IN_TURN, MEMORY_DIGEST_BYTES, MOST,
    START, STRETCHES, TURNS,
};

use crate::{
    accounts::Area,
    error::{require, WorldError},
    instruction::Chunk,
    tree::{sha256, Hash},
};

/// Digest of a region: sha256, or nothing.
pub type Digest = [u8; MEMORY_DIGEST_BYTES];

/// Parts that the digest is taken of: what is in no turn, and the hashes if there are any.
const PARTS: usize = ALWAYS.len() + (TURNS != 0) as usize;

/// Digest of the region of a work area that a frame has just written; about half a compute unit a byte of what is in no
/// turn, or in the turn of the frame.
#[inline(always)]
pub fn digest(work: Area) -> Digest {
    for op in &IN_TURN {
        hash_turn(work, op, last_turn(work, op));
    }
    joined(work)
}

/// Digest of the region of a work area, whoever wrote it; about half a compute unit a byte.
#[inline(never)]
pub fn digest_of_all(work: Area) -> Digest {
    hash_all(work);
    joined(work)
}

/// Makes the hashes of all turns from what the region holds.
#[inline(always)]
pub fn hash_all(work: Area) {
    for op in &IN_TURN {
        for turn in 0..op.turns {
            hash_turn(work, op, turn);
        }
    }
}

/// The turn of an op that has been: the one before what the op says comes next, which a frame wrote inside its range.
#[inline(always)]
fn last_turn(work: Area, op: &InTurn) -> usize {
    // SAFETY: the word lies in the region, which lies in a checked account; it is aligned, as the region is.
    let next = unsafe { (work.start().add(START + op.next) as *const u32).read() };
    (next.wrapping_sub(op.bias) as usize + op.turns - 1) % op.turns
}

#[inline(never)]
fn hash_turn(work: Area, op: &InTurn, turn: usize) {
    let first = op.stretches + turn * op.each;
    let own = STRETCHES.get(first..first + op.each).unwrap_or_default();
    let mut parts: [&[u8]; MOST] = [&[]; MOST];
    parts.iter_mut().zip(own).for_each(|(part, stretch)| *part = bytes(work, stretch));
    let hash = sha256(&parts[..op.each]);
    // SAFETY: each turn has a hash behind the region, in a checked account; nothing else reads or writes it meanwhile.
    unsafe { (work.start().add(op.hashes) as *mut Hash).add(turn).write(hash) }
}

/// Digest of a region whose hashes are true.
#[inline(never)]
fn joined(work: Area) -> Digest {
    let mut digest = EMPTY;
    if BYTES != 0 {
        let mut parts: [&[u8]; PARTS] = [&[]; PARTS];
        parts.iter_mut().zip(&ALWAYS).for_each(|(part, stretch)| *part = bytes(work, stretch));
        if TURNS != 0 {
            // SAFETY: the hashes lie behind the region, in a checked account; nothing writes them meanwhile.
            parts[PARTS - 1] = unsafe { core::slice::from_raw_parts(work.start().add(HASHES), 32 * TURNS) };
        }
        digest.copy_from_slice(&sha256(&parts));
    }
    digest
}

/// A stretch of the region of a work area.
#[inline(always)]
fn bytes<'a>(work: Area, &(start, length): &Stretch) -> &'a [u8] {
    // SAFETY: the region lies in a work area, which lies in a checked account; nothing writes it while a hash is taken.
    unsafe { core::slice::from_raw_parts(work.start().add(START + start as usize), length as usize) }
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
