//! The instruction `load_disputed_memory`.

use pinocchio::{error::ProgramError, ProgramResult};
use wmq_world::layout::SLOTS;

use super::Context;
use crate::{
    accounts::{signs, Dispute, Verdict},
    error::{require, WorldError},
    instruction::Chunk,
    memory,
};

/// `load_disputed_memory`: a chunk of what the network keeps before a disputed frame.
///
/// It comes before the last record of the window, which proves all of it (`load_disputed`). Before the first frame there is
/// none. The disputer alone may, as no chunk is proved by itself.
///
/// ```text
/// data      index u32 | bytes (u32 length first)
/// accounts  0 [signer]    disputer
///           1 [writable]  dispute
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Dispute::load_mut`, `WrongAuthority`, `Judged`; `WrongStep` if
/// the window is whole, or it is the first; `WrongChunk`.
#[inline(never)]
pub fn process(context: Context, chunk: &Chunk) -> ProgramResult {
    let Context { program, accounts } = context;
    let [disputer, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(disputer)?;
    let data = Dispute::load_mut(program, account)?;
    require(data.disputer_is(disputer.address()), WorldError::WrongAuthority)?;
    require(data.is(Verdict::Open), WorldError::Judged)?;
    require(data.frame_number() > 0 && data.loaded() < SLOTS, WorldError::WrongStep)?;
    memory::write(data.work(), chunk)
}
