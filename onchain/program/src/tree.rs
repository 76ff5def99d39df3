//! The hash tree over a session's records: a Merkle mountain range. Its root lies in the session account; the peaks that
//! the root is over lie where records are added or proved, in the scratch account and in disputes.
//!
//! ```text
//! leaf     sha256(0 | inputs | Frame | digest of the memory, 32 bytes if the network has one)
//! node     sha256(1 | left | right)
//! peaks    peak `i` covers 2^i leaves and is in use if bit `i` of the number of leaves is set
//! root     sha256(2 | number of leaves, u64 | the peaks in use, lowest first)
//! ```
//! Leaf `k` of a session is frame `k - SLOTS`'s record; the first `SLOTS` are the window that it started from.

use pinocchio::ProgramResult;
use wmq_world::layout::{memory::MEMORY_DIGEST_BYTES, PEAKS};

use crate::{
    error::{require, WorldError},
    instruction::{Proved, Record},
};

/// A sha256.
pub type Hash = [u8; 32];

/// A tree as a session pins it. One value, because this target passes five arguments and no more.
pub struct Pinned<'a> {
    /// Leaves.
    pub count: u64,
    /// Its root.
    pub root: &'a Hash,
}

/// sha256 of slices, one after the other.
#[inline(always)]
pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut out = [0u8; 32];
    #[cfg(target_os = "solana")]
    // SAFETY: the runtime reads `parts.len()` pairs of pointer and length, which is what slices are there, and writes 32
    // bytes.
    unsafe {
        pinocchio::syscalls::sol_sha256(parts.as_ptr() as *const u8, parts.len() as u64, out.as_mut_ptr());
    }
    #[cfg(not(target_os = "solana"))]
    for (i, part) in parts.iter().enumerate() {
        // No chain, no syscall: host builds only decode. Still a function of its input, so that nothing is optimised out.
        out[i % 32] ^= part.iter().fold(i as u8, |sum, byte| sum.rotate_left(1) ^ byte);
    }
    out
}

/// Hash of a record and of the digest of what the network keeps after it.
#[inline(always)]
pub fn leaf(record: &Record, memory: &[u8; MEMORY_DIGEST_BYTES]) -> Hash {
    let inputs = record.inputs.as_flattened();
    if MEMORY_DIGEST_BYTES == 0 {
        return sha256(&[&[0], inputs, record.frame]); // a part without bytes costs, too
    }
    sha256(&[&[0], inputs, record.frame, memory])
}

#[inline(always)]
fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// Adds leaf number `count` to the peaks of `count` leaves.
///
/// # Errors
/// `WrongFrame` if the tree is full.
#[inline(always)]
pub fn append(peaks: &mut [Hash; PEAKS], count: u64, mut hash: Hash) -> ProgramResult {
    let mut level = 0;
    while count >> level & 1 == 1 {
        hash = node(&peaks[level], &hash);
        level += 1;
        require(level < PEAKS, WorldError::WrongFrame)?;
    }
    peaks[level] = hash;
    Ok(())
}

/// Checks that a record is leaf `index` of the tree with these peaks over `count` leaves.
///
/// # Errors
/// `WrongProof`.
#[inline(never)]
pub fn verify(peaks: &[Hash; PEAKS], count: u64, index: u64, proved: &Proved) -> ProgramResult {
    let mut hash = leaf(&proved.record, proved.memory);
    require(index < count, WorldError::WrongProof)?;
    // The peak above a leaf is the highest bit in which `count` and `index` differ.
    let level = (u64::BITS - 1 - (count ^ index).leading_zeros()) as usize;
    require(level < PEAKS && proved.proof.len() == level, WorldError::WrongProof)?;
    for (height, sibling) in proved.proof.iter().enumerate() {
        hash = if index >> height & 1 == 1 { node(sibling, &hash) } else { node(&hash, sibling) };
    }
    require(hash == peaks[level], WorldError::WrongProof)
}

/// Sets the peaks of a pinned tree from those in use, lowest first, if its root is over them.
///
/// # Errors
/// `WrongProof`.
#[inline(never)]
pub fn restore(peaks: &mut [Hash; PEAKS], tree: &Pinned, used: &[Hash]) -> ProgramResult {
    let count = tree.count;
    require(used.len() == count.count_ones() as usize && count >> PEAKS == 0, WorldError::WrongProof)?;
    let mut next = used.iter();
    for (level, peak) in peaks.iter_mut().enumerate() {
        *peak = if count >> level & 1 == 1 { *next.next().ok_or(WorldError::WrongProof)? } else { [0; 32] };
    }
    require(root(peaks, count) == *tree.root, WorldError::WrongProof)
}

/// Root of the tree with these peaks over `count` leaves.
#[inline(never)]
pub fn root(peaks: &[Hash; PEAKS], count: u64) -> Hash {
    let count_bytes = count.to_le_bytes();
    let mut parts: [&[u8]; 2 + PEAKS] = [&[]; 2 + PEAKS];
    (parts[0], parts[1]) = (&[2], &count_bytes);
    let mut used = 2;
    for (level, peak) in peaks.iter().enumerate() {
        if count >> level & 1 == 1 {
            parts[used] = peak;
            used += 1;
        }
    }
    sha256(&parts[..used])
}
