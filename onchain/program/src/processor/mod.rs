//! Instructions, a file each.
//!
//! All but those of every frame are kept out of line: each has the 4,096 bytes of a stack frame to itself.

pub mod advance;
pub mod check_memory;
pub mod close_dispute;
pub mod close_empty;
pub mod close_model;
pub mod close_pin;
pub mod close_scratch;
pub mod close_session;
pub mod commit_session;
pub mod create_model;
pub mod create_session;
pub mod delegate_session;
pub mod end_session;
pub mod freeze_model;
pub mod grow_scratch;
pub mod hash_model;
pub mod join_session;
pub mod judge;
pub mod load_disputed;
pub mod load_disputed_memory;
pub mod load_frame;
pub mod load_memory;
pub mod open_dispute;
pub mod open_window;
pub mod pin_commit;
pub mod process_undelegation;
pub mod seed_frame;
pub mod set_key;
mod sponsored;
pub mod step;
pub mod submit_input;
pub mod undelegate_session;
pub mod write_chunk;

use pinocchio::{cpi::Signer, AccountView, Address, ProgramResult};
use pinocchio_system::instructions::Transfer;
use wmq_world::layout::blob;

/// What every instruction is called with. One value, because this target passes five and no more.
pub struct Context<'a> {
    /// This program.
    pub program: &'a Address,
    /// Accounts, in the order that each instruction says.
    pub accounts: &'a mut [AccountView],
}

/// Where chunk or piece `index` of a shard, of `bytes` bytes, begins, and how long it is: the last may be shorter.
fn blob_part(shard: usize, index: usize, bytes: usize) -> (usize, usize) {
    let start = index * bytes;
    (start, bytes.min(blob::BYTES[shard] - start))
}

/// Moves lamports that somebody has sent to an address of this program on to `to`.
///
/// The system program makes no account where lamports lie: without this a stranger could keep one from ever being made.
///
/// # Errors
/// Those of the system program.
#[inline(never)]
pub fn sweep(from: &AccountView, to: &AccountView, signer: Signer) -> ProgramResult {
    if from.lamports() == 0 {
        return Ok(());
    }
    Transfer { from, to, lamports: from.lamports() }.invoke_signed(&[signer])
}
