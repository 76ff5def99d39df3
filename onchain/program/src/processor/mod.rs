//! One file per instruction.

pub mod step;
