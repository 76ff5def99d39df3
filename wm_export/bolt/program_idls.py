"""IDLs of a workspace's programs, as `anchor build` would leave them in target/idl: Anchor's specification 0.1.0.

Members of components are those of components.py. What else a component or system has is written by BOLT 0.2.4's macros;
their instructions stand here as they are there.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wm_export.bolt.components import CLOCK, Component, Member
from wm_export.bolt.slices import INPUTS, Slice
from wm_export.schema.accounts import discriminator
from wm_export.schema.seeds import FIXED

Json = dict[str, Any]
#: Numbers of an Anchor program's own errors begin here.
FIRST_ERROR = 6000
#: Accounts whose address is always the same.
KNOWN = {**FIXED, "instruction_sysvar_account": "Sysvar1nstructions1111111111111111111111111"}
#: Names of accounts that sign, or that are written, wherever they stand.
SIGN, WRITTEN = "signer", "writable"


@dataclass(frozen=True)
class Call:
    """An instruction: accounts as `name`, `name signer`, `name writable` or all three; arguments by name and type."""

    name: str
    accounts: Sequence[str]
    args: Mapping[str, Any]

    def to_json(self) -> Json:
        """As an IDL has it."""
        return {
            "name": self.name,
            "discriminator": list(discriminator("global", self.name)),
            "accounts": [_account(text) for text in self.accounts],
            "args": [{"name": name, "type": kind} for name, kind in self.args.items()],
        }


def _account(text: str) -> Json:
    name, *flags = text.split()
    given: Json = {"name": name} | {flag: True for flag in (WRITTEN, SIGN) if flag in flags}
    return given | ({"address": KNOWN[name]} if name in KNOWN else {})


# BOLT's macro does not say that the payer is written, who pays for the buffer.
_DELEGATE = Call(
    "delegate",
    (
        "payer writable signer",
        "entity",
        "account writable",
        "owner_program",
        "buffer writable",
        "delegation_record writable",
        "delegation_metadata writable",
        "delegation_program",
        "system_program",
    ),
    {"commit_frequency_ms": "u32", "validator": {"option": "pubkey"}},
)
_UNDELEGATE = Call(
    "undelegate",
    ("payer writable signer", "delegated_account writable", "magic_context writable", "magic_program"),
    {},
)
#: What #[component(delegate)] writes.
COMPONENT_CALLS = (
    Call(
        "initialize",
        (
            "payer writable signer",
            "data writable",
            "entity",
            "authority",
            "instruction_sysvar_account",
            "system_program",
        ),
        {},
    ),
    Call("update", ("bolt_component writable", "authority signer", "instruction_sysvar_account"), {"data": "bytes"}),
    Call(
        "update_with_session",
        ("bolt_component writable", "authority signer", "instruction_sysvar_account", "session_token"),
        {"data": "bytes"},
    ),
    Call(
        "destroy",
        (
            "authority signer",
            "receiver writable",
            "entity",
            "component writable",
            "component_program_data",
            "instruction_sysvar_account",
            "system_program",
        ),
        {},
    ),
    _DELEGATE,
    Call(
        "process_undelegation",
        ("delegated_account writable", "buffer", "payer writable", "system_program"),
        {"account_seeds": {"vec": "bytes"}},
    ),
    _UNDELEGATE,
)
#: How an account of a system goes to a rollup and comes back (templates/delegation.rs).
_DELEGATION_CALLS = (
    _DELEGATE,
    _UNDELEGATE,
    Call(
        "process_undelegation",
        ("delegated_account writable", "buffer signer", "payer writable", "system_program"),
        {"seeds": {"vec": "bytes"}},
    ),
)
#: What `inputs` has beside a system's own (templates/inputs.rs).
WINDOW_CALLS = (
    Call("open", ("payer writable signer", "entity", "window writable", "system_program"), {}),
    *_DELEGATION_CALLS,
)
#: What a system has whose network keeps something from frame to frame (templates/memory.rs).
MEMORY_CALLS = (
    *(
        Call(name, ("payer writable signer", "entity", "memory writable", "system_program"), {})
        for name in ("open", "grow")
    ),
    *_DELEGATION_CALLS,
)
#: The program of weights (templates/weights.rs).
WEIGHTS_CALLS = (
    Call("begin", ("authority signer", "weights writable"), {}),
    Call("write", ("authority signer", "weights writable"), {"offset": "u32", "bytes": "bytes"}),
    Call("hash", ("authority signer", "weights writable"), {}),
)
_METADATA = {"name": "BoltMetadata", "type": {"kind": "struct", "fields": [{"name": "authority", "type": "pubkey"}]}}


def component_idl(one: Component, address: str) -> str:
    """Of a component's program."""
    fields = [{"name": it.name, "docs": [it.about], "type": _type(it)} for it in one.members]
    fields.append({"name": "bolt_metadata", "type": {"defined": {"name": "BoltMetadata"}}})
    struct = {"name": one.struct, "type": {"kind": "struct", "fields": fields}}
    errors = [_error("NotItsTurn", "another system has the turn")] if one.name == CLOCK else []
    accounts = [{"name": one.struct, "discriminator": list(one.tag)}]
    about = f"Component of a match: {one.about}"
    return _text(one.name, address, about, COMPONENT_CALLS, errors, accounts, [struct, _METADATA])


def system_idl(one: Slice, address: str) -> str:
    """Of a system's program. Of the accounts that it makes there are no types: clients have no use for these."""
    components = tuple(component.name for component in one.components)
    given = {"args": "bytes"}
    keeps = bool(one.network and one.network.memory_bytes)
    extras = ["window writable"] if one.key == INPUTS else ["window"]
    extras += [*["weights"] * bool(one.network), *["memory writable"] * keeps]
    calls = (
        Call("execute", (*components, "authority"), given),
        Call("bolt_execute", ("authority",), given),
        Call("init_extra_accounts", extras, {}),
        *(WINDOW_CALLS if one.key == INPUTS else ()),
        *(MEMORY_CALLS if keeps else ()),
    )
    return _text(one.key, address, f"System {one.key} of a match", calls)


def weights_idl(name: str, address: str) -> str:
    """Of the program of weights."""
    return _text(name, address, "Weights of networks, sealed", WEIGHTS_CALLS)


def _type(member: Member) -> Any:
    kind: Any = member.dtype
    for length in reversed(member.shape):
        kind = {"array": [kind, length]}
    return kind


def _error(name: str, words: str) -> Json:
    return {"code": FIRST_ERROR, "name": name, "msg": words}


def _text(
    name: str,
    address: str,
    about: str,
    calls: Iterable[Call],
    errors: Sequence[Json] = (),
    accounts: Sequence[Json] = (),
    types: Sequence[Json] = (),
) -> str:
    idl: Json = {
        "address": address,
        "metadata": {"name": name, "version": "0.1.0", "spec": "0.1.0", "description": about},
        "instructions": [call.to_json() for call in calls],
    }
    idl |= {key: list(found) for key, found in (("accounts", accounts), ("errors", errors), ("types", types)) if found}
    return json.dumps(idl, indent=1) + "\n"
