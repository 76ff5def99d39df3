"""A State of one world as the accounts of a match: components, window, memories; and what they hold after a frame."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wm_export.bolt.components import CLOCK, INPUT, Components, Values
from wm_export.bolt.slices import Network, Sliced
from wm_export.lower.world_lowering import CODES, CONTROL_CODES, IDS
from wm_export.schema.accounts import discriminator
from wm_export.schema.limits import SESSION_IDS
from wm_export.schema.records import Records
from wm_train.grid.arithmetic import Frames, Ints
from wm_train.world.fields import PLAYERS
from wm_train.world.rule_ops import NumpyOps
from wm_train.world.step import World, decided, newest_controls

if TYPE_CHECKING:
    from wm_quant.interp import State

WINDOW_TAG, MEMORY_TAG = (discriminator("account", name) for name in ("Window", "Memory"))


@dataclass(frozen=True)
class MatchCodec:
    """Accounts of matches of one world."""

    sliced: Sliced

    @property
    def _components(self) -> Components:
        return self.sliced.components

    @property
    def world(self) -> World:
        """Encoding and heads."""
        return self.sliced.net.world

    def values(
        self, frame: NDArray[np.int32], ruled: Values, inputs: NDArray[np.int8], number: int
    ) -> dict[str, Values]:
        """Component -> values, after frame `number` was made: of the Frame (2, fields), of what rules left, of the
        inputs (2, controls) that it was made with."""
        records = Records(self.world.game)
        pads = np.frombuffer(records.input_bytes(inputs), np.uint8).reshape(PLAYERS, records.input_size)
        clock: Values = {"frame": np.array(number, np.uint64), "turn": np.array(0, np.uint8)}
        return {**self._components.values_of(frame, ruled), INPUT: {"pads": pads}, CLOCK: clock}

    def beginning(self, state: "State") -> dict[str, Values]:
        """The same of a State of one world that no rule has made."""
        frame = state.frame[0]
        index = self.world.game.state_index
        ruled = {name: frame[:, index[name]].astype(np.int64) for name in self._components.passed}
        return self.values(frame, ruled, np.zeros((PLAYERS, len(self.world.game.controls)), np.int8), 0)

    def window(self, state: "State", session: Ints, components: list[bytes]) -> bytes:
        """Data of the window of a State of one world in a session with these ids (S,), as the frame before has left it:
        `inputs` will push the State's Frame. `components` are the addresses of the components."""
        encoding = self.world.encoding
        ids = np.zeros(SESSION_IDS, np.int64)
        ids[: len(session)] = session
        older = {
            CODES: _older(state.codes[0], encoding.slots, encoding.slot_columns),
            IDS: _older(state.ids[0], encoding.slots, encoding.slot_ids),
        }
        behind = CONTROL_CODES if CONTROL_CODES in {buffer.name for buffer in self.sliced.window_buffers} else CODES
        older[behind] = np.concatenate([older.get(behind, np.zeros(0, np.int64)), self._following(state)])
        parts = [
            WINDOW_TAG,
            (1).to_bytes(8, "little") + bytes(8),
            ids.astype("<u2").tobytes(),
            *components,
            bytes(Records(self.world.game).frame_size),
            *(buffer.pack(older[buffer.name]).tobytes() for buffer in self.sliced.window_buffers),
            state.bounds[0].astype("<i8").tobytes(),
        ]
        return b"".join(parts)

    def opened_memory(self, one: Network, clock: bytes) -> bytes:
        """Data of the account that a network keeps its memory in, as a match begins with it; `clock` is the address of
        the match's clock."""
        return (MEMORY_TAG + clock).ljust(one.memory_bytes, b"\0")

    def memories(self, clock: bytes, frames: int, before: "State", after: "State") -> dict[str, bytes]:
        """System -> what its account of memory holds after `frames` frames, up to the vectors of its work area; the
        last of them led from one State of one world to the other."""
        head = MEMORY_TAG + clock + frames.to_bytes(8, "little")
        found = {}
        for one, _, network in self.sliced.remembering:
            # The first frame begins with nothing, whatever lies there: zeros, in an account that was just made.
            older = _region(one.key, network, before) if frames > 1 else bytes(network.memory.size)
            found[one.key] = head + older + _region(one.key, network, after)
        return found

    def _following(self, state: "State") -> Ints:
        """What `inputs` wrote last: codes of the controls that the State's Frame was made with."""
        encoding = self.world.encoding
        wide = len(encoding.next_controls) or len(encoding.game.controls)
        found = np.zeros((PLAYERS, wide), np.int64)
        newest = newest_controls(encoding, state.codes)[0]
        found[:, : newest.shape[1]] = newest
        return found.ravel()

    def ruled(self, before: "State", heads: Ints) -> Values:
        """What rules left of each field that later systems take: (2,) int64, of a State of one world and heads (1,
        read_outputs)."""
        index = self.world.game.state_index
        found = {name: np.zeros(PLAYERS, np.int64) for name in self._components.passed}
        for player in range(PLAYERS):
            now = partial(_field, before.frame, index, player)
            rows = self.world.head_set.rule(NumpyOps(), now, partial(decided, self.world, heads, player))
            for name in found:
                found[name][player] = rows[name][0]
        return found


def _region(key: str, network: Network, state: "State") -> bytes:
    """What the network of a system keeps in a State of one world, as its kernels have it."""
    own = {name.removeprefix(f"{key}."): kept for name, kept in state.memory.items() if name.startswith(f"{key}.")}
    return network.memory.pack(own)


def _field(frames: Frames, index: dict[str, int], player: int, name: str) -> Ints:
    """(1,) a field of a player."""
    values: Ints = frames[:, player, index[name]].astype(np.int64)
    return values


def _older(values: Ints, slots: int, width: int) -> Ints:
    """The slots of a window as they lay before the newest was pushed: the oldest, not known, is pushed out again."""
    moved = np.zeros(slots * width, np.int64)
    moved[width:] = values[: (slots - 1) * width]
    return moved
