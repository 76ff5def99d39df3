"""The program's interface: instructions, accounts and errors, in one table.

From it come the IDL in Anchor's format (so that anchorpy and explorers can read transactions), the bytes that clients
send (`encode`), and the constants that the program dispatches on (rustgen.py).
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wm_export.errors import WmExportError
from wm_export.layout import DISPUTE, FRAME_BYTES, INPUT_BYTES, INPUTS_BYTES, MODEL, SCRATCH, SESSION, discriminator

#: Errors of onchain/program/src/error.rs, in order from FIRST_ERROR on; a test holds the two together.
ERRORS: Mapping[str, str] = {
    "WrongTag": "the account does not start with the tag of its kind",
    "WrongVersion": "the account was written by another version of this program",
    "WrongLength": "the account is not as long as this world needs, or not as long as it says",
    "WrongManifest": "the account belongs to a model with another manifest",
    "WrongAccount": "the account is not the one that the session, or the address rule, names",
    "WrongProgram": "the program or account of the platform is not the one of that name",
    "SameAccount": "two accounts that are written are one",
    "NotEmpty": "the account to be made exists already",
    "WrongAuthority": "the signer is not the one who may do this",
    "KeyExpired": "the session key has expired",
    "WrongStatus": "the session is not in the state in which this can be done",
    "WrongFrame": "the frame is not the session's current one",
    "WrongStep": "the step is not the next one of the frame",
    "WrongInput": "an input lies outside what a controller can send",
    "LateInput": "the frame of the input has been computed already",
    "EarlyInput": "the frame of the input is too far ahead",
    "TakenInput": "the player has sent an input for this frame already",
    "MissingInput": "a player has not sent an input for this frame yet",
    "WrongPlayer": "there is no such player",
    "WrongIds": "a stage or character lies outside its table",
    "WrongRecord": "a field of the Frame lies outside its range",
    "WrongStart": "the window is not the one that the session was created for",
    "WrongProof": "the record is not the one that the session has committed to",
    "WindowMissing": "the window has not been loaded whole",
    "ModelFrozen": "the model is frozen for ever",
    "ModelNotFrozen": "the model is not frozen yet",
    "WrongChunk": "no chunk of the blob has this number and length",
    "ChunkMissing": "a chunk of the blob has not been written yet",
    "WrongDigest": "the bytes of the blob are not those of the manifest, or have not been hashed whole",
    "Judged": "the dispute has its verdict already",
}
FIRST_ERROR = 6000

#: What DLP, the delegation program, calls an owner's program by when it gives an account back.
UNDELEGATION = bytes([196, 28, 41, 206, 48, 37, 51, 167])


@dataclass(frozen=True)
class Instruction:
    """One instruction: accounts as (name, role), a role of letters `s` signer and `w` writable; arguments as (name,
    Anchor type). `optional` accounts at the end may be left out."""

    accounts: tuple[tuple[str, str], ...]
    args: tuple[tuple[str, Any], ...] = ()
    optional: int = 0


def _accounts(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (word.split(":") for word in text.split())
    return tuple((pair[0], pair[1] if len(pair) > 1 else "") for pair in pairs)


def _bytes(count: int) -> dict[str, Any]:
    return {"array": ["u8", count]}


_KEY = (("key", "publicKey"), ("expires", "i64"))
_RECORD = (("inputs", _bytes(INPUTS_BYTES)), ("frame", _bytes(FRAME_BYTES)))
_PEAKS = (("peaks", {"vec": _bytes(32)}),)
_PROOF = (("proof", {"vec": _bytes(32)}),)
_PLATFORM = "buffer:w record:w metadata:w system_program delegation_program"
_MAGIC = "magic_context:w magic_program fee_vault:w"

#: Every instruction but the delegation program's own callback (`UNDELEGATION`).
INSTRUCTIONS: Mapping[str, Instruction] = {
    # one frame
    "submit_input": Instruction(
        _accounts("signer:s session:w"), (("player", "u8"), ("frame", "u64"), ("input", _bytes(INPUT_BYTES)))
    ),
    "step": Instruction(_accounts("session:w scratch:w model"), (("frame", "u64"), ("step", "u8"))),
    # a model
    "create_model": Instruction(_accounts("authority:s model:w")),
    "write_chunk": Instruction(_accounts("authority:s model:w"), (("index", "u32"), ("data", "bytes"))),
    "hash_model": Instruction(_accounts("authority:s model:w"), (("pieces", "u32"),)),
    "freeze_model": Instruction(_accounts("authority:s model:w")),
    "close_model": Instruction(_accounts("authority:sw model:w")),
    # a session, on the base chain
    "create_session": Instruction(
        _accounts("creator:sw session:w model system_program"),
        (
            ("id", "u64"),
            ("ids", {"array": ["u16", 4]}),
            ("start", _bytes(32)),
            ("opponent", "publicKey"),
            ("validator", "publicKey"),
            *_KEY,
        ),
    ),
    "join_session": Instruction(_accounts("player:s session:w"), (("start", _bytes(32)), *_KEY)),
    "set_key": Instruction(_accounts("player:s session:w"), (("player", "u8"), *_KEY)),
    "delegate_session": Instruction(_accounts("creator:sw session:w owner_program " + _PLATFORM)),
    "end_session": Instruction(_accounts("party:s session:w")),
    "close_session": Instruction(_accounts("creator:sw session:w")),
    # a session, on the rollup
    "grow_scratch": Instruction(_accounts("party:s session:w scratch:w vault:w magic_program")),
    "close_scratch": Instruction(_accounts("party:s session:w scratch:w vault:w magic_program")),
    "open_window": Instruction(_accounts("party:s session scratch:w model"), _PEAKS),
    "seed_frame": Instruction(_accounts("party:s session:w scratch:w"), (("index", "u32"), *_RECORD)),
    "load_frame": Instruction(_accounts("session target:w"), (("leaf", "u64"), *_RECORD, *_PROOF)),
    "commit_session": Instruction(_accounts("party:sw session:w " + _MAGIC), optional=1),
    "undelegate_session": Instruction(_accounts("party:sw session:w " + _MAGIC), optional=1),
    # a dispute, on the base chain
    "open_dispute": Instruction(_accounts("disputer:s dispute:w session model"), (("frame", "u64"), *_PEAKS)),
    "judge": Instruction(_accounts("dispute:w model"), (("step", "u8"), *_RECORD, *_PROOF)),
    "close_dispute": Instruction(_accounts("disputer:sw dispute:w")),
}


def encode(name: str, **values: Any) -> bytes:
    """Data of an instruction; WmExportError for arguments that are not the instruction's."""
    args = INSTRUCTIONS[name].args
    if values.keys() != {arg for arg, _ in args}:
        raise WmExportError(f"{name}: got arguments {sorted(values)}, expected {[arg for arg, _ in args]}")
    return discriminator("global", name) + b"".join(_encoded(kind, values[arg]) for arg, kind in args)


def _encoded(kind: Any, value: Any) -> bytes:
    """A value as Borsh has it."""
    if isinstance(kind, str) and kind in _NUMBERS:
        return struct.pack("<" + _NUMBERS[kind], value)
    if kind in ("publicKey", "bytes"):
        return (struct.pack("<I", len(value)) if kind == "bytes" else b"") + bytes(value)
    if "vec" in kind:
        return struct.pack("<I", len(value)) + b"".join(_encoded(kind["vec"], item) for item in value)
    item, count = kind["array"]
    if len(value) != count:
        raise WmExportError(f"array of {count} {item} expected, got {len(value)}")
    return bytes(value) if item == "u8" else b"".join(_encoded(item, v) for v in value)


_NUMBERS = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i64": "q"}


def _instruction(name: str, about: Instruction) -> dict[str, Any]:
    def account(index: int, label: str, role: str) -> dict[str, Any]:
        given = {"name": label, "isMut": "w" in role, "isSigner": "s" in role}
        return given | ({"isOptional": True} if index >= len(about.accounts) - about.optional else {})

    return {
        "name": name,
        "accounts": [account(i, label, role) for i, (label, role) in enumerate(about.accounts)],
        "args": [{"name": arg, "type": kind} for arg, kind in about.args],
    }


def _account(name: str, fields: Mapping[str, int]) -> dict[str, Any]:
    """An account's fixed part; the tag is the discriminator and not listed."""
    types = {4: "u32", 8: "u64"}
    hashes = ("manifest", "digest", "start", "root")
    listed = [
        {"name": field, "type": types.get(size, _bytes(size) if field in hashes else "publicKey")}
        for field, size in fields.items()
        if field != "tag"
    ]
    return {"name": name, "type": {"kind": "struct", "fields": listed}}


def error_name(code: int) -> str:
    """Name of one of the program's own errors, empty if it is none."""
    names: Sequence[str] = list(ERRORS)
    return names[code - FIRST_ERROR] if 0 <= code - FIRST_ERROR < len(names) else ""


def idl() -> dict[str, Any]:
    """The IDL of the program, in the form that Anchor used up to 0.29."""
    accounts = {"Model": MODEL, "Session": SESSION, "Scratch": SCRATCH, "Dispute": DISPUTE}
    return {
        "version": "0.2.0",
        "name": "wmq",
        "instructions": [_instruction(name, about) for name, about in INSTRUCTIONS.items()],
        "accounts": [_account(name, fields) for name, fields in accounts.items()],
        "types": [],
        "errors": [
            {"code": FIRST_ERROR + i, "name": name, "msg": text} for i, (name, text) in enumerate(ERRORS.items())
        ],
    }
