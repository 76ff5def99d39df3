// Machine-written by wm_export/rustgen.py (wmq export); do not edit.
//! Where every byte lies. Offsets count from the first byte of the account's data, those of `blob` from the blob's.

/// Hash of the manifest that this program was exported with; accounts of any other are refused.
pub const MANIFEST_HASH: [u8; 32] = [
    0xaf, 0x94, 0x97, 0x9f, 0x3f, 0x9b, 0x6d, 0xc8, 0xe2, 0x2e, 0x84, 0xd9, 0xbd, 0xfa, 0xc1, 0x15, 0x16,
    0xc5, 0x23, 0xd9, 0x73, 0x27, 0xd2, 0x76, 0x78, 0xca, 0x08, 0x42, 0x56, 0x5a, 0xc2, 0xda,
];
/// Digest of the manifest's blob, piece by piece; a model with any other cannot be frozen.
pub const BLOB_DIGEST: [u8; 32] = [
    0x33, 0x21, 0x96, 0x8e, 0x80, 0xd8, 0x38, 0x1c, 0x7f, 0x8f, 0x37, 0xcb, 0xa8, 0x50, 0x06, 0x40, 0x78,
    0xc9, 0x93, 0x41, 0xe9, 0xdb, 0xc6, 0xa0, 0xb3, 0xc6, 0x17, 0x99, 0xa7, 0x28, 0x07, 0x9f,
];
/// Version in every account header.
pub const ACCOUNT_VERSION: u32 = 2;
/// Players of a world.
pub const PLAYERS: usize = 2;
/// Frames in a window.
pub const SLOTS: u64 = 10;
/// Frames that an input may come early.
pub const LOOKAHEAD: u64 = 8;
/// Levels of a session's hash tree.
pub const PEAKS: usize = 24;
/// What an account may grow by in one instruction, in bytes.
pub const GROWTH: usize = 10240;
/// Bytes of blob in a chunk; the last one may be shorter.
pub const CHUNK_BYTES: usize = 960;
/// Chunks of the blob.
pub const CHUNKS: usize = 8516;
/// Bytes of blob that are hashed at a time; the last piece may be shorter.
pub const PIECE_BYTES: usize = 262144;
/// Pieces of the blob.
pub const PIECES: u32 = 32;
/// Bytes of a Frame: an `i32` per field.
pub const FRAME_BYTES: usize = 184;
/// Bytes of a record: both inputs, and the Frame they led to.
pub const RECORD_BYTES: usize = 196;
/// Bytes of one player's input: an `i8` per axis, then a bit per button.
pub const INPUT_BYTES: usize = 6;
/// Least and greatest value of each axis, in order.
pub const AXIS_RANGES: [(i8, i8); 5] = [(-80, 80), (-80, 80), (-80, 80), (-80, 80), (0, 80)];
/// Size of the table of each id that stays while a session lasts.
pub const SESSION_VOCAB: [u16; 3] = [33, 33, 33];

/// The model account.
pub mod model {
    /// First eight bytes.
    pub const ACCOUNT_TAG: [u8; 8] = [0x98, 0xdd, 0xf7, 0x7a, 0xb9, 0x7d, 0xdf, 0x97];
    /// Bytes in all.
    pub const BYTES: usize = 8176016;
    /// Offset of `tag`.
    pub const TAG: usize = 0;
    /// Offset of `version`.
    pub const VERSION: usize = 8;
    /// Offset of `length`.
    pub const LENGTH: usize = 16;
    /// Offset of `manifest`.
    pub const MANIFEST: usize = 24;
    /// Offset of `authority`.
    pub const AUTHORITY: usize = 56;
    /// Offset of `digest`.
    pub const DIGEST: usize = 88;
    /// Offset of `pieces`.
    pub const PIECES: usize = 120;
    /// Offset of `frozen`.
    pub const FROZEN: usize = 124;
    /// Offset of `chunks`.
    pub const CHUNKS: usize = 128;
    /// Offset of `blob`.
    pub const BLOB: usize = 1200;
}

/// Sections of the blob.
pub mod blob {
    /// Bytes in all.
    pub const BYTES: usize = 8174816;
    /// Offset of `layer1.words`.
    pub const LAYER1_WORDS: usize = 0;
    /// Offset of `layer1.session`.
    pub const LAYER1_SESSION: usize = 831744;
    /// Offset of `layer1.bias`.
    pub const LAYER1_BIAS: usize = 1034496;
    /// Offset of `gather.rows`.
    pub const GATHER_ROWS: usize = 1036544;
    /// Offset of `gather.k`.
    pub const GATHER_K: usize = 7075536;
    /// Offset of `relu1.mult`.
    pub const RELU1_MULT: usize = 7077608;
    /// Offset of `layer2.words`.
    pub const LAYER2_WORDS: usize = 7079656;
    /// Offset of `layer2.bias`.
    pub const LAYER2_BIAS: usize = 7431912;
    /// Offset of `relu2.mult`.
    pub const RELU2_MULT: usize = 7433976;
    /// Offset of `heads.words`.
    pub const HEADS_WORDS: usize = 7435000;
    /// Offset of `heads.bias`.
    pub const HEADS_BIAS: usize = 8162040;
    /// Offset of `scale.mult`.
    pub const SCALE_MULT: usize = 8170560;
}

/// The session account.
pub mod session {
    /// First eight bytes.
    pub const ACCOUNT_TAG: [u8; 8] = [0xf3, 0x51, 0x48, 0x73, 0xd6, 0xbc, 0x48, 0x90];
    /// Bytes in all.
    pub const BYTES: usize = 712;
    /// Offset of `tag`.
    pub const TAG: usize = 0;
    /// Offset of `version`.
    pub const VERSION: usize = 8;
    /// Offset of `length`.
    pub const LENGTH: usize = 16;
    /// Offset of `manifest`.
    pub const MANIFEST: usize = 24;
    /// Offset of `model`.
    pub const MODEL: usize = 56;
    /// Offset of `creator`.
    pub const CREATOR: usize = 88;
    /// Offset of `validator`.
    pub const VALIDATOR: usize = 120;
    /// Offset of `start`.
    pub const START: usize = 152;
    /// Offset of `root`.
    pub const ROOT: usize = 184;
    /// Offset of `id`.
    pub const ID: usize = 216;
    /// Offset of `ids`.
    pub const IDS: usize = 224;
    /// Offset of `frame_number`.
    pub const FRAME_NUMBER: usize = 232;
    /// Offset of `step`.
    pub const STEP: usize = 240;
    /// Offset of `status`.
    pub const STATUS: usize = 244;
    /// Offset of `bump`.
    pub const BUMP: usize = 248;
    /// Offset of `scratch_bump`.
    pub const SCRATCH_BUMP: usize = 252;
    /// Offset of `players`.
    pub const PLAYERS: usize = 256;
    /// Offset of `inputs`.
    pub const INPUTS: usize = 400;
    /// Offset of `frame`.
    pub const FRAME: usize = 528;
}

/// A player in a session account.
pub mod player {
    /// Bytes in all.
    pub const BYTES: usize = 72;
    /// Offset of `wallet`.
    pub const WALLET: usize = 0;
    /// Offset of `key`.
    pub const KEY: usize = 32;
    /// Offset of `expires`.
    pub const EXPIRES: usize = 64;
    /// Offset of `end`.
    pub const END: usize = 72;
}

/// The scratch account.
pub mod scratch {
    /// First eight bytes.
    pub const ACCOUNT_TAG: [u8; 8] = [0xa1, 0x36, 0x51, 0x5f, 0x7b, 0x51, 0x9a, 0x99];
    /// Bytes in all.
    pub const BYTES: usize = 39696;
    /// Offset of `tag`.
    pub const TAG: usize = 0;
    /// Offset of `version`.
    pub const VERSION: usize = 8;
    /// Offset of `length`.
    pub const LENGTH: usize = 16;
    /// Offset of `session`.
    pub const SESSION: usize = 24;
    /// Offset of `frame_number`.
    pub const FRAME_NUMBER: usize = 56;
    /// Offset of `loaded`.
    pub const LOADED: usize = 64;
    /// Offset of `peaks`.
    pub const PEAKS: usize = 72;
    /// Offset of `work`.
    pub const WORK: usize = 840;
}

/// The dispute account.
pub mod dispute {
    /// First eight bytes.
    pub const ACCOUNT_TAG: [u8; 8] = [0x24, 0x31, 0xf1, 0x43, 0x28, 0x24, 0xf1, 0x4a];
    /// Bytes in all.
    pub const BYTES: usize = 39960;
    /// Offset of `tag`.
    pub const TAG: usize = 0;
    /// Offset of `version`.
    pub const VERSION: usize = 8;
    /// Offset of `length`.
    pub const LENGTH: usize = 16;
    /// Offset of `session`.
    pub const SESSION: usize = 24;
    /// Offset of `disputer`.
    pub const DISPUTER: usize = 56;
    /// Offset of `validator`.
    pub const VALIDATOR: usize = 88;
    /// Offset of `leaves`.
    pub const LEAVES: usize = 120;
    /// Offset of `frame_number`.
    pub const FRAME_NUMBER: usize = 128;
    /// Offset of `loaded`.
    pub const LOADED: usize = 136;
    /// Offset of `step`.
    pub const STEP: usize = 144;
    /// Offset of `verdict`.
    pub const VERDICT: usize = 148;
    /// Offset of `peaks`.
    pub const PEAKS: usize = 152;
    /// Offset of `frame`.
    pub const FRAME: usize = 920;
    /// Offset of `work`.
    pub const WORK: usize = 1104;
}

/// The work area, from its own first byte.
pub mod work {
    /// Bytes in all.
    pub const BYTES: usize = 38856;
    /// Offset of `codes`.
    pub const CODES: usize = 0;
    /// Offset of `acc1`.
    pub const ACC1: usize = 4864;
    /// Offset of `hidden1`.
    pub const HIDDEN1: usize = 9008;
    /// Offset of `acc2`.
    pub const ACC2: usize = 13104;
    /// Offset of `hidden2`.
    pub const HIDDEN2: usize = 15168;
    /// Offset of `acc3`.
    pub const ACC3: usize = 17216;
    /// Offset of `heads`.
    pub const HEADS: usize = 25736;
    /// Offset of `ids`.
    pub const IDS: usize = 34440;
    /// Offset of `bias`.
    pub const BIAS: usize = 34680;
    /// Offset of `bounds`.
    pub const BOUNDS: usize = 38824;
}

/// First eight bytes of an instruction's data, as a little-endian number: sha256("global:<name>").
pub mod instruction {
    /// `submit_input`.
    pub const SUBMIT_INPUT: u64 = 0x8a153fad5b9ab838;
    /// `step`.
    pub const STEP: u64 = 0x25bf204d1dfe3816;
    /// `create_model`.
    pub const CREATE_MODEL: u64 = 0xe5d4d482db29e9d4;
    /// `write_chunk`.
    pub const WRITE_CHUNK: u64 = 0x338985d10fa78d5d;
    /// `hash_model`.
    pub const HASH_MODEL: u64 = 0x5947283097819ab6;
    /// `freeze_model`.
    pub const FREEZE_MODEL: u64 = 0x6947dff8a7ef6fd0;
    /// `close_model`.
    pub const CLOSE_MODEL: u64 = 0xdea367085aa117f8;
    /// `create_session`.
    pub const CREATE_SESSION: u64 = 0xe37a1996b38fc1f2;
    /// `join_session`.
    pub const JOIN_SESSION: u64 = 0xfda4389ba0045c17;
    /// `set_key`.
    pub const SET_KEY: u64 = 0xc2f90f7563ed9c01;
    /// `delegate_session`.
    pub const DELEGATE_SESSION: u64 = 0xc505dbc477775352;
    /// `end_session`.
    pub const END_SESSION: u64 = 0x420ff9d49a3df40b;
    /// `close_session`.
    pub const CLOSE_SESSION: u64 = 0xd3f826de8cb27244;
    /// `grow_scratch`.
    pub const GROW_SCRATCH: u64 = 0x25e092214398a2cb;
    /// `close_scratch`.
    pub const CLOSE_SCRATCH: u64 = 0x27c796cb4e89bf1d;
    /// `open_window`.
    pub const OPEN_WINDOW: u64 = 0xa8802baab5352833;
    /// `seed_frame`.
    pub const SEED_FRAME: u64 = 0x30729e066540ae31;
    /// `load_frame`.
    pub const LOAD_FRAME: u64 = 0x96f3026d97a33b4c;
    /// `commit_session`.
    pub const COMMIT_SESSION: u64 = 0xa7add0599038024b;
    /// `undelegate_session`.
    pub const UNDELEGATE_SESSION: u64 = 0x743a4f4df550ea6e;
    /// `open_dispute`.
    pub const OPEN_DISPUTE: u64 = 0x2aa1df1777631989;
    /// `judge`.
    pub const JUDGE: u64 = 0x4b1259aaae775cba;
    /// `close_dispute`.
    pub const CLOSE_DISPUTE: u64 = 0xc492c364aa5c123c;
    /// `process_undelegation`.
    pub const PROCESS_UNDELEGATION: u64 = 0xa7332530ce291cc4;
}
