// Machine-written by wm_export/rustgen.py (wmq export); do not edit.
//! The network, op by op.

use wmq_kernels::{gather::gather_add, matvec::*, requantize::*};

use crate::layout::{blob, scratch, session};

/// Runs op `index` of the network.
///
/// # Safety
/// `blob`, `session` and `scratch` are the 8-byte aligned starts of areas of the lengths that `layout` gives, written
/// by this program alone (so that every id lies in its table); `scratch` overlaps neither of the others.
#[inline(always)]
pub unsafe fn op(index: usize, blob: *const u8, session: *const u8, scratch: *mut u8) {
    // SAFETY: every offset and length below was laid out, and every range proved, for this QNet at export.
    unsafe {
        match index {
            0 => {
                start(session.add(session::BIAS), scratch.add(scratch::ACC1), 518);
                matvec_r6(
                    blob.add(blob::LAYER1_WORDS) as *const u64,
                    scratch.add(scratch::CODES) as *const i64,
                    scratch.add(scratch::ACC1) as *mut i64,
                    28,
                    320,
                );
                matvec_r3(
                    blob.add(blob::LAYER1_WORDS + 430080) as *const u64,
                    scratch.add(scratch::CODES) as *const i64,
                    scratch.add(scratch::ACC1 + 4032) as *mut i64,
                    1,
                    320,
                );
                matvec_r6(
                    blob.add(blob::LAYER1_WORDS + 437760) as *const u64,
                    scratch.add(scratch::CODES + 2560) as *const i64,
                    scratch.add(scratch::ACC1) as *mut i64,
                    28,
                    288,
                );
                matvec_r3(
                    blob.add(blob::LAYER1_WORDS + 824832) as *const u64,
                    scratch.add(scratch::CODES + 2560) as *const i64,
                    scratch.add(scratch::ACC1 + 4032) as *mut i64,
                    1,
                    288,
                );
            }
            1 => {
                gather(
                    blob,
                    scratch.add(scratch::IDS) as *const u16,
                    blob.add(blob::GATHER_K) as *const u32,
                    scratch.add(scratch::ACC1) as *mut i64,
                );
            }
            2 => {
                requantize_relu(
                    scratch.add(scratch::ACC1) as *const i64,
                    blob.add(blob::RELU1_MULT) as *const u32,
                    scratch.add(scratch::HIDDEN1) as *mut i64,
                    512,
                    31,
                );
            }
            3 => {
                start(blob.add(blob::LAYER2_BIAS), scratch.add(scratch::ACC2), 258);
                matvec_r6(
                    blob.add(blob::LAYER2_WORDS) as *const u64,
                    scratch.add(scratch::HIDDEN1) as *const i64,
                    scratch.add(scratch::ACC2) as *mut i64,
                    14,
                    512,
                );
                matvec_r2(
                    blob.add(blob::LAYER2_WORDS + 344064) as *const u64,
                    scratch.add(scratch::HIDDEN1) as *const i64,
                    scratch.add(scratch::ACC2 + 2016) as *mut i64,
                    1,
                    512,
                );
            }
            4 => {
                requantize_relu(
                    scratch.add(scratch::ACC2) as *const i64,
                    blob.add(blob::RELU2_MULT) as *const u32,
                    scratch.add(scratch::HIDDEN2) as *mut i64,
                    256,
                    31,
                );
            }
            5 => {
                start(blob.add(blob::HEADS_BIAS), scratch.add(scratch::ACC3), 1065);
                matvec_r6(
                    blob.add(blob::HEADS_WORDS) as *const u64,
                    scratch.add(scratch::HIDDEN2) as *const i64,
                    scratch.add(scratch::ACC3) as *mut i64,
                    59,
                    256,
                );
                matvec_r1(
                    blob.add(blob::HEADS_WORDS + 724992) as *const u64,
                    scratch.add(scratch::HIDDEN2) as *const i64,
                    scratch.add(scratch::ACC3 + 8496) as *mut i64,
                    1,
                    256,
                );
            }
            6 => {
                requantize(
                    scratch.add(scratch::ACC3) as *const i64,
                    blob.add(blob::SCALE_MULT) as *const u32,
                    scratch.add(scratch::HEADS) as *mut i64,
                    1064,
                    31,
                );
            }
            _ => {}
        }
    }
}

/// `count` values of 8 bytes from `source` to `out`.
#[inline(always)]
unsafe fn start(source: *const u8, out: *mut u8, count: usize) {
    // SAFETY: the caller's contract: both areas hold `count` values and do not overlap.
    unsafe { core::ptr::copy_nonoverlapping(source, out, count * 8) }
}

/// Start of each id's row table in the blob, in bytes; the last ones stand for the neutral row.
static ROW_STARTS: [u32; 120] = [
    1036544, 1273344, 1278080, 1279856, 1281632, 1300576, 1338464, 1575264, 1580000, 1581776, 1583552,
    1602496, 1640384, 1877184, 1881920, 1883696, 1885472, 1904416, 1942304, 2179104, 2183840, 2185616,
    2187392, 2206336, 2244224, 2481024, 2485760, 2487536, 2489312, 2508256, 2546144, 2782944, 2787680,
    2789456, 2791232, 2810176, 2848064, 3084864, 3089600, 3091376, 3093152, 3112096, 3149984, 3386784,
    3391520, 3393296, 3395072, 3414016, 3451904, 3688704, 3693440, 3695216, 3696992, 3715936, 3753824,
    3990624, 3995360, 3997136, 3998912, 4017856, 4055744, 4292544, 4297280, 4299056, 4300832, 4319776,
    4357664, 4594464, 4599200, 4600976, 4602752, 4621696, 4659584, 4896384, 4901120, 4902896, 4904672,
    4923616, 4961504, 5198304, 5203040, 5204816, 5206592, 5225536, 5263424, 5500224, 5504960, 5506736,
    5508512, 5527456, 5565344, 5802144, 5806880, 5808656, 5810432, 5829376, 5867264, 6104064, 6108800,
    6110576, 6112352, 6131296, 6169184, 6405984, 6410720, 6412496, 6414272, 6433216, 6471104, 6707904,
    6712640, 6714416, 6716192, 6735136, 6773024, 7009824, 7014560, 7016336, 7018112, 7037056,
];

/// Adds the rows that `ids` pick to `acc`.
#[inline(always)]
unsafe fn gather(blob: *const u8, ids: *const u16, k: *const u32, acc: *mut i64) {
    let mut rows = [0u64; 120];
    // SAFETY: `ids` holds 120 ids, each below the size of its table; the tables lie inside the blob.
    unsafe {
        for (i, row) in rows.iter_mut().enumerate() {
            let within = u64::from(*ids.add(i)) * 592;
            *row = blob as u64 + u64::from(ROW_STARTS[i]) + within;
        }
        gather_add(rows.as_ptr(), k, acc, 120, 2);
    }
}
