//! The instruction `open_dispute`.

use pinocchio::{error::ProgramError, AccountView, ProgramResult};
use wmq_world::layout::{SHARDS, SLOTS};

use super::Context;
use crate::{
    accounts::{blobs, signs, Dispute, Model, Pin},
    error::{require, WorldError},
    tree::{self, Hash},
    window::write_bias,
};

/// `open_dispute`: claims a zeroed account of the right size for one frame of a session, as a pin has it.
///
/// ```text
/// data      frame u64 | peaks of the hash tree that was pinned, lowest first (u32 length first)
/// accounts  0 [signer]    disputer
///           1 [writable]  dispute
///           2 []          pin of the session, anybody's
///           3 []          model
///           4.. []        the model's further accounts, where its blob has more shards than one
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Pin::load`, `Model::load_frozen`, `blobs` and `initialise`;
/// `WrongAccount`; `WrongFrame` if the frame was not committed; `WrongProof` if the peaks are not those of the pinned root.
#[inline(never)]
pub fn process(context: Context, frame: u64, peaks: &[Hash]) -> ProgramResult {
    let Context { program, accounts } = context;
    let Ok([disputer, account, pin_account, model_account, others @ ..]) =
        <&mut [AccountView; 3 + SHARDS]>::try_from(accounts)
    else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(disputer)?;
    let pin = Pin::load(program, pin_account)?;
    let model = Model::load_frozen(program, model_account, 0)?;
    require(pin.model_is(model_account.address()), WorldError::WrongAccount)?;
    let blobs = blobs(program, &model, others)?;
    require(frame < pin.leaves().saturating_sub(SLOTS), WorldError::WrongFrame)?;
    let mut data = Dispute::initialise(program, account)?;
    data.set_session(pin.session());
    data.set_disputer(disputer.address().as_array());
    data.set_validator(pin.validator());
    data.set_start(pin.start());
    data.set_frame_number(frame);
    data.set_leaves(pin.leaves());
    tree::restore(data.peaks_mut(), &pin.tree(), peaks)?;
    write_bias(&pin.ids(), blobs, data.work())
}
