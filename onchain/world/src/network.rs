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
        kernels::matvec_6x8_64(
            blobs.first.add(blob::LAYER1_WORDS) as *const u64,
            work.add(work::CODES) as *const i64,
            work.add(work::ACC1) as *mut i64,
            28,
            320,
        );
        kernels::matvec_3x8_64(
            blobs.first.add(blob::LAYER1_WORDS + 430080) as *const u64,
            work.add(work::CODES) as *const i64,
            work.add(work::ACC1 + 4032) as *mut i64,
            1,
            320,
        );
        kernels::matvec_6x8_26(
            blobs.first.add(blob::LAYER1_WORDS + 437760) as *const u64,
            work.add(work::CODES + 2560) as *const i64,
            work.add(work::ACC1) as *mut i64,
            28,
            286,
        );
        kernels::matvec_3x8_26(
            blobs.first.add(blob::LAYER1_WORDS + 822144) as *const u64,
            work.add(work::CODES + 2560) as *const i64,
            work.add(work::ACC1 + 4032) as *mut i64,
            1,
            286,
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

/// hidden2 of 256 rows x 512 columns of 8 bits, times hidden1.
///
/// # Safety
/// As the module says.
#[inline(always)]
pub unsafe fn layer2(blobs: Blobs, work: *mut u8) {
    // SAFETY: every offset and length below was laid out, and every range proved, for this QNet at export.
    unsafe {
        kernels::matvec_6x8_64_relu(
            blobs.first.add(blob::LAYER2_WORDS) as *const u64,
            work.add(work::HIDDEN1) as *const i64,
            work.add(work::HIDDEN2) as *mut i64,
            14,
            512,
        );
        kernels::matvec_2x8_64_relu(
            blobs.first.add(blob::LAYER2_WORDS + 348208) as *const u64,
            work.add(work::HIDDEN1) as *const i64,
            work.add(work::HIDDEN2 + 2016) as *mut i64,
            1,
            512,
        );
    }
}

/// heads of 1064 rows x 256 columns of 8 bits, times hidden2.
///
/// # Safety
/// As the module says.
#[inline(always)]
pub unsafe fn heads(blobs: Blobs, work: *mut u8) {
    // SAFETY: every offset and length below was laid out, and every range proved, for this QNet at export.
    unsafe {
        kernels::matvec_7x8_256of256_scale(
            blobs.first.add(blob::HEADS_WORDS) as *const u64,
            work.add(work::HIDDEN2) as *const i64,
            work.add(work::HEADS) as *mut i64,
            50,
            256,
        );
        kernels::matvec_5x8_64_scale(
            blobs.first.add(blob::HEADS_WORDS + 734000) as *const u64,
            work.add(work::HIDDEN2) as *const i64,
            work.add(work::HEADS + 8400) as *mut i64,
            1,
            256,
        );
    }
}

/// Start of each id's table of rows in `gather.rows`, in bytes of its shard; the last ones are the neutral row.
static GATHER_TABLES: [u32; 120] = [
    1033808, 1270608, 1275344, 1277120, 1278896, 1297840, 1335728, 1572528, 1577264, 1579040, 1580816,
    1599760, 1637648, 1874448, 1879184, 1880960, 1882736, 1901680, 1939568, 2176368, 2181104, 2182880,
    2184656, 2203600, 2241488, 2478288, 2483024, 2484800, 2486576, 2505520, 2543408, 2780208, 2784944,
    2786720, 2788496, 2807440, 2845328, 3082128, 3086864, 3088640, 3090416, 3109360, 3147248, 3384048,
    3388784, 3390560, 3392336, 3411280, 3449168, 3685968, 3690704, 3692480, 3694256, 3713200, 3751088,
    3987888, 3992624, 3994400, 3996176, 4015120, 4053008, 4289808, 4294544, 4296320, 4298096, 4317040,
    4354928, 4591728, 4596464, 4598240, 4600016, 4618960, 4656848, 4893648, 4898384, 4900160, 4901936,
    4920880, 4958768, 5195568, 5200304, 5202080, 5203856, 5222800, 5260688, 5497488, 5502224, 5504000,
    5505776, 5524720, 5562608, 5799408, 5804144, 5805920, 5807696, 5826640, 5864528, 6101328, 6106064,
    6107840, 6109616, 6128560, 6166448, 6403248, 6407984, 6409760, 6411536, 6430480, 6468368, 6705168,
    6709904, 6711680, 6713456, 6732400, 6770288, 7007088, 7011824, 7013600, 7015376, 7034320,
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
