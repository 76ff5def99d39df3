//! Instruction data as values. Whatever the bytes, `decode` returns: it reads nothing twice and allocates nothing.

use pinocchio::error::ProgramError;
use wmq_world::layout::{instruction as tag, FRAME_BYTES, INPUT_BYTES, PLAYERS};

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
    /// What is to be proved.
    pub record: Record<'a>,
    /// Hashes, lowest first.
    pub proof: &'a [[u8; 32]],
}

/// A chunk of a model's blob.
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

/// Every instruction with its arguments; what they mean stands with the processors.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction<'a> {
    SubmitInput {
        player: u8,
        frame: u64,
        input: &'a Input,
    },
    Step {
        frame: u64,
        step: u8,
    },
    CreateModel,
    WriteChunk {
        chunk: Chunk<'a>,
    },
    HashModel {
        pieces: u32,
    },
    FreezeModel,
    CloseModel,
    CreateSession {
        id: u64,
        ids: [u16; 4],
        start: &'a [u8; 32],
        opponent: &'a [u8; 32],
        validator: &'a [u8; 32],
        key: SessionKey<'a>,
    },
    JoinSession {
        start: &'a [u8; 32],
        key: SessionKey<'a>,
    },
    SetKey {
        player: u8,
        key: SessionKey<'a>,
    },
    DelegateSession,
    ProcessUndelegation,
    EndSession,
    CloseSession,
    GrowScratch,
    CloseScratch,
    OpenWindow {
        peaks: &'a [[u8; 32]],
    },
    SeedFrame {
        index: u32,
        record: Record<'a>,
    },
    LoadFrame {
        leaf: u64,
        proved: Proved<'a>,
    },
    CommitSession,
    UndelegateSession,
    OpenDispute {
        frame: u64,
        peaks: &'a [[u8; 32]],
    },
    Judge {
        step: u8,
        proved: Proved<'a>,
    },
    CloseDispute,
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

    fn bytes(&mut self) -> Result<&'a [u8], ProgramError> {
        let count = self.u32()? as usize;
        let (value, rest) = self.0.split_at_checked(count).ok_or(BAD)?;
        self.0 = rest;
        Ok(value)
    }

    fn ids(&mut self) -> Result<[u16; 4], ProgramError> {
        let raw: &[u8; 8] = self.array()?;
        Ok(core::array::from_fn(|i| u16::from_le_bytes([raw[2 * i], raw[2 * i + 1]])))
    }

    fn key(&mut self) -> Result<SessionKey<'a>, ProgramError> {
        Ok(SessionKey { key: self.array()?, expires: i64::from_le_bytes(*self.array()?) })
    }

    fn record(&mut self) -> Result<Record<'a>, ProgramError> {
        let mut inputs = [[0; INPUT_BYTES]; PLAYERS];
        for input in &mut inputs {
            *input = *self.array()?;
        }
        Ok(Record { inputs, frame: self.array()? })
    }

    fn hashes(&mut self) -> Result<&'a [[u8; 32]], ProgramError> {
        let count = self.u32()? as usize;
        let (hashes, rest) = self.0.split_at_checked(count.checked_mul(32).ok_or(BAD)?).ok_or(BAD)?;
        self.0 = rest;
        Ok(hashes.as_chunks::<32>().0)
    }

    fn proved(&mut self) -> Result<Proved<'a>, ProgramError> {
        Ok(Proved { record: self.record()?, proof: self.hashes()? })
    }
}

/// Instruction data as an instruction.
///
/// # Errors
/// `InvalidInstructionData` if it names no instruction, ends early, or goes on after the last argument.
#[inline(always)]
pub fn decode(data: &[u8]) -> Result<Instruction<'_>, ProgramError> {
    let mut reader = Reader(data);
    // The two of every frame first: comparisons cost compute units.
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
        tag::CREATE_MODEL => Instruction::CreateModel,
        tag::WRITE_CHUNK => {
            Instruction::WriteChunk { chunk: Chunk { index: reader.u32()?, data: reader.bytes()? } }
        }
        tag::HASH_MODEL => Instruction::HashModel { pieces: reader.u32()? },
        tag::FREEZE_MODEL => Instruction::FreezeModel,
        tag::CLOSE_MODEL => Instruction::CloseModel,
        tag::CREATE_SESSION => Instruction::CreateSession {
            id: reader.u64()?,
            ids: reader.ids()?,
            start: reader.array()?,
            opponent: reader.array()?,
            validator: reader.array()?,
            key: reader.key()?,
        },
        tag::JOIN_SESSION => Instruction::JoinSession { start: reader.array()?, key: reader.key()? },
        tag::SET_KEY => Instruction::SetKey { player: reader.u8()?, key: reader.key()? },
        tag::DELEGATE_SESSION => Instruction::DelegateSession,
        tag::PROCESS_UNDELEGATION => {
            reader.0 = &[]; // seeds, which the session's own bytes name again
            Instruction::ProcessUndelegation
        }
        tag::END_SESSION => Instruction::EndSession,
        tag::CLOSE_SESSION => Instruction::CloseSession,
        tag::GROW_SCRATCH => Instruction::GrowScratch,
        tag::CLOSE_SCRATCH => Instruction::CloseScratch,
        tag::OPEN_WINDOW => Instruction::OpenWindow { peaks: reader.hashes()? },
        tag::SEED_FRAME => Instruction::SeedFrame { index: reader.u32()?, record: reader.record()? },
        tag::LOAD_FRAME => Instruction::LoadFrame { leaf: reader.u64()?, proved: reader.proved()? },
        tag::COMMIT_SESSION => Instruction::CommitSession,
        tag::UNDELEGATE_SESSION => Instruction::UndelegateSession,
        tag::OPEN_DISPUTE => Instruction::OpenDispute { frame: reader.u64()?, peaks: reader.hashes()? },
        tag::JUDGE => Instruction::Judge { step: reader.u8()?, proved: reader.proved()? },
        tag::CLOSE_DISPUTE => Instruction::CloseDispute,
        _ => return Err(BAD),
    })
}
