"""Data of every instruction with arguments that tell every byte apart: what the decoder's tests in Rust read.

python -m tests.security.golden      write the file again
"""

from pathlib import Path
from typing import Any

from tests.records import SIZES
from wm_export.schema.instruction_set import INSTRUCTIONS, encode
from wm_export.schema.types import U8, Array, List, Number, Type

GOLDEN = Path(__file__).parents[2] / "onchain" / "program" / "tests" / "golden" / "instructions.txt"
_NUMBERS = {"u8": 1, "u16": 0x0102, "u32": 0x01020304, "u64": 0x0102030405060708, "i64": -2}


def value(kind: Type) -> Any:
    """The argument of a type, as `Args::golden` in onchain/program/tests/decode.rs has it."""
    kind = kind.sized(SIZES)
    if isinstance(kind, Number):
        return _NUMBERS[kind.name]
    if isinstance(kind, List):
        return bytes([9, 8, 7]) if kind.item == U8 else [bytes([1]) * 32, bytes([2]) * 32]
    if isinstance(kind, Array) and isinstance(kind.item, Number) and kind.item != U8:
        return [_NUMBERS[kind.item.name]] * kind.length
    return bytes(i % 256 for i in range(kind.size))


def text() -> str:
    """The file: a name and the instruction's data in hexadecimal, a line each."""
    samples = {name: {arg.name: value(arg.type) for arg in about.args} for name, about in INSTRUCTIONS.items()}
    return "".join(f"{name} {encode(name, **args).hex()}\n" for name, args in samples.items())


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(text())
