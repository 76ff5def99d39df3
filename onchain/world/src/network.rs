// Machine-written by wm_export/solana/rust.py (wmq export); do not edit.
//! The network: a function for each op, in the order that they run in.
//!
//! # Safety
//! Of every function: `blobs` and `work` are the 8-byte aligned starts of areas of the lengths that `layout` gives, one for
//! each shard of the blob; `work` was written by this crate alone (so that every id lies in its table) and overlaps none
//! of them.

use crate::{
    kernels,
    layout::{blob, work, Blobs},
};

/// acc1 += 512 rows x 606 columns of 8 bits, times codes.
///
/// # Safety
/// As the module says.
#[inline(always)]
pub unsafe fn layer1(blobs: Blobs, work: *mut u8) {
    // SAFETY: every offset and length below was laid out, and every range proved, for this QNet at export.
    unsafe {
        core::ptr::copy_nonoverlapping(
            work.add(work::BIAS) as *const i64,
            work.add(work::ACC1) as *mut i64,
            513,
        );
        kernels::matvec_6x8(
            blobs.first.add(blob::LAYER1_WORDS) as *const u64,
            work.add(work::CODES) as *const i64,
            work.add(work::ACC1) as *mut i64,
            28,
            320,
        );
        kernels::matvec_3x8(
            blobs.first.add(blob::LAYER1_WORDS + 430080) as *const u64,
            work.add(work::CODES) as *const i64,
            work.add(work::ACC1 + 4032) as *mut i64,
            1,
            320,
        );
        kernels::matvec_6x8(
            blobs.first.add(blob::LAYER1_WORDS + 437760) as *const u64,
            work.add(work::CODES + 2560) as *const i64,
            work.add(work::ACC1) as *mut i64,
            28,
            288,
        );
        kernels::matvec_3x8(
            blobs.first.add(blob::LAYER1_WORDS + 824832) as *const u64,
            work.add(work::CODES + 2560) as *const i64,
            work.add(work::ACC1 + 4032) as *mut i64,
            1,
            288,
        );
    }
}

/// acc1 += the rows of 512 entries that 120 ids pick.
///
/// # Safety
/// As the module says.
#[inline(always)]
pub unsafe fn gather(blobs: Blobs, work: *mut u8) {
    // SAFETY: every offset and length below was laid out, and every range proved, for this QNet at export.
    unsafe {
        let mut rows = [0u64; 120];
        addresses(&mut rows, blobs.first, work.add(work::IDS) as *const u16, &GATHER_TABLES, 592);
        kernels::gather_add(
            rows.as_ptr(),
            blobs.first.add(blob::GATHER_K) as *const u32,
            work.add(work::ACC1) as *mut i64,
            120,
            2,
        );
    }
}

/// hidden1 = 512 values of acc1, multiplied down.
///
/// # Safety
/// As the module says.
#[inline(always)]
pub unsafe fn relu1(blobs: Blobs, work: *mut u8) {
    // SAFETY: every offset and length below was laid out, and every range proved, for this QNet at export.
    unsafe {
        kernels::requantize_relu(
            work.add(work::ACC1) as *const i64,
            blobs.first.add(blob::RELU1_MULT) as *const u32,
            work.add(work::HIDDEN1) as *mut i64,
            512,
            31,
        );
    }
}

/// acc2 += 256 rows x 512 columns of 8 bits, times hidden1.
///
/// # Safety
/// As the module says.
#[inline(always)]
pub unsafe fn layer2(blobs: Blobs, work: *mut u8) {
    // SAFETY: every offset and length below was laid out, and every range proved, for this QNet at export.
    unsafe {
        core::ptr::copy_nonoverlapping(
            blobs.first.add(blob::LAYER2_BIAS) as *const i64,
            work.add(work::ACC2) as *mut i64,
            258,
        );
        kernels::matvec_6x8(
            blobs.first.add(blob::LAYER2_WORDS) as *const u64,
            work.add(work::HIDDEN1) as *const i64,
            work.add(work::ACC2) as *mut i64,
            14,
            512,
        );
        kernels::matvec_2x8(
            blobs.first.add(blob::LAYER2_WORDS + 344064) as *const u64,
            work.add(work::HIDDEN1) as *const i64,
            work.add(work::ACC2 + 2016) as *mut i64,
            1,
            512,
        );
    }
}

/// hidden2 = 256 values of acc2, multiplied down.
///
/// # Safety
/// As the module says.
#[inline(always)]
pub unsafe fn relu2(blobs: Blobs, work: *mut u8) {
    // SAFETY: every offset and length below was laid out, and every range proved, for this QNet at export.
    unsafe {
        kernels::requantize_relu(
            work.add(work::ACC2) as *const i64,
            blobs.first.add(blob::RELU2_MULT) as *const u32,
            work.add(work::HIDDEN2) as *mut i64,
            256,
            31,
        );
    }
}

/// acc3 += 1064 rows x 256 columns of 8 bits, times hidden2.
///
/// # Safety
/// As the module says.
#[inline(always)]
pub unsafe fn heads(blobs: Blobs, work: *mut u8) {
    // SAFETY: every offset and length below was laid out, and every range proved, for this QNet at export.
    unsafe {
        core::ptr::copy_nonoverlapping(
            blobs.first.add(blob::HEADS_BIAS) as *const i64,
            work.add(work::ACC3) as *mut i64,
            1065,
        );
        kernels::matvec_6x8(
            blobs.first.add(blob::HEADS_WORDS) as *const u64,
            work.add(work::HIDDEN2) as *const i64,
            work.add(work::ACC3) as *mut i64,
            59,
            256,
        );
        kernels::matvec_1x8(
            blobs.first.add(blob::HEADS_WORDS + 724992) as *const u64,
            work.add(work::HIDDEN2) as *const i64,
            work.add(work::ACC3 + 8496) as *mut i64,
            1,
            256,
        );
    }
}

/// heads = 1064 values of acc3, multiplied down.
///
/// # Safety
/// As the module says.
#[inline(always)]
pub unsafe fn scale(blobs: Blobs, work: *mut u8) {
    // SAFETY: every offset and length below was laid out, and every range proved, for this QNet at export.
    unsafe {
        kernels::requantize(
            work.add(work::ACC3) as *const i64,
            blobs.first.add(blob::SCALE_MULT) as *const u32,
            work.add(work::HEADS) as *mut i64,
            1064,
            31,
        );
    }
}

/// Start of each id's table of rows in `gather.rows`, in bytes of its shard; the last ones are the neutral row.
static GATHER_TABLES: [u32; 120] = [
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

/// Writes to `rows` the addresses of the rows, `row_bytes` each, that `ids` pick from the tables that begin at `starts` in
/// a shard of the blob.
#[inline(always)]
unsafe fn addresses<const N: usize>(
    rows: &mut [u64; N],
    blob: *const u8,
    ids: *const u16,
    starts: &'static [u32; N],
    row_bytes: u64,
) {
    // SAFETY: `ids` holds N ids, each below the size of its table; the tables lie inside the blob.
    unsafe {
        for (i, row) in rows.iter_mut().enumerate() {
            let within = u64::from(*ids.add(i)) * row_bytes;
            *row = blob as u64 + u64::from(starts[i]) + within;
        }
    }
}

/// Least and greatest value of each bounded field in every place, in fixed point.
static PLACE_BOUNDS: [[i32; 4]; 33] = [
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
/// What ops keep from frame to frame is set to zero.
///
/// # Safety
/// As the module says; every id is below its entry of `layout::SESSION_VOCAB`.
pub unsafe fn session_bias(ids: &[u16; 3], blobs: Blobs, work: *mut u8) {
    const FIRST_ROWS: [usize; 3] = [0, 33, 66];
    // SAFETY: the tables hold a row of 512 for every id, and `work` holds as many sums.
    unsafe {
        let table = blobs.first.add(blob::LAYER1_SESSION) as *const i32;
        let layer = blobs.first.add(blob::LAYER1_BIAS) as *const i32;
        let out = work.add(work::BIAS) as *mut i64;
        for i in 0..512 {
            let mut sum = i64::from(layer.add(i).read());
            for (&first, &id) in FIRST_ROWS.iter().zip(ids) {
                sum += i64::from(table.add((first + id as usize) * 512 + i).read());
            }
            out.add(i).write(sum);
        }
        let bounds = work.add(work::BOUNDS) as *mut i64;
        for (i, &bound) in PLACE_BOUNDS[ids[2] as usize].iter().enumerate() {
            bounds.add(i).write(i64::from(bound));
        }
    }
}
