//! The instruction `open_window`.

use pinocchio::{error::ProgramError, AccountView, ProgramResult};
use wmq_world::layout::SHARDS;

use super::Context;
use crate::{
    accounts::{blobs, Model, Scratch, Session, Status},
    error::{require, WorldError},
    tree::{self, Hash},
    window::write_bias,
};

/// `open_window`: empties the window, so that it can be seeded, or loaded again from the log.
///
/// Once the session has started, that is for a window that was lost: until the last record is there, the session is loading
/// and takes neither inputs nor steps.
///
/// ```text
/// data      peaks of the session's hash tree, lowest first (u32 length first); none before it has started
/// accounts  0 [signer]    who has a part in the session
///           1 [writable]  session
///           2 [writable]  scratch, of full size
///           3 []          model
///           4.. []        the model's further accounts, where its blob has more shards than one
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `Session::load_mut`, `has_part`, `Model::load_frozen` and `blobs`; `WrongAccount`;
/// `WrongStatus`; `NotEmpty` if the window stands before the current frame, or is being loaded; `WrongProof`; `Immutable`,
/// `InvalidAccountOwner`, `WrongLength`; `WrongIds` never, as the session's address is made from them.
#[inline(never)]
pub fn process(context: Context, peaks: &[Hash]) -> ProgramResult {
    let Context { program, accounts } = context;
    let Ok([party, session_account, account, model_account, others @ ..]) =
        <&mut [AccountView; 3 + SHARDS]>::try_from(accounts)
    else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let mut session = Session::load_mut(program, session_account)?;
    session.has_part(party)?;
    Scratch::check_address(program, &session, session_account.address(), account)?;
    let model = Model::load_frozen(program, model_account, 0)?;
    require(session.model_is(model_account.address()), WorldError::WrongAccount)?;
    let blobs = blobs(program, &model, others)?;
    if session.is(Status::Joined) {
        require(peaks.is_empty(), WorldError::WrongProof)?;
        let data = Scratch::claim(program, account, session_account.address(), 0)?;
        return write_bias(&session.ids(), blobs, data.work());
    }
    require(session.is(Status::Started) || session.is(Status::Loading), WorldError::WrongStatus)?;
    let (tree, at) = (session.tree()?, session_account.address());
    require(!Scratch::is_open(program, account, at, &tree), WorldError::NotEmpty)?;
    let mut data = Scratch::claim(program, account, at, session.frame_number())?;
    tree::restore(data.peaks_mut(), &tree, peaks)?;
    write_bias(&session.ids(), blobs, data.work())?;
    session.set_status(Status::Loading);
    Ok(())
}
