// Machine-written by wm_export/rustgen.py (wmq export); do not edit.
//! One world, exported from a QNet: where its bytes lie (`layout`), its ops in order (`network`), and the rules that
//! turn heads into the next Frame and a Frame into codes (`rules`). Integers only; no branch depends on data.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod layout;
mod network;
mod rules;
mod step;

pub use network::session_bias;
pub use rules::in_range;
pub use step::{push, run, OPS, PLAN};
