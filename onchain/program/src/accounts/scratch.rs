//! A scratch account, which lives on the rollup only: the window, and what a frame is computed with.

use pinocchio::{error::ProgramError, AccountView, Address, ProgramResult};
use wmq_world::layout::{memory, scratch, SLOTS};

use super::{
    checked::{load_mut, Area, Checked, SCRATCH},
    fields::{Scratch, Session},
    seeds::ScratchSeeds,
};
use crate::tree::{self, Pinned};

/// `loaded` of an account whose window is whole, and so is the memory, if the network has one.
pub const WHOLE: u64 = SLOTS + (memory::BYTES != 0) as u64;

impl Scratch {
    /// A session's scratch account, to be written. Whose it is, is checked by `session_is`.
    ///
    /// # Errors
    /// As `load_mut`.
    #[inline(always)]
    pub fn load_mut(program: &Address, account: &mut AccountView) -> Result<Self, ProgramError> {
        Ok(Self(load_mut(program, account, &SCRATCH)?))
    }

    /// An account of this program, turned into a session's scratch account whatever it was; its window is the one before
    /// `frame`, empty.
    ///
    /// # Errors
    /// `Immutable`, `InvalidAccountOwner`, `WrongLength`.
    pub fn claim(
        program: &Address,
        account: &mut AccountView,
        session: &Address,
        frame: u64,
    ) -> Result<Self, ProgramError> {
        let mut made = Self(Checked::claim(program, account, &SCRATCH)?);
        made.set_session(session.as_array());
        made.set_frame_number(frame);
        made.set_loaded(0);
        Ok(made)
    }

    /// Checks that `account` has the address of the scratch account of the session at `at`.
    ///
    /// # Errors
    /// `WrongAccount`.
    pub fn check_address(
        program: &Address,
        session: &Session,
        at: &Address,
        account: &AccountView,
    ) -> ProgramResult {
        let seeds = ScratchSeeds { session: *at.as_array(), nonce: session.nonce().to_le_bytes() };
        seeds.check(session.scratch_bump(), program, account.address())
    }

    /// Whether its window is whole, with the memory, and the one that `frame` is computed from.
    #[inline(always)]
    pub fn window_stands_at(&self, frame: u64) -> bool {
        self.loaded() == WHOLE && self.frame_number() == frame
    }

    /// Whether it has all that `frame` is computed from but the memory, which is to be loaded.
    pub fn lacks_memory_at(&self, frame: u64) -> bool {
        self.loaded() == SLOTS && SLOTS < WHOLE && self.frame_number() == frame
    }

    /// Whether an account is a session's scratch account whose window is whole, or is being loaded, for its hash tree.
    pub fn is_open(program: &Address, account: &mut AccountView, session: &Address, at: &Pinned) -> bool {
        Self::load_mut(program, account).is_ok_and(|it| {
            let frame = it.frame_number().checked_add(SLOTS);
            it.session_is(session) && frame == Some(at.count) && tree::root(it.peaks(), at.count) == *at.root
        })
    }

    /// Where the work area lies.
    #[inline(always)]
    pub fn work(&self) -> Area {
        self.0.area(scratch::WORK)
    }
}
