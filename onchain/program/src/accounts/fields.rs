// Machine-written by wm_export/solana/rust_program.py; do not edit.
//! Fields of the accounts by name: getters, setters, and what an address field is held against.

use pinocchio::Address;
use wmq_world::layout::{
    dispute, memory::MEMORY_DIGEST_BYTES, model, pin, scratch, session, PEAKS, SESSION_IDS,
};

use super::{
    checked::{Area, Checked},
    seeds::PinSeeds,
};

/// What can be done with a session: it goes through these from first to last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// Waits for its second player.
    Open = 0,
    /// Both players are there; the window is being seeded.
    Joined,
    /// Frames are being computed.
    Started,
    /// Its window is being loaded again from the log; then it is started once more.
    Loading,
    /// Over.
    Ended,
}

/// What a dispute ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Verdict {
    /// None yet.
    Open = 0,
    /// The committed Frame is the one that the model computes.
    Right,
    /// It is not.
    Wrong,
}

/// The model account, its checks passed.
pub struct Model(pub(super) Checked);

impl Model {
    /// Number of the shard of the blob that it holds.
    #[inline(always)]
    pub fn shard(&self) -> u32 {
        self.0.get(model::SHARD)
    }

    /// Sets `shard`.
    #[inline(always)]
    pub fn set_shard(&mut self, value: u32) {
        self.0.set(model::SHARD, value);
    }

    /// Hash of the manifest.
    #[inline(always)]
    pub fn manifest(&self) -> &[u8; 32] {
        self.0.at(model::MANIFEST)
    }

    /// Sets `manifest`.
    #[inline(always)]
    pub fn set_manifest(&mut self, value: &[u8; 32]) {
        self.0.set(model::MANIFEST, *value);
    }

    /// Who uploads, and may give up.
    #[inline(always)]
    pub fn authority(&self) -> &[u8; 32] {
        self.0.at(model::AUTHORITY)
    }

    /// Sets `authority`.
    #[inline(always)]
    pub fn set_authority(&mut self, value: &[u8; 32]) {
        self.0.set(model::AUTHORITY, *value);
    }

    /// Whether `authority` is this address.
    #[inline(always)]
    pub fn authority_is(&self, address: &Address) -> bool {
        self.0.names(model::AUTHORITY, address)
    }

    /// Of the pieces hashed so far.
    #[inline(always)]
    pub fn digest(&self) -> &[u8; 32] {
        self.0.at(model::DIGEST)
    }

    /// Sets `digest`.
    #[inline(always)]
    pub fn set_digest(&mut self, value: &[u8; 32]) {
        self.0.set(model::DIGEST, *value);
    }

    /// Pieces of the blob that have been hashed.
    #[inline(always)]
    pub fn pieces(&self) -> u32 {
        self.0.get(model::PIECES)
    }

    /// Sets `pieces`.
    #[inline(always)]
    pub fn set_pieces(&mut self, value: u32) {
        self.0.set(model::PIECES, value);
    }

    /// Nobody changes it any more.
    #[inline(always)]
    pub fn frozen(&self) -> bool {
        self.0.get::<u32>(model::FROZEN) == 1
    }

    /// Sets `frozen`.
    #[inline(always)]
    pub fn set_frozen(&mut self, value: bool) {
        self.0.set(model::FROZEN, u32::from(value));
    }
}

/// The session account, its checks passed.
pub struct Session(pub(super) Checked);

impl Session {
    /// Hash of the manifest.
    #[inline(always)]
    pub fn manifest(&self) -> &[u8; 32] {
        self.0.at(session::MANIFEST)
    }

    /// Sets `manifest`.
    #[inline(always)]
    pub fn set_manifest(&mut self, value: &[u8; 32]) {
        self.0.set(session::MANIFEST, *value);
    }

    /// The model account.
    #[inline(always)]
    pub fn model(&self) -> &[u8; 32] {
        self.0.at(session::MODEL)
    }

    /// Sets `model`.
    #[inline(always)]
    pub fn set_model(&mut self, value: &[u8; 32]) {
        self.0.set(session::MODEL, *value);
    }

    /// Whether `model` is this address.
    #[inline(always)]
    pub fn model_is(&self, address: &Address) -> bool {
        self.0.names(session::MODEL, address)
    }

    /// Who made the session, and gets its rent back.
    #[inline(always)]
    pub fn creator(&self) -> &[u8; 32] {
        self.0.at(session::CREATOR)
    }

    /// Sets `creator`.
    #[inline(always)]
    pub fn set_creator(&mut self, value: &[u8; 32]) {
        self.0.set(session::CREATOR, *value);
    }

    /// Whether `creator` is this address.
    #[inline(always)]
    pub fn creator_is(&self, address: &Address) -> bool {
        self.0.names(session::CREATOR, address)
    }

    /// The creator's number for it.
    #[inline(always)]
    pub fn id(&self) -> u64 {
        self.0.get(session::ID)
    }

    /// Sets `id`.
    #[inline(always)]
    pub fn set_id(&mut self, value: u64) {
        self.0.set(session::ID, value);
    }

    /// Ids that stay while it lasts; those without a table are zero.
    #[inline(always)]
    pub fn ids(&self) -> [u16; SESSION_IDS] {
        self.0.get(session::IDS)
    }

    /// Sets `ids`.
    #[inline(always)]
    pub fn set_ids(&mut self, value: [u16; SESSION_IDS]) {
        self.0.set(session::IDS, value);
    }

    /// Root of the hash tree over the window that it starts from.
    #[inline(always)]
    pub fn start(&self) -> &[u8; 32] {
        self.0.at(session::START)
    }

    /// Sets `start`.
    #[inline(always)]
    pub fn set_start(&mut self, value: &[u8; 32]) {
        self.0.set(session::START, *value);
    }

    /// Whom the second seat is kept for; all zeros for whoever comes first.
    #[inline(always)]
    pub fn opponent(&self) -> &[u8; 32] {
        self.0.at(session::OPPONENT)
    }

    /// Sets `opponent`.
    #[inline(always)]
    pub fn set_opponent(&mut self, value: &[u8; 32]) {
        self.0.set(session::OPPONENT, *value);
    }

    /// Whether `opponent` is this address.
    #[inline(always)]
    pub fn opponent_is(&self, address: &Address) -> bool {
        self.0.names(session::OPPONENT, address)
    }

    /// Validator of the rollup that it was created for.
    #[inline(always)]
    pub fn validator(&self) -> &[u8; 32] {
        self.0.at(session::VALIDATOR)
    }

    /// Sets `validator`.
    #[inline(always)]
    pub fn set_validator(&mut self, value: &[u8; 32]) {
        self.0.set(session::VALIDATOR, *value);
    }

    /// Whether `validator` is this address.
    #[inline(always)]
    pub fn validator_is(&self, address: &Address) -> bool {
        self.0.names(session::VALIDATOR, address)
    }

    /// Root of its hash tree.
    #[inline(always)]
    pub fn root(&self) -> &[u8; 32] {
        self.0.at(session::ROOT)
    }

    /// Sets `root`.
    #[inline(always)]
    pub fn set_root(&mut self, value: &[u8; 32]) {
        self.0.set(session::ROOT, *value);
    }

    /// In the seeds of its scratch account's address.
    #[inline(always)]
    pub fn nonce(&self) -> u64 {
        self.0.get(session::NONCE)
    }

    /// Sets `nonce`.
    #[inline(always)]
    pub fn set_nonce(&mut self, value: u64) {
        self.0.set(session::NONCE, value);
    }

    /// The frame that is computed next.
    #[inline(always)]
    pub fn frame_number(&self) -> u64 {
        self.0.get(session::FRAME_NUMBER)
    }

    /// Sets `frame_number`.
    #[inline(always)]
    pub fn set_frame_number(&mut self, value: u64) {
        self.0.set(session::FRAME_NUMBER, value);
    }

    /// The transaction of that frame that comes next.
    #[inline(always)]
    pub fn step(&self) -> u32 {
        self.0.get(session::STEP)
    }

    /// Sets `step`.
    #[inline(always)]
    pub fn set_step(&mut self, value: u32) {
        self.0.set(session::STEP, value);
    }

    /// Whether `status`, where it stands, is this.
    #[inline(always)]
    pub fn is(&self, status: Status) -> bool {
        self.0.get::<u32>(session::STATUS) == status as u32
    }

    /// Sets `status`.
    #[inline(always)]
    pub fn set_status(&mut self, value: Status) {
        self.0.set(session::STATUS, value as u32);
    }

    /// Of its address.
    #[inline(always)]
    pub fn bump(&self) -> u8 {
        self.0.get::<u32>(session::BUMP) as u8
    }

    /// Sets `bump`.
    #[inline(always)]
    pub fn set_bump(&mut self, value: u8) {
        self.0.set(session::BUMP, u32::from(value));
    }

    /// Of its scratch account's address.
    #[inline(always)]
    pub fn scratch_bump(&self) -> u8 {
        self.0.get::<u32>(session::SCRATCH_BUMP) as u8
    }

    /// Sets `scratch_bump`.
    #[inline(always)]
    pub fn set_scratch_bump(&mut self, value: u8) {
        self.0.set(session::SCRATCH_BUMP, u32::from(value));
    }

    /// Where `players` lies: the seats.
    #[inline(always)]
    pub fn players_area(&self) -> Area {
        self.0.area(session::PLAYERS)
    }

    /// Where `inputs` lies: a ring of frames: an input in the low bytes, the top bit set while it waits.
    #[inline(always)]
    pub fn inputs_area(&self) -> Area {
        self.0.area(session::INPUTS)
    }

    /// Where `frame` lies: the current Frame.
    #[inline(always)]
    pub fn frame_area(&self) -> Area {
        self.0.area(session::FRAME)
    }

    /// Digest of what the network keeps after the current Frame.
    #[inline(always)]
    pub fn memory(&self) -> &[u8; MEMORY_DIGEST_BYTES] {
        self.0.at(session::MEMORY)
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn memory_mut(&mut self) -> &mut [u8; MEMORY_DIGEST_BYTES] {
        self.0.at_mut(session::MEMORY)
    }
}

/// The scratch account, its checks passed.
pub struct Scratch(pub(super) Checked);

impl Scratch {
    /// The session account.
    #[inline(always)]
    pub fn session(&self) -> &[u8; 32] {
        self.0.at(scratch::SESSION)
    }

    /// Sets `session`.
    #[inline(always)]
    pub fn set_session(&mut self, value: &[u8; 32]) {
        self.0.set(scratch::SESSION, *value);
    }

    /// Whether `session` is this address.
    #[inline(always)]
    pub fn session_is(&self, address: &Address) -> bool {
        self.0.names(scratch::SESSION, address)
    }

    /// The frame that its window stands before.
    #[inline(always)]
    pub fn frame_number(&self) -> u64 {
        self.0.get(scratch::FRAME_NUMBER)
    }

    /// Sets `frame_number`.
    #[inline(always)]
    pub fn set_frame_number(&mut self, value: u64) {
        self.0.set(scratch::FRAME_NUMBER, value);
    }

    /// Records of the window that are there; one more once the memory is.
    #[inline(always)]
    pub fn loaded(&self) -> u64 {
        self.0.get(scratch::LOADED)
    }

    /// Sets `loaded`.
    #[inline(always)]
    pub fn set_loaded(&mut self, value: u64) {
        self.0.set(scratch::LOADED, value);
    }

    /// Of the session's hash tree.
    #[inline(always)]
    pub fn peaks(&self) -> &[[u8; 32]; PEAKS] {
        self.0.at(scratch::PEAKS)
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn peaks_mut(&mut self) -> &mut [[u8; 32]; PEAKS] {
        self.0.at_mut(scratch::PEAKS)
    }
}

/// The pin account, its checks passed.
pub struct Pin(pub(super) Checked);

impl Pin {
    /// The session account.
    #[inline(always)]
    pub fn session(&self) -> &[u8; 32] {
        self.0.at(pin::SESSION)
    }

    /// Sets `session`.
    #[inline(always)]
    pub fn set_session(&mut self, value: &[u8; 32]) {
        self.0.set(pin::SESSION, *value);
    }

    /// Whether `session` is this address.
    #[inline(always)]
    pub fn session_is(&self, address: &Address) -> bool {
        self.0.names(pin::SESSION, address)
    }

    /// Who made it, and gets its rent back.
    #[inline(always)]
    pub fn pinner(&self) -> &[u8; 32] {
        self.0.at(pin::PINNER)
    }

    /// Sets `pinner`.
    #[inline(always)]
    pub fn set_pinner(&mut self, value: &[u8; 32]) {
        self.0.set(pin::PINNER, *value);
    }

    /// Whether `pinner` is this address.
    #[inline(always)]
    pub fn pinner_is(&self, address: &Address) -> bool {
        self.0.names(pin::PINNER, address)
    }

    /// The session's.
    #[inline(always)]
    pub fn model(&self) -> &[u8; 32] {
        self.0.at(pin::MODEL)
    }

    /// Sets `model`.
    #[inline(always)]
    pub fn set_model(&mut self, value: &[u8; 32]) {
        self.0.set(pin::MODEL, *value);
    }

    /// Whether `model` is this address.
    #[inline(always)]
    pub fn model_is(&self, address: &Address) -> bool {
        self.0.names(pin::MODEL, address)
    }

    /// The session's.
    #[inline(always)]
    pub fn ids(&self) -> [u16; SESSION_IDS] {
        self.0.get(pin::IDS)
    }

    /// Sets `ids`.
    #[inline(always)]
    pub fn set_ids(&mut self, value: [u16; SESSION_IDS]) {
        self.0.set(pin::IDS, value);
    }

    /// The session's.
    #[inline(always)]
    pub fn start(&self) -> &[u8; 32] {
        self.0.at(pin::START)
    }

    /// Sets `start`.
    #[inline(always)]
    pub fn set_start(&mut self, value: &[u8; 32]) {
        self.0.set(pin::START, *value);
    }

    /// The session's.
    #[inline(always)]
    pub fn validator(&self) -> &[u8; 32] {
        self.0.at(pin::VALIDATOR)
    }

    /// Sets `validator`.
    #[inline(always)]
    pub fn set_validator(&mut self, value: &[u8; 32]) {
        self.0.set(pin::VALIDATOR, *value);
    }

    /// Whether `validator` is this address.
    #[inline(always)]
    pub fn validator_is(&self, address: &Address) -> bool {
        self.0.names(pin::VALIDATOR, address)
    }

    /// Leaves of the hash tree that was committed.
    #[inline(always)]
    pub fn leaves(&self) -> u64 {
        self.0.get(pin::LEAVES)
    }

    /// Sets `leaves`.
    #[inline(always)]
    pub fn set_leaves(&mut self, value: u64) {
        self.0.set(pin::LEAVES, value);
    }

    /// Its root.
    #[inline(always)]
    pub fn root(&self) -> &[u8; 32] {
        self.0.at(pin::ROOT)
    }

    /// Sets `root`.
    #[inline(always)]
    pub fn set_root(&mut self, value: &[u8; 32]) {
        self.0.set(pin::ROOT, *value);
    }

    /// Slot of the base chain in which it was pinned.
    #[inline(always)]
    pub fn slot(&self) -> u64 {
        self.0.get(pin::SLOT)
    }

    /// Sets `slot`.
    #[inline(always)]
    pub fn set_slot(&mut self, value: u64) {
        self.0.set(pin::SLOT, value);
    }

    /// Seeds of its own address.
    pub fn seeds(&self) -> PinSeeds {
        PinSeeds { session: *self.session(), pinner: *self.pinner(), root: *self.root() }
    }
}

/// The dispute account, its checks passed.
pub struct Dispute(pub(super) Checked);

impl Dispute {
    /// The session account.
    #[inline(always)]
    pub fn session(&self) -> &[u8; 32] {
        self.0.at(dispute::SESSION)
    }

    /// Sets `session`.
    #[inline(always)]
    pub fn set_session(&mut self, value: &[u8; 32]) {
        self.0.set(dispute::SESSION, *value);
    }

    /// Whether `session` is this address.
    #[inline(always)]
    pub fn session_is(&self, address: &Address) -> bool {
        self.0.names(dispute::SESSION, address)
    }

    /// Who opened it, and gets its rent back.
    #[inline(always)]
    pub fn disputer(&self) -> &[u8; 32] {
        self.0.at(dispute::DISPUTER)
    }

    /// Sets `disputer`.
    #[inline(always)]
    pub fn set_disputer(&mut self, value: &[u8; 32]) {
        self.0.set(dispute::DISPUTER, *value);
    }

    /// Whether `disputer` is this address.
    #[inline(always)]
    pub fn disputer_is(&self, address: &Address) -> bool {
        self.0.names(dispute::DISPUTER, address)
    }

    /// The session's.
    #[inline(always)]
    pub fn validator(&self) -> &[u8; 32] {
        self.0.at(dispute::VALIDATOR)
    }

    /// Sets `validator`.
    #[inline(always)]
    pub fn set_validator(&mut self, value: &[u8; 32]) {
        self.0.set(dispute::VALIDATOR, *value);
    }

    /// Whether `validator` is this address.
    #[inline(always)]
    pub fn validator_is(&self, address: &Address) -> bool {
        self.0.names(dispute::VALIDATOR, address)
    }

    /// The session's.
    #[inline(always)]
    pub fn start(&self) -> &[u8; 32] {
        self.0.at(dispute::START)
    }

    /// Sets `start`.
    #[inline(always)]
    pub fn set_start(&mut self, value: &[u8; 32]) {
        self.0.set(dispute::START, *value);
    }

    /// Leaves of the hash tree that it judges by.
    #[inline(always)]
    pub fn leaves(&self) -> u64 {
        self.0.get(dispute::LEAVES)
    }

    /// Sets `leaves`.
    #[inline(always)]
    pub fn set_leaves(&mut self, value: u64) {
        self.0.set(dispute::LEAVES, value);
    }

    /// The frame that is disputed.
    #[inline(always)]
    pub fn frame_number(&self) -> u64 {
        self.0.get(dispute::FRAME_NUMBER)
    }

    /// Sets `frame_number`.
    #[inline(always)]
    pub fn set_frame_number(&mut self, value: u64) {
        self.0.set(dispute::FRAME_NUMBER, value);
    }

    /// Records of the window that are there.
    #[inline(always)]
    pub fn loaded(&self) -> u64 {
        self.0.get(dispute::LOADED)
    }

    /// Sets `loaded`.
    #[inline(always)]
    pub fn set_loaded(&mut self, value: u64) {
        self.0.set(dispute::LOADED, value);
    }

    /// The transaction of the frame that comes next.
    #[inline(always)]
    pub fn step(&self) -> u32 {
        self.0.get(dispute::STEP)
    }

    /// Sets `step`.
    #[inline(always)]
    pub fn set_step(&mut self, value: u32) {
        self.0.set(dispute::STEP, value);
    }

    /// Whether `verdict`, how it ended, is this.
    #[inline(always)]
    pub fn is(&self, verdict: Verdict) -> bool {
        self.0.get::<u32>(dispute::VERDICT) == verdict as u32
    }

    /// Sets `verdict`.
    #[inline(always)]
    pub fn set_verdict(&mut self, value: Verdict) {
        self.0.set(dispute::VERDICT, value as u32);
    }

    /// Of the hash tree that was pinned.
    #[inline(always)]
    pub fn peaks(&self) -> &[[u8; 32]; PEAKS] {
        self.0.at(dispute::PEAKS)
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn peaks_mut(&mut self) -> &mut [[u8; 32]; PEAKS] {
        self.0.at_mut(dispute::PEAKS)
    }

    /// Of the hash tree over the records loaded, if the first frame is disputed.
    #[inline(always)]
    pub fn window(&self) -> &[[u8; 32]; PEAKS] {
        self.0.at(dispute::WINDOW)
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn window_mut(&mut self) -> &mut [[u8; 32]; PEAKS] {
        self.0.at_mut(dispute::WINDOW)
    }

    /// Where `frame` lies: the Frame computed last.
    #[inline(always)]
    pub fn frame_area(&self) -> Area {
        self.0.area(dispute::FRAME)
    }
}
