"""Where each buffer of a program lies in the work area.

Every buffer has bytes of its own, in the order of the program, unless the program is compact: then buffers of a frame
that are not needed at the same time share bytes. Those of a session, and what ops keep, never do.

What a compact program leaves behind after a frame is less: `remaining` names the buffers that are still whole. Parity
compares those; a program that is not compact leaves every vector behind.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from wm_export.lower.lowered_program import Buffer, Program, padded

#: What buffers are aligned to, in bytes.
ALIGNMENT = 8


def size(buffer: Buffer) -> int:
    """Bytes of a buffer, padded to the alignment of the next."""
    return padded(buffer.width * buffer.count, ALIGNMENT)


@dataclass(frozen=True)
class Slot:
    """A buffer in its place: bytes start..end, needed by routines first..last of a frame."""

    start: int
    end: int
    first: int
    last: int

    def meets(self, other: "Slot") -> bool:
        """Whether the two need their bytes at the same time."""
        return self.first <= other.last and other.first <= self.last

    def overlaps(self, other: "Slot") -> bool:
        """Whether the two have bytes in common."""
        return self.start < other.end and other.start < self.end


def place(program: Program) -> dict[str, Slot]:
    """A Slot for every buffer; by name, in the order of the program."""
    always, live = (0, len(program.routines)), program.live() if program.compact else {}
    slots: dict[str, Slot] = {}
    for name in sorted(program.buffers, key=lambda name: name in live):
        slots[name] = _lowest(size(program.buffers[name]), live.get(name, always), slots)
    return {name: slots[name] for name in program.buffers}


def _lowest(bytes_: int, span: tuple[int, int], slots: Mapping[str, Slot]) -> Slot:
    """The lowest place that no buffer has which is needed at the same time."""
    start = 0
    taken = sorted((slot for slot in slots.values() if slot.meets(Slot(0, 0, *span))), key=lambda slot: slot.start)
    for slot in taken:
        if slot.start >= start + bytes_:
            break
        start = max(start, slot.end)
    return Slot(start, start + bytes_, *span)


def remaining(program: Program) -> list[str]:
    """The buffers that still hold, after a frame, what was last written to them."""
    slots = place(program)
    return [
        name
        for name, slot in slots.items()
        if not any(slot.overlaps(other) and other.first > slot.last for other in slots.values())
    ]
