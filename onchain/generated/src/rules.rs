// Machine-written by wm_export/rustgen.py (wmq export); do not edit.
//! The rules of wm_train/world.py: inputs and Frames to codes, heads to the next Frame. Straight lines, no branches.

use wmq_kernels::{argmax::argmax, branchless::*};

use crate::layout::{work, INPUT_BYTES, PLAYERS};

#[inline(always)]
unsafe fn field(frame: *const u8, index: usize) -> i64 {
    // SAFETY: the caller's contract: `frame` holds more than `index` fields of 4 bytes.
    unsafe { i64::from((frame as *const i32).add(index).read()) }
}

#[inline(always)]
unsafe fn write(frame: *mut u8, index: usize, value: i64) {
    // SAFETY: the caller's contract: `frame` holds more than `index` fields of 4 bytes; values are clamped to i32.
    unsafe { (frame as *mut i32).add(index).write(value as i32) }
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

/// What the session's stage allows: least and greatest of each bounded field.
#[inline(always)]
unsafe fn bound(work: *const u8, index: usize) -> i64 {
    // SAFETY: the caller's contract: the work area's section holds more than `index` values of 8 bytes.
    unsafe { (work.add(work::BOUNDS) as *const i64).add(index).read() }
}

#[inline(always)]
unsafe fn code(codes: *mut u8, index: usize, value: i64) {
    // SAFETY: the caller's contract: `codes` holds more than `index` values of 8 bytes.
    unsafe { (codes as *mut i64).add(index).write(value) }
}

/// Codes of the inputs that the next Frame will be computed with, to `codes`.
///
/// # Safety
/// `codes` is 8-byte aligned and holds one value per control of both players.
#[inline(never)]
pub unsafe fn encode_inputs(inputs: &[[u8; INPUT_BYTES]; PLAYERS], codes: *mut u8) {
    // SAFETY: `codes` holds every index below.
    unsafe {
        let p0_stick_x = i64::from(inputs[0][0] as i8);
        code(codes, 0, p0_stick_x);
        let p0_stick_y = i64::from(inputs[0][1] as i8);
        code(codes, 1, p0_stick_y);
        let p0_cstick_x = i64::from(inputs[0][2] as i8);
        code(codes, 2, p0_cstick_x);
        let p0_cstick_y = i64::from(inputs[0][3] as i8);
        code(codes, 3, p0_cstick_y);
        let p0_shoulder = i64::from(inputs[0][4] as i8);
        code(codes, 4, p0_shoulder);
        let p0_a = i64::from(inputs[0][5] & 1);
        let v11 = p0_a << 6;
        code(codes, 5, v11);
        let p0_b = i64::from(inputs[0][5] >> 1 & 1);
        let v14 = p0_b << 6;
        code(codes, 6, v14);
        let p0_x = i64::from(inputs[0][5] >> 2 & 1);
        let v17 = p0_x << 6;
        code(codes, 7, v17);
        let p0_y = i64::from(inputs[0][5] >> 3 & 1);
        let v20 = p0_y << 6;
        code(codes, 8, v20);
        let p0_z = i64::from(inputs[0][5] >> 4 & 1);
        let v23 = p0_z << 6;
        code(codes, 9, v23);
        let p0_l = i64::from(inputs[0][5] >> 5 & 1);
        let v26 = p0_l << 6;
        code(codes, 10, v26);
        let p0_r = i64::from(inputs[0][5] >> 6 & 1);
        let v29 = p0_r << 6;
        code(codes, 11, v29);
        let p0_d_up = i64::from(inputs[0][5] >> 7 & 1);
        let v32 = p0_d_up << 6;
        code(codes, 12, v32);
        let p1_stick_x = i64::from(inputs[1][0] as i8);
        code(codes, 13, p1_stick_x);
        let p1_stick_y = i64::from(inputs[1][1] as i8);
        code(codes, 14, p1_stick_y);
        let p1_cstick_x = i64::from(inputs[1][2] as i8);
        code(codes, 15, p1_cstick_x);
        let p1_cstick_y = i64::from(inputs[1][3] as i8);
        code(codes, 16, p1_cstick_y);
        let p1_shoulder = i64::from(inputs[1][4] as i8);
        code(codes, 17, p1_shoulder);
        let p1_a = i64::from(inputs[1][5] & 1);
        let v45 = p1_a << 6;
        code(codes, 18, v45);
        let p1_b = i64::from(inputs[1][5] >> 1 & 1);
        let v48 = p1_b << 6;
        code(codes, 19, v48);
        let p1_x = i64::from(inputs[1][5] >> 2 & 1);
        let v51 = p1_x << 6;
        code(codes, 20, v51);
        let p1_y = i64::from(inputs[1][5] >> 3 & 1);
        let v54 = p1_y << 6;
        code(codes, 21, v54);
        let p1_z = i64::from(inputs[1][5] >> 4 & 1);
        let v57 = p1_z << 6;
        code(codes, 22, v57);
        let p1_l = i64::from(inputs[1][5] >> 5 & 1);
        let v60 = p1_l << 6;
        code(codes, 23, v60);
        let p1_r = i64::from(inputs[1][5] >> 6 & 1);
        let v63 = p1_r << 6;
        code(codes, 24, v63);
        let p1_d_up = i64::from(inputs[1][5] >> 7 & 1);
        let v66 = p1_d_up << 6;
        code(codes, 25, v66);
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

/// The next Frame, from the current one and the heads; replaces it.
///
/// # Safety
/// As `network::op`; `frame` is a Frame, 8-byte aligned, outside `work`.
#[inline(never)]
pub unsafe fn decode(frame: *mut u8, work: *const u8) {
    // SAFETY: the areas hold every index below; a player's fields are read before they are written.
    unsafe {
        let heads = work.add(work::HEADS);
        let x_low = bound(work, 0);
        let x_high = bound(work, 1);
        let y_low = bound(work, 2);
        let y_high = bound(work, 3);
        let p0_head_hit = head(heads, 16);
        let v5 = gt(p0_head_hit, 0);
        let p0_head_hitlag = head(heads, 10);
        let v7 = p0_head_hitlag + 2048;
        let v8 = v7 >> 12;
        let v9 = v8 << 12;
        let p0_hitlag = field(frame, 10);
        let v11 = p0_hitlag - 4096;
        let v12 = select(v5, v9, v11);
        let v13 = clamp(v12, 0, 262144);
        let v14 = gt(v13, 0);
        let p0_self_x_air = field(frame, 4);
        let p0_head_self_x_air = head(heads, 4);
        let v17 = p0_self_x_air + p0_head_self_x_air;
        let p0_self_y = field(frame, 5);
        let p0_head_self_y = head(heads, 5);
        let v20 = p0_self_y + p0_head_self_y;
        let p0_knockback_x = field(frame, 6);
        let p0_head_knockback_x = head(heads, 6);
        let v23 = p0_knockback_x + p0_head_knockback_x;
        let p0_knockback_y = field(frame, 7);
        let p0_head_knockback_y = head(heads, 7);
        let v26 = p0_knockback_y + p0_head_knockback_y;
        let p0_self_x_ground = field(frame, 8);
        let p0_head_self_x_ground = head(heads, 8);
        let v29 = p0_self_x_ground + p0_head_self_x_ground;
        let v30 = v17 + v23;
        let v31 = select(v14, 0, v30);
        let p0_head_x = head(heads, 1);
        let v33 = v31 + p0_head_x;
        let v34 = v20 + v26;
        let v35 = select(v14, 0, v34);
        let p0_head_y = head(heads, 2);
        let v37 = v35 + p0_head_y;
        let p0_head_teleport = head(heads, 18);
        let v39 = gt(p0_head_teleport, 0);
        let p0_head_respawn = head(heads, 19);
        let v41 = gt(p0_head_respawn, 0);
        let p0_state_age = field(frame, 9);
        let v43 = select(v14, 0, 4096);
        let v44 = p0_state_age + v43;
        let p0_head_teleport_x = head(heads, 12);
        let p0_x = field(frame, 1);
        let v47 = p0_x + v33;
        let v48 = select(v39, p0_head_teleport_x, v47);
        let p0_head_teleport_y = head(heads, 13);
        let p0_y = field(frame, 2);
        let v51 = p0_y + v37;
        let v52 = select(v39, p0_head_teleport_y, v51);
        let p0_percent = field(frame, 0);
        let p0_head_damage = head(heads, 17);
        let v55 = gt(p0_head_damage, 0);
        let p0_head_percent = head(heads, 0);
        let v57 = select(v55, p0_head_percent, 0);
        let v58 = p0_percent + v57;
        let v59 = select(v41, 0, v58);
        let p0_shield = field(frame, 3);
        let p0_head_shield = head(heads, 3);
        let v62 = p0_shield + p0_head_shield;
        let p0_stocks = field(frame, 11);
        let p0_head_stock_lost = head(heads, 20);
        let v65 = gt(p0_head_stock_lost, 0);
        let v66 = select(v65, 4096, 0);
        let v67 = p0_stocks - v66;
        let p0_combo_count = field(frame, 12);
        let p0_head_combo_count = head(heads, 11);
        let v70 = p0_combo_count + p0_head_combo_count;
        let v71 = v70 + 2048;
        let v72 = v71 >> 12;
        let v73 = v72 << 12;
        let p0_head_age_reset = head(heads, 21);
        let v75 = gt(p0_head_age_reset, 0);
        let p0_head_state_age = head(heads, 9);
        let v77 = select(v75, p0_head_state_age, v44);
        let p0_head_facing = head(heads, 14);
        let v79 = gt(p0_head_facing, 0);
        let v80 = select(v79, 1, 0);
        let p0_head_on_ground = head(heads, 15);
        let v82 = gt(p0_head_on_ground, 0);
        let v83 = select(v82, 1, 0);
        let p0_head_hurtbox = choice(heads, 433, 3);
        let v85 = gt(p0_head_hurtbox, 0);
        let v86 = select(v85, 1, 0);
        let p0_head_action = choice(heads, 22, 400);
        let p0_head_jumps = choice(heads, 422, 8);
        let p0_head_l_cancel = choice(heads, 430, 3);
        let p0_head_ground = choice(heads, 436, 32);
        let p0_head_last_attack = choice(heads, 468, 64);
        let v92 = clamp(v59, 0, 4091904);
        let v93 = clamp(v48, x_low, x_high);
        let v94 = clamp(v52, y_low, y_high);
        let v95 = clamp(v62, 0, 245760);
        let v96 = clamp(v17, -131072, 131072);
        let v97 = clamp(v20, -131072, 131072);
        let v98 = clamp(v23, -131072, 131072);
        let v99 = clamp(v26, -131072, 131072);
        let v100 = clamp(v29, -131072, 131072);
        let v101 = clamp(v77, -32768, 8192000);
        let v102 = clamp(v13, 0, 262144);
        let v103 = clamp(v67, 0, 16384);
        let v104 = clamp(v73, 0, 245760);
        let p0_character = field(frame, 18);
        write(frame, 0, v92); // p0.percent
        write(frame, 1, v93); // p0.x
        write(frame, 2, v94); // p0.y
        write(frame, 3, v95); // p0.shield
        write(frame, 4, v96); // p0.self_x_air
        write(frame, 5, v97); // p0.self_y
        write(frame, 6, v98); // p0.knockback_x
        write(frame, 7, v99); // p0.knockback_y
        write(frame, 8, v100); // p0.self_x_ground
        write(frame, 9, v101); // p0.state_age
        write(frame, 10, v102); // p0.hitlag
        write(frame, 11, v103); // p0.stocks
        write(frame, 12, v104); // p0.combo_count
        write(frame, 13, v80); // p0.facing
        write(frame, 14, v86); // p0.invulnerable
        write(frame, 15, v83); // p0.on_ground
        write(frame, 16, p0_head_action); // p0.action
        write(frame, 17, p0_head_jumps); // p0.jumps
        write(frame, 18, p0_character); // p0.character
        write(frame, 19, p0_head_l_cancel); // p0.l_cancel
        write(frame, 20, p0_head_hurtbox); // p0.hurtbox
        write(frame, 21, p0_head_ground); // p0.ground
        write(frame, 22, p0_head_last_attack); // p0.last_attack
        let p1_head_hit = head(heads, 548);
        let v130 = gt(p1_head_hit, 0);
        let p1_head_hitlag = head(heads, 542);
        let v132 = p1_head_hitlag + 2048;
        let v133 = v132 >> 12;
        let v134 = v133 << 12;
        let p1_hitlag = field(frame, 33);
        let v136 = p1_hitlag - 4096;
        let v137 = select(v130, v134, v136);
        let v138 = clamp(v137, 0, 262144);
        let v139 = gt(v138, 0);
        let p1_self_x_air = field(frame, 27);
        let p1_head_self_x_air = head(heads, 536);
        let v142 = p1_self_x_air + p1_head_self_x_air;
        let p1_self_y = field(frame, 28);
        let p1_head_self_y = head(heads, 537);
        let v145 = p1_self_y + p1_head_self_y;
        let p1_knockback_x = field(frame, 29);
        let p1_head_knockback_x = head(heads, 538);
        let v148 = p1_knockback_x + p1_head_knockback_x;
        let p1_knockback_y = field(frame, 30);
        let p1_head_knockback_y = head(heads, 539);
        let v151 = p1_knockback_y + p1_head_knockback_y;
        let p1_self_x_ground = field(frame, 31);
        let p1_head_self_x_ground = head(heads, 540);
        let v154 = p1_self_x_ground + p1_head_self_x_ground;
        let v155 = v142 + v148;
        let v156 = select(v139, 0, v155);
        let p1_head_x = head(heads, 533);
        let v158 = v156 + p1_head_x;
        let v159 = v145 + v151;
        let v160 = select(v139, 0, v159);
        let p1_head_y = head(heads, 534);
        let v162 = v160 + p1_head_y;
        let p1_head_teleport = head(heads, 550);
        let v164 = gt(p1_head_teleport, 0);
        let p1_head_respawn = head(heads, 551);
        let v166 = gt(p1_head_respawn, 0);
        let p1_state_age = field(frame, 32);
        let v168 = select(v139, 0, 4096);
        let v169 = p1_state_age + v168;
        let p1_head_teleport_x = head(heads, 544);
        let p1_x = field(frame, 24);
        let v172 = p1_x + v158;
        let v173 = select(v164, p1_head_teleport_x, v172);
        let p1_head_teleport_y = head(heads, 545);
        let p1_y = field(frame, 25);
        let v176 = p1_y + v162;
        let v177 = select(v164, p1_head_teleport_y, v176);
        let p1_percent = field(frame, 23);
        let p1_head_damage = head(heads, 549);
        let v180 = gt(p1_head_damage, 0);
        let p1_head_percent = head(heads, 532);
        let v182 = select(v180, p1_head_percent, 0);
        let v183 = p1_percent + v182;
        let v184 = select(v166, 0, v183);
        let p1_shield = field(frame, 26);
        let p1_head_shield = head(heads, 535);
        let v187 = p1_shield + p1_head_shield;
        let p1_stocks = field(frame, 34);
        let p1_head_stock_lost = head(heads, 552);
        let v190 = gt(p1_head_stock_lost, 0);
        let v191 = select(v190, 4096, 0);
        let v192 = p1_stocks - v191;
        let p1_combo_count = field(frame, 35);
        let p1_head_combo_count = head(heads, 543);
        let v195 = p1_combo_count + p1_head_combo_count;
        let v196 = v195 + 2048;
        let v197 = v196 >> 12;
        let v198 = v197 << 12;
        let p1_head_age_reset = head(heads, 553);
        let v200 = gt(p1_head_age_reset, 0);
        let p1_head_state_age = head(heads, 541);
        let v202 = select(v200, p1_head_state_age, v169);
        let p1_head_facing = head(heads, 546);
        let v204 = gt(p1_head_facing, 0);
        let v205 = select(v204, 1, 0);
        let p1_head_on_ground = head(heads, 547);
        let v207 = gt(p1_head_on_ground, 0);
        let v208 = select(v207, 1, 0);
        let p1_head_hurtbox = choice(heads, 965, 3);
        let v210 = gt(p1_head_hurtbox, 0);
        let v211 = select(v210, 1, 0);
        let p1_head_action = choice(heads, 554, 400);
        let p1_head_jumps = choice(heads, 954, 8);
        let p1_head_l_cancel = choice(heads, 962, 3);
        let p1_head_ground = choice(heads, 968, 32);
        let p1_head_last_attack = choice(heads, 1000, 64);
        let v217 = clamp(v184, 0, 4091904);
        let v218 = clamp(v173, x_low, x_high);
        let v219 = clamp(v177, y_low, y_high);
        let v220 = clamp(v187, 0, 245760);
        let v221 = clamp(v142, -131072, 131072);
        let v222 = clamp(v145, -131072, 131072);
        let v223 = clamp(v148, -131072, 131072);
        let v224 = clamp(v151, -131072, 131072);
        let v225 = clamp(v154, -131072, 131072);
        let v226 = clamp(v202, -32768, 8192000);
        let v227 = clamp(v138, 0, 262144);
        let v228 = clamp(v192, 0, 16384);
        let v229 = clamp(v198, 0, 245760);
        let p1_character = field(frame, 41);
        write(frame, 23, v217); // p1.percent
        write(frame, 24, v218); // p1.x
        write(frame, 25, v219); // p1.y
        write(frame, 26, v220); // p1.shield
        write(frame, 27, v221); // p1.self_x_air
        write(frame, 28, v222); // p1.self_y
        write(frame, 29, v223); // p1.knockback_x
        write(frame, 30, v224); // p1.knockback_y
        write(frame, 31, v225); // p1.self_x_ground
        write(frame, 32, v226); // p1.state_age
        write(frame, 33, v227); // p1.hitlag
        write(frame, 34, v228); // p1.stocks
        write(frame, 35, v229); // p1.combo_count
        write(frame, 36, v205); // p1.facing
        write(frame, 37, v211); // p1.invulnerable
        write(frame, 38, v208); // p1.on_ground
        write(frame, 39, p1_head_action); // p1.action
        write(frame, 40, p1_head_jumps); // p1.jumps
        write(frame, 41, p1_character); // p1.character
        write(frame, 42, p1_head_l_cancel); // p1.l_cancel
        write(frame, 43, p1_head_hurtbox); // p1.hurtbox
        write(frame, 44, p1_head_ground); // p1.ground
        write(frame, 45, p1_head_last_attack); // p1.last_attack
    }
}

/// Moves the window on by one slot: this Frame, with the inputs that `encode_inputs` wrote last.
///
/// # Safety
/// As `decode`; every field of the Frame is in its range.
#[inline(never)]
pub unsafe fn push(frame: *const u8, work: *mut u8) {
    // SAFETY: the areas hold every index below; the moves stay inside `codes` and `ids`.
    unsafe {
        let codes = work.add(work::CODES);
        let ids = work.add(work::IDS);
        core::ptr::copy(codes.add(464), codes, 4176);
        core::ptr::copy(ids.add(24), ids, 216);
        let slot = codes.add(4176);
        let p0_percent = field(frame, 0);
        let v1 = requantize1(p0_percent, 1073741824, 43);
        let v2 = clamp(v1, -128, 127);
        code(slot, 0, v2);
        let p0_x = field(frame, 1);
        let v5 = requantize1(p0_x, 1431655765, 43);
        let v6 = clamp(v5, -128, 127);
        code(slot, 1, v6);
        let p0_y = field(frame, 2);
        let v9 = requantize1(p0_y, 1431655765, 43);
        let v10 = clamp(v9, -128, 127);
        code(slot, 2, v10);
        let p0_shield = field(frame, 3);
        let v13 = requantize1(p0_shield, 1073741824, 41);
        let v14 = clamp(v13, -128, 127);
        code(slot, 3, v14);
        let p0_self_x_air = field(frame, 4);
        let v17 = requantize1(p0_self_x_air, 1677721600, 38);
        let v18 = clamp(v17, -128, 127);
        code(slot, 4, v18);
        let p0_self_y = field(frame, 5);
        let v21 = requantize1(p0_self_y, 1677721600, 38);
        let v22 = clamp(v21, -128, 127);
        code(slot, 5, v22);
        let p0_knockback_x = field(frame, 6);
        let v25 = requantize1(p0_knockback_x, 1342177280, 38);
        let v26 = clamp(v25, -128, 127);
        code(slot, 6, v26);
        let p0_knockback_y = field(frame, 7);
        let v29 = requantize1(p0_knockback_y, 1118481067, 38);
        let v30 = clamp(v29, -128, 127);
        code(slot, 7, v30);
        let p0_self_x_ground = field(frame, 8);
        let v33 = requantize1(p0_self_x_ground, 1677721600, 38);
        let v34 = clamp(v33, -128, 127);
        code(slot, 8, v34);
        let p0_state_age = field(frame, 9);
        let v37 = requantize1(p0_state_age, 1073741824, 42);
        let v38 = clamp(v37, -128, 127);
        code(slot, 9, v38);
        let p0_hitlag = field(frame, 10);
        let v41 = requantize1(p0_hitlag, 1073741824, 39);
        let v42 = clamp(v41, -128, 127);
        code(slot, 10, v42);
        let p0_stocks = field(frame, 11);
        let v45 = requantize1(p0_stocks, 1073741824, 38);
        let v46 = clamp(v45, -128, 127);
        code(slot, 11, v46);
        let p0_combo_count = field(frame, 12);
        let v49 = requantize1(p0_combo_count, 1073741824, 39);
        let v50 = clamp(v49, -128, 127);
        code(slot, 12, v50);
        let p0_facing = field(frame, 13);
        let v53 = p0_facing << 6;
        code(slot, 13, v53);
        let p0_invulnerable = field(frame, 14);
        let v56 = p0_invulnerable << 6;
        code(slot, 14, v56);
        let p0_on_ground = field(frame, 15);
        let v59 = p0_on_ground << 6;
        code(slot, 15, v59);
        core::ptr::copy_nonoverlapping(work.add(work::CODES + 4640), slot.add(128), 104);
        (ids.add(216) as *mut u16).write(field(frame, 16) as u16);
        (ids.add(218) as *mut u16).write(field(frame, 17) as u16);
        (ids.add(220) as *mut u16).write(field(frame, 19) as u16);
        (ids.add(222) as *mut u16).write(field(frame, 20) as u16);
        (ids.add(224) as *mut u16).write(field(frame, 21) as u16);
        (ids.add(226) as *mut u16).write(field(frame, 22) as u16);
        let p1_percent = field(frame, 23);
        let v69 = requantize1(p1_percent, 1073741824, 43);
        let v70 = clamp(v69, -128, 127);
        code(slot, 29, v70);
        let p1_x = field(frame, 24);
        let v73 = requantize1(p1_x, 1431655765, 43);
        let v74 = clamp(v73, -128, 127);
        code(slot, 30, v74);
        let p1_y = field(frame, 25);
        let v77 = requantize1(p1_y, 1431655765, 43);
        let v78 = clamp(v77, -128, 127);
        code(slot, 31, v78);
        let p1_shield = field(frame, 26);
        let v81 = requantize1(p1_shield, 1073741824, 41);
        let v82 = clamp(v81, -128, 127);
        code(slot, 32, v82);
        let p1_self_x_air = field(frame, 27);
        let v85 = requantize1(p1_self_x_air, 1677721600, 38);
        let v86 = clamp(v85, -128, 127);
        code(slot, 33, v86);
        let p1_self_y = field(frame, 28);
        let v89 = requantize1(p1_self_y, 1677721600, 38);
        let v90 = clamp(v89, -128, 127);
        code(slot, 34, v90);
        let p1_knockback_x = field(frame, 29);
        let v93 = requantize1(p1_knockback_x, 1342177280, 38);
        let v94 = clamp(v93, -128, 127);
        code(slot, 35, v94);
        let p1_knockback_y = field(frame, 30);
        let v97 = requantize1(p1_knockback_y, 1118481067, 38);
        let v98 = clamp(v97, -128, 127);
        code(slot, 36, v98);
        let p1_self_x_ground = field(frame, 31);
        let v101 = requantize1(p1_self_x_ground, 1677721600, 38);
        let v102 = clamp(v101, -128, 127);
        code(slot, 37, v102);
        let p1_state_age = field(frame, 32);
        let v105 = requantize1(p1_state_age, 1073741824, 42);
        let v106 = clamp(v105, -128, 127);
        code(slot, 38, v106);
        let p1_hitlag = field(frame, 33);
        let v109 = requantize1(p1_hitlag, 1073741824, 39);
        let v110 = clamp(v109, -128, 127);
        code(slot, 39, v110);
        let p1_stocks = field(frame, 34);
        let v113 = requantize1(p1_stocks, 1073741824, 38);
        let v114 = clamp(v113, -128, 127);
        code(slot, 40, v114);
        let p1_combo_count = field(frame, 35);
        let v117 = requantize1(p1_combo_count, 1073741824, 39);
        let v118 = clamp(v117, -128, 127);
        code(slot, 41, v118);
        let p1_facing = field(frame, 36);
        let v121 = p1_facing << 6;
        code(slot, 42, v121);
        let p1_invulnerable = field(frame, 37);
        let v124 = p1_invulnerable << 6;
        code(slot, 43, v124);
        let p1_on_ground = field(frame, 38);
        let v127 = p1_on_ground << 6;
        code(slot, 44, v127);
        core::ptr::copy_nonoverlapping(work.add(work::CODES + 4744), slot.add(360), 104);
        (ids.add(228) as *mut u16).write(field(frame, 39) as u16);
        (ids.add(230) as *mut u16).write(field(frame, 40) as u16);
        (ids.add(232) as *mut u16).write(field(frame, 42) as u16);
        (ids.add(234) as *mut u16).write(field(frame, 43) as u16);
        (ids.add(236) as *mut u16).write(field(frame, 44) as u16);
        (ids.add(238) as *mut u16).write(field(frame, 45) as u16);
    }
}
