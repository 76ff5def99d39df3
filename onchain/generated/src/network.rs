// Machine-written by wm_export/rustgen.py (wmq export); do not edit.
//! The network, op by op.

use wmq_kernels::{gather::gather_add, matvec::*, requantize::*};

use crate::layout::{blob, work};

/// Runs op `index` of the network.
///
/// # Safety
/// `blob` and `work` are the 8-byte aligned starts of areas of the lengths that `layout` gives; `work` was written by
/// this crate alone (so that every id lies in its table) and does not overlap `blob`.
#[inline(always)]
pub unsafe fn op(index: usize, blob: *const u8, work: *mut u8) {
    // SAFETY: every offset and length below was laid out, and every range proved, for this QNet at export.
    unsafe {
        match index {
            0 => {
                start(work.add(work::BIAS), work.add(work::ACC1), 518);
                matvec_r6(
                    blob.add(blob::LAYER1_WORDS) as *const u64,
                    work.add(work::CODES) as *const i64,
                    work.add(work::ACC1) as *mut i64,
                    28,
                    320,
                );
                matvec_r3(
                    blob.add(blob::LAYER1_WORDS + 430080) as *const u64,
                    work.add(work::CODES) as *const i64,
                    work.add(work::ACC1 + 4032) as *mut i64,
                    1,
                    320,
                );
                matvec_r6(
                    blob.add(blob::LAYER1_WORDS + 437760) as *const u64,
                    work.add(work::CODES + 2560) as *const i64,
                    work.add(work::ACC1) as *mut i64,
                    28,
                    288,
                );
                matvec_r3(
                    blob.add(blob::LAYER1_WORDS + 824832) as *const u64,
                    work.add(work::CODES + 2560) as *const i64,
                    work.add(work::ACC1 + 4032) as *mut i64,
                    1,
                    288,
                );
            }
            1 => {
                gather(
                    blob,
                    work.add(work::IDS) as *const u16,
                    blob.add(blob::GATHER_K) as *const u32,
                    work.add(work::ACC1) as *mut i64,
                );
            }
            2 => {
                requantize_relu(
                    work.add(work::ACC1) as *const i64,
                    blob.add(blob::RELU1_MULT) as *const u32,
                    work.add(work::HIDDEN1) as *mut i64,
                    512,
                    31,
                );
            }
            3 => {
                start(blob.add(blob::LAYER2_BIAS), work.add(work::ACC2), 258);
                matvec_r6(
                    blob.add(blob::LAYER2_WORDS) as *const u64,
                    work.add(work::HIDDEN1) as *const i64,
                    work.add(work::ACC2) as *mut i64,
                    14,
                    512,
                );
                matvec_r2(
                    blob.add(blob::LAYER2_WORDS + 344064) as *const u64,
                    work.add(work::HIDDEN1) as *const i64,
                    work.add(work::ACC2 + 2016) as *mut i64,
                    1,
                    512,
                );
            }
            4 => {
                requantize_relu(
                    work.add(work::ACC2) as *const i64,
                    blob.add(blob::RELU2_MULT) as *const u32,
                    work.add(work::HIDDEN2) as *mut i64,
                    256,
                    31,
                );
            }
            5 => {
                start(blob.add(blob::HEADS_BIAS), work.add(work::ACC3), 1065);
                matvec_r6(
                    blob.add(blob::HEADS_WORDS) as *const u64,
                    work.add(work::HIDDEN2) as *const i64,
                    work.add(work::ACC3) as *mut i64,
                    59,
                    256,
                );
                matvec_r1(
                    blob.add(blob::HEADS_WORDS + 724992) as *const u64,
                    work.add(work::HIDDEN2) as *const i64,
                    work.add(work::ACC3 + 8496) as *mut i64,
                    1,
                    256,
                );
            }
            6 => {
                requantize(
                    work.add(work::ACC3) as *const i64,
                    blob.add(blob::SCALE_MULT) as *const u32,
                    work.add(work::HEADS) as *mut i64,
                    1064,
                    31,
                );
            }
            _ => {}
        }
    }
}

/// Least and greatest x, least and greatest y on every stage, in fixed point.
static STAGE_BOUNDS: [[i32; 4]; 33] = [
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-945152, 945152, -730112, 960512],
    [-1073152, 1073152, -585728, 868352],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-850739, 842138, -503808, 819200],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1175552, 1175552, -634880, 1155072],
    [-1228800, 1228800, -819200, 1228800],
    [-1228800, 1228800, -819200, 1228800],
    [-1048576, 1048576, -576717, 950272],
    [-1138688, 1138688, -704512, 901120],
];

/// Writes what stays in a session with these ids: what the first accumulator starts from, and the bounds of positions.
///
/// # Safety
/// As `op`; every id is below its entry of `layout::SESSION_VOCAB`.
pub unsafe fn session_bias(ids: &[u16; 3], blob: *const u8, work: *mut u8) {
    const FIRST_ROWS: [usize; 3] = [0, 33, 66];
    // SAFETY: the tables hold a row of 512 for every id, and `work` holds as many sums.
    unsafe {
        let table = blob.add(blob::LAYER1_SESSION) as *const i32;
        let layer = blob.add(blob::LAYER1_BIAS) as *const i32;
        let out = work.add(work::BIAS) as *mut i64;
        for i in 0..512 {
            let mut sum = i64::from(layer.add(i).read());
            for (&first, &id) in FIRST_ROWS.iter().zip(ids) {
                sum += i64::from(table.add((first + id as usize) * 512 + i).read());
            }
            out.add(i).write(sum);
        }
        let bounds = work.add(work::BOUNDS) as *mut i64;
        for (i, &bound) in STAGE_BOUNDS[ids[2] as usize].iter().enumerate() {
            bounds.add(i).write(i64::from(bound));
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
