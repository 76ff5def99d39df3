"""Run by anchorpy's environment: reads {idl, accounts, instructions} from standard input, data in hexadecimal, and
answers with what anchorpy makes of each."""

import json
import sys
import warnings
from dataclasses import fields, is_dataclass
from typing import Any

warnings.simplefilter("ignore")  # what anchorpy makes enums with is old

from anchorpy import Idl  # noqa: E402
from anchorpy.coder.accounts import AccountsCoder  # noqa: E402
from anchorpy.coder.instruction import InstructionCoder  # noqa: E402
from solders.pubkey import Pubkey  # noqa: E402


def shown(value: Any) -> Any:
    """A decoded value as JSON: bytes and addresses in hexadecimal, an enum by the name of its variant."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, bytes | bytearray | Pubkey):
        return bytes(value).hex()
    if isinstance(value, list | tuple):
        return [shown(one) for one in value]
    if is_dataclass(value):
        return {field.name: shown(getattr(value, field.name)) for field in fields(value)}
    return type(value).__name__


def args(name: str, data: Any) -> dict[str, Any]:
    """Arguments of an instruction, by name."""
    named = next(one.args for one in idl.instructions if one.name == name)
    return {arg.name: shown(getattr(data, arg.name)) for arg in named}


question = json.load(sys.stdin)
idl = Idl.from_json(json.dumps(question["idl"]))
accounts, instructions = AccountsCoder(idl), InstructionCoder(idl)
parsed = {name: instructions.parse(bytes.fromhex(data)) for name, data in question["instructions"].items()}
answer = {
    "accounts": {name: shown(accounts.decode(bytes.fromhex(data))) for name, data in question["accounts"].items()},
    "instructions": {name: {"name": one.name, "args": args(name, one.data)} for name, one in parsed.items()},
}
print(json.dumps(answer))
