"""Data of every instruction with arguments that tell every byte apart: what the decoder's tests in Rust read.

python -m tests.security.golden      write the file again
"""

from pathlib import Path
from typing import Any

from wm_export.idl import INSTRUCTIONS, encode

GOLDEN = Path(__file__).parents[2] / "onchain" / "program" / "tests" / "golden" / "instructions.txt"
_NUMBERS = {"u8": 1, "u16": 0x0102, "u32": 0x01020304, "u64": 0x0102030405060708, "i64": -2}


def value(kind: Any) -> Any:
    """The argument of a type, as `Args::golden` in onchain/program/tests/decode.rs has it."""
    if isinstance(kind, str):
        others = {"publicKey": bytes(range(32)), "bytes": bytes([9, 8, 7])}
        return _NUMBERS.get(kind, others.get(kind))
    if "vec" in kind:
        return [bytes([1]) * 32, bytes([2]) * 32]
    item, count = kind["array"]
    return bytes(range(count)) if item == "u8" else [_NUMBERS[item]] * count


def text() -> str:
    """The file: a name and the instruction's data in hexadecimal, a line each."""
    samples = {name: {arg: value(kind) for arg, kind in about.args} for name, about in INSTRUCTIONS.items()}
    return "".join(f"{name} {encode(name, **args).hex()}\n" for name, args in samples.items())


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(text())
