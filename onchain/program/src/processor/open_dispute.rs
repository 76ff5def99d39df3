//! The instruction `open_dispute`.

use pinocchio::{error::ProgramError, AccountView, ProgramResult};
use wmq_world::layout::SHARDS;

use super::Context;
use crate::{
    accounts::{blobs, signs, Dispute, Model, Session, Status, Verdict},
    error::{require, WorldError},
    tree::{self, Hash},
    window::write_bias,
};

/// `open_dispute`: claims a zeroed account of the right size for one frame of a session.
///
/// ```text
/// data      frame u64 | peaks of the session's hash tree as it is committed now, lowest first (u32 length first)
/// accounts  0 [signer]    disputer
///           1 [writable]  dispute
///           2 []          session, delegated or not
///           3 []          model
///           4.. []        the model's further accounts, where its blob has more shards than one
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Session::load_committed`, `Model::load_frozen`, `blobs`
/// and `initialise`; `WrongAccount`; `WrongStatus` if the session has not started; `WrongFrame` if the frame has not been
/// committed; `WrongProof` if the peaks are not those of the committed root. Session ids outside their tables are `Wrong` at once.
#[inline(never)]
pub fn process(context: Context, frame: u64, peaks: &[Hash]) -> ProgramResult {
    let Context { program, accounts } = context;
    let Ok([disputer, account, session_account, model_account, others @ ..]) =
        <&mut [AccountView; 3 + SHARDS]>::try_from(accounts)
    else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(disputer)?;
    let session = Session::load_committed(program, session_account)?;
    let model = Model::load_frozen(program, model_account, 0)?;
    require(session.model_is(model_account.address()), WorldError::WrongAccount)?;
    let blobs = blobs(program, &model, others)?;
    require(session.is(Status::Started) || session.is(Status::Ended), WorldError::WrongStatus)?;
    require(frame < session.frame_number(), WorldError::WrongFrame)?;
    let mut data = Dispute::initialise(program, account)?;
    data.set_session(session_account.address().as_array());
    data.set_disputer(disputer.address().as_array());
    data.set_validator(session.validator());
    data.set_frame_number(frame);
    data.set_leaves(session.leaves());
    tree::restore(data.peaks_mut(), &session.tree(), peaks)?;
    if write_bias(&session.ids(), blobs, data.work()).is_err() {
        data.set_verdict(Verdict::Wrong);
    }
    Ok(())
}
