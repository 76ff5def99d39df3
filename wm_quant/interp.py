"""The reference interpreter: what a QNet means. Whole world steps in integers, over many frames at once.

Matrix products run in float32 BLAS on integers: exact, because every partial sum is proved below 2^24 (prove.py).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wm_quant.qnet import SESSION_BIAS, Op, QNet
from wm_train.evaluate import Model, Window
from wm_train.frames import CONTROLS
from wm_train.grid import CODE_MAX, Ints, requantize
from wm_train.integer import table_starts
from wm_train.stages import session_bounds
from wm_train.world import codes, next_frames, slot_codes, slot_ids, window_codes, window_ids

Trace = dict[str, NDArray[np.int64]]

#: Frames worked on at once: keeps the gathered rows in cache.
CHUNK = 256


@dataclass(frozen=True)
class State:
    """The state of B worlds between two frames, as the program keeps it in its accounts.

    frame   (B, 2, len(STATE)) int32, current
    codes   (B, slots * slot_columns) int64, dense columns of the window, oldest slot first
    ids     (B, slots * slot_ids) int64
    bias    (B, N) int64, what the first accumulator starts from: layer bias plus the folded session ids
    bounds  (B, 4) int64, where positions may lie on the session's stage: x low, x high, y low, y high
    """

    frame: NDArray[np.int32]
    codes: Ints
    ids: Ints
    bias: Ints
    bounds: Ints

    def at(self, index: slice) -> "State":
        """Some of the worlds."""
        return State(self.frame[index], self.codes[index], self.ids[index], self.bias[index], self.bounds[index])


class Interpreter:
    """Runs one QNet. Stateless: a State goes in, a Trace and the next State come out."""

    def __init__(self, net: QNet) -> None:
        self.net = net
        encoding = net.world.encoding
        self._id_starts = table_starts([f for _, _, f in encoding.id_fields()])[:-1]
        self._session_starts = table_starts([f for _, f in encoding.session_fields()])[:-1]
        self._rows = {
            op.name: np.ascontiguousarray(net.tensor(op, "rows").astype(np.float32).T)
            for op in net.ops
            if op.kind == "matvec"
        }

    def session_bias(self, session: Ints) -> Ints:
        """(B, N) what the first accumulator starts from in sessions with these ids (B, S)."""
        op = next(op for op in self.net.ops if op.init == SESSION_BIAS)
        table = self.net.tensor(op, "session").astype(np.int64)
        return self.net.tensor(op, "bias").astype(np.int64) + table[session + self._session_starts].sum(1)

    def begin(self, window: Window) -> State:
        """The State of worlds that have just seen these windows; the following inputs are not part of it."""
        encoding = self.net.world.encoding
        dense = window_codes(encoding, window.frames, window.inputs, window.following)
        kept = encoding.slots * encoding.slot_columns
        ids, bias = window_ids(encoding, window.frames), self.session_bias(window.session)
        return State(window.now, dense[:, :kept], ids, bias, session_bounds(encoding, window.session))

    def step(self, state: State, following: NDArray[np.int8]) -> tuple[Trace, State]:
        """One frame of every world, given the inputs of that frame (B, 2, len(CONTROLS)).

        The Trace holds `codes`, `ids`, every vector that an op wrote, and `frame` (B, 2 * len(STATE)).
        """
        encoding = self.net.world.encoding
        tail = codes(CONTROLS, following).reshape(len(following), -1)
        parts = [state.codes, tail] if encoding.conditioned else [state.codes]
        trace: Trace = {"codes": np.concatenate(parts, 1), "ids": state.ids}
        chunks = [self._network(state.at(part), {k: v[part] for k, v in trace.items()}) for part in _parts(len(tail))]
        trace |= {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
        frame = next_frames(self.net.world, state.frame, trace["heads"], state.bounds)
        trace["frame"] = frame.reshape(len(frame), -1).astype(np.int64)
        return trace, self._pushed(state, frame, following)

    def _network(self, state: State, values: Trace) -> Trace:
        written: Trace = {}
        for op in self.net.ops:
            if op.init:
                written[op.out] = state.bias if op.init == SESSION_BIAS else self._bias(op, len(state.bias))
            source = (values | written)[op.source]
            written[op.out] = self._run(op, source, written.get(op.out, source))
        return written

    def _bias(self, op: Op, batch: int) -> Ints:
        return np.broadcast_to(self.net.tensor(op, "bias").astype(np.int64), (batch, op.size))

    def _run(self, op: Op, source: Ints, out: Ints) -> Ints:
        if op.kind == "matvec":
            return out + (source.astype(np.float32) @ self._rows[op.name]).astype(np.int64)
        if op.kind == "gather":
            picked = self.net.tensor(op, "rows")[source + self._id_starts]
            return out + picked.sum(1, dtype=np.int64) * self.net.tensor(op, "k")
        scaled = requantize(source, self.net.tensor(op, "mult").astype(np.int64), op.shift)
        return np.clip(scaled, 0, CODE_MAX) if op.kind == "requantize_relu" else scaled

    def _pushed(self, state: State, frame: NDArray[np.int32], following: NDArray[np.int8]) -> State:
        """The window moved on by one slot."""
        encoding = self.net.world.encoding
        slot, ids = slot_codes(encoding, frame, following), slot_ids(encoding, frame)
        return replace(
            state,
            frame=frame,
            codes=np.concatenate([state.codes[:, encoding.slot_columns :], slot], 1),
            ids=np.concatenate([state.ids[:, encoding.slot_ids :], ids], 1),
        )

    def model(self) -> Model:
        """The QNet as evaluate.py measures it."""
        return lambda window: self.step(self.begin(window), window.following)[1].frame


def _parts(batch: int) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, batch, CHUNK)]
