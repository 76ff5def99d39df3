//! Runs world steps on the host, with the very crates that the program is built from.
//!
//!     wmq-host MODEL_BLOB < RECORDS > RECORDS
//!
//! A record in is a session account, a scratch account and both players' inputs; a record out is the two accounts after
//! the frame. Records follow each other until the end of the input; each is answered at once.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use wmq_world::layout::{blob, scratch, session, Blobs, INPUT_BYTES, PLAYERS};
use wmq_world::{run, PLAN};

/// Bytes held with the alignment that the kernels need.
struct Aligned {
    words: Vec<u64>,
    len: usize,
}

impl Aligned {
    fn new(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(8)], len }
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the words are `len` initialised bytes or more, and bytes have no alignment.
        unsafe { core::slice::from_raw_parts_mut(self.words.as_mut_ptr() as *mut u8, self.len) }
    }
}

/// Fills `out`; `Ok(false)` if the input ended before its first byte.
fn read_whole(input: &mut impl Read, out: &mut [u8]) -> io::Result<bool> {
    let first = input.read(&mut out[..1])?;
    if first == 0 {
        return Ok(false);
    }
    input.read_exact(&mut out[1..])?;
    Ok(true)
}

fn serve(model_path: &str) -> Result<(), String> {
    let bytes = std::fs::read(model_path).map_err(|error| format!("{model_path}: {error}"))?;
    let all: usize = blob::BYTES.iter().sum();
    if bytes.len() != all {
        return Err(format!("{model_path}: {} bytes, expected {all} for this world", bytes.len()));
    }
    let mut rest = &bytes[..];
    let mut shards = blob::BYTES.map(|size| {
        let (shard, more) = rest.split_at(size);
        rest = more;
        let mut copy = Aligned::new(size);
        copy.bytes().copy_from_slice(shard);
        copy
    });
    let [first, others @ ..] = shards.each_mut().map(|shard| shard.bytes().as_ptr());
    let blobs = Blobs { first, others };
    let (mut session_data, mut scratch_data) = (Aligned::new(session::BYTES), Aligned::new(scratch::BYTES));
    let mut inputs = [[0u8; INPUT_BYTES]; PLAYERS];
    let (mut input, mut output) = (io::stdin().lock(), io::BufWriter::new(io::stdout().lock()));
    let failed = |error: io::Error| format!("record: {error}; expected session, scratch and inputs whole");
    while read_whole(&mut input, session_data.bytes()).map_err(failed)? {
        input.read_exact(scratch_data.bytes()).map_err(failed)?;
        for player in &mut inputs {
            input.read_exact(player).map_err(failed)?;
        }
        for step in 0..PLAN.len() {
            // SAFETY: the areas have the lengths that `layout` gives and the alignment of u64; the records come
            // from wmq, whose ids lie inside their tables.
            unsafe {
                run(
                    step,
                    &inputs,
                    blobs,
                    session_data.bytes().as_mut_ptr().add(session::FRAME),
                    scratch_data.bytes().as_mut_ptr().add(scratch::WORK),
                    |_, _| (),
                );
            }
        }
        output.write_all(session_data.bytes()).map_err(failed)?;
        output.write_all(scratch_data.bytes()).map_err(failed)?;
        output.flush().map_err(failed)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let Some(model) = std::env::args().nth(1) else {
        eprintln!("wmq-host: expected the path of a model blob");
        return ExitCode::from(2);
    };
    match serve(&model) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("wmq-host: {message}");
            ExitCode::FAILURE
        }
    }
}
