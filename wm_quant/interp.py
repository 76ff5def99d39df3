"""The reference interpreter: what a QNet means. Whole world steps in integers, over many frames at once.

Matrix products run in BLAS on integers held in floats: exact, because every partial sum is proved below 2^24, where
they run in float32, or below 2^53, in float64 (prove.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_quant import ssm_ops
from wm_quant.qnet import CLAMPS, SESSION_BIAS, Op, QNet
from wm_train.bounds import session_bounds
from wm_train.evaluate import Model, Window
from wm_train.grid import WEIGHT_GRIDS, Ints, requantize
from wm_train.integer import table_starts
from wm_train.recurrent import Stretch
from wm_train.world import World, newest_ids, next_codes, next_frames, slot_codes, slot_ids, window_codes, window_ids

Trace = dict[str, NDArray[np.int64]]

#: Frames worked on at once: keeps the gathered rows in cache.
CHUNK = 256


@dataclass(frozen=True)
class State:
    """The state of B worlds between two frames, as the program keeps it in its accounts.

    frame   (B, 2, len(frame_fields)) int32, the newest that the window shows
    codes   (B, slots * slot_columns) int64, dense columns of the window, oldest slot first
    ids     (B, id_columns) int64
    bias    (B, N) int64, what the first accumulator starts from: layer bias plus the folded session ids
    bounds  (B, 4) int64, where positions may lie on the session's stage: x low, x high, y low, y high
    memory  op name -> (B, length) int64, what the network itself keeps
    frames, inputs   (B, lookahead - 1, 2, fields) what is known after `frame`, oldest first; empty without lookahead
    """

    frame: NDArray[np.int32]
    codes: Ints
    ids: Ints
    bias: Ints
    bounds: Ints
    memory: Mapping[str, Ints] = field(default_factory=dict)
    frames: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    inputs: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))

    def at(self, index: slice) -> "State":
        """Some of the worlds."""
        memory = {name: kept[index] for name, kept in self.memory.items()}
        window = self.frame[index], self.codes[index], self.ids[index]
        return State(*window, self.bias[index], self.bounds[index], memory, self.frames[index], self.inputs[index])


class Interpreter:
    """Runs one QNet. Stateless: a State goes in, a Trace and the next State come out."""

    def __init__(self, net: QNet) -> None:
        self.net = net
        encoding = net.world.encoding
        self._id_starts = table_starts([f for _, _, f in encoding.id_fields()])[:-1]
        self._session_starts = table_starts([f for _, f in encoding.session_fields()])[:-1]
        self._rows = {
            op.name: np.ascontiguousarray(net.tensor(op, "rows").astype(WEIGHT_GRIDS[op.bits].exact).T)
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
        kept, known = encoding.slots * encoding.slot_columns, encoding.slots
        ids, bias = window_ids(encoding, window.frames), self.session_bias(window.session)
        after = (window.frames[:, known:], window.inputs[:, known:]) if encoding.lookahead > 1 else ()
        memory = self.empty_memory(len(dense))
        now, bounds = window.frames[:, known - 1], session_bounds(encoding, window.session)
        return State(now, dense[:, :kept], ids, bias, bounds, memory, *after)

    def empty_memory(self, worlds: int) -> dict[str, Ints]:
        """Memory of worlds whose network has seen nothing."""
        return {name: np.zeros((worlds, length), np.int64) for name, length in self.net.memories.items()}

    def step(self, state: State, following: NDArray[np.int8]) -> tuple[Trace, State]:
        """One frame of every world, given the inputs of that frame (B, 2, len(controls)).

        The Trace holds `codes`, `ids`, every vector that an op wrote, what each op keeps as `<op>.memory`, and `frame`
        (B, 2 * len(frame_fields)).
        """
        encoding = self.net.world.encoding
        ahead = _joined(state.inputs, following)
        tail = next_codes(encoding, ahead)
        trace: Trace = {"codes": np.concatenate([state.codes, tail], 1), "ids": state.ids}
        trace |= self.network(state.bias, state.memory, trace)
        frame = next_frames(self.net.world, state.frame, trace["heads"], state.bounds)
        trace["frame"] = frame.reshape(len(frame), -1).astype(np.int64)
        memory = {name: trace[f"{name}.memory"] for name in state.memory}
        after = self._pushed(state, _joined(state.frames, frame), ahead)
        return trace, replace(after, memory=memory)

    def network(self, bias: Ints, memory: Mapping[str, Ints], values: Trace) -> Trace:
        """Every vector that an op writes and what each op keeps, given `codes` and `ids` of every world."""
        chunks = [self._network(bias[part], _rows(memory, part), _rows(values, part)) for part in _parts(len(bias))]
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}

    def _network(self, bias: Ints, memory: Mapping[str, Ints], values: Trace) -> Trace:
        written: Trace = {}
        for op in self.net.ops:
            if op.init:
                written[op.out] = bias if op.init == SESSION_BIAS else self._bias(op, len(bias))
            read = values | written
            if op.name in memory:
                written[op.out], kept = self._remember(op, read, memory[op.name])
                written[f"{op.name}.memory"] = kept
            else:
                written[op.out] = self._run(op, self._source(op, read), written.get(op.out), read.get(op.by))
        return written

    def _source(self, op: Op, values: Trace) -> Ints:
        source = values[op.source]
        return source if op.kind in ("matvec", "gather") else source[:, op.first : op.first + op.size]

    def _remember(self, op: Op, values: Trace, memory: Ints) -> tuple[Ints, Ints]:
        """The result of an op that keeps something, and what it keeps."""
        if op.kind == "conv":
            return ssm_ops.conv(self.net, op, self._source(op, values), memory)
        return ssm_ops.ssm(self.net, op, values[op.source], values[op.by], memory)

    def _bias(self, op: Op, batch: int) -> Ints:
        return np.broadcast_to(self.net.tensor(op, "bias").astype(np.int64), (batch, op.size))

    def _run(self, op: Op, source: Ints, out: Ints | None, by: Ints | None) -> Ints:
        """`out` is what an op adds to, `by` its second vector; None where it has none."""
        if out is not None and op.kind == "matvec":
            rows = self._rows[op.name]
            return out + (source.astype(rows.dtype) @ rows).astype(np.int64)
        if out is not None and op.kind == "gather":
            picked = self.net.tensor(op, "rows")[source + self._id_starts]
            return out + picked.sum(1, dtype=np.int64) * self.net.tensor(op, "k")
        if op.kind == "rmsnorm":
            return ssm_ops.rmsnorm(self.net, op, source)
        if op.kind == "lut":
            return ssm_ops.lut(self.net, op, source)
        if by is not None:
            return ssm_ops.gate(op, source, by)
        scaled: Ints = requantize(source, self.net.tensor(op, "mult").astype(np.int64), op.shift)
        if out is not None and op.kind == "add":
            scaled = scaled + out
        return np.clip(scaled, *CLAMPS[op.kind]) if op.kind in CLAMPS else scaled

    def _pushed(self, state: State, frames: NDArray[np.int32], inputs: NDArray[np.int8]) -> State:
        """The window moved on by one slot: the first of the known frames after it, (B, lookahead, 2, fields) each."""
        encoding, entering = self.net.world.encoding, frames[:, 0]
        slot, ids = slot_codes(encoding, entering, inputs[:, 0]), slot_ids(encoding, entering)
        held: dict[str, Any] = {"frames": frames[:, 1:], "inputs": inputs[:, 1:]} if encoding.lookahead > 1 else {}
        kept = state.ids[:, encoding.slot_ids : encoding.slots * encoding.slot_ids]
        return replace(
            state,
            frame=entering,
            codes=np.concatenate([state.codes[:, encoding.slot_columns :], slot], 1),
            ids=np.concatenate([kept, ids, newest_ids(encoding, entering)], 1),
            **held,
        )

    def model(self) -> Model:
        """The QNet as evaluate.py measures it."""
        if self.net.memories:
            return RecurrentQNet(self)

        def step(window: Window) -> NDArray[np.int32]:
            trace = self.step(self.begin(window), window.following)[0]
            return trace["frame"].reshape(window.now.shape).astype(np.int32)

        return step


def _joined(known: NDArray[Any], newest: NDArray[Any]) -> NDArray[Any]:
    """(B, n, 2, fields) of known (B, n - 1, 2, fields), or nothing, and newest (B, 2, fields)."""
    return np.concatenate([known, newest[:, None]], 1) if known.size else newest[:, None]


@dataclass(frozen=True)
class RecurrentQNet:
    """A QNet with a memory, as evaluate.py measures it."""

    interpreter: Interpreter

    @property
    def world(self) -> World:
        """Encoding and heads."""
        return self.interpreter.net.world

    def start(self, worlds: int) -> dict[str, Ints]:
        """Memory of worlds that have seen nothing."""
        return self.interpreter.empty_memory(worlds)

    def run(self, memory: Mapping[str, Ints], stretch: Stretch) -> tuple[Ints, Mapping[str, Ints]]:
        """Heads (B, L, outputs) after each frame, and the memory after the last one."""
        encoding, shape, heads = self.world.encoding, stretch.frames.shape[:2], []
        windows, bias = stretch.windows(), self.interpreter.session_bias(stretch.session)
        codes, ids = window_codes(encoding, *windows), window_ids(encoding, windows[0])
        codes, ids = codes.reshape(*shape, -1), ids.reshape(*shape, -1)
        for t in range(shape[1]):
            trace = self.interpreter.network(bias, memory, {"codes": codes[:, t], "ids": ids[:, t]})
            heads.append(trace["heads"])
            memory = {name: trace[f"{name}.memory"] for name in memory}
        return np.stack(heads, 1), memory


def _rows(values: Mapping[str, Ints], part: slice) -> dict[str, Ints]:
    return {name: value[part] for name, value in values.items()}


def _parts(batch: int) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, batch, CHUNK)]
