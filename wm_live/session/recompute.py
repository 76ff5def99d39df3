"""Recomputation of a session's log: the records that the model does not reproduce.

Every frame is computed from the window that the log has before it, as the base chain would in a dispute. So one lie is
one wrong frame, whatever was computed from it afterwards; and if no frame is wrong then, by induction, the whole log is
what the model computes from its first window and the inputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from wm_export.schema.records import Records
from wm_export.solana.layout import session_vocab
from wm_quant.interp import CHUNK, Interpreter
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.measure.evaluate import Window
from wm_train.world.definition import Game
from wm_train.world.fields import PLAYERS, Field, Kind, fixed


@dataclass(frozen=True)
class WrongFrame:
    """A frame whose record is not what the model gives, and how so."""

    frame: int
    text: str


def arrays(game: Game, records: Sequence[bytes]) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Records as inputs (N, 2, controls) int8 and Frames (N, 2, fields of the state) int32; nothing is checked."""
    codec = Records(game)
    raw = np.frombuffer(b"".join(records), np.uint8).reshape(len(records), codec.record_size)
    inputs = codec.unpack_inputs(raw[:, : codec.inputs_size])
    frames = np.ascontiguousarray(raw[:, codec.inputs_size :]).view("<i4").astype(np.int32)
    return inputs, frames.reshape(-1, PLAYERS, len(game.state))


def _inside(fields: Sequence[Field], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) whether all of (N, 2, len(fields)) are in their fields' ranges."""
    ends = [(fixed(f.lo), fixed(f.hi)) if f.kind is Kind.CONTINUOUS else (int(f.lo), int(f.hi)) for f in fields]
    low, high = np.array(ends, np.int64).T
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


def wrong_frames(
    net: QNet, ids: Sequence[int], records: Sequence[bytes], progress: Callable[[int, int], None] = lambda *_: None
) -> list[WrongFrame]:
    """Every frame of a log whose record the model does not give, in order.

    ids       of the session, as its account holds them, legal
    records   first the window that the session started from, then one record a frame
    progress  called with (frames done, frames in all)
    """
    slots, interpreter = net.world.encoding.slots, Interpreter(net)
    session = np.array(ids[: len(session_vocab(net))], np.int64)[None]
    found: list[WrongFrame] = []
    total = len(records) - slots
    for start in range(0, total, CHUNK):
        end = min(start + CHUNK, total)
        found += _wrong_in(interpreter, session, records[start : end + slots], start)
        progress(end, total)
    return found


def next_frame(
    net: QNet, ids: Sequence[int], records: Sequence[bytes], following: NDArray[np.int8]
) -> NDArray[np.int32]:
    """(2, len(game.state)) the Frame that the model gives after a window of legal records, with these inputs
    (2, len(game.controls))."""
    inputs, frames = arrays(net.world.game, records)
    session = np.array(ids[: len(session_vocab(net))], np.int64)[None]
    interpreter = Interpreter(net)
    window = Window(frames[None], inputs[None], following[None], session)
    result: NDArray[np.int32] = interpreter.step(interpreter.begin(window), following[None])[1].frame[0]
    return result


def _wrong_in(
    interpreter: Interpreter, session: NDArray[np.int64], records: Sequence[bytes], first: int
) -> list[WrongFrame]:
    """Those among some frames in a row, from frame `first` on; the records begin with the window before it."""
    game, slots = interpreter.net.world.game, interpreter.net.world.encoding.slots
    inputs, frames = arrays(game, records)
    good = in_range(game, inputs, frames)
    known = np.asarray(sliding_window_view(good, slots + 1).all(-1))
    # What is out of range is wrong already, and must not be looked up in a table.
    inputs, frames = (np.where(good[:, None, None], part, 0) for part in (inputs, frames))
    before = np.arange(len(known))[:, None] + np.arange(slots)
    window = Window(frames[before], inputs[before], inputs[slots:], np.repeat(session, len(known), 0))
    computed, claimed = interpreter.step(interpreter.begin(window), inputs[slots:])[1].frame, frames[slots:]
    wrong = np.flatnonzero((computed != claimed).any((1, 2)) | ~known)

    def how(row: int) -> str:
        if known[row]:
            return difference(game, claimed[row], computed[row])
        return _outside(good[row : row + slots + 1], first + row)

    return [WrongFrame(first + row, how(row)) for row in map(int, wrong)]


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
