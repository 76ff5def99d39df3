"""A program's constants as weight bytes, in the order the kernels read them.

<matvec>.words        u64: three INT8 or INT10 rows a word, 21-bit lanes, or four INT4 or INT5 rows, 16-bit lanes, or
                      two INT16 rows, 32-bit lanes; column block by column block, in each the full groups of six words a
                      column and then the smaller last group; see onchain/kernels/src/matvec.rs. Where the kernel
                      multiplies its sums down, a group ends with the shift, and a multiplier and a constant of each row
<matvec>.bias         i64, padded with zeros (not for the first op: its bias is folded into the session's)
gather.rows           u64: seven bytes a word, entry + 128; one neutral row more than the tables have
gather.k              u32
<requantize>.mult     u32, padded with zeros
<requantize>.scales   u64: of a gate and its norm the table, eps and the roots, both shifts, a multiplier for each value
<rmsnorm>.roots       i64: what is added to the sum of squares, then a root for each mantissa
<conv>.filters        u64: three words a channel: its taps in two, and its bias. Where its sums are looked up, of each
                      run of channels that share a table: the table, the shift, and four words a channel, its taps,
                      its multiplier and a constant; see onchain/kernels/src/conv.rs
<ssm>.tables          u64: of each head decay and gain for each code of dt, and its skip; see onchain/kernels/src/ssm.rs
<lut>.table           u16: entries + 2^15
layer1.session        i32: tables of the session's ids; layer1.bias i32: together they make a session's bias

A blob that is larger than one model account lies in several, its *shards*. A section lies in one shard, whole.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wm_export.errors import WmExportError
from wm_export.lower.lowered_program import Constant, Program
from wm_export.solana.layout import SHARD_MAX, Section, sections


@dataclass(frozen=True)
class Blob:
    """The bytes of each shard, and where each section lies: its shard, and its place in there.

    most    bytes that a shard was allowed to have
    """

    shards: tuple[bytes, ...]
    sections: Mapping[str, Section]
    shard_of: Mapping[str, int]
    most: int

    @property
    def data(self) -> bytes:
        """All shards, one after the other."""
        return b"".join(self.shards)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Bytes of each shard."""
        return tuple(map(len, self.shards))

    def start(self, name: str) -> int:
        """Where a section begins in `data`."""
        return sum(self.sizes[: self.shard_of[name]]) + self.sections[name].offset

    def sha256(self, name: str) -> str:
        """Hash of one section."""
        section = self.sections[name]
        raw = self.shards[self.shard_of[name]]
        return hashlib.sha256(raw[section.offset : section.offset + section.width * section.count]).hexdigest()


def shards(constants: Iterable[Constant], most: int) -> list[dict[str, Section]]:
    """The sections of each shard of at most `most` bytes: in order, a new shard where the next does not fit."""
    out: list[list[tuple[str, int, int]]] = [[]]
    end = 0
    for constant in constants:
        part = (constant.name, constant.width, constant.count)
        size = Section("", 0, constant.width, constant.count).end
        if size > most:
            raise WmExportError(
                f"export: section {constant.name} of the weights has {size} bytes, at most {most} lie in one model "
                "account; choose smaller hidden layers or fewer slots"
            )
        if end + size > most:
            out.append([])
            end = 0
        out[-1].append(part)
        end += size
    return [sections(0, parts) for parts in out]


def shard_sizes(program: Program) -> tuple[int, ...]:
    """Bytes of each shard of a program's blob; no weight is looked at."""
    placed = shards(program.constants.values(), SHARD_MAX)
    return tuple(max(section.end for section in part.values()) for part in placed)


def pack(program: Program, most: int = SHARD_MAX) -> Blob:
    """The blob of a program, in shards of at most `most` bytes: the same bytes for the same integers, always."""
    placed = shards(program.constants.values(), most)
    return Blob(
        tuple(_shard(program, where) for where in placed),
        {name: section for where in placed for name, section in where.items()},
        {name: index for index, where in enumerate(placed) for name in where},
        most,
    )


def _shard(program: Program, where: Mapping[str, Section]) -> bytes:
    data = bytearray(list(where.values())[-1].end)
    for name, section in where.items():
        raw = program.constants[name].bytes()
        data[section.offset : section.offset + len(raw)] = raw
    return bytes(data)
