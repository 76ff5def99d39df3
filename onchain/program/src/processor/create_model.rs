//! The instruction `create_model`.

use pinocchio::{error::ProgramError, ProgramResult};
use wmq_world::layout::{MANIFEST_HASH, SHARDS};

use super::Context;
use crate::{
    accounts::{signs, Model},
    error::{require, WorldError},
    tree::sha256,
};

/// Characters of the manifest's hash that name a model account in its address.
const SEED_CHARACTERS: usize = 32;

/// First characters of the manifest's hash, in hexadecimal; from the second shard on the last is `g` for number 1, `h`
/// for 2, and so on.
fn seed(shard: usize) -> [u8; SEED_CHARACTERS] {
    let mut seed: [u8; SEED_CHARACTERS] = core::array::from_fn(|i| {
        b"0123456789abcdef"[usize::from(MANIFEST_HASH[i / 2] >> (4 - 4 * (i % 2)) & 15)]
    });
    if shard > 0 {
        seed[SEED_CHARACTERS - 1] = b'f' + shard as u8;
    }
    seed
}

/// `create_model`: claims a zeroed account of the right size. Its address says for which shard of the blob.
///
/// ```text
/// accounts  0 [signer]    authority
///           1 [writable]  model: the system program's address for (authority, `seed`, this program)
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, `WrongAccount`; those of `initialise`.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [authority, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(authority)?;
    let named = |&shard: &usize| {
        sha256(&[authority.address().as_array(), &seed(shard), program.as_array()])
            == *account.address().as_array()
    };
    let shard = (0..SHARDS).find(named);
    require(shard.is_some(), WorldError::WrongAccount)?;
    let mut data = Model::initialise(program, account, shard.unwrap_or(0))?;
    data.set_authority(authority.address().as_array());
    Ok(())
}
