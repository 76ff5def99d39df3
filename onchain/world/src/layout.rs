// Machine-written by wm_export/solana/rust.py (wmq export); do not edit.
//! Where every byte lies. Offsets count from the first byte of the account's data, those of `blob` from the shard's.

/// Hash of the manifest that this program was exported with; accounts of any other are refused.
pub const MANIFEST_HASH: [u8; 32] = [
    0xeb, 0x1e, 0x9f, 0x50, 0xb0, 0x57, 0x6a, 0x1d, 0x63, 0x18, 0xfa, 0xe7, 0x7c, 0x52, 0x7f, 0x60, 0xec,
    0x36, 0x45, 0x28, 0x6d, 0x7a, 0x67, 0x49, 0x73, 0xd5, 0x52, 0xdd, 0x43, 0x2f, 0xeb, 0x0f,
];
/// Model accounts that the blob lies in, a shard in each.
pub const SHARDS: usize = 1;
/// First byte of each shard. A blob of one shard is passed on as the one pointer that it is.
#[derive(Clone, Copy)]
pub struct Blobs {
    /// Of the first.
    pub first: *const u8,
    /// Of the others.
    pub others: [*const u8; SHARDS - 1],
}
/// Digest of each shard of the manifest's blob, piece by piece; a model with any other cannot be frozen.
pub const BLOB_DIGESTS: [[u8; 32]; SHARDS] = [[
    0x33, 0x21, 0x96, 0x8e, 0x80, 0xd8, 0x38, 0x1c, 0x7f, 0x8f, 0x37, 0xcb, 0xa8, 0x50, 0x06, 0x40, 0x78,
    0xc9, 0x93, 0x41, 0xe9, 0xdb, 0xc6, 0xa0, 0xb3, 0xc6, 0x17, 0x99, 0xa7, 0x28, 0x07, 0x9f,
]];
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
/// Chunks of each shard.
pub const CHUNKS: [usize; SHARDS] = [8516];
/// Bytes of blob that are hashed at a time; the last piece may be shorter.
pub const PIECE_BYTES: usize = 262144;
/// Pieces of each shard.
pub const PIECES: [u32; SHARDS] = [32];
/// Bytes of a Frame: an `i32` per field.
pub const FRAME_BYTES: usize = 184;
/// Bytes of a record: both inputs, and the Frame they led to.
pub const RECORD_BYTES: usize = 196;
/// Bytes of one player's input: an `i8` per axis, then a bit per button.
pub const INPUT_BYTES: usize = 6;
/// Least and greatest value of each axis, in order.
pub const AXIS_RANGES: [(i8, i8); 5] = [(-80, 80), (-80, 80), (-80, 80), (-80, 80), (0, 80)];
/// Ids that an account has room for; those without a table are zero.
pub const SESSION_IDS: usize = 4;
/// Size of the table of each id that stays while a session lasts.
pub const SESSION_VOCAB: [u16; 3] = [33, 33, 33];

/// The model account.
pub mod model {
    /// First eight bytes.
    pub const ACCOUNT_TAG: [u8; 8] = [0x98, 0xdd, 0xf7, 0x7a, 0xb9, 0x7d, 0xdf, 0x97];
    /// Bytes in all, by shard.
    pub const BYTES: [usize; 1] = [8176016];
    /// Offset of `tag`.
    pub const TAG: usize = 0;
    /// Offset of `version`.
    pub const VERSION: usize = 8;
    /// Offset of `shard`.
    pub const SHARD: usize = 12;
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

/// Sections of the blob, each in its shard.
pub mod blob {
    /// Bytes in all, by shard.
    pub const BYTES: [usize; 1] = [8174816];
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
}

/// The scratch account.
pub mod scratch {
    /// First eight bytes.
    pub const ACCOUNT_TAG: [u8; 8] = [0xa1, 0x36, 0x51, 0x5f, 0x7b, 0x51, 0x9a, 0x99];
    /// Bytes in all.
    pub const BYTES: usize = 39656;
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
    pub const BYTES: usize = 39920;
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
    pub const BYTES: usize = 38816;
    /// Offset of `codes`.
    pub const CODES: usize = 0;
    /// Offset of `ids`.
    pub const IDS: usize = 4864;
    /// Offset of `bias`.
    pub const BIAS: usize = 5104;
    /// Offset of `bounds`.
    pub const BOUNDS: usize = 9208;
    /// Offset of `acc1`.
    pub const ACC1: usize = 9240;
    /// Offset of `hidden1`.
    pub const HIDDEN1: usize = 13384;
    /// Offset of `acc2`.
    pub const ACC2: usize = 17480;
    /// Offset of `hidden2`.
    pub const HIDDEN2: usize = 19544;
    /// Offset of `acc3`.
    pub const ACC3: usize = 21592;
    /// Offset of `heads`.
    pub const HEADS: usize = 30112;
}
