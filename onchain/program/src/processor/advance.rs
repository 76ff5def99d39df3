//! The instruction `advance`.

use pinocchio::{error::ProgramError, ProgramResult};
use wmq_world::layout::SHARDS;

use super::{step, Context};
use crate::{
    accounts::{Session, Status},
    error::require,
};

/// `advance`: runs the transaction of a frame that comes next, whichever that is; none while an input is missing. Anyone
/// may send it.
///
/// ```text
/// accounts  as `step`
/// ```
/// What a crank sends is the same each time, byte for byte, so it cannot name a frame as `step` does. A session that waits
/// for a player is no error: cranks give up on what fails.
///
/// # Errors
/// As `step`, but for `WrongStep` and `MissingInput`.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    require(accounts.len() == 2 + SHARDS, ProgramError::NotEnoughAccountKeys)?;
    let session = Session::load_in_frame(program, &mut accounts[0])?;
    session.require(Status::Started)?;
    if session.waits_for_input() {
        return Ok(());
    }
    let (frame, next) = (session.frame_number(), session.step() as u8);
    step::process(Context { program, accounts }, frame, next)
}
