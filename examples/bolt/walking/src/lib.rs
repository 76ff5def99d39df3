//! System `walking` of a match: movement by hand, in the place of the learned one. The stick moves a player, gravity pulls,
//! the ground holds at height 0.

use bolt_lang::*;
use combat::Combat;
use input::Input;
use inputs::window::{place, Window};
use match_clock::MatchClock;
use motion::Motion;
use position::Position;

declare_id!("EQbxmtvNRn24ddRZPQsTQzgPfcqvNgZDJEfV4B2oeRLZ");

/// The turn of movement.
pub const TURN: u8 = 3;
/// One game unit, in the fixed point of a Frame.
const UNIT: i32 = 1 << 12;
/// What a full stick does in a frame: half a game unit for each of its 80 steps.
const STEP: i32 = UNIT / 160;
/// What gravity adds to a fall in a frame, and the fastest fall.
const GRAVITY: i32 = UNIT / 10;
const FASTEST: i32 = 3 * UNIT;
/// What a player leaves the ground with.
const JUMP: i32 = 3 * UNIT;
/// The stick's height from which a player jumps.
const UP: i8 = 60;
/// How far from the middle a player may walk.
const ENDS: i32 = 60 * UNIT;

#[system]
pub mod walking {
    pub fn execute(ctx: Context<Components>, _args: Vec<u8>) -> Result<Components> {
        let window = ctx.window()?;
        run(ctx.accounts, window)?;
        Ok(ctx.accounts)
    }

    #[system_input]
    pub struct Components {
        pub position: Position,
        pub motion: Motion,
        pub combat: Combat,
        pub input: Input,
        pub match_clock: MatchClock,
    }

    #[extra_accounts]
    pub struct ExtraAccounts {
        /// CHECK: `Window::of`
        #[account()]
        pub window: AccountInfo,
    }
}

fn run(components: &mut walking::Components, window: &AccountInfo) -> Result<()> {
    let window = Window::of(window)?;
    window.has(place::POSITION, components.position.key())?;
    window.has(place::MOTION, components.motion.key())?;
    window.has(place::COMBAT, components.combat.key())?;
    window.has(place::INPUT, components.input.key())?;
    window.has(place::MATCH_CLOCK, components.match_clock.key())?;
    components.match_clock.take(TURN)?;
    for player in 0..inputs::PLAYERS {
        walk(components, player);
    }
    Ok(())
}

/// One player's frame. Who was hit stays where it is as long as hitlag lasts, as in the learned movement.
fn walk(components: &mut walking::Components, player: usize) {
    if components.combat.ruled_hitlag[player] > 0 {
        return;
    }
    let [across, up, ..] = components.input.pads[player].map(|byte| byte as i8);
    let (position, motion) = (&mut components.position, &mut components.motion);
    let stands = position.on_ground[player] == 1;
    let speed = i32::from(across) * STEP;
    let jumps = stands && up >= UP;
    let fall = if stands { 0 } else { (motion.self_y[player] - GRAVITY).max(-FASTEST) };
    let rise = if jumps { JUMP } else { fall };
    let knocked = [motion.knockback_x[player], motion.knockback_y[player]];

    motion.self_x_ground[player] = if stands { speed } else { 0 };
    motion.self_x_air[player] = speed;
    motion.self_y[player] = rise;
    position.x[player] = (position.x[player] + speed + knocked[0]).clamp(-ENDS, ENDS);
    position.y[player] = (position.y[player] + rise + knocked[1]).clamp(0, ENDS);
    position.on_ground[player] = i32::from(position.y[player] == 0 && !jumps);
}
