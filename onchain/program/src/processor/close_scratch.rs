//! The instruction `close_scratch`.

use pinocchio::ProgramResult;

use super::{sponsored::with_sponsor, Context};

/// `close_scratch`: gives up the scratch account; the session gets its rent back.
///
/// ```text
/// accounts  as `grow_scratch`
/// ```
/// # Errors
/// As `grow_scratch`, without `NotEmpty`.
#[inline(never)]
pub fn process(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    with_sponsor(program, accounts, |scratch, _| scratch.close())
}
