"""A composed QNet as systems: each subsystem's network by itself, and which components it needs.

    inputs      begins a match, and every frame: moves the window on by the Frame that there is, takes both inputs
    KEY         of each subsystem, in the order of the rules: its network reads the window, its rule writes components
    laws        of a head set that has laws: what is the same in every Frame, after all rules

A component goes through every apply that names it, in and out, so a system names those alone that hold a field which it
reads, takes or writes; and the clock, which says whose turn it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from wm_export.bolt.components import ADDRESS_BYTES, CLOCK, Component, Components
from wm_export.errors import WmExportError
from wm_export.lower.lowered_program import Buffer, Program
from wm_export.lower.lowering import lower
from wm_export.lower.memory import Memory, memory
from wm_export.lower.world_lowering import CODES, CONTROL_CODES, IDS
from wm_export.schema.limits import SESSION_IDS
from wm_export.schema.records import Records
from wm_export.solana.blob import Blob, pack
from wm_export.solana.layout import SHARD_MAX, digest, work
from wm_quant.qnet import QNet
from wm_quant.side_by_side import subsystems
from wm_train.world.systems import System, systems

INPUTS, LAWS = "inputs", "laws"
#: Bytes that a program gives back to World: of each component 4 more than it has, and 4.
RETURN_MAX = 1024
#: Bytes of an account that a program can make, or add to one, in one instruction.
STEP_BYTES = 10_240
#: What stands before the areas of an account of memory: tag, clock, frames.
MEMORY_HEAD = 8 + ADDRESS_BYTES + 8
#: Bytes of the heap that a work area may take of the 32 KiB that a program has.
WORK_MAX = 24 * 1024


@dataclass(frozen=True)
class Network:
    """The network of a system: its QNet, lowered, and its weights."""

    net: QNet
    program: Program
    blob: Blob

    @property
    def weights(self) -> bytes:
        """Bytes of its weights."""
        return self.blob.data

    @property
    def digest(self) -> bytes:
        """32 bytes, by which its program knows them."""
        return digest(self.weights)

    @property
    def work_bytes(self) -> int:
        """Bytes of its work area."""
        return max(section.end for section in work(self.program).values())

    @cached_property
    def memory(self) -> Memory:
        """The region at the beginning of its work area that holds what it keeps from frame to frame."""
        found = memory(self.program)
        assert found.start == 0, "what ops keep comes first"
        return found

    @property
    def memory_bytes(self) -> int:
        """Bytes of the account that it is in: a head, what was kept before the last frame, the work area; 0 if
        nothing is kept."""
        return MEMORY_HEAD + self.memory.size + self.work_bytes if self.memory.size else 0


@dataclass(frozen=True)
class Slice:
    """One system.

    key         its name
    turn        number of its turn in a frame: 0 of inputs
    components  that go through it, in the order of an apply
    row         its row in the table of systems, if it is a subsystem, and `network` its network
    """

    key: str
    turn: int
    components: tuple[Component, ...]
    row: System | None = None
    network: Network | None = None

    @property
    def crate(self) -> str:
        """The crate and folder of its program."""
        return self.key.replace("_", "-")

    @property
    def result_bytes(self) -> int:
        """What its program gives back to World."""
        return 4 + sum(4 + component.size for component in self.components)


@dataclass(frozen=True)
class Sliced:
    """A composed world as systems. WmExportError for one that BOLT cannot run."""

    net: QNet

    def __post_init__(self) -> None:
        for one in self.systems:
            self._check(one)
        if self.window_bytes > STEP_BYTES:
            raise WmExportError(
                f"export: the window of a match would be {self.window_bytes:,} bytes, at most {STEP_BYTES:,} can be "
                "made; train networks of fewer slots"
            )

    def _check(self, one: Slice) -> None:
        if one.result_bytes > RETURN_MAX:
            raise WmExportError(
                f"export: components of system {one.key} have {one.result_bytes} bytes, and a program gives back at "
                f"most {RETURN_MAX}; make components of fewer fields in Game.components"
            )
        if one.network and not one.network.memory_bytes and one.network.work_bytes > WORK_MAX:
            raise WmExportError(
                f"export: system {one.key} computes in {one.network.work_bytes:,} bytes, at most {WORK_MAX:,} of a "
                "program's heap are there for that; train a smaller one, or one of fewer slots"
            )
        if one.network and len(one.network.blob.shards) > 1:
            raise WmExportError(
                f"export: system {one.key} has {len(one.network.weights):,} bytes of weights, at most {SHARD_MAX:,} "
                "lie in one account; train a smaller one, or one of fewer slots"
            )

    @cached_property
    def components(self) -> Components:
        """The components of its matches."""
        return Components(self.net.world.game, self.net.world.head_set)

    @cached_property
    def systems(self) -> tuple[Slice, ...]:
        """In the order of a frame."""
        every = self.components.every
        found = [Slice(INPUTS, 0, every), *self._subsystems()]
        if self.net.world.head_set.laws:
            found.append(Slice(LAWS, len(found), (*self.components.state, self.components.named(CLOCK))))
        return tuple(found)

    @cached_property
    def window_buffers(self) -> tuple[Buffer, ...]:
        """The buffers of a work area that a window holds: all networks read the same."""
        buffers = next(network.program.buffers for _, _, network in self.learned)
        return tuple(buffers[name] for name in (CODES, IDS, CONTROL_CODES) if name in buffers)

    @property
    def window_bytes(self) -> int:
        """Bytes of a window's account: tag, flag, frames and ids, components, Frame, window, numbers of the place."""
        world, every = self.net.world, self.components.every
        head = 8 + 16 + 2 * SESSION_IDS + ADDRESS_BYTES * len(every) + Records(world.game).frame_size
        return head + sum(buffer.width * buffer.count for buffer in self.window_buffers) + 8 * world.place_size

    @property
    def learned(self) -> Iterator[tuple[Slice, System, Network]]:
        """Those that have a network, with their rows."""
        for one in self.systems:
            if one.row and one.network:
                yield one, one.row, one.network

    @property
    def remembering(self) -> Iterator[tuple[Slice, System, Network]]:
        """Those whose network keeps something from frame to frame."""
        return (found for found in self.learned if found[2].memory.size)

    def _subsystems(self) -> Iterator[Slice]:
        parts = subsystems(self.net)
        for row in systems(self.net.world.head_set):
            # A work area in an account is paid for; one on the heap is not.
            program = lower(parts[row.key], compact=bool(parts[row.key].memories))
            made = Network(parts[row.key], program, pack(program))
            yield Slice(row.key, 1 + row.place, self._named_by((*row.reads, *row.takes, *row.writes)), row, made)

    def _named_by(self, fields: Iterable[str]) -> tuple[Component, ...]:
        held = {self.components.holder[name] for name in fields}
        return tuple(one for one in self.components.every if one.name in held or one.name == CLOCK)
