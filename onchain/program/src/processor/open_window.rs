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
/// ```text
/// data      peaks of the session's hash tree, lowest first (u32 length first); none before it has started
/// accounts  0 [signer]    who has a part in the session
///           1 []          session
///           2 [writable]  scratch, of full size
///           3 []          model
///           4.. []        the model's further accounts, where its blob has more shards than one
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `Session::load`, `has_part`, `Model::load_frozen` and `blobs`; `WrongAccount`; `Immutable`,
/// `InvalidAccountOwner`, `WrongLength`; `WrongIds` if no program of this model has written the session.
#[inline(never)]
pub fn process(context: Context, peaks: &[Hash]) -> ProgramResult {
    let Context { program, accounts } = context;
    let Ok([party, session_account, account, model_account, others @ ..]) =
        <&mut [AccountView; 3 + SHARDS]>::try_from(accounts)
    else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let session = Session::load(program, session_account)?;
    session.has_part(party)?;
    Scratch::check_address(program, &session, session_account.address(), account)?;
    let model = Model::load_frozen(program, model_account, 0)?;
    require(session.model_is(model_account.address()), WorldError::WrongAccount)?;
    let blobs = blobs(program, &model, others)?;
    let mut data = Scratch::claim(program, account, session_account.address())?;
    if session.is(Status::Joined) {
        require(peaks.is_empty(), WorldError::WrongProof)?;
    } else {
        tree::restore(data.peaks_mut(), &session.tree(), peaks)?;
    }
    write_bias(&session.ids(), blobs, data.work())
}
