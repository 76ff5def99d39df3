//! Integer kernels of wmq.
//!
//! Each kernel exists twice: sBPF assembly (`asm/*.s`, machine-written by `wm_quant/kernels.py`), and a portable twin
//! with the suffix `_ref` and the same signature. The public function is the assembly on chain and calls the
//! twin everywhere else, so the same program source runs in both places.
//!
//! Glossary: *word*, a `u64` that carries several small integers; *lane*, the bits of one of them; *group*,
//! the rows a matrix kernel works on together; *block*, the entries a gather kernel works on together.
//!
//! No assembly branches on data: its compute units are an exact function of its sizes. Each module states the
//! formula, counted inside the function with its `exit`, without the caller's argument set-up and `call`. The
//! twins promise the same integers, not the same cost.
//!
//! Memory is little-endian; every pointer is 8-byte aligned, but for `mult` and `k` (4-byte aligned). The
//! kernels check nothing: sizes and ranges are proved when a network is exported. Arithmetic wraps.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod argmax;
pub mod branchless;
pub mod gather;
pub mod matvec;
#[cfg(target_arch = "bpf")]
pub mod mem;
pub mod requantize;

/// Declares a kernel: the assembly file `asm/<name>.s` on chain, a call of the twin elsewhere.
macro_rules! kernel {
    ($(#[$doc:meta])* $name:ident ( $($arg:ident : $ty:ty),* ) $(-> $ret:ty)? = $twin:path) => {
        #[cfg(all(target_arch = "bpf", not(feature = "portable")))]
        core::arch::global_asm!(include_str!(concat!("../asm/", stringify!($name), ".s")));

        #[cfg(all(target_arch = "bpf", not(feature = "portable")))]
        extern "C" {
            $(#[$doc])*
            #[link_name = concat!("wmq_", stringify!($name))]
            pub fn $name($($arg: $ty),*) $(-> $ret)?;
        }

        $(#[$doc])*
        #[cfg(any(not(target_arch = "bpf"), feature = "portable"))]
        pub unsafe extern "C" fn $name($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the twin has the same contract, and the caller keeps it.
            unsafe { $twin($($arg),*) }
        }
    };
}
pub(crate) use kernel;
