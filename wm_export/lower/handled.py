"""What each routine of a frame handles: which layer it is of, bytes of weights, memory and work area, cells, elements.

A constant is named after its op, so is what an op keeps, and an op says which vector it writes: the bytes of a program
are shared out by that. What no op owns is the world's, and counts with its first routine. The parts of an op that was
cut share its bytes by their row groups.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from wm_export.lower.lowered_program import Program, Routine
from wm_export.lower.placement import size
from wm_quant.ops.base import Op
from wm_quant.qnet import QNet

#: The layer of what belongs to no layer of a network.
WORLD = "world"


@dataclass(frozen=True)
class Handled:
    """One routine's share.

    layer     the layer of the model, or its block, as `blocks.0`; WORLD for the world's own
    cells     state cells that it moves on by a frame
    elements  values that it writes
    weights, memory, work    bytes of the blob, of what it keeps from frame to frame, of other buffers that it fills
    """

    layer: str
    cells: int = 0
    elements: int = 0
    weights: int = 0
    memory: int = 0
    work: int = 0

    def unit(self, macs: int) -> tuple[str, int]:
        """What its cost is counted by, and how many there are: MACs, cells or elements; ("", 0) for the world's."""
        units = ("MAC", macs), ("cell", self.cells), ("element", self.elements)
        return next(((name, count) for name, count in units if count), ("", 0))

    def and_then(self, other: "Handled") -> "Handled":
        """Both as one, which ends in what the other writes."""
        sums = (self.weights + other.weights, self.memory + other.memory, self.work + other.work)
        return Handled(self.layer, self.cells + other.cells, other.elements, *sums)

    def part(self, before: int, upto: int, of: int) -> "Handled":
        """The share of row groups before..upto of so many."""

        def share(whole: int) -> int:
            return whole * upto // of - whole * before // of

        counts = (self.cells, self.elements, self.weights, self.memory, self.work)
        return Handled(self.layer, *map(share, counts))


def handled(net: QNet, program: Program) -> list[Handled]:
    """A Handled for each routine of the program that was lowered from the network, in order."""
    names = [_op_name(routine, net) for routine in program.routines]
    whole = _whole(net, program, names)
    return [whole[name].part(*part) for name, part in _parts(names, program.routines)]


def _whole(net: QNet, program: Program, names: Collection[str]) -> dict[str, Handled]:
    """Of each op that a routine is named after, with those behind it that have none; and of the world's routines."""
    layers, sizes = _layers(net), {name: size(buffer) for name, buffer in program.buffers.items()}
    found: dict[str, Handled] = {}
    written = set[str]()
    owner = ""
    for op in net.ops:
        owner = op.name if op.name in names else owner
        own = Handled(
            layers[op.name],
            op.state_cells(net),
            op.size,
            sum(it.width * it.count for it in program.constants.values() if it.name.rpartition(".")[0] == op.name),
            sizes.get(op.kept, 0),
            0 if op.out in written else sizes.get(op.out, 0),
        )
        found[owner] = found[owner].and_then(own) if owner in found else own
        written.update((op.out, op.kept))
    rest = sum(bytes_ for name, bytes_ in sizes.items() if name not in written)
    world = [routine.name for routine in program.routines if routine.is_rule]
    return found | {name: Handled(WORLD, work=rest if name == world[0] else 0) for name in world}


def _layers(net: QNet) -> dict[str, str]:
    """The layer of each op: its block; or the last product before it, but behind a block the product that follows."""
    ends = [name for name in net.model.layers if "." not in name]
    found: dict[str, str] = {}
    layer = ends[0]
    for op in net.ops:
        layer = _layer(op, layer, ends)
        found[op.name] = layer
    return found


def _layer(op: Op, before: str, ends: Sequence[str]) -> str:
    block = op.name.rpartition(".")[0]
    if block or op.name in ends:
        return block or op.name
    return before if before in ends else ends[-1]


def _op_name(routine: Routine, net: QNet) -> str:
    """The op that a routine is of: its own name, without the row group that a cut added."""
    known = routine.is_rule or any(op.name == routine.name for op in net.ops)
    return routine.name if known else routine.name.rpartition(".")[0]


def _parts(names: Sequence[str], routines: Sequence[Routine]) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """(op, (row groups before the routine, row groups up to its end, row groups of the op)) of each routine."""
    groups = [max(1, routine.groups) for routine in routines]
    totals = {name: sum(count for own, count in zip(names, groups, strict=True) if own == name) for name in names}
    done = dict.fromkeys(names, 0)
    for name, count in zip(names, groups, strict=True):
        yield name, (done[name], done[name] + count, totals[name])
        done[name] += count
