//! The instruction `grow_scratch`.

use pinocchio::{error::ProgramError, ProgramResult};
use wmq_world::layout::GROWTH;

use super::{sponsored::with_sponsor, Context};
use crate::{
    accounts::{Scratch, ScratchSeeds, Session, SCRATCH_BYTES},
    error::{require, WorldError},
};

/// `grow_scratch`: makes the session's scratch account, or lets it grow by what one instruction allows.
///
/// ```text
/// data      nonce u64
/// accounts  0 [signer]    who has a part in the session
///           1 [writable]  session, delegated: it pays
///           2 [writable]  scratch: address of ("scratch", session, nonce)
///           3 []          scratch account of the session's nonce until now; the same, if the nonce is
///           4 [writable]  the rollup's vault
///           5 []          Magic program
/// ```
/// With another nonce the session gets another scratch account, if there is none yet. The rollup makes no account where
/// somebody has sent lamports on the base chain; nobody can have sent any to an address that nobody knew.
///
/// # Errors
/// `NotEnoughAccountKeys`, those of `Session::load_mut` and `has_part`; `NotEmpty` if there is a scratch account of another
/// nonce, or it has its full size; those of `with_sponsor` and of the Magic program.
#[inline(never)]
pub fn process(context: Context, nonce: u64) -> ProgramResult {
    let Context { program, accounts } = context;
    let [party, session_account, account, previous, vault, magic] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let mut session = Session::load_mut(program, session_account)?;
    session.has_part(party)?;
    if nonce != session.nonce() {
        let at = session_account.address();
        Scratch::check_address(program, &session, at, previous)?;
        require(!previous.owned_by(program), WorldError::NotEmpty)?;
        let seeds = ScratchSeeds { session: *at.as_array(), nonce: nonce.to_le_bytes() };
        session.set_nonce(nonce);
        session.set_scratch_bump(seeds.find(program).1);
    }
    with_sponsor(program, &session, &[*session_account, *account, *vault, *magic], |scratch, bytes| {
        require(bytes < SCRATCH_BYTES, WorldError::NotEmpty)?;
        let wanted = SCRATCH_BYTES.min(bytes + GROWTH) as u32;
        if bytes == 0 {
            scratch.create(wanted)
        } else {
            scratch.resize(wanted)
        }
    })
}
