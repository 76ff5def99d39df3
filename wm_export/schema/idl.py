"""The interface as an IDL, so that clients and explorers can read accounts and transactions.

    old_idl     Anchor's specification up to 0.29, which anchorpy reads
    new_idl     Anchor's specification 0.1.0, from 0.30 on, which @coral-xyz/anchor and explorers read

The program does not use Anchor; tags and discriminators follow its rule. Of an account the IDL has everything whose
place no network decides: not a model's chunk marks and blob, not the work area.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from wm_export.schema.accounts import ACCOUNTS, ENUMS, PLAYER, Account
from wm_export.schema.instruction_set import INSTRUCTIONS, Instruction, Role
from wm_export.schema.program_errors import ERRORS, FIRST_ERROR
from wm_export.schema.seeds import DERIVED, FIXED, SYSTEM_PROGRAM
from wm_export.schema.types import NEW, OLD, U8, Array, Dialect, Enum, Field, Word, is_there

NAME, VERSION = "wmq", "0.2.0"
ABOUT = "A world on chain: models, sessions that advance frame by frame, and disputes over single frames"


def old_idl(sizes: Mapping[str, int]) -> dict[str, Any]:
    """The IDL up to Anchor 0.29; `sizes` are the counts that the game decides (records.SIZES)."""
    return {
        "version": VERSION,
        "name": NAME,
        "instructions": [_old_instruction(one, sizes) for one in INSTRUCTIONS.values()],
        "accounts": [_defined(account.name, _account_fields(account), OLD, sizes) for account in ACCOUNTS.values()],
        "types": _own_types(OLD, sizes),
        "errors": _errors(),
    }


def new_idl(sizes: Mapping[str, int]) -> dict[str, Any]:
    """The IDL from Anchor 0.30 on. Its address is that of no program: who deploys one fills in where it lies."""
    accounts = [_defined(account.name, _account_fields(account), NEW, sizes) for account in ACCOUNTS.values()]
    return {
        "address": SYSTEM_PROGRAM,
        "metadata": {"name": NAME, "version": VERSION, "spec": "0.1.0", "description": ABOUT},
        "instructions": [_new_instruction(one, sizes) for one in INSTRUCTIONS.values()],
        "accounts": [{"name": one.name, "discriminator": list(one.tag)} for one in ACCOUNTS.values()],
        "errors": _errors(),
        "types": accounts + _own_types(NEW, sizes),
    }


def _errors() -> list[dict[str, Any]]:
    return [{"code": FIRST_ERROR + i, "name": name, "msg": text} for i, (name, text) in enumerate(ERRORS.items())]


def _account_fields(account: Account) -> list[Field]:
    """Without the tag, which is the discriminator."""
    return [*(field for field in account.fields if field.name != "tag"), *account.sections]


def _own_types(dialect: Dialect, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    return [_defined(PLAYER.name, PLAYER.fields, dialect, sizes), *(_enum(one) for one in ENUMS)]


def _enum(kind: Enum) -> dict[str, Any]:
    return {"name": kind.name, "type": {"kind": "enum", "variants": [{"name": name} for name, _ in kind.variants]}}


def _defined(name: str, fields: Iterable[Field], dialect: Dialect, sizes: Mapping[str, int]) -> dict[str, Any]:
    there = [field for field in fields if is_there(field.type, sizes)]
    listed = [entry for field in there for entry in _entries(field, dialect, sizes)]
    return {"name": name, "type": {"kind": "struct", "fields": listed}}


def _entries(field: Field, dialect: Dialect, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """A field, and the padding behind it if it is narrower than its place."""
    entry = {"name": field.name, "type": field.type.sized(sizes).idl(dialect)}
    if isinstance(field.type, Word):
        padding = Array(U8, field.type.padding).idl(dialect)
        return [entry, {"name": f"{field.name}_padding", "type": padding}]
    return [entry]


def _args(one: Instruction, dialect: Dialect, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    there = [arg for arg in one.args if is_there(arg.type, sizes)]
    return [{"name": arg.name, "type": arg.type.sized(sizes).idl(dialect)} for arg in there]


def _old_instruction(one: Instruction, sizes: Mapping[str, int]) -> dict[str, Any]:
    def account(role: Role) -> dict[str, Any]:
        given = {"name": role.name, "isMut": role.writable, "isSigner": role.signer}
        return given | ({"isOptional": True} if role.optional else {})

    accounts = [account(role) for role in one.accounts]
    return {"name": one.name, "docs": [one.about], "accounts": accounts, "args": _args(one, OLD, sizes)}


def _new_instruction(one: Instruction, sizes: Mapping[str, int]) -> dict[str, Any]:
    def account(role: Role) -> dict[str, Any]:
        flags = {"writable": role.writable, "signer": role.signer, "optional": role.optional}
        given = {"name": role.name} | {name: True for name, holds in flags.items() if holds}
        return given | _known(role, one)

    return {
        "name": one.name,
        "docs": [one.about],
        "discriminator": list(one.discriminator),
        "accounts": [account(role) for role in one.accounts],
        "args": _args(one, NEW, sizes),
    }


def _known(role: Role, one: Instruction) -> dict[str, Any]:
    """What a client need not be told: a fixed address, or seeds that are other accounts or arguments."""
    if role.name in FIXED:
        return {"address": FIXED[role.name]}
    rule = DERIVED.get(role.name)
    names = {other.name for other in one.accounts} | {arg.name for arg in one.args}
    if rule is None or not {*rule.names} <= names:
        return {}
    seeds: list[dict[str, Any]] = [{"kind": "const", "value": list(rule.label.encode())}]
    seeds += [{"kind": "account", "path": name} for name in rule.accounts]
    seeds += [{"kind": "arg", "path": name} for name in rule.hashes + rule.numbers]
    program = {"program": {"kind": "account", "path": rule.program}} if rule.program else {}
    return {"pda": {"seeds": seeds} | program}
