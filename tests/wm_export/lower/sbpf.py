"""A kernel's assembly, run instruction by instruction in plain Python."""

import re
from collections.abc import Callable, Mapping

WORD = 2**64 - 1
#: Where memory and the frame's end are; everything else is out of bounds.
DATA, FRAME_END = 0x1000, 0x9_0000_0000
FRAME_BYTES = 4096


def signed(value: int) -> int:
    """The same 64 bits as a signed number."""
    return value - (1 << 64) if value >> 63 else value


ARITHMETIC: Mapping[str, Callable[[int, int], int]] = {
    "=": lambda a, b: b,
    "+=": lambda a, b: a + b,
    "-=": lambda a, b: a - b,
    "*=": lambda a, b: a * b,
    "&=": lambda a, b: a & b,
    "|=": lambda a, b: a | b,
    "^=": lambda a, b: a ^ b,
    "<<=": lambda a, b: a << b,
    ">>=": lambda a, b: a >> b,
    "s>>=": lambda a, b: signed(a) >> b,
}
LOAD = re.compile(r"r(\d) = \*\(u(\d+) \*\)\(r(\d+) ([+-]) (\d+)\)")
STORE = re.compile(r"\*\(u(\d+) \*\)\(r(\d+) ([+-]) (\d+)\) = (r?)(-?\d+)")
JUMP = re.compile(
    r"(?:if r(?P<left>\d+) (?P<test>==|!=|s?[<>]=?) (?P<right>r?-?\d+) )?goto (?P<label>\d+)(?P<way>[fb])"
)
TESTS: Mapping[str, Callable[[int, int], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "s>": lambda a, b: signed(a) > signed(b),
    "s<": lambda a, b: signed(a) < signed(b),
    "s<=": lambda a, b: signed(a) <= signed(b),
    "s>=": lambda a, b: signed(a) >= signed(b),
}
ALU = re.compile(r"r(\d) (=|s?[-+*&|^<>]+=) (r?)(-?\w+)( ll)?")


class Machine:
    """Registers, data and a stack frame."""

    def __init__(self, data: bytes) -> None:
        self.registers = [0] * 10 + [FRAME_END]
        self.areas = {DATA: bytearray(data), FRAME_END - FRAME_BYTES: bytearray(FRAME_BYTES)}
        self.spent = 0

    def place(self, base: int, offset: int, width: int) -> tuple[bytearray, slice]:
        """The bytes at r<base> + offset; an assertion where there are none."""
        address = self.registers[base] + offset
        start, area = max((start, area) for start, area in self.areas.items() if start <= address)
        assert address + width <= start + len(area), hex(address)
        return area, slice(address - start, address - start + width)

    def run(self, text: str, arguments: list[int]) -> int:
        """What a function returns; `spent` counts its instructions."""
        lines = [line for line in text.splitlines() if not line.startswith(("#", "."))]
        self.registers[1 : 1 + len(arguments)] = arguments
        at = 0
        while lines[at] != "exit":
            counted = not lines[at].endswith(":")
            self.spent += counted
            at = self.step(lines, at) if counted else at + 1
        self.spent += 1
        return self.registers[0]

    def jumps(self, jump: re.Match[str]) -> bool:
        """Does a jump leave the straight line?"""
        if jump["test"] is None:
            return True
        other = self.registers[int(jump["right"][1:])] if jump["right"][0] == "r" else int(jump["right"]) & WORD
        return TESTS[jump["test"]](self.registers[int(jump["left"])], other)

    def step(self, lines: list[str], at: int) -> int:
        """Run the instruction on line `at`; the number of the next line."""
        r, line = self.registers, lines[at]
        if found := LOAD.fullmatch(line):
            area, where = self.place(int(found[3]), int(found[4] + found[5]), int(found[2]) // 8)
            r[int(found[1])] = int.from_bytes(area[where], "little")
        elif found := STORE.fullmatch(line):
            width = int(found[1]) // 8
            area, where = self.place(int(found[2]), int(found[3] + found[4]), width)
            value = r[int(found[6])] if found[5] else int(found[6]) & WORD
            area[where] = value.to_bytes(8, "little")[:width]
        elif found := JUMP.fullmatch(line):
            if self.jumps(found):
                step = 1 if found["way"] == "f" else -1
                ways = range(at, len(lines) if step > 0 else -1, step)
                return next(i for i in ways if lines[i] == f"{found['label']}:")
        else:
            found = ALU.fullmatch(line)
            assert found, line
            other = r[int(found[4])] if found[3] else int(found[4], 0)
            r[int(found[1])] = ARITHMETIC[found[2]](r[int(found[1])], other) & WORD
        return at + 1
