// Machine-written by wm_export/solana/rust.py (wmq export); do not edit.
//! The world's rules, recorded from wm_train/world/step.py and the game's subsystems: inputs and Frames to codes, heads to
//! the next Frame. Straight lines, no branches. A function of one player is called for each, on that player's part.

use wmq_kernels::branchless::*;

use crate::{
    kernels::*,
    layout::{work, INPUT_BYTES, PLAYERS},
};

/// Where each field of a player stands in its part of a Frame.
#[allow(dead_code)] // some encodings and rules leave fields alone
mod fields {
    pub const PERCENT: usize = 0;
    pub const X: usize = 1;
    pub const Y: usize = 2;
    pub const SHIELD: usize = 3;
    pub const SELF_X_AIR: usize = 4;
    pub const SELF_Y: usize = 5;
    pub const KNOCKBACK_X: usize = 6;
    pub const KNOCKBACK_Y: usize = 7;
    pub const SELF_X_GROUND: usize = 8;
    pub const STATE_AGE: usize = 9;
    pub const HITLAG: usize = 10;
    pub const STOCKS: usize = 11;
    pub const COMBO_COUNT: usize = 12;
    pub const FACING: usize = 13;
    pub const INVULNERABLE: usize = 14;
    pub const ON_GROUND: usize = 15;
    pub const ACTION: usize = 16;
    pub const JUMPS: usize = 17;
    pub const CHARACTER: usize = 18;
    pub const L_CANCEL: usize = 19;
    pub const HURTBOX: usize = 20;
    pub const GROUND: usize = 21;
    pub const LAST_ATTACK: usize = 22;
}

/// Where each head of a player begins in its part of the network's output.
mod outputs {
    pub const PERCENT: usize = 0;
    pub const X: usize = 1;
    pub const Y: usize = 2;
    pub const SHIELD: usize = 3;
    pub const SELF_X_AIR: usize = 4;
    pub const SELF_Y: usize = 5;
    pub const KNOCKBACK_X: usize = 6;
    pub const KNOCKBACK_Y: usize = 7;
    pub const SELF_X_GROUND: usize = 8;
    pub const STATE_AGE: usize = 9;
    pub const HITLAG: usize = 10;
    pub const COMBO_COUNT: usize = 11;
    pub const TELEPORT_X: usize = 12;
    pub const TELEPORT_Y: usize = 13;
    pub const FACING: usize = 14;
    pub const ON_GROUND: usize = 15;
    pub const HIT: usize = 16;
    pub const DAMAGE: usize = 17;
    pub const TELEPORT: usize = 18;
    pub const RESPAWN: usize = 19;
    pub const STOCK_LOST: usize = 20;
    pub const AGE_RESET: usize = 21;
    pub const ACTION: usize = 22;
    pub const JUMPS: usize = 422;
    pub const L_CANCEL: usize = 430;
    pub const HURTBOX: usize = 433;
    pub const GROUND: usize = 436;
    pub const LAST_ATTACK: usize = 468;
}

/// Bytes of one player's fields in a Frame, of its heads, and of its codes and ids in a window slot.
const FIELDS_BYTES: usize = 92;
const HEADS_BYTES: usize = 4256;
const CODES_BYTES: usize = 232;
const IDS_BYTES: usize = 12;
/// Bytes of the codes of one player's controls in a slot, and of all that is read of its following inputs.
const CONTROLS_BYTES: usize = 104;
const INPUTS_BYTES: usize = 104;

#[inline(always)]
unsafe fn field(player: *const u8, index: usize) -> i64 {
    // SAFETY: the caller's contract: `player` holds more than `index` fields of 4 bytes.
    unsafe { i64::from((player as *const i32).add(index).read()) }
}

#[inline(always)]
unsafe fn write(player: *mut u8, index: usize, value: i64) {
    // SAFETY: the caller's contract: `player` holds more than `index` fields of 4 bytes; values are clamped to i32.
    unsafe { (player as *mut i32).add(index).write(value as i32) }
}

#[inline(always)]
unsafe fn head(heads: *const u8, index: usize) -> i64 {
    // SAFETY: the caller's contract: `heads` holds more than `index` values of 8 bytes.
    unsafe { (heads as *const i64).add(index).read() }
}

#[inline(always)]
unsafe fn choice(heads: *const u8, index: usize, width: u64) -> i64 {
    // SAFETY: the caller's contract: `heads` holds `index + width` values of 8 bytes.
    unsafe { argmax((heads as *const i64).add(index), width) as i64 }
}

#[inline(always)]
unsafe fn code(codes: *mut u8, index: usize, value: i64) {
    // SAFETY: the caller's contract: `codes` holds more than `index` values of 8 bytes.
    unsafe { (codes as *mut i64).add(index).write(value) }
}

#[inline(always)]
unsafe fn id(ids: *mut u8, index: usize, value: i64) {
    // SAFETY: the caller's contract: `ids` holds more than `index` values of 2 bytes.
    unsafe { (ids as *mut u16).add(index).write(value as u16) }
}

/// Codes of what is read of one player's inputs, to `codes`.
///
/// # Safety
/// `codes` is 8-byte aligned and holds INPUTS_BYTES; so are the codes of its controls in the newest slot, if they are
/// given, and hold CONTROLS_BYTES.
#[inline(always)]
unsafe fn encode_player(input: &[u8; INPUT_BYTES], codes: *mut u8) {
    // SAFETY: the areas hold every index below.
    unsafe {
        code(codes, 0, i64::from(input[0] as i8)); // stick_x
        code(codes, 1, i64::from(input[1] as i8)); // stick_y
        code(codes, 2, i64::from(input[2] as i8)); // cstick_x
        code(codes, 3, i64::from(input[3] as i8)); // cstick_y
        code(codes, 4, i64::from(input[4] as i8)); // shoulder
        code(codes, 5, i64::from(input[5] & 1) << 6); // A
        code(codes, 6, i64::from(input[5] >> 1 & 1) << 6); // B
        code(codes, 7, i64::from(input[5] >> 2 & 1) << 6); // X
        code(codes, 8, i64::from(input[5] >> 3 & 1) << 6); // Y
        code(codes, 9, i64::from(input[5] >> 4 & 1) << 6); // Z
        code(codes, 10, i64::from(input[5] >> 5 & 1) << 6); // L
        code(codes, 11, i64::from(input[5] >> 6 & 1) << 6); // R
        code(codes, 12, i64::from(input[5] >> 7 & 1) << 6); // D_UP
    }
}

/// Codes of the inputs that the next Frame will be computed with.
///
/// # Safety
/// As `decode`.
#[inline(never)]
pub unsafe fn encode_inputs(inputs: &[[u8; INPUT_BYTES]; PLAYERS], work: *mut u8) {
    // SAFETY: each player's codes lie inside the work area.
    unsafe {
        let codes = work.add(work::CODES + 4640);
        encode_player(&inputs[0], codes);
        encode_player(&inputs[1], codes.add(INPUTS_BYTES));
    }
}

/// Least and greatest value of every field of a Frame, in order.
const RANGES: [(i32, i32); 46] = [
    (0, 4091904),
    (-1228800, 1228800),
    (-819200, 1228800),
    (0, 245760),
    (-131072, 131072),
    (-131072, 131072),
    (-131072, 131072),
    (-131072, 131072),
    (-131072, 131072),
    (-32768, 8192000),
    (0, 262144),
    (0, 16384),
    (0, 245760),
    (0, 1),
    (0, 1),
    (0, 1),
    (0, 399),
    (0, 7),
    (0, 32),
    (0, 2),
    (0, 2),
    (0, 31),
    (0, 63),
    (0, 4091904),
    (-1228800, 1228800),
    (-819200, 1228800),
    (0, 245760),
    (-131072, 131072),
    (-131072, 131072),
    (-131072, 131072),
    (-131072, 131072),
    (-131072, 131072),
    (-32768, 8192000),
    (0, 262144),
    (0, 16384),
    (0, 245760),
    (0, 1),
    (0, 1),
    (0, 1),
    (0, 399),
    (0, 7),
    (0, 32),
    (0, 2),
    (0, 2),
    (0, 31),
    (0, 63),
];

/// Whether every field of a Frame lies inside its range, ids inside their tables among them.
pub fn in_range(frame: &[u8; 4 * RANGES.len()]) -> bool {
    frame.chunks_exact(4).zip(RANGES).all(|(bytes, (low, high))| {
        let value = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        low <= value && value <= high
    })
}

/// One player's next fields, from the current ones and its heads; replaces them. `place` is what the session's place
/// gives to its seat: least and greatest of each bounded field, then what laws read.
///
/// # Safety
/// `player` is 4-byte aligned and holds a player's fields, `heads` is 8-byte aligned and holds a player's heads.
#[inline(always)]
unsafe fn decode_player(player: *mut u8, heads: *const u8, place: &[i64; 4]) {
    // SAFETY: the areas hold every index below; the fields are read before they are written.
    unsafe {
        let [x_low, x_high, y_low, y_high] = *place;

        // hit detection
        let head_hit = head(heads, outputs::HIT);
        let now_hitlag = field(player, fields::HITLAG);
        let head_hitlag = head(heads, outputs::HITLAG);
        let now_combo_count = field(player, fields::COMBO_COUNT);
        let head_combo_count = head(heads, outputs::COMBO_COUNT);
        let head_last_attack = choice(heads, outputs::LAST_ATTACK, 64);
        let next_hitlag =
            select(gt(head_hit, 0), ((head_hitlag + 2048) >> 12) << 12, clamp(now_hitlag - 4096, 0, 262144));
        let next_combo_count = ((now_combo_count + head_combo_count + 2048) >> 12) << 12;

        // damage and knockback
        let head_damage = head(heads, outputs::DAMAGE);
        let head_percent = head(heads, outputs::PERCENT);
        let head_respawn = head(heads, outputs::RESPAWN);
        let now_percent = field(player, fields::PERCENT);
        let now_stocks = field(player, fields::STOCKS);
        let head_stock_lost = head(heads, outputs::STOCK_LOST);
        let now_knockback_x = field(player, fields::KNOCKBACK_X);
        let head_knockback_x = head(heads, outputs::KNOCKBACK_X);
        let now_knockback_y = field(player, fields::KNOCKBACK_Y);
        let head_knockback_y = head(heads, outputs::KNOCKBACK_Y);
        let next_percent =
            select(gt(head_respawn, 0), 0, now_percent + select(gt(head_damage, 0), head_percent, 0));
        let next_stocks = now_stocks - select(gt(head_stock_lost, 0), 4096, 0);
        let next_knockback_x = now_knockback_x + head_knockback_x;
        let next_knockback_y = now_knockback_y + head_knockback_y;

        // movement
        let now_self_x_air = field(player, fields::SELF_X_AIR);
        let head_self_x_air = head(heads, outputs::SELF_X_AIR);
        let next_self_x_air = now_self_x_air + head_self_x_air;
        let now_self_y = field(player, fields::SELF_Y);
        let head_self_y = head(heads, outputs::SELF_Y);
        let next_self_y = now_self_y + head_self_y;
        let now_self_x_ground = field(player, fields::SELF_X_GROUND);
        let head_self_x_ground = head(heads, outputs::SELF_X_GROUND);
        let next_self_x_ground = now_self_x_ground + head_self_x_ground;
        let frozen = gt(next_hitlag, 0);
        let head_teleport = head(heads, outputs::TELEPORT);
        let teleport = gt(head_teleport, 0);
        let now_x = field(player, fields::X);
        let head_x = head(heads, outputs::X);
        let step_x = select(frozen, 0, next_self_x_air + next_knockback_x) + head_x;
        let head_teleport_x = head(heads, outputs::TELEPORT_X);
        let now_y = field(player, fields::Y);
        let head_y = head(heads, outputs::Y);
        let step_y = select(frozen, 0, next_self_y + next_knockback_y) + head_y;
        let head_teleport_y = head(heads, outputs::TELEPORT_Y);
        let head_on_ground = head(heads, outputs::ON_GROUND);
        let head_ground = choice(heads, outputs::GROUND, 32);
        let next_x = select(teleport, head_teleport_x, now_x + step_x);
        let next_y = select(teleport, head_teleport_y, now_y + step_y);
        let next_on_ground = select(gt(head_on_ground, 0), 1, 0);

        // action transitions
        let now_state_age = field(player, fields::STATE_AGE);
        let head_action = choice(heads, outputs::ACTION, 400);
        let head_age_reset = head(heads, outputs::AGE_RESET);
        let head_state_age = head(heads, outputs::STATE_AGE);
        let head_facing = head(heads, outputs::FACING);
        let head_jumps = choice(heads, outputs::JUMPS, 8);
        let head_l_cancel = choice(heads, outputs::L_CANCEL, 3);
        let next_state_age = select(
            gt(head_age_reset, 0),
            head_state_age,
            now_state_age + select(gt(next_hitlag, 0), 0, 4096),
        );
        let next_facing = select(gt(head_facing, 0), 1, 0);

        // shield and grab
        let now_shield = field(player, fields::SHIELD);
        let head_shield = head(heads, outputs::SHIELD);
        let head_hurtbox = choice(heads, outputs::HURTBOX, 3);
        let next_shield = now_shield + head_shield;
        let next_invulnerable = select(gt(head_hurtbox, 0), 1, 0);

        // inside their ranges
        write(player, fields::PERCENT, clamp(next_percent, 0, 4091904));
        write(player, fields::X, clamp(next_x, x_low, x_high));
        write(player, fields::Y, clamp(next_y, y_low, y_high));
        write(player, fields::SHIELD, clamp(next_shield, 0, 245760));
        write(player, fields::SELF_X_AIR, clamp(next_self_x_air, -131072, 131072));
        write(player, fields::SELF_Y, clamp(next_self_y, -131072, 131072));
        write(player, fields::KNOCKBACK_X, clamp(next_knockback_x, -131072, 131072));
        write(player, fields::KNOCKBACK_Y, clamp(next_knockback_y, -131072, 131072));
        write(player, fields::SELF_X_GROUND, clamp(next_self_x_ground, -131072, 131072));
        write(player, fields::STATE_AGE, clamp(next_state_age, -32768, 8192000));
        write(player, fields::HITLAG, clamp(next_hitlag, 0, 262144));
        write(player, fields::STOCKS, clamp(next_stocks, 0, 16384));
        write(player, fields::COMBO_COUNT, clamp(next_combo_count, 0, 245760));
        write(player, fields::FACING, next_facing);
        write(player, fields::INVULNERABLE, next_invulnerable);
        write(player, fields::ON_GROUND, next_on_ground);
        write(player, fields::ACTION, head_action);
        write(player, fields::JUMPS, head_jumps);
        write(player, fields::L_CANCEL, head_l_cancel);
        write(player, fields::HURTBOX, head_hurtbox);
        write(player, fields::GROUND, head_ground);
        write(player, fields::LAST_ATTACK, head_last_attack);
    }
}

/// The next Frame, from the current one and the heads; replaces it.
///
/// # Safety
/// As the functions of `network`; `frame` is a Frame, 8-byte aligned, outside `work`.
#[inline(never)]
pub unsafe fn decode(frame: *mut u8, work: *const u8) {
    // SAFETY: the work area holds bounds and heads; each player's parts lie inside `frame` and the heads.
    unsafe {
        let heads = work.add(work::HEADS);
        let places = (work.add(work::BOUNDS) as *const [[i64; 4]; 1]).read();
        decode_player(frame, heads, &places[0]);
        decode_player(frame.add(FIELDS_BYTES), heads.add(HEADS_BYTES), &places[0]);
    }
}

/// One player's part of a window slot: codes of its fields and controls to `slot`, ids to `ids`.
///
/// # Safety
/// `player` is as in `decode_player`, every field in its range; `controls` holds CONTROLS_BYTES, `slot` CODES_BYTES and
/// `ids` IDS_BYTES, aligned for what they hold, none inside another.
#[inline(always)]
unsafe fn push_player(player: *const u8, controls: *const u8, slot: *mut u8, ids: *mut u8) {
    // SAFETY: the areas hold every index below.
    unsafe {
        code(slot, 0, clamp(requantize1(field(player, fields::PERCENT), 1073741824, 43), -128, 127));
        code(slot, 1, clamp(requantize1(field(player, fields::X), 1431655765, 43), -128, 127));
        code(slot, 2, clamp(requantize1(field(player, fields::Y), 1431655765, 43), -128, 127));
        code(slot, 3, clamp(requantize1(field(player, fields::SHIELD), 1073741824, 41), -128, 127));
        code(slot, 4, clamp(requantize1(field(player, fields::SELF_X_AIR), 1677721600, 38), -128, 127));
        code(slot, 5, clamp(requantize1(field(player, fields::SELF_Y), 1677721600, 38), -128, 127));
        code(slot, 6, clamp(requantize1(field(player, fields::KNOCKBACK_X), 1342177280, 38), -128, 127));
        code(slot, 7, clamp(requantize1(field(player, fields::KNOCKBACK_Y), 1118481067, 38), -128, 127));
        code(slot, 8, clamp(requantize1(field(player, fields::SELF_X_GROUND), 1677721600, 38), -128, 127));
        code(slot, 9, clamp(requantize1(field(player, fields::STATE_AGE), 1073741824, 42), -128, 127));
        code(slot, 10, clamp(requantize1(field(player, fields::HITLAG), 1073741824, 39), -128, 127));
        code(slot, 11, clamp(requantize1(field(player, fields::STOCKS), 1073741824, 38), -128, 127));
        code(slot, 12, clamp(requantize1(field(player, fields::COMBO_COUNT), 1073741824, 39), -128, 127));
        code(slot, 13, field(player, fields::FACING) << 6);
        code(slot, 14, field(player, fields::INVULNERABLE) << 6);
        code(slot, 15, field(player, fields::ON_GROUND) << 6);
        // The controls' codes were made when the frame began.
        core::ptr::copy_nonoverlapping(controls, slot.add(128), CONTROLS_BYTES);
        id(ids, 0, field(player, fields::ACTION));
        id(ids, 1, field(player, fields::JUMPS));
        id(ids, 2, field(player, fields::L_CANCEL));
        id(ids, 3, field(player, fields::HURTBOX));
        id(ids, 4, field(player, fields::GROUND));
        id(ids, 5, field(player, fields::LAST_ATTACK));
    }
}

/// Moves the window on by one slot: this Frame, with the inputs that `encode_inputs` wrote last.
///
/// # Safety
/// As `decode`; every field of the Frame is in its range.
#[inline(never)]
pub unsafe fn push(frame: *const u8, work: *mut u8) {
    // SAFETY: the moves stay inside `codes` and `ids`; each player's parts lie inside their last slots.
    unsafe {
        let codes = work.add(work::CODES);
        let ids = work.add(work::IDS);
        core::ptr::copy(codes.add(464), codes, 4176);
        core::ptr::copy(ids.add(24), ids, 216);
        let slot = codes.add(4176);
        let ids = ids.add(216);
        push_player(frame, work.add(work::CODES + 4640), slot, ids);
        push_player(
            frame.add(FIELDS_BYTES),
            work.add(work::CODES + 4744),
            slot.add(CODES_BYTES),
            ids.add(IDS_BYTES),
        );
    }
}
