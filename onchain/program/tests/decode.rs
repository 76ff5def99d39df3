//! The decoder on the host: whatever the bytes, it returns; what Python encodes, it gives back; nothing longer or shorter.

use proptest::{
    collection::vec,
    prelude::{any, prop_assert, prop_assert_eq, proptest, ProptestConfig},
    sample::select,
};
use wmq_program::instruction::{decode, tag, Agreed, Chunk, Instruction, Proved, Record, SessionKey, Terms};
use wmq_world::layout::{memory::MEMORY_DIGEST_BYTES, FRAME_BYTES, INPUT_BYTES, PLAYERS};

/// Written by `python -m tests.security.golden`: a name and the instruction's data in hexadecimal, a line each.
const GOLDEN: &str = include_str!("golden/instructions.txt");

/// Arguments of every instruction.
struct Args {
    small: u8,
    short: u16,
    middle: u32,
    long: u64,
    time: i64,
    bytes: [u8; 32],
    frame: [u8; FRAME_BYTES],
    data: Vec<u8>,
    hashes: Vec<[u8; 32]>,
}

impl Args {
    /// What Python's `golden` fills in: counted bytes, and numbers whose every byte differs.
    fn golden() -> Self {
        Self {
            small: 1,
            short: 0x0102,
            middle: 0x0102_0304,
            long: 0x0102_0304_0506_0708,
            time: -2,
            bytes: core::array::from_fn(|i| i as u8),
            frame: core::array::from_fn(|i| i as u8),
            data: vec![9, 8, 7],
            hashes: vec![[1; 32], [2; 32]],
        }
    }

    fn key(&self) -> SessionKey<'_> {
        SessionKey { key: &self.bytes, expires: self.time }
    }

    fn input(&self) -> &[u8; INPUT_BYTES] {
        self.bytes.first_chunk().expect("32 bytes hold an input")
    }

    fn record(&self) -> Record<'_> {
        let inputs =
            core::array::from_fn(|player| core::array::from_fn(|i| self.bytes[player * INPUT_BYTES + i]));
        Record { inputs, frame: &self.frame }
    }

    fn proved(&self) -> Proved<'_> {
        let memory = self.bytes.first_chunk::<MEMORY_DIGEST_BYTES>().expect("32 bytes hold a digest");
        Proved { record: self.record(), memory, proof: &self.hashes }
    }

    /// Every instruction by name, in the order of the IDL.
    fn instructions(&self) -> Vec<(&'static str, Instruction<'_>)> {
        let Self { small, middle, long, bytes, .. } = self;
        let (small, middle, long) = (*small, *middle, *long);
        let chunk = Chunk { index: middle, data: &self.data };
        let ids = [self.short; 4];
        let agreed = Agreed { id: long, ids, start: bytes, opponent: bytes, validator: bytes };
        let terms = Terms { agreed, key: self.key() };
        vec![
            ("submit_input", Instruction::SubmitInput { player: small, frame: long, input: self.input() }),
            ("step", Instruction::Step { frame: long, step: small }),
            ("advance", Instruction::Advance),
            ("create_model", Instruction::CreateModel),
            ("write_chunk", Instruction::WriteChunk { chunk }),
            ("hash_model", Instruction::HashModel { pieces: middle }),
            ("freeze_model", Instruction::FreezeModel),
            ("close_model", Instruction::CloseModel),
            ("create_session", Instruction::CreateSession { terms }),
            ("join_session", Instruction::JoinSession { terms: bytes, key: self.key() }),
            ("set_key", Instruction::SetKey { player: small, key: self.key() }),
            ("delegate_session", Instruction::DelegateSession),
            ("end_session", Instruction::EndSession),
            ("close_session", Instruction::CloseSession),
            ("close_empty", Instruction::CloseEmpty { terms: bytes }),
            ("grow_scratch", Instruction::GrowScratch { nonce: long }),
            ("close_scratch", Instruction::CloseScratch),
            ("open_window", Instruction::OpenWindow { peaks: &self.hashes }),
            ("seed_frame", Instruction::SeedFrame { index: middle, record: self.record() }),
            ("load_frame", Instruction::LoadFrame { leaf: long, proved: self.proved() }),
            ("load_memory", Instruction::LoadMemory { chunk }),
            ("check_memory", Instruction::CheckMemory { proved: self.proved() }),
            ("commit_session", Instruction::CommitSession),
            ("undelegate_session", Instruction::UndelegateSession),
            ("pin_commit", Instruction::PinCommit { root: bytes }),
            ("close_pin", Instruction::ClosePin),
            ("open_dispute", Instruction::OpenDispute { frame: long, peaks: &self.hashes }),
            ("load_disputed", Instruction::LoadDisputed { leaf: long, proved: self.proved() }),
            ("load_disputed_memory", Instruction::LoadDisputedMemory { chunk }),
            ("judge", Instruction::Judge { step: small, proved: self.proved() }),
            ("close_dispute", Instruction::CloseDispute),
        ]
    }
}

/// Appends what instructions are made of, as Borsh has it.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn add(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn count(self, items: usize) -> Self {
        self.add(&(items as u32).to_le_bytes())
    }

    fn key(self, key: &SessionKey) -> Self {
        self.add(key.key).add(&key.expires.to_le_bytes())
    }

    fn record(self, record: &Record) -> Self {
        self.add(record.inputs.as_flattened()).add(record.frame)
    }

    fn hashes(self, hashes: &[[u8; 32]]) -> Self {
        self.count(hashes.len()).add(hashes.as_flattened())
    }

    fn proved(self, proved: &Proved) -> Self {
        self.record(&proved.record).add(proved.memory).hashes(proved.proof)
    }

    fn chunk(self, chunk: &Chunk) -> Self {
        self.add(&chunk.index.to_le_bytes()).count(chunk.data.len()).add(chunk.data)
    }
}

/// The data of an instruction.
fn encode(instruction: &Instruction) -> Vec<u8> {
    let writer = |tag: u64| Writer::default().add(&tag.to_le_bytes());
    let written = match *instruction {
        Instruction::SubmitInput { player, frame, input } => {
            writer(tag::SUBMIT_INPUT).add(&[player]).add(&frame.to_le_bytes()).add(input)
        }
        Instruction::Step { frame, step } => writer(tag::STEP).add(&frame.to_le_bytes()).add(&[step]),
        Instruction::Advance => writer(tag::ADVANCE),
        Instruction::CreateModel => writer(tag::CREATE_MODEL),
        Instruction::WriteChunk { ref chunk } => writer(tag::WRITE_CHUNK).chunk(chunk),
        Instruction::HashModel { pieces } => writer(tag::HASH_MODEL).add(&pieces.to_le_bytes()),
        Instruction::FreezeModel => writer(tag::FREEZE_MODEL),
        Instruction::CloseModel => writer(tag::CLOSE_MODEL),
        Instruction::CreateSession { ref terms } => {
            let agreed = &terms.agreed;
            let ids: Vec<u8> = agreed.ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            let written = writer(tag::CREATE_SESSION).add(&agreed.id.to_le_bytes()).add(&ids);
            written.add(agreed.start).add(agreed.opponent).add(agreed.validator).key(&terms.key)
        }
        Instruction::JoinSession { terms, ref key } => writer(tag::JOIN_SESSION).add(terms).key(key),
        Instruction::SetKey { player, ref key } => writer(tag::SET_KEY).add(&[player]).key(key),
        Instruction::DelegateSession => writer(tag::DELEGATE_SESSION),
        Instruction::ProcessUndelegation => writer(tag::PROCESS_UNDELEGATION),
        Instruction::EndSession => writer(tag::END_SESSION),
        Instruction::CloseSession => writer(tag::CLOSE_SESSION),
        Instruction::CloseEmpty { terms } => writer(tag::CLOSE_EMPTY).add(terms),
        Instruction::GrowScratch { nonce } => writer(tag::GROW_SCRATCH).add(&nonce.to_le_bytes()),
        Instruction::CloseScratch => writer(tag::CLOSE_SCRATCH),
        Instruction::OpenWindow { peaks } => writer(tag::OPEN_WINDOW).hashes(peaks),
        Instruction::SeedFrame { index, ref record } => {
            writer(tag::SEED_FRAME).add(&index.to_le_bytes()).record(record)
        }
        Instruction::LoadFrame { leaf, ref proved } => {
            writer(tag::LOAD_FRAME).add(&leaf.to_le_bytes()).proved(proved)
        }
        Instruction::LoadMemory { ref chunk } => writer(tag::LOAD_MEMORY).chunk(chunk),
        Instruction::CheckMemory { ref proved } => writer(tag::CHECK_MEMORY).proved(proved),
        Instruction::LoadDisputedMemory { ref chunk } => writer(tag::LOAD_DISPUTED_MEMORY).chunk(chunk),
        Instruction::LoadDisputed { leaf, ref proved } => {
            writer(tag::LOAD_DISPUTED).add(&leaf.to_le_bytes()).proved(proved)
        }
        Instruction::CommitSession => writer(tag::COMMIT_SESSION),
        Instruction::UndelegateSession => writer(tag::UNDELEGATE_SESSION),
        Instruction::PinCommit { root } => writer(tag::PIN_COMMIT).add(root),
        Instruction::ClosePin => writer(tag::CLOSE_PIN),
        Instruction::OpenDispute { frame, peaks } => {
            writer(tag::OPEN_DISPUTE).add(&frame.to_le_bytes()).hashes(peaks)
        }
        Instruction::Judge { step, ref proved } => writer(tag::JUDGE).add(&[step]).proved(proved),
        Instruction::CloseDispute => writer(tag::CLOSE_DISPUTE),
    };
    written.0
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn python_writes_the_same_bytes() {
    let args = Args::golden();
    let lines: Vec<String> =
        args.instructions().iter().map(|(name, one)| format!("{name} {}", hex(&encode(one)))).collect();
    assert_eq!(GOLDEN.lines().collect::<Vec<_>>(), lines);
}

#[test]
fn every_other_length_is_refused() {
    let args = Args::golden();
    for (name, one) in args.instructions() {
        let mut data = encode(&one);
        let full = data.len();
        data.extend_from_slice(&[0; 8]);
        for length in 0..=full + 8 {
            let decoded = decode(&data[..length]);
            assert_eq!(decoded.is_ok(), length == full, "{name}: {length} bytes of {full}");
        }
        assert_eq!(decode(&data[..full]), Ok(one), "{name}");
    }
}

#[test]
fn undelegation_takes_any_seeds() {
    let data = encode(&Instruction::ProcessUndelegation);
    assert_eq!(decode(&data), Ok(Instruction::ProcessUndelegation));
    assert_eq!(decode(&[data, vec![7; 300]].concat()), Ok(Instruction::ProcessUndelegation));
}

#[test]
fn counts_beyond_the_data_are_refused() {
    let args = Args::golden();
    for (name, one) in args.instructions() {
        let data = encode(&one);
        let tail = match one {
            Instruction::WriteChunk { chunk }
            | Instruction::LoadMemory { chunk }
            | Instruction::LoadDisputedMemory { chunk } => chunk.data.len(),
            Instruction::OpenWindow { peaks } | Instruction::OpenDispute { peaks, .. } => 32 * peaks.len(),
            Instruction::LoadFrame { proved, .. }
            | Instruction::CheckMemory { proved }
            | Instruction::LoadDisputed { proved, .. }
            | Instruction::Judge { proved, .. } => 32 * proved.proof.len(),
            _ => continue,
        };
        let at = data.len() - tail - 4;
        // 2^27 hashes are 2^32 bytes, which wrap to none in 32 bits.
        for count in [0u32, 1, 1 << 27, 1 << 31, u32::MAX] {
            let mut wrong = data.clone();
            wrong[at..at + 4].copy_from_slice(&count.to_le_bytes());
            assert!(decode(&wrong).is_err(), "{name}: {count}");
        }
    }
}

const _: () = assert!(PLAYERS * INPUT_BYTES <= 32);

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_decoded(
        numbers in (any::<u8>(), any::<u16>(), any::<u32>(), any::<u64>(), any::<i64>()),
        bytes in any::<[u8; 32]>(),
        frame in vec(any::<u8>(), FRAME_BYTES),
        data in vec(any::<u8>(), 0..1100),
        hashes in vec(any::<[u8; 32]>(), 0..30),
    ) {
        let (small, short, middle, long, time) = numbers;
        let frame = frame.try_into().expect("as long as a Frame");
        let args = Args { small, short, middle, long, time, bytes, frame, data, hashes };
        for (name, one) in args.instructions() {
            let data = encode(&one);
            prop_assert_eq!(decode(&data), Ok(one), "{}", name);
        }
    }

    #[test]
    fn any_bytes_are_a_value_or_refused(data in vec(any::<u8>(), 0..1300)) {
        if let Ok(one) = decode(&data) {
            prop_assert_eq!(encode(&one), data);
        }
    }

    /// Random bytes seldom begin with a tag that exists: these do.
    #[test]
    fn any_bytes_behind_a_tag_are_a_value_or_refused(
        one in select(Args::golden().instructions().into_iter().map(|(_, one)| encode(&one)[..8].to_vec()).collect::<Vec<_>>()),
        rest in vec(any::<u8>(), 0..1300),
    ) {
        let data = [one, rest].concat();
        match decode(&data) {
            Ok(one) => prop_assert_eq!(encode(&one), data),
            Err(error) => prop_assert!(error == pinocchio::error::ProgramError::InvalidInstructionData),
        }
    }
}
