//! Accounts as this program sees them: what loads one checks everything before anything else in it is read.

mod agreed;
mod checked;
mod dispute;
mod fields;
mod model;
mod pin;
mod scratch;
mod seeds;
mod session;

pub use checked::{close_account, is_system_program, signs, Area, SCRATCH_BYTES};
pub use fields::{Dispute, Model, Pin, Scratch, Session, Status, Verdict};
pub use model::blobs;
pub use scratch::WHOLE;
pub use seeds::{BufferSeeds, PinSeeds, ScratchSeeds, SessionSeeds};
