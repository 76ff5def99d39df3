// Machine-written by wm_export/solana/rust.py (wmq export); do not edit.
//! One world, exported from a QNet: where its bytes lie (`layout`), its ops in order (`network`), the rules that turn
//! heads into the next Frame and a Frame into codes (`rules`), and the kernels that both call (`kernels`). Integers only;
//! no branch depends on data.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

mod kernels;
pub mod layout;
mod network;
mod rules;
mod step;

pub use network::session_bias;
pub use rules::in_range;
pub use step::{push, run, OPS, PLAN};
