"""Addresses and instructions of one match: what is sent the same in LiteSVM, on a base chain and on a rollup."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from wm_export.bolt.program_addresses import component_address, memory_address, program_key, window_address
from wm_export.bolt.slices import INPUTS, LAWS, STEP_BYTES, Network, Slice, Sliced
from wm_export.bolt.world_client import SYSTEM_PROGRAM, Scene, shown, written
from wm_export.schema.accounts import discriminator
from wm_export.schema.limits import SESSION_IDS
from wm_export.schema.records import Records
from wm_train.grid.arithmetic import Ints

#: What stands before the bytes of weights: tag, authority, digest, bytes hashed.
HEADER_BYTES = 80


def of_weights(program: Pubkey, authority: Pubkey, name: str, address: Pubkey, arguments: bytes = b"") -> Instruction:
    """An instruction of the program of weights: begin, write or hash."""
    accounts = [shown(authority, signs=True), written(address)]
    return Instruction(program, discriminator("global", name) + arguments, accounts)


class MatchInstructions:
    """One match of a network of this sha256 (BoltExport.network).

    crates   names of its programs' crates
    scene    its world and entity, and who pays and signs
    weights  accounts of the weights, by system: whoever makes them says which
    """

    def __init__(self, sliced: Sliced, network: str, crates: Iterable[str], scene: Scene) -> None:
        self.sliced, self.scene = sliced, scene
        self.programs = {crate: program_key(network, crate).pubkey() for crate in crates}
        self.weights: dict[str, Pubkey] = {}

    # --- addresses ---

    @property
    def window(self) -> Pubkey:
        """Address of the match's window."""
        return window_address(self.programs[INPUTS], self.scene.entity)

    @cached_property
    def accounts(self) -> dict[str, Pubkey]:
        """Address of each component."""
        every = self.sliced.components.every
        return {one.name: component_address(self.programs[one.crate], self.scene.entity) for one in every}

    @cached_property
    def memories(self) -> dict[str, Pubkey]:
        """Address of what each network keeps, by system."""
        keep = (one for one, _, _ in self.sliced.remembering)
        return {one.key: memory_address(self.programs[one.crate], self.scene.entity) for one in keep}

    @property
    def owned(self) -> Iterator[tuple[Pubkey, Pubkey]]:
        """(account, program that it belongs to) of each component, of the window, and of each memory."""
        for one in self.sliced.components.every:
            yield self.accounts[one.name], self.programs[one.crate]
        yield self.window, self.programs[INPUTS]
        for keeps, _, _ in self.sliced.remembering:
            yield self.memories[keeps.key], self.programs[keeps.crate]

    # --- before the match ---

    def making(self) -> Iterator[Instruction]:
        """What makes the components and the window of the entity."""
        for component in self.sliced.components.every:
            yield self.scene.component(self.programs[component.crate])
        yield self._opened(self.programs[INPUTS], self.scene.entity, self.window)

    def opening(self, one: Slice, made: Network, entity: Pubkey) -> Iterator[Instruction]:
        """What makes the memory of a system for an entity: `open`, then `grow` for as many bytes again, until it has
        all."""
        program = self.programs[one.crate]
        account = memory_address(program, entity)
        yield self._opened(program, entity, account)
        for _ in range(STEP_BYTES, made.memory_bytes, STEP_BYTES):
            yield self._opened(program, entity, account, "grow")

    def _opened(self, program: Pubkey, entity: Pubkey, account: Pubkey, name: str = "open") -> Instruction:
        """Makes an account of a system for an entity, or makes it longer."""
        accounts = [written(self.scene.payer, signs=True), shown(entity), written(account), shown(SYSTEM_PROGRAM)]
        return Instruction(program, discriminator("global", name), accounts)

    # --- frames ---

    def begins(self, session: Ints, frame: NDArray[np.int32]) -> Instruction:
        """Begins the match, once: with a Frame (2, fields), in a session with these ids."""
        ids = np.zeros(SESSION_IDS, "<u2")
        ids[: len(session)] = session
        return self.apply(self.sliced.systems[0], ids.tobytes() + self.records.frame_bytes(frame))

    def frame_of(self, following: NDArray[np.int8]) -> list[Instruction]:
        """Every system of a frame, with its inputs (2, controls)."""
        inputs = self.records.input_bytes(following)
        return [self.apply(one, inputs if one.key == INPUTS else b"") for one in self.sliced.systems]

    @cached_property
    def records(self) -> Records:
        """Frames and inputs as bytes."""
        return Records(self.sliced.net.world.game)

    def apply(self, one: Slice, arguments: bytes = b"", extras: Sequence[AccountMeta] = ()) -> Instruction:
        """A system, applied through World; `extras` are what it is given beside its components."""
        components = [self.programs[component.crate] for component in one.components]
        return self.scene.apply(self.programs[one.crate], components, extras or self.extras(one), arguments)

    def extras(self, one: Slice) -> list[AccountMeta]:
        """What a system of a frame is given beside its components: the window, its weights, its memory."""
        if one.key == INPUTS:
            return [written(self.window)]
        kept = [written(self.memories[one.key])] if one.key in self.memories else []
        return [shown(self.window), *([] if one.key == LAWS else [shown(self.weights[one.key])]), *kept]
