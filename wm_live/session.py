"""A session's instructions, in the order of its life. Pure: nothing is sent here."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_export.accounts import frame_bytes, input_bytes
from wm_export.layout import (
    FRAME_BYTES,
    GROWTH,
    INPUT_BYTES,
    RECORD_BYTES,
    SCRATCH,
    TAG_SCRATCH,
    Layout,
    layout,
    offsets,
)
from wm_export.solana import Export
from wm_live.addresses import (
    delegation_buffer,
    delegation_metadata,
    delegation_record,
    model_address,
    scratch_address,
    session_address,
)
from wm_live.program import instruction
from wm_live.tree import Hash

#: A session key that never expires, for players who sign with their wallet's own key.
NEVER = 2**63 - 1
#: Commits of a delegation that the validator pays for; the last is kept for undelegation.
SPONSORED_COMMITS = 10


@dataclass(frozen=True)
class DeployedWorld:
    """A world on a chain."""

    export: Export
    program: Pubkey
    authority: Pubkey

    @cached_property
    def model(self) -> Pubkey:
        """Account of the blob."""
        return model_address(self.authority, self.export.manifest.hash, self.program)

    @cached_property
    def layout(self) -> Layout:
        """Offsets in its accounts."""
        return layout(self.export.net, len(self.export.blob))

    @property
    def slots(self) -> int:
        """Frames in a window."""
        return self.export.net.world.encoding.slots

    def window_stands(self, scratch: bytes, frame: int) -> bool:
        """Whether this scratch account's window is whole, and the one that `frame` is computed from."""
        at = offsets(SCRATCH)
        if len(scratch) != self.layout.scratch_bytes or scratch[:8] != TAG_SCRATCH:
            return False
        return struct.unpack_from("<QQ", scratch, at["frame_number"]) == (frame, self.slots)

    @property
    def steps(self) -> int:
        """Transactions of a frame."""
        return len(self.export.manifest.plan)


@dataclass(frozen=True)
class Terms:
    """What a session is created with: `ids` of stage and characters, `start` the root of its window, the `opponent`'s
    wallet (all zeros for whoever comes first), and the `validator` of its rollup."""

    ids: Sequence[int]
    start: Hash
    opponent: Pubkey
    validator: Pubkey


@dataclass(frozen=True)
class Seat:
    """A player: the wallet that sits there, and the session key that signs its inputs."""

    wallet: Keypair
    key: Keypair


def record_bytes(inputs: NDArray[np.int8], frame: NDArray[np.int32]) -> bytes:
    """What log and hash tree hold of a frame: inputs (2, len(CONTROLS)) int8, and the Frame (2, len(STATE)) int32
    that they led to."""
    return input_bytes(inputs) + frame_bytes(frame)


def _record(record: bytes) -> dict[str, bytes]:
    assert len(record) == RECORD_BYTES
    return {"inputs": record[:-FRAME_BYTES], "frame": record[-FRAME_BYTES:]}


class Session:
    """One session of a deployed world, by its creator and the creator's number for it."""

    def __init__(self, world: DeployedWorld, creator: Pubkey, number: int) -> None:
        self.world, self.creator, self.number = world, creator, number
        self.address = session_address(world.program, world.model, creator, number)
        self.scratch = scratch_address(world.program, self.address)

    def _do(self, name: str, accounts: dict[str, Pubkey], **args: Any) -> Instruction:
        return instruction(self.world.program, name, accounts | {"session": self.address}, **args)

    # --- on the base chain ---

    def create(self, terms: "Terms", key: Pubkey, expires: int) -> Instruction:
        """Makes it, with the first player's session key."""
        accounts = {"creator": self.creator, "model": self.world.model}
        padded = [*terms.ids, *([0] * (4 - len(terms.ids)))]
        rest = {"start": terms.start, "opponent": terms.opponent, "validator": terms.validator}
        return self._do("create_session", accounts, id=self.number, ids=padded, key=key, expires=expires, **rest)

    def join(self, player: Pubkey, start: Hash, key: Pubkey, expires: int) -> Instruction:
        """Takes the second seat of the session that starts from this window."""
        return self._do("join_session", {"player": player}, start=start, key=key, expires=expires)

    def set_key(self, wallet: Pubkey, player: int, key: Pubkey, expires: int) -> Instruction:
        """Names another session key."""
        return self._do("set_key", {"player": wallet}, player=player, key=key, expires=expires)

    def delegate(self) -> Instruction:
        """Hands it to the rollup it was created for."""
        accounts = {
            "creator": self.creator,
            "buffer": delegation_buffer(self.world.program, self.address),
            "record": delegation_record(self.address),
            "metadata": delegation_metadata(self.address),
        }
        return self._do("delegate_session", accounts)

    def end(self, party: Pubkey) -> Instruction:
        """No more frames; on the base chain or on the rollup."""
        return self._do("end_session", {"party": party})

    def close(self) -> Instruction:
        """Returns its rent to the creator."""
        return self._do("close_session", {"creator": self.creator})

    # --- on the rollup ---

    def grow_scratch(self, party: Pubkey) -> list[Instruction]:
        """Makes the scratch account: as many instructions as it takes to its full size."""
        times = math.ceil(self.world.layout.scratch_bytes / GROWTH)
        return [self._do("grow_scratch", {"party": party, "scratch": self.scratch})] * times

    def close_scratch(self, party: Pubkey) -> Instruction:
        """Gives the scratch account up."""
        return self._do("close_scratch", {"party": party, "scratch": self.scratch})

    def open_window(self, party: Pubkey, peaks: Sequence[Hash] = ()) -> Instruction:
        """Empties the window; `peaks` of the hash tree, lowest first, once the session has started."""
        accounts = {"party": party, "scratch": self.scratch, "model": self.world.model}
        return self._do("open_window", accounts, peaks=peaks)

    def seed(self, party: Pubkey, index: int, record: bytes) -> Instruction:
        """Record `index` of the window that the session starts from."""
        return self._do("seed_frame", {"party": party, "scratch": self.scratch}, index=index, **_record(record))

    def load(self, leaf: int, record: bytes, proof: Sequence[Hash]) -> Instruction:
        """A proved record of the window before the current frame, into the scratch account."""
        one = self._do("load_frame", {"target": self.scratch}, leaf=leaf, proof=proof, **_record(record))
        # The IDL says what holds for disputes, too, which only read the session.
        return Instruction(one.program_id, one.data, [AccountMeta(self.address, False, True), *one.accounts[1:]])

    def input(self, signer: Pubkey, player: int, frame: int, inputs: bytes) -> Instruction:
        """A player's input, INPUT_BYTES long."""
        return self._do("submit_input", {"signer": signer}, player=player, frame=frame, input=inputs)

    def inputs(self, keys: Sequence[Pubkey], frame: int, inputs: bytes) -> list[Instruction]:
        """Both players' inputs."""
        parts = [inputs[i : i + INPUT_BYTES] for i in range(0, len(inputs), INPUT_BYTES)]
        return [
            self.input(key, player, frame, part) for player, (key, part) in enumerate(zip(keys, parts, strict=True))
        ]

    def step(self, frame: int, step: int) -> Instruction:
        """One transaction of a frame."""
        return self._do("step", {"scratch": self.scratch, "model": self.world.model}, frame=frame, step=step)

    def commit(self, party: Pubkey) -> Instruction:
        """Writes it to the base chain."""
        return self._do("commit_session", {"party": party})

    def undelegate(self, party: Pubkey) -> Instruction:
        """Writes it to the base chain and gives it back."""
        return self._do("undelegate_session", {"party": party})
