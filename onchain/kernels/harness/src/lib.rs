//! A program that calls one kernel, for tests that meter it.
//!
//! tests/onchain/test_kernels_svm.py builds a copy of it, with what it writes beside this file: `kernels` declares every
//! kernel, as the exporter does for a world, and `table` lists them by number.
//!
//! Account 0 is writable and starts with the call: six `u64`, the kernel's number and its five arguments, and
//! then room for the result. Pointers are absolute addresses, which the test knows. The same instructions run
//! around every kernel, so the empty one measures what the harness itself costs.
//!
//! ```text
//! data of account 0:  0 kernel   8..48 arguments 1 to 5   48 result   56.. free
//! ```
#![no_std]
#![cfg(target_arch = "bpf")]
#![feature(asm_experimental_arch)]

mod kernels;
mod table;

use wmq_kernels::branchless;

/// Where the data of account 0 starts in the program's input: count 8, account header 8, key 32, owner 32,
/// lamports 8, length 8.
const CALL_OFFSET: usize = 96;

type Kernel = unsafe extern "C" fn(u64, u64, u64, u64, u64) -> u64;

core::arch::global_asm!(
    ".globl wmq_nothing",
    ".type wmq_nothing,@function",
    "wmq_nothing:",
    "exit",
    ".size wmq_nothing, .-wmq_nothing"
);

extern "C" {
    fn wmq_nothing(a: u64, b: u64, c: u64, d: u64, e: u64) -> u64;
}

/// Every choice of `branchless` on `a`, `b`, `c`, written to `out[0..11]`; `shift_mult` is shift + mult << 8.
#[no_mangle]
unsafe extern "C" fn choices(a: u64, b: u64, c: u64, out: u64, shift_mult: u64) -> u64 {
    let (a, b, c) = (a as i64, b as i64, c as i64);
    let results = [
        branchless::sign_mask(a),
        branchless::select(branchless::sign_mask(a), b, c),
        branchless::lt(a, b),
        branchless::gt(a, b),
        branchless::ge(a, b),
        branchless::eq(a, b),
        branchless::ne(a, b),
        branchless::min(a, b),
        branchless::max(a, b),
        branchless::clamp(a, b, c),
        branchless::requantize1(a, (shift_mult >> 8) as u32, shift_mult & 63),
    ];
    // SAFETY: the test passes the address of eleven writable values.
    unsafe { (out as *mut [i64; 11]).write(results) };
    0
}

/// `n` bytes moved, then compared and cleared at the source: links and runs `mem`.
unsafe extern "C" fn copy(dst: u64, src: u64, n: u64, _: u64, _: u64) -> u64 {
    let (dst, src, n) = (dst as *mut u8, src as *mut u8, n as usize);
    // SAFETY: the test passes two separate stretches of `n` writable bytes.
    unsafe {
        core::ptr::copy_nonoverlapping(src, dst, n);
        let same = core::slice::from_raw_parts(src, n) == core::slice::from_raw_parts(dst, n);
        core::ptr::write_bytes(src, 0, n);
        u64::from(same)
    }
}

/// Calls the kernel that account 0 asks for.
///
/// # Safety
/// Called by the runtime with the serialized input; the test keeps account 0 long enough for a call.
#[no_mangle]
pub unsafe extern "C" fn entrypoint(input: *mut u8) -> u64 {
    // SAFETY: account 0 holds at least seven u64, and the test asks only for kernels in the list.
    unsafe {
        let call = &mut *(input.add(CALL_OFFSET) as *mut [u64; 7]);
        let kernel = *table::KERNELS.get_unchecked(call[0] as usize);
        call[6] = kernel(call[1], call[2], call[3], call[4], call[5]);
    }
    0
}

/// The kernels never panic; a trap if one does.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
