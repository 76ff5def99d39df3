"""The program's interface in Anchor's IDL format, so that anchorpy and explorers can read its transactions."""

from collections.abc import Mapping
from typing import Any

from wm_export.layout import AXES, MODEL, SCRATCH, SESSION
from wm_train.frames import PLAYERS

#: Errors of onchain/program/src/error.rs, in order from FIRST_ERROR on; a test holds the two together.
ERRORS: Mapping[str, str] = {
    "WrongTag": "the account does not start with the tag of its kind",
    "WrongVersion": "the account was written by another version of this program",
    "WrongLength": "the account is not as long as this world needs, or not as long as it says",
    "WrongManifest": "the account belongs to a model with another manifest",
    "WrongAccount": "the session does not name this account, or the account another session",
    "SameAccount": "session and scratch are one account",
    "WrongAuthority": "the signer is not the session's authority",
    "WrongFrame": "the frame is not the session's current one",
    "WrongStep": "the step is not the next one of the frame",
    "WrongInput": "an input lies outside what a controller can send",
}
FIRST_ERROR = 6000

_INPUT = {
    "name": "Input",
    "type": {
        "kind": "struct",
        "fields": [
            {"name": "axes", "type": {"array": ["i8", AXES]}},
            {"name": "buttons", "type": "u8"},
        ],
    },
}

_STEP = {
    "name": "step",
    "accounts": [
        {"name": "authority", "isMut": False, "isSigner": True},
        {"name": "session", "isMut": True, "isSigner": False},
        {"name": "scratch", "isMut": True, "isSigner": False},
        {"name": "model", "isMut": False, "isSigner": False},
    ],
    "args": [
        {"name": "frame", "type": "u64"},
        {"name": "step", "type": "u8"},
        {"name": "inputs", "type": {"array": [{"defined": "Input"}, PLAYERS]}},
    ],
}


def _account(name: str, fields: Mapping[str, int]) -> dict[str, Any]:
    """An account's header; the tag is the discriminator and not listed."""
    types = {4: "u32", 8: "u64"}
    listed = [
        {"name": field, "type": types.get(size, "publicKey" if field != "manifest" else {"array": ["u8", 32]})}
        for field, size in fields.items()
        if field != "tag"
    ]
    return {"name": name, "type": {"kind": "struct", "fields": listed}}


def idl() -> dict[str, Any]:
    """The IDL of the program, in the form that Anchor used up to 0.29."""
    return {
        "version": "0.1.0",
        "name": "wmq",
        "instructions": [_STEP],
        "accounts": [_account("Model", MODEL), _account("Session", SESSION), _account("Scratch", SCRATCH)],
        "types": [_INPUT],
        "errors": [
            {"code": FIRST_ERROR + i, "name": name, "msg": text} for i, (name, text) in enumerate(ERRORS.items())
        ],
    }
