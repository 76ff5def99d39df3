//! Integer kernels of wmq.
//!
//! Each kernel exists twice: sBPF assembly, machine-written by `wm_export/lower/asm`, and a portable twin with the suffix
//! `_ref` and the same signature. The twins are here, generic over what the kernels of a family differ in: a safe
//! function on slices, and around it the one that takes pointers as the assembly does. The assembly of a kernel is
//! written into the crate that calls it, and declared there with [`kernel!`]: the assembly on chain, the twin everywhere
//! else, so the same program source runs in both places. To be read, `asm/` has one listing of each family.
//!
//! Glossary: *word*, a `u64` that carries several small integers; *lane*, the bits of one of them (SWAR: SIMD within a
//! register); *group*, the rows that a matrix kernel works on together; *block*, the entries that a gather kernel works
//! on together.
//!
//! Where assembly branches on data, both ways cost the same: its compute units are an exact function of its sizes, stated
//! below. The twins promise the same integers, not the same cost.
//!
//! Memory is little-endian; every pointer is 8-byte aligned, but for `mult` and `k` (4-byte aligned) and `table` (2-byte
//! aligned). The
//! kernels check nothing: sizes and ranges are proved when a network is exported. Arithmetic wraps.
#![doc = include_str!("../compute_units.md")]
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod argmax;
pub mod branchless;
pub mod chunked;
pub mod conv;
pub mod fill;
pub mod gate;
pub mod gather;
pub mod geometry;
pub mod matvec;
#[cfg(all(target_arch = "bpf", not(feature = "std")))]
pub mod mem;
pub mod norm;
pub mod requantize;
pub mod ssm;
pub mod table;

/// Declares a kernel in the crate that calls it: `name(arguments) -> result = twin`, with its documentation.
///
/// On chain it is the assembly in `asm/<name>.s` of that crate (which needs feature `asm_experimental_arch`), symbol
/// `wmq_<name>`.
#[cfg(all(target_arch = "bpf", not(feature = "portable")))]
#[macro_export]
macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident ( $($arg:ident : $ty:ty),* ) $(-> $ret:ty)? = $twin:path) => {
        core::arch::global_asm!(include_str!(concat!("../asm/", stringify!($name), ".s")));

        extern "C" {
            $(#[$doc])*
            #[doc = concat!("# Safety\nAs `", stringify!($twin), "`.")]
            #[link_name = concat!("wmq_", stringify!($name))]
            pub fn $name($($arg: $ty),*) $(-> $ret)?;
        }
    };
}

/// Declares a kernel in the crate that calls it: `name(arguments) -> result = twin`, with its documentation.
///
/// Here it is the portable twin; on chain, the assembly.
#[cfg(any(not(target_arch = "bpf"), feature = "portable"))]
#[macro_export]
macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident ( $($arg:ident : $ty:ty),* ) $(-> $ret:ty)? = $twin:path) => {
        $(#[$doc])*
        #[doc = concat!("# Safety\nAs `", stringify!($twin), "`.")]
        pub unsafe extern "C" fn $name($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the twin has the same contract, and the caller keeps it.
            unsafe { $twin($($arg),*) }
        }
    };
}
