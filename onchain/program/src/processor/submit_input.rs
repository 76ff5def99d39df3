//! The instruction `submit_input`.

use pinocchio::{error::ProgramError, ProgramResult};

use super::Context;
use crate::{
    accounts::{Session, Status},
    instruction::Input,
    window::check_input,
};

/// `submit_input`: keeps a player's input for a frame, once.
///
/// ```text
/// data      player u8 | frame u64 | an i8 per axis, button bits
/// accounts  0 [signer]    the player's wallet or session key
///           1 [writable]  session
/// ```
/// # Errors
/// `NotEnoughAccountKeys`; those of `Session::load_in_frame`, `acts_for` and `keep_input`; `WrongStatus`, `WrongInput`.
#[inline(always)]
pub fn process(context: Context, player: u8, frame: u64, input: &Input) -> ProgramResult {
    let Context { program, accounts } = context;
    let [signer, session] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let mut session = Session::load_in_frame(program, session)?;
    session.acts_for(player, signer)?;
    session.require(Status::Started)?;
    check_input(input)?;
    session.keep_input(player, frame, input)
}
