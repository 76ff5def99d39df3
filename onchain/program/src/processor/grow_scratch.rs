//! The instruction `grow_scratch`.

use pinocchio::ProgramResult;
use wmq_world::layout::GROWTH;

use super::{sponsored::with_sponsor, Context};
use crate::{
    accounts::SCRATCH_BYTES,
    error::{require, WorldError},
};

/// `grow_scratch`: makes the session's scratch account, or lets it grow by what one instruction allows.
///
/// ```text
/// accounts  0 [signer]    who has a part in the session
///           1 [writable]  session, delegated: it pays
///           2 [writable]  scratch: address of ("scratch", session)
///           3 [writable]  the rollup's vault
///           4 []          Magic program
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `Session::load_mut` and `has_part`, `WrongAccount`, `WrongProgram`; `NotEmpty` if it
/// has its full size; those of the Magic program.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    with_sponsor(program, accounts, |scratch, bytes| {
        require(bytes < SCRATCH_BYTES, WorldError::NotEmpty)?;
        let wanted = SCRATCH_BYTES.min(bytes + GROWTH) as u32;
        if bytes == 0 {
            scratch.create(wanted)
        } else {
            scratch.resize(wanted)
        }
    })
}
