//! `step`: runs one transaction of a frame.
//!
//! ```text
//! data      frame u64 | step u8 | player 0's input | player 1's input       (an input: i8 per axis, button bits)
//! accounts  0 [signer]    authority of the session
//!           1 [writable]  session
//!           2 [writable]  scratch
//!           3 []          model
//! ```
//! The cursor (frame, step) of the session makes a step idempotent: one that was run, or is not next, changes nothing.

use pinocchio::{error::ProgramError, AccountView, Address, ProgramResult};
use wmq_world::{
    layout::{model, scratch, session, AXIS_RANGES, INPUT_BYTES, PLAYERS},
    run, PLAN,
};

use crate::{
    error::WorldError,
    state::{load_model, load_scratch, load_session},
};

/// The arguments of a step.
struct Arguments {
    frame: u64,
    step: usize,
    inputs: [[u8; INPUT_BYTES]; PLAYERS],
}

#[inline(always)]
fn parse(data: &[u8]) -> Result<Arguments, ProgramError> {
    let data: &[u8; 9 + PLAYERS * INPUT_BYTES] =
        data.try_into().map_err(|_| ProgramError::InvalidInstructionData)?;
    let mut inputs = [[0; INPUT_BYTES]; PLAYERS];
    for (player, input) in inputs.iter_mut().enumerate() {
        input.copy_from_slice(&data[9 + player * INPUT_BYTES..][..INPUT_BYTES]);
        for (&axis, (low, high)) in input.iter().zip(AXIS_RANGES) {
            if (axis as i8) < low || (axis as i8) > high {
                return Err(WorldError::WrongInput.into());
            }
        }
    }
    let mut frame = [0; 8];
    frame.copy_from_slice(&data[..8]);
    Ok(Arguments { frame: u64::from_le_bytes(frame), step: data[8] as usize, inputs })
}

/// Checks everything, then runs the step and moves the cursor on.
///
/// # Errors
/// `InvalidInstructionData`, `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `state`, and `WorldError`'s
/// `SameAccount`, `WrongAccount`, `WrongAuthority`, `WrongFrame`, `WrongStep`, `WrongInput`.
#[inline(always)]
pub fn process(program: &Address, accounts: &mut [AccountView], data: &[u8]) -> ProgramResult {
    let [authority, session_account, scratch_account, model_account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    if !authority.is_signer() {
        return Err(ProgramError::MissingRequiredSignature);
    }
    if session_account.address() == scratch_account.address() {
        return Err(WorldError::SameAccount.into());
    }
    let mut session_data = load_session(program, session_account)?;
    let mut scratch_data = load_scratch(program, scratch_account)?;
    let model_data = load_model(program, model_account)?;
    if !session_data.names(session::AUTHORITY, authority.address()) {
        return Err(WorldError::WrongAuthority.into());
    }
    if !session_data.names(session::MODEL, model_account.address())
        || !session_data.names(session::SCRATCH, scratch_account.address())
        || !scratch_data.names(scratch::SESSION, session_account.address())
    {
        return Err(WorldError::WrongAccount.into());
    }
    let arguments = parse(data)?;
    let frame = session_data.u64_at(session::FRAME_NUMBER);
    if arguments.frame != frame || scratch_data.u64_at(scratch::FRAME_NUMBER) != frame {
        return Err(WorldError::WrongFrame.into());
    }
    if arguments.step != session_data.u32_at(session::STEP) as usize || arguments.step >= PLAN.len() {
        return Err(WorldError::WrongStep.into());
    }
    // SAFETY: the three accounts are distinct (their tags differ), owned by this program, and as long as `layout`
    // says; account data is 8-byte aligned, and so is every offset into it.
    unsafe {
        run(
            arguments.step,
            &arguments.inputs,
            model_data.start().add(model::BLOB),
            session_data.start(),
            scratch_data.start(),
            meter,
        );
    }
    #[cfg(feature = "meter")]
    meter(wmq_world::OPS.len(), scratch_data.start()); // right after the last reading: what a reading costs
    if arguments.step + 1 == PLAN.len() {
        session_data.set_u32(session::STEP, 0);
        session_data.set_u64(session::FRAME_NUMBER, frame + 1);
        scratch_data.set_u64(scratch::FRAME_NUMBER, frame + 1);
    } else {
        session_data.set_u32(session::STEP, arguments.step as u32 + 1);
    }
    Ok(())
}

/// Without the feature `meter`: nothing, and no cost.
#[cfg(not(feature = "meter"))]
#[inline(always)]
fn meter(_op: usize, _scratch: *mut u8) {}

/// Writes the compute units left into the scratch account's last bytes, one `u64` per op.
#[cfg(feature = "meter")]
#[inline(always)]
fn meter(op: usize, scratch: *mut u8) {
    // SAFETY: `state` checked that the account is longer than `scratch::BYTES` by a reading per op and one more.
    unsafe {
        let left = pinocchio::syscalls::sol_remaining_compute_units();
        (scratch.add(scratch::BYTES) as *mut u64).add(op).write(left);
    }
}
