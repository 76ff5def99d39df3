"""Session accounts decoded and validated: the bytes come from a node that is not trusted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from solders.pubkey import Pubkey

from wm_export.errors import WmExportError
from wm_export.schema.accounts import PLAYER, SESSION
from wm_export.schema.limits import ACCOUNT_VERSION, TREE_LEVELS
from wm_export.solana.layout import Layout
from wm_live.errors import WmLiveError
from wm_live.session.terms import Terms
from wm_live.session.tree import Hash
from wm_train.world.fields import PLAYERS


@dataclass(frozen=True)
class Player:
    """A seat; all zeros for one that is free. `expires` is the session key's end, Unix seconds."""

    wallet: Pubkey
    key: Pubkey
    expires: int


@dataclass(frozen=True)
class SessionState:
    """What a session account holds.

    frame_number  the frame computed next
    frame, memory (2, len(STATE)) int32 the current one, and the digest of what the network keeps after it
    root          of its hash tree over `leaves` records
    nonce         leads to its scratch account
    """

    manifest: bytes
    model: Pubkey
    creator: Pubkey
    terms: Terms
    root: Hash
    nonce: int
    frame_number: int
    step: int
    status: str
    players: tuple[Player, ...]
    frame: NDArray[np.int32]
    memory: bytes

    @property
    def cursor(self) -> tuple[int, int]:
        """Frame and step that come next."""
        return self.frame_number, self.step

    @property
    def begun(self) -> bool:
        """Whether it has the window that it starts from: without, there is no root yet."""
        return any(self.root)

    def leaves(self, slots: int) -> int:
        """Leaves of its hash tree."""
        return self.frame_number + slots


def session_state(where: Layout, data: bytes) -> SessionState:
    """The session in an account's data, or WmLiveError."""
    if len(data) != where.session_bytes or data[:8] != SESSION.tag:
        raise WmLiveError(f"not a session of this world: {len(data)} bytes, expected {where.session_bytes} and its tag")
    if not SESSION.is_one(data):
        version = SESSION.read(data, "version")
        raise WmLiveError(f"session account: version {version}, expected {ACCOUNT_VERSION}; is it of another wmq?")
    try:
        head = SESSION.unpack(data)
    except WmExportError as error:
        raise WmLiveError(f"session account: {error}") from None
    if head["frame_number"] >= 1 << TREE_LEVELS:
        at = f"frame number {head['frame_number']}, expected below {1 << TREE_LEVELS}"
        raise WmLiveError(f"session account: {at}: no program counts further; does the node tell the truth?")
    frame, memory = where.session["frame"].offset, where.session["memory"].offset
    return SessionState(
        manifest=head["manifest"],
        model=Pubkey(head["model"]),
        creator=Pubkey(head["creator"]),
        terms=Terms(head["id"], head["ids"], head["start"], Pubkey(head["opponent"]), Pubkey(head["validator"])),
        root=head["root"],
        nonce=head["nonce"],
        frame_number=head["frame_number"],
        step=head["step"],
        status=head["status"],
        players=tuple(_player(data, where.session["players"].offset, index) for index in range(PLAYERS)),
        frame=where.records.frame_of(data[frame : frame + where.records.frame_size]),
        memory=data[memory : memory + len(where.records.empty)],
    )


def _player(data: bytes, start: int, index: int) -> Player:
    seat = PLAYER.unpack(data[start + index * PLAYER.size :])
    return Player(Pubkey(seat["wallet"]), Pubkey(seat["key"]), seat["expires"])
