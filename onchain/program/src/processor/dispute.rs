//! A dispute: the base chain computes one frame again, from the published log, and says whether the rollup told the truth.
//!
//! The log's records are proved, one by one, against the hash tree that the rollup has committed. So what is judged is what
//! the rollup's operator has signed, and nothing that the disputer has made up. A Plan of several transactions is judged
//! step by step, in as many.

use pinocchio::{error::ProgramError, ProgramResult};
use wmq_world::{
    layout::{dispute, model, session, FRAME_BYTES, SLOTS},
    PLAN,
};

use super::{check_record, frame::run_transaction, scratch::write_bias, Context};
use crate::{
    error::{require, WorldError},
    instruction::Proved,
    state::{
        close_account, initialise, load_frozen_model, load_mut, signs, Checked, Session, Status, DISPUTE,
    },
    tree::{self, Hash},
};

/// The verdict on what no honest program can have committed: it is wrong whatever the model says.
pub fn condemn(data: &mut Checked) {
    data.set(dispute::VERDICT, Verdict::Wrong as u32);
}

/// What a dispute ends with; zero while it is open.
#[repr(u32)]
enum Verdict {
    /// The committed Frame is the one that the model computes.
    Right = 1,
    /// It is not.
    Wrong,
}

/// `open_dispute`: claims a zeroed account of the right size for one frame of a session.
///
/// ```text
/// data      frame u64 | peaks of the session's hash tree as it is committed now, lowest first (u32 length first)
/// accounts  0 [signer]    disputer
///           1 [writable]  dispute
///           2 []          session, delegated or not
///           3 []          model
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Session::load_committed`, `load_frozen_model` and
/// `initialise`; `WrongAccount`; `WrongStatus` if the session has not started; `WrongFrame` if the frame has not been
/// committed; `WrongProof` if the peaks are not those of the committed root. Session ids outside their tables are `Wrong` at once.
#[inline(never)]
pub fn open(context: Context, frame: u64, peaks: &[Hash]) -> ProgramResult {
    let Context { program, accounts } = context;
    let [disputer, account, session_account, model_account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(disputer)?;
    let session = Session::load_committed(program, session_account)?;
    let model = load_frozen_model(program, model_account)?;
    require(session.fields().names(session::MODEL, model_account.address()), WorldError::WrongAccount)?;
    require(session.is(Status::Started) || session.is(Status::Ended), WorldError::WrongStatus)?;
    require(frame < session.frame_number(), WorldError::WrongFrame)?;
    let mut data = initialise(program, account, &DISPUTE)?;
    data.set(dispute::SESSION, *session_account.address().as_array());
    data.set(dispute::DISPUTER, *disputer.address().as_array());
    data.set(dispute::VALIDATOR, *session.validator());
    data.set(dispute::FRAME_NUMBER, frame);
    data.set(dispute::LEAVES, session.leaves());
    tree::restore(data.at_mut(dispute::PEAKS), &session, peaks)?;
    if write_bias(&session, &model, &mut data, dispute::WORK).is_err() {
        condemn(&mut data);
    }
    Ok(())
}

/// `judge`: runs one transaction of the disputed frame; the last records the verdict. Anyone may.
///
/// ```text
/// data      step u8 | inputs 2 x 6 | claimed Frame | proof (u32 length first) 32 each
/// accounts  0 [writable]  dispute, its window loaded
///           1 []          model
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `load_mut` and `load_frozen_model`, `Judged`,
/// `WindowMissing`, `WrongStep`, `WrongProof`. A record that was committed and is out of range is `Wrong` at once.
#[inline(never)]
pub fn judge(context: Context, step: u8, proved: &Proved) -> ProgramResult {
    let Context { program, accounts } = context;
    let [account, model_account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let mut data = load_mut(program, account, &DISPUTE)?;
    let model_data = load_frozen_model(program, model_account)?;
    require(data.get::<u32>(dispute::VERDICT) == 0, WorldError::Judged)?;
    require(data.get::<u64>(dispute::LOADED) == SLOTS, WorldError::WindowMissing)?;
    require(u32::from(step) == data.get(dispute::STEP), WorldError::WrongStep)?;
    let leaf = data.get::<u64>(dispute::FRAME_NUMBER) + SLOTS;
    tree::verify(data.at(dispute::PEAKS), data.get(dispute::LEAVES), leaf, proved)?;
    let record = &proved.record;
    if check_record(record).is_err() {
        condemn(&mut data);
        return Ok(());
    }
    // SAFETY: the accounts are distinct (their tags differ) and as long as `layout` says; account data is 8-byte aligned,
    // and so are the offsets of blob, Frame and work area. `step` is below the Plan's end, where the verdict stands.
    unsafe {
        let (frame, work) = (data.start().add(dispute::FRAME), data.start().add(dispute::WORK));
        run_transaction(usize::from(step), &record.inputs, model_data.start().add(model::BLOB), frame, work);
    }
    data.set(dispute::STEP, u32::from(step) + 1);
    if usize::from(step) + 1 == PLAN.len() {
        let same = data.at::<[u8; FRAME_BYTES]>(dispute::FRAME) == record.frame;
        data.set(dispute::VERDICT, if same { Verdict::Right } else { Verdict::Wrong } as u32);
    }
    Ok(())
}

/// `close_dispute`: returns the rent, verdict or not.
///
/// ```text
/// accounts  0 [signer, writable]  disputer
///           1 [writable]          dispute
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `load_mut`, `WrongAuthority`.
#[inline(never)]
pub fn close(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [disputer, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(disputer)?;
    let data = load_mut(program, account, &DISPUTE)?;
    require(data.names(dispute::DISPUTER, disputer.address()), WorldError::WrongAuthority)?;
    close_account(account, disputer)
}
