// Machine-written by wm_export/solana/rust.py (wmq export); do not edit.
//! Where every byte lies. Offsets count from the first byte of the account's data, those of `blob` from the shard's.

/// Hash of the manifest that this program was exported with; accounts of any other are refused.
pub const MANIFEST_HASH: [u8; 32] = [
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
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
    0x42, 0xc1, 0x8c, 0xd7, 0x17, 0x1c, 0x69, 0x91, 0xeb, 0x28, 0xb9, 0x3d, 0x0b, 0xd2, 0x83, 0x0b, 0x65,
    0x9d, 0x1c, 0x59, 0x88, 0xf4, 0x73, 0xa9, 0xd7, 0xac, 0x02, 0x0a, 0x78, 0x04, 0x60, 0xfc,
]];
/// Version in every account header.
pub const ACCOUNT_VERSION: u32 = 3;
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
pub const CHUNKS: [usize; SHARDS] = [8519];
/// Bytes of blob that are hashed at a time; the last piece may be shorter.
pub const PIECE_BYTES: usize = 262144;
/// Pieces of each shard.
pub const PIECES: [u32; SHARDS] = [32];
/// Bytes of a Frame: an `i32` per field.
pub const FRAME_BYTES: usize = 184;
/// Bytes of a record: both inputs, the Frame they led to, and the digest of the memory, if there is one.
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
    pub const BYTES: [usize; 1] = [8179112];
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
    pub const BYTES: [usize; 1] = [8177912];
    /// Offset of `layer1.words`.
    pub const LAYER1_WORDS: usize = 0;
    /// Offset of `layer1.session`.
    pub const LAYER1_SESSION: usize = 829008;
    /// Offset of `layer1.bias`.
    pub const LAYER1_BIAS: usize = 1031760;
    /// Offset of `gather.rows`.
    pub const GATHER_ROWS: usize = 1033808;
    /// Offset of `gather.k`.
    pub const GATHER_K: usize = 7072800;
    /// Offset of `relu1.mult`.
    pub const RELU1_MULT: usize = 7074872;
    /// Offset of `layer2.words`.
    pub const LAYER2_WORDS: usize = 7076920;
    /// Offset of `heads.words`.
    pub const HEADS_WORDS: usize = 7433424;
}

/// The session account.
pub mod session {
    /// First eight bytes.
    pub const ACCOUNT_TAG: [u8; 8] = [0xf3, 0x51, 0x48, 0x73, 0xd6, 0xbc, 0x48, 0x90];
    /// Bytes in all.
    pub const BYTES: usize = 752;
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
    /// Offset of `id`.
    pub const ID: usize = 120;
    /// Offset of `ids`.
    pub const IDS: usize = 128;
    /// Offset of `start`.
    pub const START: usize = 136;
    /// Offset of `opponent`.
    pub const OPPONENT: usize = 168;
    /// Offset of `validator`.
    pub const VALIDATOR: usize = 200;
    /// Offset of `root`.
    pub const ROOT: usize = 232;
    /// Offset of `nonce`.
    pub const NONCE: usize = 264;
    /// Offset of `frame_number`.
    pub const FRAME_NUMBER: usize = 272;
    /// Offset of `step`.
    pub const STEP: usize = 280;
    /// Offset of `status`.
    pub const STATUS: usize = 284;
    /// Offset of `bump`.
    pub const BUMP: usize = 288;
    /// Offset of `scratch_bump`.
    pub const SCRATCH_BUMP: usize = 292;
    /// Offset of `players`.
    pub const PLAYERS: usize = 296;
    /// Offset of `inputs`.
    pub const INPUTS: usize = 440;
    /// Offset of `frame`.
    pub const FRAME: usize = 568;
    /// Offset of `memory`.
    pub const MEMORY: usize = 752;
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
    pub const BYTES: usize = 29088;
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

/// The pin account.
pub mod pin {
    /// First eight bytes.
    pub const ACCOUNT_TAG: [u8; 8] = [0xf7, 0xed, 0x94, 0x2d, 0xd5, 0xc1, 0x51, 0x49];
    /// Bytes in all.
    pub const BYTES: usize = 240;
    /// Offset of `tag`.
    pub const TAG: usize = 0;
    /// Offset of `version`.
    pub const VERSION: usize = 8;
    /// Offset of `length`.
    pub const LENGTH: usize = 16;
    /// Offset of `session`.
    pub const SESSION: usize = 24;
    /// Offset of `pinner`.
    pub const PINNER: usize = 56;
    /// Offset of `model`.
    pub const MODEL: usize = 88;
    /// Offset of `ids`.
    pub const IDS: usize = 120;
    /// Offset of `start`.
    pub const START: usize = 128;
    /// Offset of `validator`.
    pub const VALIDATOR: usize = 160;
    /// Offset of `leaves`.
    pub const LEAVES: usize = 192;
    /// Offset of `root`.
    pub const ROOT: usize = 200;
    /// Offset of `slot`.
    pub const SLOT: usize = 232;
}

/// The dispute account.
pub mod dispute {
    /// First eight bytes.
    pub const ACCOUNT_TAG: [u8; 8] = [0x24, 0x31, 0xf1, 0x43, 0x28, 0x24, 0xf1, 0x4a];
    /// Bytes in all.
    pub const BYTES: usize = 30152;
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
    /// Offset of `start`.
    pub const START: usize = 120;
    /// Offset of `leaves`.
    pub const LEAVES: usize = 152;
    /// Offset of `frame_number`.
    pub const FRAME_NUMBER: usize = 160;
    /// Offset of `loaded`.
    pub const LOADED: usize = 168;
    /// Offset of `step`.
    pub const STEP: usize = 176;
    /// Offset of `verdict`.
    pub const VERDICT: usize = 180;
    /// Offset of `peaks`.
    pub const PEAKS: usize = 184;
    /// Offset of `window`.
    pub const WINDOW: usize = 952;
    /// Offset of `frame`.
    pub const FRAME: usize = 1720;
    /// Offset of `work`.
    pub const WORK: usize = 1904;
}

/// The work area, from its own first byte.
pub mod work {
    /// Bytes in all.
    pub const BYTES: usize = 28248;
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
    /// Offset of `hidden2`.
    pub const HIDDEN2: usize = 17480;
    /// Offset of `heads`.
    pub const HEADS: usize = 19544;
}

/// What ops keep from frame to frame: a region of the work area; holding zeros when a session begins.
pub mod memory {
    /// Where it begins in the work area.
    pub const START: usize = 0;
    /// Bytes in all; none for a network that keeps nothing.
    pub const BYTES: usize = 0;
    /// Bytes that one transaction loads; the last chunk may be shorter.
    pub const CHUNK_BYTES: usize = 896;
    /// Chunks in all.
    pub const CHUNKS: usize = 0;
    /// Bytes of its digest; none for a network that keeps nothing.
    pub const MEMORY_DIGEST_BYTES: usize = 0;
    /// Bytes of the region: the first, and how many.
    pub type Stretch = (u32, u32);
    /// What is in no turn.
    pub const ALWAYS: [Stretch; 0] = [];
    /// What an op writes in turn.
    pub struct InTurn {
        /// First byte in the region of the `u32` that says whose turn comes next, plus `bias`.
        pub next: usize,
        /// See `next`.
        pub bias: u32,
        /// How many turns there are.
        pub turns: usize,
        /// Stretches of each turn.
        pub each: usize,
        /// The first of its stretches among `STRETCHES`, turn by turn.
        pub stretches: usize,
        /// Where the hash of its first turn lies in the work area.
        pub hashes: usize,
    }
    /// Each op that writes in turn.
    pub const IN_TURN: [InTurn; 0] = [];
    /// Stretches of every turn.
    pub static STRETCHES: [Stretch; 0] = [];
    /// Most stretches of a turn.
    pub const MOST: usize = 0;
    /// Where the hashes of all turns lie in the work area.
    pub const HASHES: usize = 0;
    /// How many there are.
    pub const TURNS: usize = 0;
    /// Digest of what a session begins with.
    pub const EMPTY: [u8; MEMORY_DIGEST_BYTES] = [];
}
