"""Recomputation of a session's log: the records that the model does not reproduce, and what the network keeps.

Every frame is computed from the window that the log has before it, as the base chain would in a dispute. So one lie is
one wrong frame, whatever was computed from it afterwards; and if no frame is wrong then, by induction, the whole log is
what the model computes from its first window and the inputs. What a network keeps from frame to frame no record holds,
only its digest: it is computed from the first frame on, and never believed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from wm_export.lower.memory import Memory
from wm_export.schema.records import Records
from wm_export.solana.layout import session_vocab
from wm_quant.interp import CHUNK, State, Successive, Trace
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.measure.window import Window
from wm_train.world.definition import Game
from wm_train.world.fields import PLAYERS, Field, Kind, ends

#: Called with (frames done, frames in all).
Progress = Callable[[int, int], None]
#: The State before frames, their Trace, the State after them.
Stepped = tuple[State, Trace, State]


@dataclass(frozen=True)
class WrongFrame:
    """A frame whose record is not what the model gives, and how so."""

    frame: int
    text: str


def arrays(codec: Records, records: Sequence[bytes]) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Records as inputs (N, 2, controls) int8 and Frames (N, 2, fields of the state) int32; nothing is checked."""
    raw = np.frombuffer(b"".join(records), np.uint8).reshape(len(records), codec.record_size)
    inputs, end = codec.unpack_inputs(raw[:, : codec.inputs_size]), codec.inputs_size + codec.frame_size
    frames = np.ascontiguousarray(raw[:, codec.inputs_size : end]).view("<i4").astype(np.int32)
    return inputs, frames.reshape(-1, PLAYERS, len(codec.game.state))


def _inside(fields: Sequence[Field], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) whether all of (N, 2, len(fields)) are in their fields' ranges."""
    low, high = np.array([ends(field) for field in fields], np.int64).T
    inside: NDArray[np.bool_] = ((low <= values) & (values <= high)).all((1, 2))
    return inside


def in_range(game: Game, inputs: NDArray[np.int8], frames: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(N,) whether a record is one that a program takes: every control and every field inside its range."""
    return _inside(game.controls, inputs.astype(np.int64)) & _inside(game.state, frames.astype(np.int64))


def legal_ids(net: QNet, ids: Sequence[int]) -> bool:
    """Whether every session id lies in its table, and those without a table are zero."""
    vocab = session_vocab(net)
    tables = [*vocab, *[1] * (len(ids) - len(vocab))]
    return len(ids) >= len(vocab) and all(0 <= i < most for i, most in zip(ids, tables, strict=True))


@dataclass(frozen=True)
class Computed:
    """Some frames in a row, computed again.

    good     (N,) whether the record of a frame, and every record of the window before it, is in range
    frames   (N, 2, fields of the state) int32
    digests  of what the network keeps after each
    """

    good: NDArray[np.bool_]
    frames: NDArray[np.int32]
    digests: Sequence[bytes]


class Replay:
    """A session computed again from its records, in order; of a network that keeps nothing each frame stands alone.

    ids    of the session, as its account holds them, legal
    kept   where what the network keeps lies in the accounts (Layout.memory); NOTHING where records say nothing of it
    frames   that are done
    """

    def __init__(self, net: QNet, kept: Memory, ids: Sequence[int]) -> None:
        self.net, self.kept, self.frames = net, kept, 0
        self._interpreter, self._slots = Successive(net), net.world.encoding.slots
        self._session = np.array(ids[: len(session_vocab(net))], np.int64)[None]
        self._memory: Mapping[str, NDArray[np.int64]] = self._interpreter.empty_memory(1)
        self._codec = Records(net.world.game, kept.empty)

    def through(self, records: Sequence[bytes], progress: Progress = lambda *_: None) -> bytes:
        """Go on to the end of these records, the session's from the first on; the region of what the network keeps."""
        while self.net.memories and (left := len(records) - self._slots - self.frames) > 0:
            self.go_on(records[self.frames :][: min(left, CHUNK) + self._slots])
            progress(self.frames, len(records) - self._slots)
        return self.kept.pack(self._memory)

    def next(self, records: Sequence[bytes], following: NDArray[np.int8]) -> bytes:
        """The record that the model gives after these, which are legal, with these inputs (2, len(game.controls))."""
        self.through(records)
        inputs, frames = arrays(self._codec, records[-self._slots :])
        _, _, after = self._step(Window(frames[None], inputs[None], following[None], self._session))
        return self._codec.record_bytes(following, after.frame[0], self.kept.digest(self.kept.pack(after.memory)))

    def last(self, records: Sequence[bytes]) -> Stepped:
        """The last frame of these records, which are legal, computed again."""
        self.through(records[:-1])
        inputs, frames = arrays(self._codec, records[-self._slots - 1 :])
        return self._step(Window(frames[None, :-1], inputs[None, :-1], inputs[-1:], self._session))

    def go_on(self, records: Sequence[bytes]) -> Computed:
        """Compute the frames of these records, at most CHUNK; they begin with the window before the first."""
        slots = self._slots
        inputs, frames = arrays(self._codec, records)
        good = in_range(self.net.world.game, inputs, frames)
        known = np.asarray(sliding_window_view(good, slots + 1).all(-1))
        # What is out of range is wrong already, and must not be looked up in a table.
        inputs, frames = (np.where(good[:, None, None], part, 0) for part in (inputs, frames))
        before = np.arange(len(known))[:, None] + np.arange(slots)
        session = np.repeat(self._session, len(known), 0)
        _, _, after = self._step(Window(frames[before], inputs[before], inputs[slots:], session))
        self._memory = {name: values[-1:] for name, values in after.memory.items()}
        self.frames += len(known)
        regions = (self.kept.pack(after.memory, t) for t in range(len(known)))
        return Computed(known, after.frame, [self.kept.digest(region) for region in regions])

    def _step(self, window: Window) -> Stepped:
        """Each frame of a window (N, ...), of which the first begins with what is kept now."""
        state, shape = self._interpreter.begin(window), len(window.following)
        memory = {name: np.repeat(kept, shape, 0) for name, kept in self._memory.items()}
        state = replace(state, memory=memory)
        return state, *self._interpreter.step(state, window.following)


def wrong_frames(replay: Replay, records: Sequence[bytes], progress: Progress = lambda *_: None) -> list[WrongFrame]:
    """Every frame of a log whose record the model does not give, in order.

    replay    of the session, at its beginning
    records   first the window that the session started from, then one record a frame
    progress  called with (frames done, frames in all)
    """
    slots, found = replay.net.world.encoding.slots, list[WrongFrame]()
    total = len(records) - slots
    for start in range(0, total, CHUNK):
        end = min(start + CHUNK, total)
        found += _wrong_in(replay, records[start : end + slots], start)
        progress(end, total)
    return found


def _wrong_in(replay: Replay, records: Sequence[bytes], first: int) -> list[WrongFrame]:
    """Those among some frames in a row, from frame `first` on; the records begin with the window before it."""
    codec, slots = Records(replay.net.world.game, replay.kept.empty), replay.net.world.encoding.slots
    computed, said = replay.go_on(records), records[slots:]
    _, claimed = arrays(codec, said)

    def how(row: int) -> str:
        if not computed.good[row]:
            good = in_range(codec.game, *arrays(codec, records[row : row + slots + 1]))
            return _outside(good, first + row)
        if (claimed[row] != computed.frames[row]).any():
            return difference(codec.game, claimed[row], computed.frames[row])
        return _other_memory(codec.memory_in(said[row]), computed.digests[row])

    wrong = ~computed.good | (claimed != computed.frames).any((1, 2))
    if replay.kept.size:
        wrong |= [codec.memory_in(record) != digest for record, digest in zip(said, computed.digests, strict=True)]
    return [WrongFrame(first + row, how(row)) for row in map(int, np.flatnonzero(wrong))]


def _other_memory(claimed: bytes, computed: bytes) -> str:
    """How the digests of what a network keeps after a frame differ."""
    return f"what the network keeps after it has the digest {claimed.hex()[:16]}…, the model's {computed.hex()[:16]}…"


def _outside(good: NDArray[np.bool_], frame: int) -> str:
    """Which record is out of range, among those of a window and of the `frame` after it."""
    slots = len(good) - 1
    at = frame + int(np.argmin(good)) - slots
    where = f"the record of frame {at:,}" if at >= 0 else f"record {at + slots} of the window it started from"
    return f"{where} is outside the ranges of a game; no program commits such a one"


def difference(game: Game, claimed: NDArray[np.int32], computed: NDArray[np.int32]) -> str:
    """The first field in which two Frames (2, len(game.state)) differ, in its unit."""
    player, index = np.argwhere(claimed != computed)[0]
    item = game.state[index]
    unit = 1 << FRAC_BITS if item.kind is Kind.CONTINUOUS else 1
    values = [f"{int(frame[player, index]) / unit:.10g}" for frame in (claimed, computed)]
    more = int((claimed != computed).sum()) - 1
    rest = f", and {more} more fields" if more else ""
    return f"player {player}: {item.name} is {values[0]}, the model gives {values[1]} ({item.unit}){rest}"
