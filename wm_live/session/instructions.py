"""Builders of a session's instructions, in the order of its life cycle. Nothing is sent here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_export.schema.accounts import SCRATCH
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
from wm_live.session.terms import Terms
from wm_live.session.tree import Hash

#: Commits of a delegation that the validator pays for; the last is kept for undelegation.
SPONSORED_COMMITS = 10
#: What the rollup takes for an account: lamports a byte, and bytes beyond its data.
EPHEMERAL_RENT, EPHEMERAL_OVERHEAD = 32, 60


def scratch_deposit(where: Layout) -> int:
    """Lamports that a session's scratch account costs on the rollup."""
    return (where.scratch_bytes + EPHEMERAL_OVERHEAD) * EPHEMERAL_RENT


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

    def loaded(self, scratch: bytes, frame: int) -> int | None:
        """Records of the window before `frame` that this scratch account has, and one more if it has the memory too.

        None if it was not opened for that frame.
        """
        if len(scratch) != self.layout.scratch_bytes or not SCRATCH.is_one(scratch):
            return None
        return SCRATCH.read(scratch, "loaded") if SCRATCH.read(scratch, "frame_number") == frame else None

    @property
    def deposit(self) -> int:
        """Lamports that a session holds above its rent: what its scratch account costs on the rollup."""
        return scratch_deposit(self.layout)

    @property
    def fps(self) -> int:
        """Frames a second of its game."""
        return self.export.net.world.game.fps

    @property
    def steps(self) -> int:
        """Transactions of a frame."""
        return len(self.export.manifest.plan)


@dataclass(frozen=True)
class Seat:
    """A player: the wallet that sits there, and the session key that signs its inputs."""

    wallet: Keypair
    key: Keypair


def close_empty(world: DeployedWorld, creator: Pubkey, session: Pubkey, terms: Hash) -> Instruction:
    """Returns the rent of a session that came back without a byte; `terms` is the hash of what was agreed."""
    accounts = {"creator": creator, "session": session, "model": world.model}
    return instruction(world.program, "close_empty", accounts, terms=terms)


class Session:
    """One session of a deployed world, by its creator and what its players agree on.

    scratch   its scratch account: that of nonce 0, unless `use_nonce` has said otherwise
    """

    def __init__(self, world: DeployedWorld, creator: Pubkey, terms: Terms) -> None:
        self.world, self.creator, self.terms = world, creator, terms
        self._records = world.layout.records
        self.address = session_address(world.program, world.model, creator, terms.hash)
        self.use_nonce(0)

    @property
    def number(self) -> int:
        """The creator's for it."""
        return self.terms.number

    def use_nonce(self, nonce: int) -> None:
        """From here on its scratch account is that of this nonce, u64; a session says its own (SessionState.nonce)."""
        self.nonce, self.scratch = nonce, scratch_address(self.world.program, self.address, nonce)

    def _do(self, name: str, accounts: dict[str, Pubkey], **args: Any) -> Instruction:
        return instruction(self.world.program, name, accounts | {"session": self.address}, **args)

    # --- on the base chain ---

    def create(self, key: Pubkey, expires: int) -> Instruction:
        """Makes it, with the first player's session key."""
        accounts = {"creator": self.creator, "model": self.world.model}
        return self._do("create_session", accounts, key=key, expires=expires, **self.terms.arguments)

    def join(self, player: Pubkey, key: Pubkey, expires: int) -> Instruction:
        """Takes the second seat of the session with these terms, and of no other."""
        return self._do("join_session", {"player": player}, terms=self.terms.hash, key=key, expires=expires)

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
        """Returns its rent to the creator; on the base chain."""
        return self._do("close_session", {"creator": self.creator, "record": delegation_record(self.address)})

    # --- on the rollup ---

    def grow_scratch(self, party: Pubkey) -> list[Instruction]:
        """Makes the scratch account: as many instructions as it takes to its full size."""
        return self.move_scratch(party, self.nonce)

    def move_scratch(self, party: Pubkey, nonce: int) -> list[Instruction]:
        """The same at the address of another nonce, if there is none yet."""
        times = math.ceil(self.world.layout.scratch_bytes / GROWTH)
        to = scratch_address(self.world.program, self.address, nonce)
        accounts = {"party": party, "scratch": to, "previous": self.scratch}
        return [self._do("grow_scratch", accounts, nonce=nonce)] * times

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
            "load_frame", {"scratch": self.scratch}, leaf=leaf, proof=proof, **self._records.claimed(record)
        )

    def load_memory(self, party: Pubkey, index: int, data: bytes) -> Instruction:
        """A chunk of what the network keeps (lower/memory.py), once the window is there."""
        return self._do("load_memory", {"party": party, "scratch": self.scratch}, index=index, data=data)

    def check_memory(self, record: bytes, proof: Sequence[Hash]) -> Instruction:
        """Proves the memory by the last record of the session's hash tree; frames are computed after that."""
        return self._do("check_memory", {"scratch": self.scratch}, proof=proof, **self._records.claimed(record))

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

    def advance(self) -> Instruction:
        """The transaction of a frame that comes next, in the same bytes each time: what a crank is told to send."""
        accounts = {"scratch": self.scratch, "model": self.world.model}
        return self._do("advance", accounts, shards=self.world.more_models)

    def commit(self, party: Pubkey) -> Instruction:
        """Writes it to the base chain."""
        return self._do("commit_session", {"party": party})

    def undelegate(self, party: Pubkey) -> Instruction:
        """Writes it to the base chain and gives it back."""
        return self._do("undelegate_session", {"party": party})
