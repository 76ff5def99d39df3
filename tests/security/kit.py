"""What all attacks share: people, one small world, and the log of a session."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.transaction_metadata import FailedTransactionMetadata

from tests.factories import random_corpus
from tests.records import frame_bytes, input_bytes
from wm_export.schema.program_errors import error_name
from wm_export.solana.export import Export
from wm_export.solana.layout import Layout
from wm_live.session.recompute import Replay
from wm_live.session.terms import Terms
from wm_live.session.tree import Tree

if TYPE_CHECKING:
    from tests.security.harness import World

PROGRAM = Pubkey.from_bytes(bytes([0x57]) * 32)
NOBODY = bytes(32)
NOW = 1_700_000_000
FUNDS = 10**12
#: Frames that are played in stage `played`, and the one that is disputed.
PLAYED, DISPUTED = 6, 4


def keypair(name: str) -> Keypair:
    """Who goes by this name, always the same."""
    return Keypair.from_seed(name.encode().ljust(32, b"."))


PAYER, PUBLISHER, CREATOR, OPPONENT, STRANGER, VALIDATOR = (
    keypair(name) for name in ("payer", "publisher", "creator", "opponent", "stranger", "validator")
)
#: Session keys of both players.
KEYS = (keypair("key 0"), keypair("key 1"))


@dataclass(frozen=True)
class Outcome:
    """A transaction's error, as the program or the runtime names it, empty if it passed; its logs and compute units."""

    error: str
    logs: tuple[str, ...]
    cu: int


@dataclass(frozen=True)
class Game:
    """A session and who plays it; the log is what a watcher would have kept."""

    address: Pubkey
    scratch: Pubkey
    creator: Keypair
    opponent: Keypair
    terms: Terms
    model: Pubkey
    log: tuple[bytes, ...] = ()

    @property
    def tree(self) -> Tree:
        """The hash tree over the log."""
        tree = Tree()
        for record in self.log:
            tree.append(record)
        return tree

    @property
    def peaks(self) -> list[bytes]:
        """Peaks of the tree, lowest first."""
        return self.tree.peaks()


def error_of(failed: FailedTransactionMetadata) -> str:
    """The error's name."""
    error: Any = failed.err()
    inner = getattr(error, "err", error)
    number = getattr(inner, "code", None)
    if number is not None:
        return error_name(number) or f"Custom({number})"
    return str(inner).rsplit(".", 1)[-1]


@dataclass(repr=False)
class Kit:
    """What all worlds share: an export of one small world, its seeds, and every stage that was reached once."""

    export: Export
    program: bytes
    weakened: bytes
    stages: dict[str, "World"] = field(default_factory=dict)

    @cached_property
    def where(self) -> Layout:
        """Where bytes lie."""
        return self.export.layout

    @cached_property
    def slots(self) -> int:
        """Frames of a window."""
        return self.export.net.world.encoding.slots

    @cached_property
    def seeds(self) -> tuple[bytes, ...]:
        """Records of the window that sessions start from."""
        corpus = random_corpus(3, (self.slots + PLAYED + 8,))
        pairs = zip(corpus.inputs, corpus.frames, strict=True)
        return tuple(input_bytes(i) + frame_bytes(f) + self.where.records.empty for i, f in pairs)[: self.slots]

    def region(self, game: "Game", frame: int) -> bytes:
        """What the network keeps before a frame of a session, computed from its log."""
        replay = Replay(self.export.net, self.where.memory, game.terms.ids)
        return replay.through(game.log[: frame + self.slots])

    def idle(self, frame: int) -> int:
        """A byte of what the network keeps that frames before and after this one write, and this one does not."""
        turns = self.where.memory.in_turn[0].turns
        return turns[(frame + 1) % len(turns)][0][0]

    @cached_property
    def inputs(self) -> tuple[bytes, ...]:
        """Both players' inputs of every frame that is played."""
        corpus = random_corpus(4, (PLAYED + 16,))
        return tuple(input_bytes(pair) for pair in corpus.inputs)
