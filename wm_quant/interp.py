"""The interpreter: what a QNet means. Whole world steps in integers, over many frames at once; and its slow twin.

What an op computes is said by its class in wm_quant/ops/; here is the loop over them, and the world around it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_quant.ops.base import CODES, IDS, SESSION_BIAS, Op, Values, integers
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import Ints
from wm_train.measure.recurrent import Stretch
from wm_train.measure.window import Window, stepper
from wm_train.measure.worlds import Model
from wm_train.world.step import (
    World,
    newest_controls,
    newest_ids,
    next_codes,
    next_frames,
    shown_codes,
    slot_codes,
    slot_ids,
    window_codes,
    window_ids,
    with_presses,
    with_sights,
)

Trace = dict[str, NDArray[np.int64]]

#: Frames worked on at once: keeps the gathered rows in cache.
CHUNK = 256


@dataclass(frozen=True)
class State:
    """The state of B worlds between two frames, as the program keeps it in its accounts.

    frame   (B, 2, len(kept_fields)) int32, the newest that the window shows
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

    def session_bias(self, session: Ints) -> Ints:
        """(B, N) what the first accumulator starts from in sessions with these ids (B, S)."""
        (op,) = self.net.session_ops
        return op.session_start(self.net, session)

    def begin(self, window: Window) -> State:
        """The State of worlds that have just seen these windows; the following inputs are not part of it. What players
        see is made anew, so windows do without it; those of one frame ahead do without presses that no slot holds."""
        encoding, bounds = self.net.world.encoding, self.net.world.session_places(window.session)
        frames = self._seen(window.frames, bounds)
        codes, known = shown_codes(encoding, frames, window.inputs), encoding.slots
        ids, bias = window_ids(encoding, frames), self.session_bias(window.session)
        after = (frames[:, known:], window.inputs[:, known:]) if encoding.lookahead > 1 else ()
        memory = self.empty_memory(len(codes))
        return State(self._kept(frames[:, known - 1]), codes, ids, bias, bounds, memory, *after)

    def _seen(self, frames: NDArray[np.int32], bounds: Ints) -> NDArray[np.int32]:
        """Frames (B, span, 2, len(kept_fields) or more) with what players see of them."""
        flat = self._kept(frames).reshape(-1, *self._kept(frames).shape[2:])
        seen = with_sights(self.net.world, flat, bounds.repeat(frames.shape[1], 0))
        return seen.reshape(*frames.shape[:3], -1)

    def _kept(self, frames: NDArray[np.int32]) -> NDArray[np.int32]:
        """Frames (..., len(frame_fields)) without what players see of them."""
        return frames[..., : len(self.net.world.encoding.kept_fields)]

    def empty_memory(self, worlds: int) -> dict[str, Ints]:
        """Memory of worlds whose network has seen nothing."""
        return {name: np.zeros((worlds, length), np.int64) for name, length in self.net.memories.items()}

    def step(self, state: State, following: NDArray[np.int8]) -> tuple[Trace, State]:
        """One frame of every world, given the inputs of that frame: (B, 2, len(controls)), or the game's own, (B, 2,
        len(game.controls)), of which the presses follow.

        The Trace holds `codes`, `ids`, every vector that an op wrote, what each op keeps as `<op>.memory`, and `frame`
        (B, 2 * len(kept_fields)).
        """
        encoding = self.net.world.encoding
        ahead = _joined(state.inputs, self._read(state, following))
        tail = next_codes(encoding, ahead)
        trace: Trace = {CODES: np.concatenate([state.codes, tail], 1), IDS: state.ids}
        trace |= self.network(state.bias, state.memory, trace)
        frame = next_frames(self.net.world, state.frame, self.net.heads(trace), state.bounds)
        trace["frame"] = self._kept(frame).reshape(len(frame), -1).astype(np.int64)
        memory = {name: trace[f"{name}.memory"] for name in state.memory}
        after = self._pushed(state, _joined(state.frames, frame), ahead)
        return trace, replace(after, memory=memory)

    def _read(self, state: State, following: NDArray[np.int8]) -> NDArray[np.int8]:
        """Inputs (B, 2, len(controls)) of the frame after a State, presses among them."""
        encoding = self.net.world.encoding
        if following.shape[-1] == len(encoding.controls):
            return following
        before = state.inputs[:, -1] if state.inputs.size else newest_controls(encoding, state.codes)
        return with_presses(encoding, before, following)

    def network(self, bias: Ints, memory: Mapping[str, Ints], values: Trace) -> Trace:
        """Every vector that an op writes and what each op keeps, given `codes` and `ids` of every world."""
        given = values | {SESSION_BIAS: bias} | {f"{name}.memory": kept for name, kept in memory.items()}
        first, *others = (self._network(_rows(given, part)) for part in _parts(len(bias)))
        # What a network keeps is nearly all of what there is: copying it would take a third of the time.
        if not others:
            return first
        return {name: np.concatenate([values, *(chunk[name] for chunk in others)]) for name, values in first.items()}

    def _network(self, given: Values) -> Trace:
        written: Trace = {}
        for op in self.net.ops:
            written |= self._run(op, {**given, **written})
        return written

    def _run(self, op: Op, values: Values) -> Values:
        """The vectors that one op writes."""
        return op.run(self.net, values)

    def _pushed(self, state: State, frames: NDArray[np.int32], inputs: NDArray[np.int8]) -> State:
        """The window moved on by one slot: the first of the known frames after it, (B, lookahead, 2, fields) each."""
        encoding, entering = self.net.world.encoding, frames[:, 0]
        slot, ids = slot_codes(encoding, entering, inputs[:, 0]), slot_ids(encoding, entering)
        held: dict[str, Any] = {"frames": frames[:, 1:], "inputs": inputs[:, 1:]} if encoding.lookahead > 1 else {}
        kept = state.ids[:, encoding.slot_ids : encoding.slots * encoding.slot_ids]
        return replace(
            state,
            frame=self._kept(entering),
            codes=np.concatenate([state.codes[:, encoding.slot_columns :], slot], 1),
            ids=np.concatenate([kept, ids, newest_ids(encoding, entering)], 1),
            **held,
        )

    def model(self) -> Model:
        """The QNet as worlds.py steps it."""
        if self.net.memories:
            return RecurrentQNet(self)

        def heads(window: Window) -> Ints:
            return self.net.heads(self.step(self.begin(window), window.following)[0])

        return stepper(self.net.world, heads)


class RefInterpreter(Interpreter):
    """The interpreter with every op done by its `ref`, one world at a time: slow, for `--target ref`."""

    def _run(self, op: Op, values: Values) -> Values:
        worlds = [op.ref(self.net, one_world(values, i)) for i in range(len(values[SESSION_BIAS]))]
        return {name: np.array([world[name] for world in worlds], np.int64) for name in worlds[0]}


class Successive(Interpreter):
    """The interpreter of one session: the worlds of a State are its consecutive frames, at most CHUNK.

    What an op keeps goes from each frame to the next, beginning with the first world's. Ops that keep nothing compute
    all frames at once. The State after a step has what is kept after each frame.
    """

    def network(self, bias: Ints, memory: Mapping[str, Ints], values: Trace) -> Trace:
        """See Interpreter."""
        assert len(bias) <= CHUNK
        return super().network(bias, memory, values)

    def _run(self, op: Op, values: Values) -> Values:
        if op.name not in self.net.memories:
            return super()._run(op, values)
        kept, frames = values[op.kept][:1], []
        for t in range(len(values[op.kept])):
            frames.append(op.run(self.net, {**_rows(values, slice(t, t + 1)), op.kept: kept}))
            kept = frames[-1][op.kept]
        return {name: np.concatenate([frame[name] for frame in frames]) for name in frames[0]}


def one_world(values: Values, world: int) -> dict[str, list[int]]:
    """Every vector of one of the worlds, in Python integers."""
    return {name: integers(value[world]) for name, value in values.items()}


def _joined(known: NDArray[Any], newest: NDArray[Any]) -> NDArray[Any]:
    """(B, n, 2, fields) of known (B, n - 1, 2, fields), or nothing, and newest (B, 2, fields)."""
    return np.concatenate([known, newest[:, None]], 1) if known.size else newest[:, None]


@dataclass(frozen=True)
class RecurrentQNet:
    """A QNet with a memory, as worlds.py steps it."""

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
            trace = self.interpreter.network(bias, memory, {CODES: codes[:, t], IDS: ids[:, t]})
            heads.append(self.interpreter.net.heads(trace))
            memory = {name: trace[f"{name}.memory"] for name in memory}
        return np.stack(heads, 1), memory


def _rows(values: Mapping[str, Ints], part: slice) -> dict[str, Ints]:
    return {name: value[part] for name, value in values.items()}


def _parts(batch: int) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, batch, CHUNK)]
