"""The interface as rows of tables, for the documents: accounts, players, instructions, errors."""

from collections.abc import Mapping, Sequence

from wm_export.schema.accounts import PLAYER, Account
from wm_export.schema.instruction_set import INSTRUCTIONS, Instruction, Role
from wm_export.schema.program_errors import ERRORS, FIRST_ERROR
from wm_export.schema.types import Field, Struct, is_there

Row = tuple[str, ...]
FIELD_HEAD = ("offset", "bytes", "name", "type", "holds")
INSTRUCTION_HEAD = ("instruction", "accounts", "data", "what it does")
ERROR_HEAD = ("code", "name", "meaning")


def field_rows(struct: Struct, sizes: Mapping[str, int]) -> list[Row]:
    """FIELD_HEAD of every field; `sizes` are the counts that the game decides."""
    return [_row(at, struct.field(name), sizes) for name, at in struct.offsets.items()]


def _row(at: int, field: Field, sizes: Mapping[str, int]) -> Row:
    kind = field.type.sized(sizes)
    return f"{at:,}", f"{kind.size:,}", f"`{field.name}`", kind.words, field.about


def account_rows(account: Account, sizes: Mapping[str, int], payload: Sequence[Row], length: int) -> list[Row]:
    """FIELD_HEAD of a whole account of `length` bytes: its fields, sections, and those that its network decides."""
    rows, at = field_rows(account, sizes), account.size
    for section in (one for one in account.sections if is_there(one.type, sizes)):
        rows.append(_row(at, section, sizes))
        at += -(-section.type.sized(sizes).size // 8) * 8
    return [*rows, *payload, (f"{length:,}", "", "(end)", "", "")]


def player_rows() -> list[Row]:
    """FIELD_HEAD of a seat in a session account."""
    return [*field_rows(PLAYER, {}), (f"{PLAYER.size:,}", "", "(end)", "", "")]


def instruction_rows(sizes: Mapping[str, int]) -> list[Row]:
    """INSTRUCTION_HEAD of every instruction that clients send."""
    return [_instruction(one, sizes) for one in INSTRUCTIONS.values()]


def _instruction(one: Instruction, sizes: Mapping[str, int]) -> Row:
    there = [arg for arg in one.args if is_there(arg.type, sizes)]
    data = ", ".join(f"`{arg.name}` {arg.type.sized(sizes).words}" for arg in there)
    return f"`{one.name}`", ", ".join(map(_role, one.accounts)), data, one.about


def _role(role: Role) -> str:
    letters = f" ({role.letters})" if role.letters else ""
    return f"{role.name}{letters}{', if any' if role.optional else ''}"


def error_rows() -> list[Row]:
    """ERROR_HEAD of every error."""
    return [(f"{FIRST_ERROR + i}", f"`{name}`", text) for i, (name, text) in enumerate(ERRORS.items())]
