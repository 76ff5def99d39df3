//! The instruction `judge`.

use pinocchio::{error::ProgramError, AccountView, ProgramResult};
use wmq_world::{
    layout::{SHARDS, SLOTS},
    PLAN,
};

use super::Context;
use crate::{
    accounts::{blobs, Dispute, Model, Verdict},
    error::{require, WorldError},
    instruction::Proved,
    memory, tree,
    window::{check_record, run_transaction},
};

/// `judge`: runs one transaction of the disputed frame; the last records the verdict. Anyone may.
///
/// ```text
/// data      step u8 | inputs 2 x 6 | claimed Frame | claimed digest of the memory | proof (u32 length first) 32 each
/// accounts  0 [writable]  dispute, its window loaded
///           1 []          model
///           2.. []        the model's further accounts, where its blob has more shards than one
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `load_mut`, `Model::load_frozen` and `blobs`, `Judged`,
/// `WindowMissing`, `WrongStep`, `WrongProof`. A record that was committed and is out of range is `Wrong` at once.
#[inline(never)]
pub fn process(context: Context, step: u8, proved: &Proved) -> ProgramResult {
    let Context { program, accounts } = context;
    let Ok([account, model_account, others @ ..]) = <&mut [AccountView; 1 + SHARDS]>::try_from(accounts)
    else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let mut data = Dispute::load_mut(program, account)?;
    let model_data = Model::load_frozen(program, model_account, 0)?;
    let blobs = blobs(program, &model_data, others)?;
    require(data.is(Verdict::Open), WorldError::Judged)?;
    require(data.loaded() == SLOTS, WorldError::WindowMissing)?;
    require(u32::from(step) == data.step(), WorldError::WrongStep)?;
    let leaf = data.frame_number() + SLOTS;
    tree::verify(data.peaks(), data.leaves(), leaf, proved)?;
    let record = &proved.record;
    if check_record(record).is_err() {
        data.set_verdict(Verdict::Wrong);
        return Ok(());
    }
    // SAFETY: the accounts are distinct (their tags differ) and as long as `layout` says; account data is 8-byte aligned,
    // and so are the offsets of blob, Frame and work area. `step` is below the Plan's end, where the verdict stands.
    unsafe {
        run_transaction(usize::from(step), &record.inputs, blobs, data.frame_area(), data.work());
    }
    data.set_step(u32::from(step) + 1);
    if usize::from(step) + 1 == PLAN.len() {
        let same = data.frame_bytes() == record.frame && memory::digest(data.work()) == *proved.memory;
        data.set_verdict(if same { Verdict::Right } else { Verdict::Wrong });
    }
    Ok(())
}
