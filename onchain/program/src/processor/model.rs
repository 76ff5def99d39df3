//! A model: its blob comes in chunks, is hashed piece by piece, and is frozen for ever if it is the manifest's.

use pinocchio::{error::ProgramError, AccountView, Address, ProgramResult};
use wmq_world::layout::{blob, model, BLOB_DIGEST, CHUNKS, CHUNK_BYTES, MANIFEST_HASH, PIECES, PIECE_BYTES};

use super::Context;
use crate::{
    error::{require, WorldError},
    instruction::Chunk,
    state::{close_account, initialise, load_mut, signs, Checked, MODEL},
    tree::{sha256, Hash},
};

/// Characters of the manifest's hash that name a model account in its address.
const SEED_CHARACTERS: usize = 32;

/// First characters of the manifest's hash, in hexadecimal.
fn seed() -> [u8; SEED_CHARACTERS] {
    core::array::from_fn(|i| b"0123456789abcdef"[usize::from(MANIFEST_HASH[i / 2] >> (4 - 4 * (i % 2)) & 15)])
}

/// `create_model`: claims a zeroed account of the right size.
///
/// ```text
/// accounts  0 [signer]    authority
///           1 [writable]  model: the system program's address for (authority, `seed`, this program)
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, `WrongAccount`; those of `initialise`.
#[inline(never)]
pub fn create(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [authority, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(authority)?;
    let expected = sha256(&[authority.address().as_array(), &seed(), program.as_array()]);
    require(*account.address().as_array() == expected, WorldError::WrongAccount)?;
    let mut data = initialise(program, account, &MODEL)?;
    data.set(model::MANIFEST, MANIFEST_HASH);
    data.set(model::AUTHORITY, *authority.address().as_array());
    Ok(())
}

/// The model, still open, and its authority's signature.
fn load_open(program: &Address, accounts: &mut [AccountView]) -> Result<Checked, ProgramError> {
    let [authority, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(authority)?;
    let data = load_mut(program, account, &MODEL)?;
    require(data.names(model::MANIFEST, &Address::new_from_array(MANIFEST_HASH)), WorldError::WrongManifest)?;
    require(data.names(model::AUTHORITY, authority.address()), WorldError::WrongAuthority)?;
    require(data.get::<u32>(model::FROZEN) == 0, WorldError::ModelFrozen)?;
    Ok(data)
}

/// Bytes of piece or chunk `index` of the blob, and where they begin.
fn part(index: usize, bytes: usize) -> (usize, usize) {
    let start = index * bytes;
    (start, bytes.min(blob::BYTES - start))
}

/// `write_chunk`: writes one chunk of the blob and marks it. Hashing starts again.
///
/// ```text
/// data      index u32 | bytes (u32 length first)
/// accounts  0 [signer] authority, 1 [writable] model
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `load_mut`, `WrongManifest`, `WrongAuthority`,
/// `ModelFrozen`; `WrongChunk`.
#[inline(never)]
pub fn write_chunk(context: Context, chunk: &Chunk) -> ProgramResult {
    let Context { program, accounts } = context;
    let mut data = load_open(program, accounts)?;
    let index = chunk.index as usize;
    require(index < CHUNKS, WorldError::WrongChunk)?;
    let (start, length) = part(index, CHUNK_BYTES);
    require(chunk.data.len() == length, WorldError::WrongChunk)?;
    // SAFETY: the account was checked to hold the whole blob, in which the chunk lies; instruction data is elsewhere.
    unsafe {
        let to = data.start().add(model::BLOB + start);
        core::ptr::copy_nonoverlapping(chunk.data.as_ptr(), to, length);
    }
    let mark = model::CHUNKS + index / 8;
    let marks: u8 = data.get(mark);
    data.set(mark, marks | 1 << (index % 8));
    data.set(model::PIECES, 0u32);
    data.set(model::DIGEST, [0u8; 32]);
    Ok(())
}

/// Whether every chunk has been written.
fn whole(data: &Checked) -> bool {
    let full = (0..CHUNKS / 8).all(|i| data.get::<u8>(model::CHUNKS + i) == 0xff);
    let rest = CHUNKS % 8;
    full && (rest == 0 || data.get::<u8>(model::CHUNKS + CHUNKS / 8) == (1u8 << rest) - 1)
}

/// `hash_model`: hashes the next pieces of the blob on chain; a piece costs about half a compute unit a byte.
///
/// ```text
/// data      pieces u32, how many at most
/// accounts  0 [signer] authority, 1 [writable] model
/// ```
/// # Errors
/// As `write_chunk`, with `ChunkMissing` in place of `WrongChunk`.
#[inline(never)]
pub fn hash(context: Context, pieces: u32) -> ProgramResult {
    let Context { program, accounts } = context;
    let mut data = load_open(program, accounts)?;
    require(whole(&data), WorldError::ChunkMissing)?;
    let first: u32 = data.get(model::PIECES);
    let last = first.saturating_add(pieces).min(PIECES);
    for index in first..last {
        let (start, length) = part(index as usize, PIECE_BYTES);
        // SAFETY: the account was checked to hold the whole blob, in which the piece lies.
        let piece = unsafe { core::slice::from_raw_parts(data.start().add(model::BLOB + start), length) };
        let digest = sha256(&[data.at::<Hash>(model::DIGEST), piece]);
        data.set(model::DIGEST, digest);
    }
    data.set(model::PIECES, last);
    Ok(())
}

/// `freeze_model`: from here on nobody changes it, and sessions may use it.
///
/// ```text
/// accounts  0 [signer] authority, 1 [writable] model
/// ```
/// # Errors
/// As `write_chunk`, with `WrongDigest` in place of `WrongChunk`.
#[inline(never)]
pub fn freeze(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let mut data = load_open(program, accounts)?;
    let hashed = data.get::<u32>(model::PIECES) == PIECES;
    require(hashed && *data.at::<Hash>(model::DIGEST) == BLOB_DIGEST, WorldError::WrongDigest)?;
    data.set(model::FROZEN, 1u32);
    Ok(())
}

/// `close_model`: gives up an upload and returns its rent. A frozen model stays.
///
/// ```text
/// accounts  0 [signer, writable] authority, 1 [writable] model
/// ```
/// # Errors
/// As `write_chunk`, without `WrongChunk`; those of `close_account`.
#[inline(never)]
pub fn close(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    load_open(program, accounts)?;
    let [authority, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    close_account(account, authority)
}
