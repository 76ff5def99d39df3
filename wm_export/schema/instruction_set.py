"""The program's instructions: accounts, arguments and what each does; and their data as bytes (`encode`)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wm_export.errors import WmExportError
from wm_export.schema.accounts import HASH, IDS, MEMORY, PLAYERS, discriminator
from wm_export.schema.types import I64, U8, U32, U64, Address, Array, Count, Field, List

INPUT = Array(U8, Count("INPUT_BYTES"))


@dataclass(frozen=True)
class Group:
    """Arguments that the program takes as one value: the Rust struct `rust`, under `name` in an instruction."""

    name: str
    rust: str
    about: str
    members: tuple["Field | Group", ...]


@dataclass(frozen=True)
class Role:
    """An account of an instruction. `optional` ones stand at the end and may be left out."""

    name: str
    signer: bool = False
    writable: bool = False
    optional: bool = False

    @property
    def letters(self) -> str:
        """`s` signer, `w` writable."""
        return "s" * self.signer + "w" * self.writable


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    about        what it does: sentences
    every_frame  sent for every frame: decoded first, and inline
    tag          discriminator, if it is not the one that follows from its name
    open_ended   whatever follows the arguments is left alone
    """

    name: str
    about: str
    accounts: tuple[Role, ...]
    members: tuple[Field | Group, ...] = ()
    every_frame: bool = False
    tag: bytes = b""
    open_ended: bool = False

    @property
    def discriminator(self) -> bytes:
        """First eight bytes of its data."""
        return self.tag or discriminator("global", self.name)

    @property
    def args(self) -> list[Field]:
        """Its arguments, groups taken apart."""
        return list(_flat(self.members))


def _flat(members: tuple[Field | Group, ...]) -> Iterator[Field]:
    for member in members:
        if isinstance(member, Group):
            yield from _flat(member.members)
        else:
            yield member


def _roles(text: str) -> tuple[Role, ...]:
    """From words like `signer:s session:w model fee_vault:w?`."""
    found = []
    for word in text.split():
        name, _, letters = word.partition(":")
        found.append(Role(name, "s" in letters, "w" in letters, "?" in letters))
    return tuple(found)


KEY = Group(
    "key",
    "SessionKey",
    "A session key and the second, of Unix time, from which on it is worth nothing.",
    (
        Field("key", Address(), "Who may sign inputs in the player's place; all zeros for nobody."),
        Field("expires", I64, "Unix time, seconds."),
    ),
)
RECORD = Group(
    "record",
    "Record",
    "What the log says of a frame: both inputs, and the Frame they led to.",
    (
        Field("inputs", Array(INPUT, PLAYERS), "Input of each player."),
        Field("frame", Array(U8, Count("FRAME_BYTES")), "The Frame, an `i32` per field."),
    ),
)
PROVED = Group(
    "proved",
    "Proved",
    "A record, and the sibling of every node between it and the peak of the session's hash tree.",
    (
        RECORD,
        Field("memory", MEMORY, "Digest of what the network keeps after the frame."),
        Field("proof", List(HASH), "Hashes, lowest first."),
    ),
)
CHUNK = Group(
    "chunk",
    "Chunk",
    "A chunk of a model's blob, or of what a network keeps from frame to frame.",
    (Field("index", U32, "Its number."), Field("data", List(U8), "Its bytes.")),
)
#: In the order in which they are hashed (wm_live/session/terms.py, accounts/session.rs).
AGREED = Group(
    "agreed",
    "Agreed",
    "What a session's players agree on. Its hash is in the session's address, and who joins signs it.",
    (
        Field("id", U64, "The creator's number for it."),
        Field("ids", IDS, "Ids that stay while it lasts: one per entry of `SESSION_VOCAB`, the rest zero."),
        Field("start", HASH, "Root of the hash tree over the window it starts from: who joins knows what."),
        Field("opponent", Address(), "The second player's wallet; all zeros for whoever comes first."),
        Field("validator", Address(), "Validator of the rollup that it will be delegated to."),
    ),
)
TERMS = Group("terms", "Terms", "What a session is created with.", (AGREED, KEY))
GROUPS = (RECORD, PROVED, CHUNK, KEY, AGREED, TERMS)

_PEAKS = Field("peaks", List(HASH))
_PLAYER, _FRAME, _STEP = Field("player", U8), Field("frame", U64), Field("step", U8)
_LEAF, _TERMS, _ROOT = Field("leaf", U64), Field("terms", HASH), Field("root", HASH)
_PLATFORM = "buffer:w record:w metadata:w system_program delegation_program"
_MAGIC = "magic_context:w magic_program fee_vault:w?"
_SPONSORED = "party:s session:w scratch:w vault:w magic_program"
_COMMIT = "Asks the rollup to write the session to the base chain{}."

_ALL = (
    # --- one frame ---
    Instruction(
        "submit_input",
        "Keeps a player's input for a frame, once.",
        _roles("signer:s session:w"),
        (_PLAYER, _FRAME, Field("input", INPUT)),
        every_frame=True,
    ),
    Instruction(
        "step",
        "Runs one transaction of a frame. Anyone may send it: what it computes follows from the accounts.",
        _roles("session:w scratch:w model"),
        (_FRAME, _STEP),
        every_frame=True,
    ),
    Instruction(
        "advance",
        "Runs the transaction of a frame that comes next, whichever that is; none while an input is missing. For "
        "cranks, which send the same bytes each time. Anyone may send it.",
        _roles("session:w scratch:w model"),
    ),
    # --- a model ---
    Instruction("create_model", "Claims a zeroed account of the right size.", _roles("authority:s model:w")),
    Instruction(
        "write_chunk",
        "Writes one chunk of the blob and marks it. Hashing starts again.",
        _roles("authority:s model:w"),
        (CHUNK,),
    ),
    Instruction(
        "hash_model",
        "Hashes the next pieces of the blob on chain; a piece costs about half a compute unit a byte.",
        _roles("authority:s model:w"),
        (Field("pieces", U32),),
    ),
    Instruction(
        "freeze_model", "From here on nobody changes it, and sessions may use it.", _roles("authority:s model:w")
    ),
    Instruction(
        "close_model", "Gives up an upload and returns its rent. A frozen model stays.", _roles("authority:sw model:w")
    ),
    # --- a session, on the base chain ---
    Instruction(
        "create_session",
        "Makes the account and takes the first seat.",
        _roles("creator:sw session:w model system_program"),
        (TERMS,),
    ),
    Instruction("join_session", "Takes the second seat.", _roles("player:s session:w"), (_TERMS, KEY)),
    Instruction(
        "set_key", "A player names another session key, or none.", _roles("player:s session:w"), (_PLAYER, KEY)
    ),
    Instruction(
        "delegate_session",
        "Hands the session to the rollup that it was created for.",
        _roles("creator:sw session:w owner_program " + _PLATFORM),
    ),
    Instruction(
        "process_undelegation",
        "DLP's callback: makes the session again, with the bytes that were committed last.",
        _roles("session:w undelegate_buffer:sw payer:sw system_program"),
        tag=bytes([196, 28, 41, 206, 48, 37, 51, 167]),
        open_ended=True,  # seeds, which the session's own bytes name again
    ),
    Instruction(
        "end_session",
        "No more inputs, no more frames. On the rollup or on the base chain.",
        _roles("party:s session:w"),
    ),
    Instruction(
        "close_session",
        "Returns the rent, on the base chain. One that has frames must have been ended.",
        _roles("creator:sw session:w record"),
    ),
    Instruction(
        "close_empty",
        "Returns the rent of a session that came back without a byte.",
        _roles("creator:sw session:w model"),
        (_TERMS,),
    ),
    # --- a session, on the rollup ---
    Instruction(
        "grow_scratch",
        "Makes the session's scratch account, or lets it grow by what one instruction allows. With another nonce it is "
        "made at another address, if there is none yet.",
        _roles("party:s session:w scratch:w previous vault:w magic_program"),
        (Field("nonce", U64),),
    ),
    Instruction("close_scratch", "Gives up the scratch account; the session gets its rent back.", _roles(_SPONSORED)),
    Instruction(
        "open_window",
        "Empties the window, so that it can be seeded, or loaded again from the log.",
        _roles("party:s session:w scratch:w model"),
        (_PEAKS,),
    ),
    Instruction(
        "seed_frame",
        "One record of the window that the session starts from, in order; number 0 starts again.",
        _roles("party:s session:w scratch:w"),
        (Field("index", U32), RECORD),
    ),
    Instruction(
        "load_frame",
        "One record of the window before the session's current frame, in order, proved against its hash tree. "
        "Anyone may.",
        _roles("session:w scratch:w"),
        (_LEAF, PROVED),
    ),
    Instruction(
        "load_memory",
        "A chunk of what the network keeps, once the window is loaded again, into the scratch account.",
        _roles("party:s session:w scratch:w"),
        (CHUNK,),
    ),
    Instruction(
        "check_memory",
        "Holds the memory against the hash tree; then frames are computed again. Anyone may.",
        _roles("session:w scratch:w"),
        (PROVED,),
    ),
    Instruction("commit_session", _COMMIT.format(""), _roles("party:sw session:w " + _MAGIC)),
    Instruction("undelegate_session", _COMMIT.format(", and to give it back"), _roles("party:sw session:w " + _MAGIC)),
    # --- a dispute, on the base chain ---
    Instruction(
        "pin_commit",
        "Keeps what a session has committed, leaves and root, whatever is committed later. Anyone may.",
        _roles("pinner:sw pin:w session system_program"),
        (_ROOT,),
    ),
    Instruction("close_pin", "Returns the rent.", _roles("pinner:sw pin:w")),
    Instruction(
        "open_dispute",
        "Claims a zeroed account of the right size for one frame of a session, as a pin has it.",
        _roles("disputer:s dispute:w pin model"),
        (_FRAME, _PEAKS),
    ),
    Instruction(
        "load_disputed",
        "One record of the window before a disputed frame, in order, proved against the hash tree that was pinned. "
        "Anyone may.",
        _roles("dispute:w session"),
        (_LEAF, PROVED),
    ),
    Instruction(
        "load_disputed_memory",
        "A chunk of what the network keeps before a disputed frame; the last record of the window, which comes after "
        "it, proves it.",
        _roles("disputer:s dispute:w"),
        (CHUNK,),
    ),
    Instruction(
        "judge",
        "Runs one transaction of the disputed frame; the last records the verdict. Anyone may.",
        _roles("dispute:w model"),
        (_STEP, PROVED),
    ),
    Instruction("close_dispute", "Returns the rent, verdict or not.", _roles("disputer:sw dispute:w")),
)

#: Every instruction that the program takes, the delegation program's callback included.
EVERY_INSTRUCTION: Mapping[str, Instruction] = {one.name: one for one in _ALL}
#: Those that clients send.
INSTRUCTIONS: Mapping[str, Instruction] = {one.name: one for one in _ALL if not one.tag}
#: What DLP, the delegation program, calls an owner's program by when it gives an account back.
UNDELEGATION = EVERY_INSTRUCTION["process_undelegation"].tag


def encode(name: str, **values: Any) -> bytes:
    """Data of an instruction; WmExportError for arguments that are not the instruction's."""
    about = INSTRUCTIONS[name]
    names = [arg.name for arg in about.args]
    if values.keys() != set(names):
        raise WmExportError(f"{name}: got arguments {sorted(values)}, expected {names}")
    return about.discriminator + b"".join(_packed(name, arg, values[arg.name]) for arg in about.args)


def _packed(name: str, arg: Field, value: Any) -> bytes:
    try:
        return arg.type.pack(value)
    except WmExportError as error:
        raise WmExportError(f"{name}: {arg.name}: {error}") from None
