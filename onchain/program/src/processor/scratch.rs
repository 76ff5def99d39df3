//! The scratch account, which lives on the rollup only, and the window of Frames in it.

use ephemeral_rollups_pinocchio::{
    consts::{EPHEMERAL_VAULT_ID, MAGIC_PROGRAM_ID},
    ephemeral_accounts::EphemeralAccount,
};
use pinocchio::{
    cpi::{Seed, Signer},
    error::ProgramError,
    AccountView, Address, ProgramResult,
};
use wmq_world::{
    layout::{dispute, model, scratch, session, FRAME_BYTES, GROWTH, PEAKS, SESSION_VOCAB, SLOTS},
    push, session_bias,
};

use super::{check_record, dispute::condemn, session::check_ids, Context};
use crate::{
    error::{require, WorldError},
    instruction::{Proved, Record},
    state::{
        load_frozen_model, load_mut, Checked, Session, Status, DISPUTE, DISPUTE_BYTES, SCRATCH, SCRATCH_BYTES,
    },
    tree::{self, Hash},
};

/// Whether a scratch account's window is whole, and the one that `frame` is computed from.
#[inline(always)]
pub fn window_stands_at(scratch: &Checked, frame: u64) -> bool {
    scratch.get::<u64>(scratch::LOADED) == SLOTS && scratch.get::<u64>(scratch::FRAME_NUMBER) == frame
}

/// Checks that `account` has the address of the session's scratch account.
fn check_scratch(program: &Address, session: &Session, at: &Address, account: &AccountView) -> ProgramResult {
    let bump = [session.scratch_bump()];
    let derived = Address::create_program_address(&[b"scratch", at.as_array(), &bump], program);
    require(derived.is_ok_and(|it| it == *account.address()), WorldError::WrongAccount)
}

/// What `grow_scratch` and `close_scratch` do for a session that pays for its scratch account.
fn with_sponsor(
    program: &Address,
    accounts: &mut [AccountView],
    act: impl FnOnce(&EphemeralAccount, usize) -> ProgramResult,
) -> ProgramResult {
    let [party, session_account, account, vault, magic] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let session = Session::load_mut(program, session_account)?;
    session.has_part(party)?;
    check_scratch(program, &session, session_account.address(), account)?;
    let known = *magic.address() == MAGIC_PROGRAM_ID && *vault.address() == EPHEMERAL_VAULT_ID;
    require(known, WorldError::WrongProgram)?;
    let (bump, scratch_bump) = ([session.bump()], [session.scratch_bump()]);
    let sponsor = [
        Seed::from(b"session"),
        Seed::from(session.model()),
        Seed::from(session.creator()),
        Seed::from(session.id()),
        Seed::from(&bump),
    ];
    let own =
        [Seed::from(b"scratch"), Seed::from(session_account.address().as_array()), Seed::from(&scratch_bump)];
    let signers = [Signer::from(&own), Signer::from(&sponsor)];
    act(
        &EphemeralAccount::new(session_account, account, vault, magic).with_signers(&signers),
        account.data_len(),
    )
}

/// `grow_scratch`: makes the session's scratch account, or lets it grow by what one instruction allows.
///
/// ```text
/// accounts  0 [signer]    who has a part in the session
///           1 [writable]  session, delegated: it pays
///           2 [writable]  scratch: address of ("scratch", session)
///           3 [writable]  the rollup's vault
///           4 []          Magic program
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `Session::load_mut` and `has_part`, `WrongAccount`, `WrongProgram`; `NotEmpty` if it
/// has its full size; those of the Magic program.
#[inline(never)]
pub fn grow(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    with_sponsor(program, accounts, |scratch, bytes| {
        require(bytes < SCRATCH_BYTES, WorldError::NotEmpty)?;
        let wanted = SCRATCH_BYTES.min(bytes + GROWTH) as u32;
        if bytes == 0 {
            scratch.create(wanted)
        } else {
            scratch.resize(wanted)
        }
    })
}

/// `close_scratch`: gives up the scratch account; the session gets its rent back.
///
/// ```text
/// accounts  as `grow_scratch`
/// ```
/// # Errors
/// As `grow_scratch`, without `NotEmpty`.
#[inline(never)]
pub fn close(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    with_sponsor(program, accounts, |scratch, _| scratch.close())
}

/// Writes the first accumulator's start for the session's ids into the work area that begins at `work`.
///
/// The ids are checked again: what a rollup commits is its operator's word, and they say where the model is read.
///
/// # Errors
/// `WrongIds`.
#[inline(never)]
pub fn write_bias(session: &Session, model: &Checked, data: &mut Checked, work: usize) -> ProgramResult {
    let all: [u16; 4] = session.fields().get(session::IDS);
    check_ids(&all)?;
    let ids: [u16; SESSION_VOCAB.len()] = core::array::from_fn(|i| all[i]);
    // SAFETY: the ids lie in their tables; the model's blob and the work area are as long as `layout` says.
    unsafe { session_bias(&ids, model.start().add(model::BLOB), data.start().add(work)) }
    Ok(())
}

/// `open_window`: empties the window, so that it can be seeded, or loaded again from the log.
///
/// ```text
/// data      peaks of the session's hash tree, lowest first (u32 length first); none before it has started
/// accounts  0 [signer]    who has a part in the session
///           1 []          session
///           2 [writable]  scratch, of full size
///           3 []          model
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `Session::load`, `has_part` and `load_frozen_model`; `WrongAccount`; `Immutable`,
/// `InvalidAccountOwner`, `WrongLength`; `WrongIds` if no program of this model has written the session.
#[inline(never)]
pub fn open_window(context: Context, peaks: &[Hash]) -> ProgramResult {
    let Context { program, accounts } = context;
    let [party, session_account, account, model_account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let session = Session::load(program, session_account)?;
    session.has_part(party)?;
    check_scratch(program, &session, session_account.address(), account)?;
    let model = load_frozen_model(program, model_account)?;
    require(session.fields().names(session::MODEL, model_account.address()), WorldError::WrongAccount)?;
    let mut data = Checked::claim(program, account, &SCRATCH)?;
    data.set(scratch::SESSION, *session_account.address().as_array());
    data.set(scratch::LOADED, 0u64);
    if session.is(Status::Joined) {
        require(peaks.is_empty(), WorldError::WrongProof)?;
    } else {
        tree::restore(data.at_mut(scratch::PEAKS), &session, peaks)?;
    }
    write_bias(&session, &model, &mut data, scratch::WORK)
}

/// Writes a Frame whose fields are in range, and pushes it into a window.
fn push_record(frame: *mut u8, work: *mut u8, record: &Record) {
    // SAFETY: both lie in checked accounts, 8-byte aligned, and do not overlap; the record was checked.
    unsafe {
        core::ptr::copy_nonoverlapping(record.frame.as_ptr(), frame, FRAME_BYTES);
        push(&record.inputs, frame, work);
    }
}

/// `seed_frame`: one record of the window that the session starts from, in order; number 0 starts again.
///
/// ```text
/// data      index u32 | inputs 2 x 6 | Frame
/// accounts  0 [signer]    who has a part in the session
///           1 [writable]  session
///           2 [writable]  scratch, its window open
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `SameAccount`, those of `state` and `has_part`, `WrongAccount`, `WrongStatus`, `WrongStep` if it
/// is not the next, those of `check_record`; `WrongStart` if the whole window is not the one the session was created for.
#[inline(never)]
pub fn seed_frame(context: Context, index: u32, record: &Record) -> ProgramResult {
    let Context { program, accounts } = context;
    let [party, session_account, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(session_account.address() != account.address(), WorldError::SameAccount)?;
    let mut session = Session::load_mut(program, session_account)?;
    session.has_part(party)?;
    session.require(Status::Joined)?;
    let mut data = load_mut(program, account, &SCRATCH)?;
    require(data.names(scratch::SESSION, session_account.address()), WorldError::WrongAccount)?;
    let index = u64::from(index);
    require(index == 0 || index == data.get(scratch::LOADED), WorldError::WrongStep)?;
    check_record(record)?;
    // SAFETY: the account is longer than that.
    push_record(session.frame(), unsafe { data.start().add(scratch::WORK) }, record);
    let peaks: &mut [Hash; PEAKS] = data.at_mut(scratch::PEAKS);
    tree::append(peaks, index, tree::leaf(record))?;
    let root = tree::root(peaks, index + 1);
    data.set(scratch::LOADED, index + 1);
    if index + 1 == SLOTS {
        require(root == *session.fields().at::<Hash>(session::START), WorldError::WrongStart)?;
        session.set_root(root);
        data.set(scratch::FRAME_NUMBER, 0u64);
        session.set_status(Status::Started);
    }
    Ok(())
}

/// `load_frame`: one record of the window before a frame, in order, proved against the session's hash tree. Anyone may.
///
/// ```text
/// data      leaf u64 | inputs 2 x 6 | Frame | proof (u32 length first) 32 each
/// accounts  0 []          session; writable if the target is its scratch account
///           1 [writable]  target: the session's scratch account, or a dispute
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `SameAccount`, those of `state`, `WrongAccount`, `WrongStatus`, `Judged`, `WrongStep` if it is
/// not the next, `WrongProof`; those of `check_record`, but in a dispute a record that was committed and is out of range
/// is the verdict: `Wrong`.
#[inline(never)]
pub fn load_frame(context: Context, leaf: u64, proved: &Proved) -> ProgramResult {
    let Context { program, accounts } = context;
    let [session_account, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    require(session_account.address() != account.address(), WorldError::SameAccount)?;
    if account.data_len() == DISPUTE_BYTES {
        let mut data = load_mut(program, account, &DISPUTE)?;
        require(data.names(dispute::SESSION, session_account.address()), WorldError::WrongAccount)?;
        require(data.get::<u32>(dispute::VERDICT) == 0, WorldError::Judged)?;
        let loaded: u64 = data.get(dispute::LOADED);
        let next = data.get::<u64>(dispute::FRAME_NUMBER) + loaded;
        require(loaded < SLOTS && leaf == next, WorldError::WrongStep)?;
        tree::verify(data.at(dispute::PEAKS), data.get(dispute::LEAVES), leaf, proved)?;
        if check_record(&proved.record).is_err() {
            condemn(&mut data);
            return Ok(());
        }
        // SAFETY: the account is longer than both.
        let (frame, work) = unsafe { (data.start().add(dispute::FRAME), data.start().add(dispute::WORK)) };
        push_record(frame, work, &proved.record);
        data.set(dispute::LOADED, loaded + 1);
        return Ok(());
    }
    let mut session = Session::load_mut(program, session_account)?;
    session.require(Status::Started)?;
    let mut data = load_mut(program, account, &SCRATCH)?;
    require(data.names(scratch::SESSION, session_account.address()), WorldError::WrongAccount)?;
    let (first, loaded) = (session.frame_number(), data.get::<u64>(scratch::LOADED));
    require(loaded < SLOTS && leaf == first + loaded, WorldError::WrongStep)?;
    check_record(&proved.record)?;
    tree::verify(data.at(scratch::PEAKS), session.leaves(), leaf, proved)?;
    // SAFETY: the account is longer than that.
    push_record(session.frame(), unsafe { data.start().add(scratch::WORK) }, &proved.record);
    data.set(scratch::LOADED, loaded + 1);
    data.set(scratch::FRAME_NUMBER, first);
    // Whatever steps of the frame were run went with the old scratch account.
    session.fields_mut().set(session::STEP, 0u32);
    Ok(())
}
