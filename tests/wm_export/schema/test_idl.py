"""The IDL in both specifications: read by the clients that each is for, and equal to what Python writes."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.records import SIZES
from tests.security.golden import value
from wm_export.schema.accounts import ACCOUNTS, PLAYER, Account, discriminator
from wm_export.schema.idl import new_idl, old_idl
from wm_export.schema.instruction_set import INSTRUCTIONS, encode
from wm_export.schema.program_errors import ERRORS, FIRST_ERROR
from wm_export.schema.seeds import FIXED
from wm_export.schema.types import U64, Array, Enum, Struct, Type

CLIENT, ANCHORPY = (Path(__file__).parent / name for name in ("anchor_client.cjs", "anchorpy_answers.py"))
#: What accounts are filled with, by kind and field: the rest is zero.
FILLED: Mapping[str, Mapping[str, Any]] = {
    "Model": {"manifest": bytes(range(32)), "authority": bytes([5]) * 32, "pieces": 3, "frozen": True},
    "Session": {
        "model": bytes([7]) * 32, "id": 2**60 + 1, "ids": (1, 2, 3, 0), "frame_number": 99, "step": 2,
        "status": "started", "bump": 254,
    },
    "Scratch": {"session": bytes([9]) * 32, "frame_number": 5, "loaded": 10},
    "Pin": {"session": bytes([6]) * 32, "root": bytes(range(32)), "leaves": 12, "slot": 2**50},
    "Dispute": {"disputer": bytes([8]) * 32, "leaves": 12, "verdict": "wrong"},
}  # fmt: skip


def account_bytes(account: Account) -> bytes:
    """An account with FILLED fields; of its sections players have wallets of 3s, the rest counts up."""
    raw = account.head(4096, **FILLED[account.name])
    for section in account.sections:
        size = section.type.sized(SIZES).size
        raw += bytes(i % 251 for i in range(size)) if section.name != "players" else PLAYER.pack({"expires": -2}) * 2
    return raw


def test_types_are_those_of_the_fields() -> None:
    fields = {entry["name"]: entry["type"] for entry in old_idl(SIZES)["accounts"][1]["type"]["fields"]}
    assert fields["ids"] == {"array": ["u16", 4]} and fields["id"] == "u64" and fields["model"] == "publicKey"
    assert fields["root"] == {"array": ["u8", 32]} and fields["frame"] == {"array": ["i32", 46]}
    assert fields["status"] == {"defined": "Status"} and fields["status_padding"] == {"array": ["u8", 3]}
    assert fields["players"] == {"array": [{"defined": "Player"}, 2]}


#: Bytes of an IDL's own types, by Borsh's rules.
WIDTHS = {"bool": 1, "u8": 1, "u16": 2, "u32": 4, "i32": 4, "u64": 8, "i64": 8, "pubkey": 32, "publicKey": 32}


def _size(kind: Any, types: Mapping[str, Any]) -> int:
    """Bytes of an IDL's type."""
    if isinstance(kind, str):
        return WIDTHS[kind]
    if "array" in kind:
        return _size(kind["array"][0], types) * int(kind["array"][1])
    name = kind["defined"]["name"] if isinstance(kind["defined"], dict) else kind["defined"]
    about = types[name]
    return 1 if about["kind"] == "enum" else sum(_size(field["type"], types) for field in about["fields"])


def asked(command: Sequence[str], question: Mapping[str, Any], **environment: str) -> dict[str, Any]:
    """What a client answers."""
    known = os.environ | environment
    done = subprocess.run(command, input=json.dumps(question), text=True, capture_output=True, check=False, env=known)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("idl", [old_idl(SIZES), new_idl(SIZES)], ids=["old", "new"])
def test_accounts_are_as_long_as_their_fields(idl: Mapping[str, Any]) -> None:
    types = {one["name"]: one["type"] for one in [*idl["types"], *(a for a in idl["accounts"] if "type" in a)]}
    for account in ACCOUNTS.values():
        sections = sum(section.type.sized(SIZES).size for section in account.sections)
        assert 8 + _size({"defined": account.name}, types) == account.size + sections, account.name


def test_a_world_with_a_memory_says_so_and_no_other() -> None:
    args = {size: _arguments(old_idl({**SIZES, "MEMORY_DIGEST_BYTES": size}), "judge") for size in (0, 32)}
    assert args[32] == [*args[0][:-1], {"name": "memory", "type": {"array": ["u8", 32]}}, args[0][-1]]


def _arguments(idl: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return next(list(one["args"]) for one in idl["instructions"] if one["name"] == name)


# --- anchorpy, in an environment of its own ---


def test_anchorpy_reads_what_python_writes(anchorpy: Path) -> None:
    given = {name: {arg.name: value(arg.type) for arg in one.args} for name, one in INSTRUCTIONS.items()}
    question = {
        "idl": old_idl(SIZES),
        "accounts": {name: account_bytes(account).hex() for name, account in ACCOUNTS.items()},
        "instructions": {name: encode(name, **args).hex() for name, args in given.items()},
    }
    answer = asked([str(anchorpy), str(ANCHORPY)], question)
    session = answer["accounts"]["Session"]
    assert (session["id"], session["ids"], session["bump"]) == (2**60 + 1, [1, 2, 3, 0], 254)
    assert session["status"] == "Started" and session["model"] == "07" * 32 and len(session["frame"]) == 46
    assert [player["expires"] for player in session["players"]] == [-2, -2]
    assert all(account["length"] == 4096 for account in answer["accounts"].values())
    for name, args in given.items():
        read = answer["instructions"][name]
        assert read["name"] == name
        # An argument without bytes, as the digest of a memory that there is not, is in no IDL.
        shown = {arg: _read(read["args"].get(arg, "")) for arg in args}
        assert {*args} - {*read["args"]} <= {"memory"} and encode(name, **shown) == encode(name, **args), name


def _read(shown: Any) -> Any:
    """An argument, from what anchorpy_answers.py shows of it."""
    if isinstance(shown, list):
        return [_read(one) for one in shown]
    return bytes.fromhex(shown) if isinstance(shown, str) else shown


# --- the specification 0.1.0, as Anchor's own types (IdlTypes, 0.30 on) have it ---

KNOWN = {
    "idl": {"address", "metadata", "instructions", "accounts", "errors", "types"},
    "metadata": {"name", "version", "spec", "description"},
    "instruction": {"name", "docs", "discriminator", "accounts", "args"},
    "account": {"name", "writable", "signer", "optional", "address", "pda"},
}


def test_the_new_specification_has_its_keys() -> None:
    idl = new_idl(SIZES)
    assert idl.keys() == KNOWN["idl"] and idl["metadata"].keys() == KNOWN["metadata"]
    assert idl["metadata"]["spec"] == "0.1.0"
    for one in idl["instructions"]:
        assert one.keys() == KNOWN["instruction"]
        assert one["discriminator"] == list(discriminator("global", one["name"]))
        assert all(account.keys() <= KNOWN["account"] for account in one["accounts"])
        assert all(account.get(flag, True) is True for account in one["accounts"] for flag in ("writable", "signer"))
    assert {one["name"]: bytes(one["discriminator"]) for one in idl["accounts"]} == {
        account.name: account.tag for account in ACCOUNTS.values()
    }
    assert {one["name"] for one in idl["types"]} >= set(ACCOUNTS)
    assert [(one["code"], one["name"]) for one in idl["errors"]] == list(enumerate(ERRORS, FIRST_ERROR))


def test_what_a_client_need_not_be_told() -> None:
    idl = {
        one["name"]: {account["name"]: account for account in one["accounts"]} for one in new_idl(SIZES)["instructions"]
    }
    made = idl["close_empty"]["session"]["pda"]["seeds"]
    assert [seed.get("path") or bytes(seed["value"]) for seed in made] == [b"session", "model", "creator", "terms"]
    assert idl["grow_scratch"]["magic_program"]["address"] == FIXED["magic_program"]
    assert idl["delegate_session"]["record"]["pda"]["program"] == {"kind": "account", "path": "delegation_program"}
    assert "pda" not in idl["step"]["session"] and "pda" in idl["grow_scratch"]["scratch"]
    pinned = idl["pin_commit"]["pin"]["pda"]["seeds"]
    assert [seed.get("path") or bytes(seed["value"]) for seed in pinned] == [b"pin", "session", "pinner", "root"]
    assert idl["commit_session"]["fee_vault"]["optional"] is True


# --- Anchor's own client ---


def _json(given: Any) -> Any:
    if isinstance(given, int):
        return str(given)
    return list(given) if isinstance(given, bytes) else [_json(one) for one in given]


def test_anchor_writes_and_reads_what_python_does(anchor: Path) -> None:
    given = {name: {arg.name: _shaped(arg.type) for arg in one.args} for name, one in INSTRUCTIONS.items()}
    question = {
        "idl": new_idl(SIZES),
        "instructions": {name: {arg: _json(v) for arg, v in args.items() if v != b""} for name, args in given.items()},
        "accounts": {name: account_bytes(account).hex() for name, account in ACCOUNTS.items()},
    }
    answer = asked(["node", str(CLIENT)], question, NODE_PATH=str(anchor / "node_modules"))
    assert answer["methods"] == len(INSTRUCTIONS)
    assert answer["instructions"] == {name: encode(name, **args).hex() for name, args in given.items()}
    for name, filled in FILLED.items():
        for field, one in filled.items():
            assert answer["accounts"][name][field] == _seen(ACCOUNTS[name], field, one), (name, field)


def _shaped(kind: Type) -> Any:
    """A value whose arrays of arrays are lists, as a client in JavaScript gives them."""
    kind = kind.sized(SIZES)
    if isinstance(kind, Array) and isinstance(kind.item, Array):
        return [value(kind.item) for _ in range(kind.length)]
    return value(kind)


def _seen(struct: Struct, field: str, given: Any) -> Any:
    """As anchor_client.cjs prints it: 64-bit numbers as text, bytes in hexadecimal, enums by their variant."""
    kind = struct.field(field).type
    if kind == U64:
        return str(given)
    if isinstance(getattr(kind, "low", None), Enum):
        return {given.capitalize(): {}}
    return given.hex() if isinstance(given, bytes) else list(given) if isinstance(given, tuple) else given
