//! The instruction `load_disputed`.

use pinocchio::{error::ProgramError, ProgramResult};
use wmq_world::layout::{memory::EMPTY, SLOTS};

use super::Context;
use crate::{
    accounts::{Dispute, Verdict},
    error::{require, WorldError},
    instruction::Proved,
    memory, tree,
    window::{check_record, push_record, write_frame},
};

/// `load_disputed`: one record of the window before a disputed frame, in order, proved against the hash tree that was
/// pinned. Anyone may.
///
/// ```text
/// data      leaf u64 | both inputs | Frame | digest of the memory | proof (u32 length first) 32 each
/// accounts  0 [writable]  dispute
///           1 []          session
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `Dispute::load_mut`, `WrongAccount`, `Judged`, `WrongStep` if it is not the next,
/// `WrongProof`; with the last record `WrongDigest` unless the memory is the one committed with it. A record that was committed
/// and is out of range is the verdict: `Wrong`. So is, before the first frame, a window that is not the one the session was
/// created for, or a memory that is not empty.
#[inline(never)]
pub fn process(context: Context, leaf: u64, proved: &Proved) -> ProgramResult {
    let Context { program, accounts } = context;
    let [account, session_account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let mut data = Dispute::load_mut(program, account)?;
    require(data.session_is(session_account.address()), WorldError::WrongAccount)?;
    require(data.is(Verdict::Open), WorldError::Judged)?;
    let loaded = data.loaded();
    require(loaded < SLOTS && leaf == data.frame_number() + loaded, WorldError::WrongStep)?;
    tree::verify(data.peaks(), data.leaves(), leaf, proved)?;
    if check_record(&proved.record).is_err() {
        data.set_verdict(Verdict::Wrong);
        return Ok(());
    }
    push_record(data.work(), &proved.record);
    write_frame(data.frame_area(), &proved.record);
    data.set_loaded(loaded + 1);
    if data.frame_number() == 0 {
        tree::append(data.window_mut(), loaded, tree::leaf(&proved.record, proved.memory))?;
        let other_window = loaded + 1 == SLOTS && tree::root(data.window(), SLOTS) != *data.start();
        if other_window || *proved.memory != EMPTY {
            data.set_verdict(Verdict::Wrong);
        }
    } else if loaded + 1 == SLOTS {
        require(memory::digest_of_all(data.work()) == *proved.memory, WorldError::WrongDigest)?;
    }
    Ok(())
}
