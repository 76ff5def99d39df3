"""Builders of a session's instructions, in the order of its life cycle. Nothing is sent here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_export.schema.accounts import SCRATCH, session_ids
from wm_export.schema.limits import GROWTH
from wm_export.solana.export import Export
from wm_export.solana.layout import Layout
from wm_live.chain.addresses import (
    delegation_buffer,
    delegation_metadata,
    delegation_record,
    model_address,
    scratch_address,
    session_address,
)
from wm_live.deploy.program import instruction
from wm_live.session.tree import Hash

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
        """Account of the blob, or of its first shard."""
        return model_address(self.authority, self.export.manifest.hash, self.program)

    @cached_property
    def more_models(self) -> list[Pubkey]:
        """Accounts of the blob's other shards."""
        shards, manifest = range(1, len(self.export.shards)), self.export.manifest.hash
        return [model_address(self.authority, manifest, self.program, shard) for shard in shards]

    @cached_property
    def layout(self) -> Layout:
        """Offsets in its accounts."""
        return self.export.layout

    @property
    def slots(self) -> int:
        """Frames in a window."""
        return self.export.net.world.encoding.slots

    def window_stands(self, scratch: bytes, frame: int) -> bool:
        """Whether this scratch account's window is whole, and the one that `frame` is computed from."""
        if len(scratch) != self.layout.scratch_bytes or not SCRATCH.is_one(scratch):
            return False
        return (SCRATCH.read(scratch, "frame_number"), SCRATCH.read(scratch, "loaded")) == (frame, self.slots)

    @property
    def fps(self) -> int:
        """Frames a second of its game."""
        return self.export.net.world.game.fps

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


class Session:
    """One session of a deployed world, by its creator and the creator's number for it."""

    def __init__(self, world: DeployedWorld, creator: Pubkey, number: int) -> None:
        self.world, self.creator, self.number = world, creator, number
        self._records = world.layout.records
        self.address = session_address(world.program, world.model, creator, number)
        self.scratch = scratch_address(world.program, self.address)

    def _do(self, name: str, accounts: dict[str, Pubkey], **args: Any) -> Instruction:
        return instruction(self.world.program, name, accounts | {"session": self.address}, **args)

    # --- on the base chain ---

    def create(self, terms: "Terms", key: Pubkey, expires: int) -> Instruction:
        """Makes it, with the first player's session key."""
        accounts = {"creator": self.creator, "model": self.world.model}
        rest = {"start": terms.start, "opponent": terms.opponent, "validator": terms.validator}
        return self._do(
            "create_session", accounts, id=self.number, ids=session_ids(terms.ids), key=key, expires=expires, **rest
        )

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
        return self._do("open_window", accounts, shards=self.world.more_models, peaks=peaks)

    def seed(self, party: Pubkey, index: int, record: bytes) -> Instruction:
        """Record `index` of the window that the session starts from."""
        return self._do(
            "seed_frame", {"party": party, "scratch": self.scratch}, index=index, **self._records.split_record(record)
        )

    def load(self, leaf: int, record: bytes, proof: Sequence[Hash]) -> Instruction:
        """A proved record of the window before the current frame, into the scratch account."""
        return self._do(
            "load_frame", {"scratch": self.scratch}, leaf=leaf, proof=proof, **self._records.split_record(record)
        )

    def input(self, signer: Pubkey, player: int, frame: int, inputs: bytes) -> Instruction:
        """A player's input, `input_size` bytes long (schema/records.py)."""
        return self._do("submit_input", {"signer": signer}, player=player, frame=frame, input=inputs)

    def inputs(self, keys: Sequence[Pubkey], frame: int, inputs: bytes) -> list[Instruction]:
        """Both players' inputs."""
        parts = self._records.parts(inputs)
        return [
            self.input(key, player, frame, part) for player, (key, part) in enumerate(zip(keys, parts, strict=True))
        ]

    def step(self, frame: int, step: int) -> Instruction:
        """One transaction of a frame."""
        accounts = {"scratch": self.scratch, "model": self.world.model}
        return self._do("step", accounts, shards=self.world.more_models, frame=frame, step=step)

    def commit(self, party: Pubkey) -> Instruction:
        """Writes it to the base chain."""
        return self._do("commit_session", {"party": party})

    def undelegate(self, party: Pubkey) -> Instruction:
        """Writes it to the base chain and gives it back."""
        return self._do("undelegate_session", {"party": party})
