"""What the accounts of a world take to be kept, part by part, and what smaller shapes would take. No node is asked.

Rent is the same for each byte, and nearly all bytes are weights: the sections of the blob say which layer they are of.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wm_export.errors import WmExportError
from wm_export.lower.lowered_program import Program
from wm_export.lower.lowering import lower
from wm_export.lower.unmetered import program_bytes
from wm_export.schema.accounts import PIN
from wm_export.solana.blob import shard_sizes, shards
from wm_export.solana.export import Export
from wm_export.solana.layout import SHARD_MAX, Layout, Section, layout
from wm_live.chain.fees import RENT_PER_BYTE, rent_exempt
from wm_live.chain.upgradeable import BUFFER_HEADER, PROGRAM_BYTES, PROGRAM_DATA_HEADER
from wm_live.chain.wallet import sol
from wm_live.session.instructions import scratch_deposit
from wm_live.session.spending import DELEGATION_BYTES
from wm_quant.presets import untrained
from wm_quant.qnet import QNet
from wm_train.config import MLPConfig, ModelConfig
from wm_train.errors import WmTrainError

NEVER = "never"
#: Sections of the weights that are named one by one; the others are one line.
MOST_SECTIONS = 4


@dataclass(frozen=True)
class RentPart:
    """Something that rent is paid for. rent: lamports; back: when they come back."""

    name: str
    bytes: int
    rent: int
    back: str


@dataclass(frozen=True)
class SmallerShape:
    """Another shape of the same network. how: what to change; rent: lamports for its program and weights."""

    how: str
    rent: int


@dataclass(frozen=True)
class WorldRent:
    """Rent of a world, whose program has `program_bytes`. sections: bytes of the weights by name, most first; smaller:
    shapes that take less."""

    program_bytes: int
    parts: Sequence[RentPart]
    sections: Mapping[str, int]
    smaller: Sequence[SmallerShape]

    @property
    def kept(self) -> int:
        """Lamports of what is never given back."""
        return _kept(self.parts)

    def to_json(self) -> dict[str, Any]:
        """For --json: all amounts in lamports."""
        return {
            "parts": [vars(part) for part in self.parts],
            "kept": self.kept,
            "sections": dict(self.sections),
            "smaller": [vars(one) for one in self.smaller],
        }

    def lines(self) -> list[str]:
        """The same for people, at most 80 characters wide."""
        out = [f"{'rent of each part':17} {'bytes':>11} {'SOL':>20}   comes back"]
        out += [f"{p.name:17} {p.bytes:>11,} {sol(p.rent):>20}   {p.back}" for p in self.parts]
        out += [f"{'for ever':17} {'':11} {sol(self.kept):>20}", "", "most of the weights"]
        for name, size in list(self.sections.items())[:MOST_SECTIONS]:
            out.append(f"  {name:15} {size:>11,} {sol(RENT_PER_BYTE * size):>20}")
        out += ["", "smaller, if trained so"] if self.smaller else []
        return out + [f"  {one.how:27} {sol(one.rent):>20}   for ever" for one in self.smaller]


def rent_of_shape(net: QNet, elf_bytes: int | None = None) -> WorldRent:
    """The rent of a world whose program has so many bytes, estimated unless told; no weight is looked at."""
    program = lower(net)
    sizes, sections = _weights(program)
    return _rent(net.model, layout(program, sizes), sections, elf_bytes or program_bytes(program))


def rent_of_export(export: Export, elf_bytes: int | None = None) -> WorldRent:
    """The rent of an export whose program has so many bytes; unless told those of the built one, or an estimate."""
    built = export.program.stat().st_size if export.program.exists() else program_bytes(export.lowered)
    return _rent(export.net.model, export.layout, _sizes(export.packed.sections.values()), elf_bytes or built)


def _rent(model: ModelConfig, where: Layout, sections: Mapping[str, int], elf_bytes: int) -> WorldRent:
    parts = _parts(where, elf_bytes)
    smaller = sorted(_smaller(model), key=lambda one: -one.rent)
    return WorldRent(elf_bytes, parts, sections, [one for one in smaller if one.rent < _kept(parts)])


def _kept(parts: Iterable[RentPart]) -> int:
    return sum(part.rent for part in parts if part.back == NEVER)


def _weights(program: Program) -> tuple[tuple[int, ...], Mapping[str, int]]:
    """(bytes of each shard, bytes of each section, most first)."""
    placed = shards(program.constants.values(), SHARD_MAX)
    return shard_sizes(program), _sizes(section for part in placed for section in part.values())


def _sizes(sections: Iterable[Section]) -> Mapping[str, int]:
    sizes = {section.name: section.width * section.count for section in sections}
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _parts(where: Layout, elf_bytes: int) -> list[RentPart]:
    data, buffer = PROGRAM_DATA_HEADER + elf_bytes, BUFFER_HEADER + elf_bytes
    program = RentPart("program", PROGRAM_BYTES + data, rent_exempt(PROGRAM_BYTES) + rent_exempt(data), NEVER)
    models = [RentPart("weights", size, rent_exempt(size), NEVER) for size in where.model_bytes]
    return [program, *models, RentPart("upload buffer", buffer, rent_exempt(buffer), "deployed"), *_of_a_game(where)]


def _of_a_game(where: Layout) -> Iterator[RentPart]:
    """What each game takes; its frames take nothing: a session keeps the current one, and a hash over all."""
    session, dispute = where.session_bytes, where.dispute_bytes
    yield RentPart("session", session, rent_exempt(session), "closed")
    yield RentPart("its work area", where.scratch_bytes, scratch_deposit(where), "closed")
    yield RentPart("its delegation", sum(DELEGATION_BYTES), sum(map(rent_exempt, DELEGATION_BYTES)), "given up")
    yield RentPart("its frames", 0, 0, "in your log")
    yield RentPart("a pin", PIN.size, rent_exempt(PIN.size), "unpinned")
    yield RentPart("a dispute", dispute, rent_exempt(dispute), "closed")


def _smaller(model: ModelConfig) -> Iterator[SmallerShape]:
    """Shapes with half of what makes bytes, their programs as estimated."""
    if not isinstance(model, MLPConfig):
        return
    slots, few = max(1, model.slots // 2), dict.fromkeys(model.layers, 4)
    hidden = model.hidden[0] // 2, model.hidden[1] // 2
    halved = f"slots: {slots}", f"hidden: [{hidden[0]}, {hidden[1]}]"
    for how, changes in (
        (halved[0], {"slots": slots}),
        (halved[1], {"hidden": hidden}),
        (", ".join(halved), {"slots": slots, "hidden": hidden}),
        ("INT4 layers (wmq bits)", {"bits": few}),
    ):
        try:
            program = lower(untrained(replace(model, **changes)))
        except (WmTrainError, WmExportError):  # no such network
            continue
        yield SmallerShape(how, _kept(_parts(layout(program, _weights(program)[0]), program_bytes(program))))
