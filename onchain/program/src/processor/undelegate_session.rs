//! The instruction `undelegate_session`.

use pinocchio::ProgramResult;

use super::{commit_session::ask, Context};

/// The Magic program's number for a commit and an undelegation.
const COMMIT_AND_UNDELEGATE: u8 = 2;

/// `undelegate_session`: asks the rollup to write the session to the base chain, and to give it back.
///
/// ```text
/// accounts  as `commit_session`
/// ```
/// # Errors
/// As `commit_session`.
pub fn process(context: Context) -> ProgramResult {
    ask(context, COMMIT_AND_UNDELEGATE)
}
