"""The IDL in both specifications: read by the clients that each is for, and equal to what Python writes."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from anchorpy import Idl
from anchorpy.coder.accounts import AccountsCoder
from anchorpy.coder.instruction import InstructionCoder

from tests.records import SIZES
from tests.security.golden import value
from wm_export.schema.accounts import ACCOUNTS, PLAYER, SESSION, Account, discriminator
from wm_export.schema.idl import new_idl, old_idl
from wm_export.schema.instruction_set import INSTRUCTIONS, encode
from wm_export.schema.program_errors import ERRORS, FIRST_ERROR
from wm_export.schema.seeds import FIXED
from wm_export.schema.types import U64, Array, Enum, Struct, Type

CLIENT = Path(__file__).parent / "anchor_client.cjs"
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


@pytest.mark.parametrize("idl", [old_idl(SIZES), new_idl(SIZES)], ids=["old", "new"])
def test_accounts_are_as_long_as_their_fields(idl: Mapping[str, Any]) -> None:
    types = {one["name"]: one["type"] for one in [*idl["types"], *(a for a in idl["accounts"] if "type" in a)]}
    for account in ACCOUNTS.values():
        sections = sum(section.type.sized(SIZES).size for section in account.sections)
        assert 8 + _size({"defined": account.name}, types) == account.size + sections, account.name


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what anchorpy makes enums with
def test_anchorpy_reads_accounts() -> None:
    coder = AccountsCoder(Idl.from_json(json.dumps(old_idl(SIZES))))
    read = coder.decode(account_bytes(SESSION))
    assert (read.id, read.ids, read.frame_number, read.bump) == (2**60 + 1, [1, 2, 3, 0], 99, 254)
    assert type(read.status).__name__ == "Started" and bytes(read.model) == bytes([7]) * 32
    assert [player.expires for player in read.players] == [-2, -2] and len(read.frame) == 46
    for account in ACCOUNTS.values():
        assert coder.decode(account_bytes(account)).length == 4096


def test_anchorpy_reads_instructions() -> None:
    coder = InstructionCoder(Idl.from_json(json.dumps(old_idl(SIZES))))
    for name, about in INSTRUCTIONS.items():
        data = encode(name, **{arg.name: value(arg.type) for arg in about.args})
        parsed = coder.parse(data)
        read = {arg.name: getattr(parsed.data, arg.name) for arg in about.args}
        assert parsed.name == name
        assert encode(name, **{arg: bytes(v) if arg == "data" else v for arg, v in read.items()}) == data


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


def asked(anchor: Path, question: Mapping[str, Any]) -> dict[str, Any]:
    """What anchor_client.cjs answers."""
    paths = {**os.environ, "NODE_PATH": str(anchor / "node_modules")}
    done = subprocess.run(
        ["node", str(CLIENT)], input=json.dumps(question), text=True, capture_output=True, check=False, env=paths
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def _json(given: Any) -> Any:
    if isinstance(given, int):
        return str(given)
    return list(given) if isinstance(given, bytes) else [_json(one) for one in given]


def test_anchor_writes_and_reads_what_python_does(anchor: Path) -> None:
    given = {name: {arg.name: _shaped(arg.type) for arg in one.args} for name, one in INSTRUCTIONS.items()}
    question = {
        "idl": new_idl(SIZES),
        "instructions": {name: {arg: _json(v) for arg, v in args.items()} for name, args in given.items()},
        "accounts": {name: account_bytes(account).hex() for name, account in ACCOUNTS.items()},
    }
    answer = asked(anchor, question)
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
