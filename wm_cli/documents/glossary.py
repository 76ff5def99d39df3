"""The glossary: words of the field, and where the code has what they name."""

from importlib import import_module
from importlib.util import find_spec

from wm_cli.documents.markdown import ROOT, table

#: Term -> (what it is, where it is defined: module, module:name, or a file of the repository).
TERMS: dict[str, tuple[str, str]] = {
    "Frame": (
        "state of the game at one instant, an int32 for each field of each player",
        "wm_train.world.fields:Field",
    ),
    "Window": (
        "the last frames and inputs that a network sees, and the inputs of the frame to predict",
        "wm_train.measure.window:Window",
    ),
    "Encoding": ("which fields and inputs a network reads, and their order", "wm_train.world.encoding:Encoding"),
    "Law": (
        "what a game decides by itself, mended in the next Frame after the rules; it has no heads",
        "wm_train.world.law:Law",
    ),
    "Subsystem": (
        "one rule of a world: the fields it reads and writes, and the heads it needs",
        "wm_train.world.subsystem:Subsystem",
    ),
    "Component": (
        "in BOLT, the fields of a match that one account holds; a Frame lies in several",
        "wm_export.bolt.components:Component",
    ),
    "System": (
        "in BOLT, a program that changes components, applied through the program World",
        "wm_export.bolt.slices:Slice",
    ),
    "head": (
        "an output of the network: a number, an event (logit), or a choice (argmax over ids)",
        "wm_train.world.subsystem:Head",
    ),
    "baseline": (
        "a guess that knows no model, as that nothing changes; a model has to be better",
        "wm_train.measure.window:baselines",
    ),
    "SOL": ("the base chain's money: 10^9 lamports; rent and fees are paid in it", "wm_live.chain.wallet:SOL"),
    "Corpus": ("games joined along time, as integers", "wm_train.games.corpus:Corpus"),
    "held-out games": (
        "games that a run is not trained on, chosen by a hash of the replay",
        "wm_train.games.corpus:split_games",
    ),
    "grid": ("the fixed-point arithmetic: codes, scales, one rounding rule (half up)", "wm_train.grid.arithmetic"),
    "code": ("an INT8 activation: a real value in units of its scale", "wm_train.grid.arithmetic:Codes"),
    "per-channel scale": ("one weight scale for each output row", "wm_train.grid.arithmetic:quantize_rows"),
    "requantize": (
        "an accumulator times a multiplier, shifted right, rounded and saturated to a code",
        "wm_train.grid.arithmetic:requantize",
    ),
    "folding": ("precomputing what constant embeddings and the first layer give, as table rows", "wm_train.grid.fold"),
    "QAT": ("quantization-aware training: the forward pass computes the integers of the QNet", "wm_train.nets.qat"),
    "STE": (
        "straight-through estimator: the gradient of a rounding is taken as 1 (Bengio et al., 2013)",
        "wm_train.nets.qat",
    ),
    "PTQ": ("post-training quantization: scales calibrated on a float run", "wm_quant.convert:quantize"),
    "QNet": ("a network of integers only: ordered ops in SSA form, and their tensors", "wm_quant.qnet:QNet"),
    "op": ("one step of a QNet: tensors, memory, numpy form, reference form, bounds", "wm_quant.ops.base:Op"),
    "range proof": (
        "interval arithmetic over all inputs: no value of an op leaves its integer type",
        "wm_quant.prove:prove",
    ),
    "interpreter": (
        "the QNet in numpy, many worlds at a time; the other executors are compared with it",
        "wm_quant.interp:Interpreter",
    ),
    "executor": (
        "anything that steps a world: interpreter, ONNX Runtime, host, LiteSVM, rollup",
        "wm_export.parity:Executor",
    ),
    "parity": ("equality of executors in every tensor and byte", "wm_export.parity"),
    "teacher-forced": ("each frame predicted from the true frames before it", "wm_export.parity:teacher_forced"),
    "rollout": ("frames predicted from predicted ones, with the true inputs", "wm_export.parity:rollouts"),
    "footage": (
        "frames of true games or of worlds, joined along time: what laws and events are measured on",
        "wm_train.measure.footage:Footage",
    ),
    "measured law": (
        "what a true game does not break; measured of any footage",
        "wm_train.measure.measures:MeasuredLaw",
    ),
    "event": (
        "what happens from a frame to the next and a player would name: a hit, a landing",
        "wm_train.measure.measures:Event",
    ),
    "coverage": ("errors by how often training has seen who does what", "wm_train.measure.coverage"),
    "intervention": (
        "the same state on other inputs: whether a world does what its players say",
        "wm_train.measure.interventions",
    ),
    "drift": (
        "how far a long rollout departs from the real game, and whether it stays plausible",
        "wm_train.measure.drift",
    ),
    "scheduled sampling": (
        "training on own predictions in place of true frames, with a rising chance",
        "wm_train.fit.forcing",
    ),
    "speculative execution": (
        "frames computed with repeated inputs before the real ones arrive, and again where they differ: "
        "rollback netcode, GGPO",
        "wm_train.measure.speculation",
    ),
    "SSM": ("state space model: the recurrence of Mamba-2, with a state for each channel", "wm_train.nets.mamba2"),
    "GEMV": (
        "matrix-vector product; here with SWAR lanes, several weights in a 64-bit word",
        "onchain/kernels/src/matvec.rs",
    ),
    "kernel": (
        "an assembly routine whose cost does not depend on data, and its portable twin in Rust",
        "wm_export.lower.kernels",
    ),
    "lowering": ("a QNet and a world's rules as calls of kernels, buffers and constants", "wm_export.lower.lowering"),
    "CU": ("compute unit: what Solana charges for an instruction of a program", "wm_export.lower.cost:Cost"),
    "plan": ("the transactions that a frame is cut into", "wm_export.lower.plan"),
    "blob": ("the weights as bytes, in sections", "wm_export.solana.blob:Blob"),
    "manifest": ("what an export consists of: shapes, offsets, hashes, versions", "wm_export.manifest"),
    "IDL": ("interface description in Anchor's JSON formats", "wm_export.schema.idl"),
    "discriminator": (
        "the first 8 bytes of an account or instruction, which name its type",
        "wm_export.schema.accounts:discriminator",
    ),
    "PDA": ("program-derived address: an address from seeds, without a private key", "wm_export.schema.seeds"),
    "sBPF": ("the instruction set of Solana programs", "wm_export.solana.toolchain"),
    "LiteSVM": (
        "Solana's virtual machine in one process, used as an executor and as the local base chain",
        "wm_export.solana.svm",
    ),
    "session": (
        "one game of a deployed world: an account with players, inputs, the frame, and the tree's root",
        "wm_live.session.account:SessionState",
    ),
    "sight": (
        "fields that follow from a Frame and its place by rule: what is near, whether a move hits",
        "wm_train.world.sight:Sight",
    ),
    "rollup": (
        "MagicBlock's ephemeral rollup: a validator that runs delegated accounts at low latency",
        "wm_live.localnet.servers",
    ),
    "delegation": ("handing an account's write access from the base chain to a rollup", "wm_live.session.delegation"),
    "commit": ("writing a delegated account's state back to the base chain", "wm_live.session.lifecycle:commit"),
    "session key": ("a key that may sign one player's inputs for a limited time", "wm_live.session.game:session_key"),
    "log": ("every input and frame of a session, from which it is computed again", "wm_live.session.log:Log"),
    "Merkle mountain range": ("the append-only hash tree over a session's records", "wm_live.session.tree:Tree"),
    "audit": ("the whole log computed again and compared with the committed root", "wm_live.judge.audit:audit"),
    "dispute": ("one frame computed by the base chain, which records a verdict", "wm_live.judge.dispute:Dispute"),
    "faucet": ("a node's requestAirdrop: lamports for tests", "wm_live.chain.wallet:fund"),
    "rent": (
        "lamports that an account has to hold to exist; returned when it is closed",
        "wm_live.deploy.deployment:Holding",
    ),
}


def glossary_table() -> str:
    """Term, meaning, where."""
    terms = sorted(TERMS, key=str.lower)
    rows = [(term, TERMS[term][0], f"`{TERMS[term][1]}`") for term in terms]
    return table(("term", "meaning", "where"), rows)


def is_defined(where: str) -> bool:
    """Whether a place of the glossary exists: a file, a module, or a name in it."""
    if "/" in where:
        return (ROOT / where).exists()
    module, _, name = where.partition(":")
    return hasattr(import_module(module), name) if name else find_spec(module) is not None
