"""The program's accounts: tags, and the fields of each with type and meaning. Every offset follows from here.

An account is its fixed fields, then sections, each of which begins at a multiple of 8. Model, scratch and dispute end
with sections whose size follows from the network (chunk marks, blob, work area): wm_export/solana/layout.py has those.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from wm_export.schema.limits import ACCOUNT_VERSION, LOOKAHEAD, SESSION_IDS, TREE_LEVELS
from wm_export.schema.types import BOOL, I32, I64, U8, U16, U32, U64, Address, Array, Count, Enum, Field, Struct, Word

PLAYERS = Count("PLAYERS")
HASH = Array(U8, 32)
PEAKS = Array(HASH, Count("PEAKS", TREE_LEVELS))
FRAME = Array(I32, Count("FRAME_FIELDS"))
#: Digest of what a network keeps from frame to frame; of no bytes for one that keeps nothing.
MEMORY = Array(U8, Count("MEMORY_DIGEST_BYTES"))
IDS = Array(U16, Count("SESSION_IDS", SESSION_IDS))

STATUS = Enum(
    "Status",
    "What can be done with a session: it goes through these from first to last.",
    (
        ("Open", "Waits for its second player."),
        ("Joined", "Both players are there; the window is being seeded."),
        ("Started", "Frames are being computed."),
        ("Loading", "Its window is being loaded again from the log; then it is started once more."),
        ("Ended", "Over."),
    ),
)
STATUSES = STATUS.names

VERDICT = Enum(
    "Verdict",
    "What a dispute ends with.",
    (
        ("Open", "None yet."),
        ("Right", "The committed Frame is the one that the model computes."),
        ("Wrong", "It is not."),
    ),
)
VERDICTS = VERDICT.names

PLAYER = Struct(
    "Player",
    "A player in a session account.",
    (
        Field("wallet", Address(), "the player's wallet; all zeros for a free seat"),
        Field("key", Address(), "the session key, which may sign the player's inputs; all zeros for none"),
        Field("expires", I64, "Unix time from which on the session key is worth nothing"),
    ),
)


def discriminator(space: str, name: str) -> bytes:
    """Eight bytes that name an instruction (`global`) or a kind of account (`account`), by Anchor's rule."""
    return hashlib.sha256(f"{space}:{name}".encode()).digest()[:8]


def _header(third: Field) -> tuple[Field, ...]:
    """What every account begins with; the third field is a u32 of its kind's own."""
    return (
        Field("tag", Array(U8, 8), "which kind of account it is"),
        Field("version", U32, "of the accounts' layout"),
        third,
        Field("length", U64, "bytes of the whole account"),
    )


_HEADER = _header(Field("reserved", U32, "zero"))


@dataclass(frozen=True)
class Account(Struct):
    """A kind of account. `fields` from the first byte on, header included; then `sections`, 8-byte aligned each."""

    sections: Sequence[Field] = field(default=())

    @property
    def tag(self) -> bytes:
        """Its first eight bytes."""
        return discriminator("account", self.name)

    def head(self, length: int, **values: object) -> bytes:
        """The fixed fields of an account of `length` bytes; those left out are zero."""
        header = {"tag": self.tag, "version": ACCOUNT_VERSION, "length": length}
        return self.pack(header | values)

    def is_one(self, raw: bytes) -> bool:
        """Whether these bytes begin as an account of this kind and of today's version."""
        whole = len(raw) >= self.size
        return whole and raw[:8] == self.tag and self.read(raw, "version") == ACCOUNT_VERSION


MODEL = Account(
    "Model",
    "The model account.",
    (
        *_header(Field("shard", U32, "number of the shard of the blob that it holds")),
        Field("manifest", HASH, "hash of the manifest"),
        Field("authority", Address(), "who uploads, and may give up"),
        Field("digest", HASH, "of the pieces hashed so far"),
        Field("pieces", U32, "pieces of the blob that have been hashed"),
        Field("frozen", Word(BOOL), "nobody changes it any more"),
    ),
)

SESSION = Account(
    "Session",
    "The session account.",
    (
        *_HEADER,
        Field("manifest", HASH, "hash of the manifest"),
        Field("model", Address(), "the model account"),
        Field("creator", Address(), "who made the session, and gets its rent back"),
        Field("id", U64, "the creator's number for it"),
        Field("ids", IDS, "ids that stay while it lasts; those without a table are zero"),
        Field("start", HASH, "root of the hash tree over the window that it starts from"),
        Field("opponent", Address(), "whom the second seat is kept for; all zeros for whoever comes first"),
        Field("validator", Address(), "validator of the rollup that it was created for"),
        Field("root", HASH, "root of its hash tree"),
        Field("nonce", U64, "in the seeds of its scratch account's address"),
        Field("frame_number", U64, "the frame that is computed next"),
        Field("step", U32, "the transaction of that frame that comes next"),
        Field("status", Word(STATUS), "where it stands"),
        Field("bump", Word(U8), "of its address"),
        Field("scratch_bump", Word(U8), "of its scratch account's address"),
    ),
    sections=(
        Field("players", Array(PLAYER, PLAYERS), "the seats"),
        Field(
            "inputs",
            Array(Array(U64, PLAYERS), Count("LOOKAHEAD", LOOKAHEAD)),
            "a ring of frames: an input in the low bytes, the top bit set while it waits",
        ),
        Field("frame", FRAME, "the current Frame"),
        Field("memory", MEMORY, "digest of what the network keeps after the current Frame"),
    ),
)

SCRATCH = Account(
    "Scratch",
    "The scratch account.",
    (
        *_HEADER,
        Field("session", Address(), "the session account"),
        Field("frame_number", U64, "the frame that its window stands before"),
        Field("loaded", U64, "records of the window that are there; one more once the memory is"),
    ),
    sections=(Field("peaks", PEAKS, "of the session's hash tree"),),
)

PIN = Account(
    "Pin",
    "The pin account.",
    (
        *_HEADER,
        Field("session", Address(), "the session account"),
        Field("pinner", Address(), "who made it, and gets its rent back"),
        Field("model", Address(), "the session's"),
        Field("ids", IDS, "the session's"),
        Field("start", HASH, "the session's"),
        Field("validator", Address(), "the session's"),
        Field("leaves", U64, "leaves of the hash tree that was committed"),
        Field("root", HASH, "its root"),
        Field("slot", U64, "slot of the base chain in which it was pinned"),
    ),
)

DISPUTE = Account(
    "Dispute",
    "The dispute account.",
    (
        *_HEADER,
        Field("session", Address(), "the session account"),
        Field("disputer", Address(), "who opened it, and gets its rent back"),
        Field("validator", Address(), "the session's"),
        Field("start", HASH, "the session's"),
        Field("leaves", U64, "leaves of the hash tree that it judges by"),
        Field("frame_number", U64, "the frame that is disputed"),
        Field("loaded", U64, "records of the window that are there"),
        Field("step", U32, "the transaction of the frame that comes next"),
        Field("verdict", Word(VERDICT), "how it ended"),
    ),
    sections=(
        Field("peaks", PEAKS, "of the hash tree that was pinned"),
        Field("window", PEAKS, "of the hash tree over the records loaded, if the first frame is disputed"),
        Field("frame", FRAME, "the Frame computed last"),
    ),
)

ACCOUNTS: Mapping[str, Account] = {account.name: account for account in (MODEL, SESSION, SCRATCH, PIN, DISPUTE)}
ENUMS = (STATUS, VERDICT)


def session_ids(ids: Sequence[int]) -> tuple[int, ...]:
    """A world's session ids as accounts and instructions hold them: filled up with zeros."""
    return (*ids, *[0] * (SESSION_IDS - len(ids)))
