// Machine-written by wm_export/solana/rust_program.py; do not edit.
//! Instruction data as values. Whatever the bytes, `decode` returns: it reads nothing twice and allocates nothing.

use pinocchio::error::ProgramError;
use wmq_world::layout::{memory::MEMORY_DIGEST_BYTES, FRAME_BYTES, INPUT_BYTES, PLAYERS, SESSION_IDS};

const BAD: ProgramError = ProgramError::InvalidInstructionData;

/// One player's input.
pub type Input = [u8; INPUT_BYTES];

/// What the log says of a frame: both inputs, and the Frame they led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Input of each player.
    pub inputs: [Input; PLAYERS],
    /// The Frame, an `i32` per field.
    pub frame: &'a [u8; FRAME_BYTES],
}

/// A record, and the sibling of every node between it and the peak of the session's hash tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proved<'a> {
    /// What the log says of a frame: both inputs, and the Frame they led to.
    pub record: Record<'a>,
    /// Digest of what the network keeps after the frame.
    pub memory: &'a [u8; MEMORY_DIGEST_BYTES],
    /// Hashes, lowest first.
    pub proof: &'a [[u8; 32]],
}

/// A chunk of a model's blob, or of what a network keeps from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Its number.
    pub index: u32,
    /// Its bytes.
    pub data: &'a [u8],
}

/// A session key and the second, of Unix time, from which on it is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionKey<'a> {
    /// Who may sign inputs in the player's place; all zeros for nobody.
    pub key: &'a [u8; 32],
    /// Unix time, seconds.
    pub expires: i64,
}

/// What a session's players agree on. Its hash is in the session's address, and who joins signs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed<'a> {
    /// The creator's number for it.
    pub id: u64,
    /// Ids that stay while it lasts: one per entry of `SESSION_VOCAB`, the rest zero.
    pub ids: [u16; SESSION_IDS],
    /// Root of the hash tree over the window it starts from: who joins knows what.
    pub start: &'a [u8; 32],
    /// The second player's wallet; all zeros for whoever comes first.
    pub opponent: &'a [u8; 32],
    /// Validator of the rollup that it will be delegated to.
    pub validator: &'a [u8; 32],
}

/// What a session is created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms<'a> {
    /// What a session's players agree on. Its hash is in the session's address, and who joins signs it.
    pub agreed: Agreed<'a>,
    /// A session key and the second, of Unix time, from which on it is worth nothing.
    pub key: SessionKey<'a>,
}

/// Every instruction with its arguments; what those mean stands with the processors.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction<'a> {
    /// Keeps a player's input for a frame, once.
    SubmitInput { player: u8, frame: u64, input: &'a Input },
    /// Runs one transaction of a frame. Anyone may send it: what it computes follows from the accounts.
    Step { frame: u64, step: u8 },
    /// Runs the transaction of a frame that comes next, whichever that is; none while an input is missing. For cranks, which send the same bytes each time. Anyone may send it.
    Advance,
    /// Claims a zeroed account of the right size.
    CreateModel,
    /// Writes one chunk of the blob and marks it. Hashing starts again.
    WriteChunk { chunk: Chunk<'a> },
    /// Hashes the next pieces of the blob on chain; a piece costs about half a compute unit a byte.
    HashModel { pieces: u32 },
    /// From here on nobody changes it, and sessions may use it.
    FreezeModel,
    /// Gives up an upload and returns its rent. A frozen model stays.
    CloseModel,
    /// Makes the account and takes the first seat.
    CreateSession { terms: Terms<'a> },
    /// Takes the second seat.
    JoinSession { terms: &'a [u8; 32], key: SessionKey<'a> },
    /// A player names another session key, or none.
    SetKey { player: u8, key: SessionKey<'a> },
    /// Hands the session to the rollup that it was created for.
    DelegateSession,
    /// DLP's callback: makes the session again, with the bytes that were committed last.
    ProcessUndelegation,
    /// No more inputs, no more frames. On the rollup or on the base chain.
    EndSession,
    /// Returns the rent, on the base chain. One that has frames must have been ended.
    CloseSession,
    /// Returns the rent of a session that came back without a byte.
    CloseEmpty { terms: &'a [u8; 32] },
    /// Makes the session's scratch account, or lets it grow by what one instruction allows. With another nonce it is made at another address, if there is none yet.
    GrowScratch { nonce: u64 },
    /// Gives up the scratch account; the session gets its rent back.
    CloseScratch,
    /// Empties the window, so that it can be seeded, or loaded again from the log.
    OpenWindow { peaks: &'a [[u8; 32]] },
    /// One record of the window that the session starts from, in order; number 0 starts again.
    SeedFrame { index: u32, record: Record<'a> },
    /// One record of the window before the session's current frame, in order, proved against its hash tree. Anyone may.
    LoadFrame { leaf: u64, proved: Proved<'a> },
    /// A chunk of what the network keeps, once the window is loaded again, into the scratch account.
    LoadMemory { chunk: Chunk<'a> },
    /// Holds the memory against the hash tree; then frames are computed again. Anyone may.
    CheckMemory { proved: Proved<'a> },
    /// Asks the rollup to write the session to the base chain.
    CommitSession,
    /// Asks the rollup to write the session to the base chain, and to give it back.
    UndelegateSession,
    /// Keeps what a session has committed, leaves and root, whatever is committed later. Anyone may.
    PinCommit { root: &'a [u8; 32] },
    /// Returns the rent.
    ClosePin,
    /// Claims a zeroed account of the right size for one frame of a session, as a pin has it.
    OpenDispute { frame: u64, peaks: &'a [[u8; 32]] },
    /// One record of the window before a disputed frame, in order, proved against the hash tree that was pinned. Anyone may.
    LoadDisputed { leaf: u64, proved: Proved<'a> },
    /// A chunk of what the network keeps before a disputed frame; the last record of the window, which comes after it, proves it.
    LoadDisputedMemory { chunk: Chunk<'a> },
    /// Runs one transaction of the disputed frame; the last records the verdict. Anyone may.
    Judge { step: u8, proved: Proved<'a> },
    /// Returns the rent, verdict or not.
    CloseDispute,
}

/// First eight bytes of an instruction's data, as a little-endian number: sha256("global:<name>").
pub mod tag {
    /// `submit_input`.
    pub const SUBMIT_INPUT: u64 = 0x8a153fad5b9ab838;
    /// `step`.
    pub const STEP: u64 = 0x25bf204d1dfe3816;
    /// `advance`.
    pub const ADVANCE: u64 = 0x59391424c96c3807;
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
    /// `process_undelegation`.
    pub const PROCESS_UNDELEGATION: u64 = 0xa7332530ce291cc4;
    /// `end_session`.
    pub const END_SESSION: u64 = 0x420ff9d49a3df40b;
    /// `close_session`.
    pub const CLOSE_SESSION: u64 = 0xd3f826de8cb27244;
    /// `close_empty`.
    pub const CLOSE_EMPTY: u64 = 0x3490e4a0de586665;
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
    /// `load_memory`.
    pub const LOAD_MEMORY: u64 = 0x3cad2d8daafd0ad7;
    /// `check_memory`.
    pub const CHECK_MEMORY: u64 = 0x422dfcc1cc153914;
    /// `commit_session`.
    pub const COMMIT_SESSION: u64 = 0xa7add0599038024b;
    /// `undelegate_session`.
    pub const UNDELEGATE_SESSION: u64 = 0x743a4f4df550ea6e;
    /// `pin_commit`.
    pub const PIN_COMMIT: u64 = 0x4591c53bb84a6b4f;
    /// `close_pin`.
    pub const CLOSE_PIN: u64 = 0xa33e43edfaa7954a;
    /// `open_dispute`.
    pub const OPEN_DISPUTE: u64 = 0x2aa1df1777631989;
    /// `load_disputed`.
    pub const LOAD_DISPUTED: u64 = 0xabcc70b66fac3024;
    /// `load_disputed_memory`.
    pub const LOAD_DISPUTED_MEMORY: u64 = 0x78ef188efbb7d77a;
    /// `judge`.
    pub const JUDGE: u64 = 0x4b1259aaae775cba;
    /// `close_dispute`.
    pub const CLOSE_DISPUTE: u64 = 0xc492c364aa5c123c;
}

/// Takes values off the front of instruction data.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], ProgramError> {
        let (value, rest) = self.0.split_first_chunk::<N>().ok_or(BAD)?;
        self.0 = rest;
        Ok(value)
    }

    fn arrays<const N: usize, const M: usize>(&mut self) -> Result<[[u8; N]; M], ProgramError> {
        let mut arrays = [[0; N]; M];
        for array in &mut arrays {
            *array = *self.array()?;
        }
        Ok(arrays)
    }

    #[inline(always)]
    fn u8(&mut self) -> Result<u8, ProgramError> {
        Ok(self.array::<1>()?[0])
    }

    #[inline(always)]
    fn u32(&mut self) -> Result<u32, ProgramError> {
        Ok(u32::from_le_bytes(*self.array()?))
    }

    #[inline(always)]
    fn u64(&mut self) -> Result<u64, ProgramError> {
        Ok(u64::from_le_bytes(*self.array()?))
    }

    fn i64(&mut self) -> Result<i64, ProgramError> {
        Ok(i64::from_le_bytes(*self.array()?))
    }

    fn u16s<const N: usize>(&mut self) -> Result<[u16; N], ProgramError> {
        let mut values = [0; N];
        for value in &mut values {
            *value = u16::from_le_bytes(*self.array()?);
        }
        Ok(values)
    }

    fn bytes(&mut self) -> Result<&'a [u8], ProgramError> {
        let count = self.u32()? as usize;
        let (value, rest) = self.0.split_at_checked(count).ok_or(BAD)?;
        self.0 = rest;
        Ok(value)
    }

    fn hashes(&mut self) -> Result<&'a [[u8; 32]], ProgramError> {
        let count = self.u32()? as usize;
        let (hashes, rest) = self.0.split_at_checked(count.checked_mul(32).ok_or(BAD)?).ok_or(BAD)?;
        self.0 = rest;
        Ok(hashes.as_chunks::<32>().0)
    }

    fn record(&mut self) -> Result<Record<'a>, ProgramError> {
        Ok(Record { inputs: self.arrays()?, frame: self.array()? })
    }

    fn proved(&mut self) -> Result<Proved<'a>, ProgramError> {
        Ok(Proved { record: self.record()?, memory: self.array()?, proof: self.hashes()? })
    }

    fn chunk(&mut self) -> Result<Chunk<'a>, ProgramError> {
        Ok(Chunk { index: self.u32()?, data: self.bytes()? })
    }

    fn key(&mut self) -> Result<SessionKey<'a>, ProgramError> {
        Ok(SessionKey { key: self.array()?, expires: self.i64()? })
    }

    fn agreed(&mut self) -> Result<Agreed<'a>, ProgramError> {
        Ok(Agreed {
            id: self.u64()?,
            ids: self.u16s()?,
            start: self.array()?,
            opponent: self.array()?,
            validator: self.array()?,
        })
    }

    fn terms(&mut self) -> Result<Terms<'a>, ProgramError> {
        Ok(Terms { agreed: self.agreed()?, key: self.key()? })
    }
}

/// Instruction data as an instruction.
///
/// # Errors
/// `InvalidInstructionData` if it names no instruction, ends early, or goes on after the last argument.
#[inline(always)]
pub fn decode(data: &[u8]) -> Result<Instruction<'_>, ProgramError> {
    let mut reader = Reader(data);
    // Those of every frame first: comparisons cost compute units.
    let decoded = match reader.u64()? {
        tag::SUBMIT_INPUT => {
            Instruction::SubmitInput { player: reader.u8()?, frame: reader.u64()?, input: reader.array()? }
        }
        tag::STEP => Instruction::Step { frame: reader.u64()?, step: reader.u8()? },
        other => decode_rare(other, &mut reader)?,
    };
    if !reader.0.is_empty() {
        return Err(BAD);
    }
    Ok(decoded)
}

#[inline(never)]
fn decode_rare<'a>(tag: u64, reader: &mut Reader<'a>) -> Result<Instruction<'a>, ProgramError> {
    Ok(match tag {
        tag::ADVANCE => Instruction::Advance,
        tag::CREATE_MODEL => Instruction::CreateModel,
        tag::WRITE_CHUNK => Instruction::WriteChunk { chunk: reader.chunk()? },
        tag::HASH_MODEL => Instruction::HashModel { pieces: reader.u32()? },
        tag::FREEZE_MODEL => Instruction::FreezeModel,
        tag::CLOSE_MODEL => Instruction::CloseModel,
        tag::CREATE_SESSION => Instruction::CreateSession { terms: reader.terms()? },
        tag::JOIN_SESSION => Instruction::JoinSession { terms: reader.array()?, key: reader.key()? },
        tag::SET_KEY => Instruction::SetKey { player: reader.u8()?, key: reader.key()? },
        tag::DELEGATE_SESSION => Instruction::DelegateSession,
        tag::PROCESS_UNDELEGATION => {
            reader.0 = &[];
            Instruction::ProcessUndelegation
        }
        tag::END_SESSION => Instruction::EndSession,
        tag::CLOSE_SESSION => Instruction::CloseSession,
        tag::CLOSE_EMPTY => Instruction::CloseEmpty { terms: reader.array()? },
        tag::GROW_SCRATCH => Instruction::GrowScratch { nonce: reader.u64()? },
        tag::CLOSE_SCRATCH => Instruction::CloseScratch,
        tag::OPEN_WINDOW => Instruction::OpenWindow { peaks: reader.hashes()? },
        tag::SEED_FRAME => Instruction::SeedFrame { index: reader.u32()?, record: reader.record()? },
        tag::LOAD_FRAME => Instruction::LoadFrame { leaf: reader.u64()?, proved: reader.proved()? },
        tag::LOAD_MEMORY => Instruction::LoadMemory { chunk: reader.chunk()? },
        tag::CHECK_MEMORY => Instruction::CheckMemory { proved: reader.proved()? },
        tag::COMMIT_SESSION => Instruction::CommitSession,
        tag::UNDELEGATE_SESSION => Instruction::UndelegateSession,
        tag::PIN_COMMIT => Instruction::PinCommit { root: reader.array()? },
        tag::CLOSE_PIN => Instruction::ClosePin,
        tag::OPEN_DISPUTE => Instruction::OpenDispute { frame: reader.u64()?, peaks: reader.hashes()? },
        tag::LOAD_DISPUTED => Instruction::LoadDisputed { leaf: reader.u64()?, proved: reader.proved()? },
        tag::LOAD_DISPUTED_MEMORY => Instruction::LoadDisputedMemory { chunk: reader.chunk()? },
        tag::JUDGE => Instruction::Judge { step: reader.u8()?, proved: reader.proved()? },
        tag::CLOSE_DISPUTE => Instruction::CloseDispute,
        _ => return Err(BAD),
    })
}
