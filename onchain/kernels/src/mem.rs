//! `memcpy` and its kin on the runtime's syscalls, because the compiler may call them and this target has no
//! C library. Only in programs: elsewhere the platform has its own.

extern "C" {
    fn sol_memcpy_(dst: *mut u8, src: *const u8, n: u64);
    fn sol_memmove_(dst: *mut u8, src: *const u8, n: u64);
    fn sol_memset_(dst: *mut u8, byte: u8, n: u64);
    fn sol_memcmp_(a: *const u8, b: *const u8, n: u64, result: *mut i32);
}

/// C's `memcpy`.
///
/// # Safety
/// `n` bytes readable at `src` and writable at `dst`, not overlapping.
#[no_mangle]
pub unsafe extern "C" fn memcpy(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: same contract.
    unsafe { sol_memcpy_(dst, src, n as u64) };
    dst
}

/// C's `memmove`.
///
/// # Safety
/// `n` bytes readable at `src` and writable at `dst`.
#[no_mangle]
pub unsafe extern "C" fn memmove(dst: *mut u8, src: *const u8, n: usize) -> *mut u8 {
    // SAFETY: same contract.
    unsafe { sol_memmove_(dst, src, n as u64) };
    dst
}

/// C's `memset`.
///
/// # Safety
/// `n` bytes writable at `dst`.
#[no_mangle]
pub unsafe extern "C" fn memset(dst: *mut u8, byte: i32, n: usize) -> *mut u8 {
    // SAFETY: same contract; C converts the byte in the same way.
    unsafe { sol_memset_(dst, byte as u8, n as u64) };
    dst
}

/// C's `memcmp`.
///
/// # Safety
/// `n` bytes readable at `a` and at `b`.
#[no_mangle]
pub unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    let mut result = 0;
    // SAFETY: same contract, and `result` is a writable i32.
    unsafe { sol_memcmp_(a, b, n as u64, &mut result) };
    result
}

/// C's `bcmp`: zero if equal.
///
/// # Safety
/// As [`memcmp`].
#[no_mangle]
pub unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: same contract.
    unsafe { memcmp(a, b, n) }
}
