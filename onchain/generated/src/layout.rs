// Machine-written by wm_export/rustgen.py (wmq export); do not edit.
//! Where every byte lies. Offsets count from the first byte of the account's data, those of `blob` from the blob's.

/// Hash of the manifest that this program was exported with; accounts of any other are refused.
pub const MANIFEST_HASH: [u8; 32] = [
    0x9b, 0x82, 0x69, 0xd6, 0x49, 0x7a, 0xcd, 0xc0, 0x0a, 0xe5, 0x80, 0x27, 0xac, 0x28, 0x87, 0xd9, 0xfe,
    0x90, 0xbf, 0x55, 0x4d, 0x29, 0xfa, 0xdc, 0x61, 0x27, 0x73, 0x26, 0x62, 0x58, 0x89, 0x52,
];
/// Version in every account header.
pub const ACCOUNT_VERSION: u32 = 1;
/// Players of a world.
pub const PLAYERS: usize = 2;
/// Bytes of one player's input in an instruction: an `i8` per axis, then a bit per button.
pub const INPUT_BYTES: usize = 6;
/// Least and greatest value of each axis, in order.
pub const AXIS_RANGES: [(i8, i8); 5] = [(-80, 80), (-80, 80), (-80, 80), (-80, 80), (0, 80)];

/// The model account.
pub mod model {
    /// First eight bytes.
    pub const ACCOUNT_TAG: [u8; 8] = [0x98, 0xdd, 0xf7, 0x7a, 0xb9, 0x7d, 0xdf, 0x97];
    /// Bytes in all.
    pub const BYTES: usize = 8174912;
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
    /// Offset of `frozen`.
    pub const FROZEN: usize = 88;
    /// Offset of `blob`.
    pub const BLOB: usize = 96;
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
    pub const BYTES: usize = 4496;
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
    /// Offset of `model`.
    pub const MODEL: usize = 88;
    /// Offset of `scratch`.
    pub const SCRATCH: usize = 120;
    /// Offset of `frame_number`.
    pub const FRAME_NUMBER: usize = 152;
    /// Offset of `step`.
    pub const STEP: usize = 160;
    /// Offset of `frame`.
    pub const FRAME: usize = 168;
    /// Offset of `bias`.
    pub const BIAS: usize = 352;
}

/// The scratch account.
pub mod scratch {
    /// First eight bytes.
    pub const ACCOUNT_TAG: [u8; 8] = [0xa1, 0x36, 0x51, 0x5f, 0x7b, 0x51, 0x9a, 0x99];
    /// Bytes in all.
    pub const BYTES: usize = 34744;
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
    /// Offset of `codes`.
    pub const CODES: usize = 64;
    /// Offset of `acc1`.
    pub const ACC1: usize = 4928;
    /// Offset of `hidden1`.
    pub const HIDDEN1: usize = 9072;
    /// Offset of `acc2`.
    pub const ACC2: usize = 13168;
    /// Offset of `hidden2`.
    pub const HIDDEN2: usize = 15232;
    /// Offset of `acc3`.
    pub const ACC3: usize = 17280;
    /// Offset of `heads`.
    pub const HEADS: usize = 25800;
    /// Offset of `ids`.
    pub const IDS: usize = 34504;
}
