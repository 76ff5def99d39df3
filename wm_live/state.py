"""A session account as a client sees it, checked: it comes from a node that may say anything."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from solders.pubkey import Pubkey

from wm_export.accounts import STATUSES, frame_of
from wm_export.layout import ACCOUNT_VERSION, FRAME_BYTES, PLAYER, SESSION, TAG_SESSION, Layout, offsets
from wm_live.errors import WmLiveError
from wm_live.tree import Hash
from wm_train.frames import PLAYERS


@dataclass(frozen=True)
class Player:
    """A seat; all zeros for one that is free. `expires` is the session key's end, Unix seconds."""

    wallet: Pubkey
    key: Pubkey
    expires: int


@dataclass(frozen=True)
class SessionState:
    """What a session account holds; `frame_number` is the frame computed next, `frame` (2, len(STATE)) int32 the
    current one; `root` that of its hash tree over `leaves` records."""

    manifest: bytes
    model: Pubkey
    creator: Pubkey
    validator: Pubkey
    start: Hash
    root: Hash
    number: int
    ids: tuple[int, ...]
    frame_number: int
    step: int
    status: str
    players: tuple[Player, ...]
    frame: NDArray[np.int32]

    @property
    def cursor(self) -> tuple[int, int]:
        """Frame and step that come next."""
        return self.frame_number, self.step

    def leaves(self, slots: int) -> int:
        """Leaves of its hash tree."""
        return self.frame_number + slots


def session_state(where: Layout, data: bytes) -> SessionState:
    """The session in an account's data, or WmLiveError."""
    at = offsets(SESSION)
    if len(data) != where.session_bytes or data[:8] != TAG_SESSION:
        raise WmLiveError(f"not a session of this world: {len(data)} bytes, expected {where.session_bytes} and its tag")
    version, status = (struct.unpack_from("<I", data, at[name])[0] for name in ("version", "status"))
    if version != ACCOUNT_VERSION or status >= len(STATUSES):
        raise WmLiveError(f"session account: version {version}, status {status}; expected version {ACCOUNT_VERSION}")
    frame = where.session["frame"].offset
    return SessionState(
        manifest=data[at["manifest"] : at["manifest"] + 32],
        model=_address(data, at["model"]),
        creator=_address(data, at["creator"]),
        validator=_address(data, at["validator"]),
        start=data[at["start"] : at["start"] + 32],
        root=data[at["root"] : at["root"] + 32],
        number=struct.unpack_from("<Q", data, at["id"])[0],
        ids=struct.unpack_from("<4H", data, at["ids"]),
        frame_number=struct.unpack_from("<Q", data, at["frame_number"])[0],
        step=struct.unpack_from("<I", data, at["step"])[0],
        status=STATUSES[status],
        players=tuple(_player(data, where.session["players"].offset, index) for index in range(PLAYERS)),
        frame=frame_of(data[frame : frame + FRAME_BYTES]),
    )


def _address(data: bytes, at: int) -> Pubkey:
    return Pubkey.from_bytes(data[at : at + 32])


def _player(data: bytes, start: int, index: int) -> Player:
    at = offsets(PLAYER)
    base = start + index * at["end"]
    expires = struct.unpack_from("<q", data, base + at["expires"])[0]
    return Player(_address(data, base + at["wallet"]), _address(data, base + at["key"]), expires)
