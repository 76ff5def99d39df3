//! Accounts as this program sees them: what loads one checks everything before anything else in it is read.

mod checked;
mod dispute;
mod fields;
mod model;
mod scratch;
mod seeds;
mod session;

pub use checked::{close_account, signs, Area, SCRATCH_BYTES};
pub use fields::{Dispute, Model, Scratch, Session, Status, Verdict};
pub use model::blobs;
pub use seeds::{BufferSeeds, ScratchSeeds, SessionSeeds};
