"""ONNX forms of what keeps something from frame to frame: convolution and recurrence. Letters are those of
wm_quant/ops/ssm.py and wm_train/grid/chunked.py."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_export.onnx.graph_builder import Graph
from wm_export.onnx.vector_forms import read
from wm_quant.ops.conv import Conv
from wm_quant.ops.ssm import SSM
from wm_quant.ops.ssm_chunked import ONE, PRODUCT_BITS, ChunkedSSM
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import CODE_MAX
from wm_train.grid.chunked import Chunk
from wm_train.grid.integer_mamba2 import DECAY_BITS, DT_CODES, GAIN_BITS
from wm_train.shapes import D_CONV

Names = Mapping[str, str]


def conv_form(graph: Graph, net: QNet, op: Conv, values: Names) -> dict[str, str]:
    """One product for each tap."""
    seen = graph.concat([values[op.kept], read(graph, net, op, values)], 1)
    acc = graph.constant(f"{op.name}.bias", net.ints(op, "bias"))
    for k, row in enumerate(net.ints(op, "rows").T):
        tap = graph.add("Mul", graph.part(seen, k * op.size, op.size), graph.constant(f"{op.name}.rows.{k}", row))
        acc = graph.add("Add", acc, tap)
    return {op.out: acc, op.kept: graph.part(seen, op.size, (D_CONV - 1) * op.size)}


def _of_dt(graph: Graph, net: QNet, op: SSM, values: Names) -> tuple[str, str]:
    """decay and gain, (B, H) each."""
    heads = net.sizes[op.by]
    starts = graph.constant(f"{op.name}.starts", np.arange(heads) * len(DT_CODES) + CODE_MAX + 1)
    at = graph.add("Add", values[op.by], starts)
    tables = (graph.constant(f"{op.name}.{part}", net.ints(op, part).ravel()) for part in ("decay", "gain"))
    decay, gain = (graph.add("Gather", table, at, axis=0) for table in tables)
    return decay, gain


def _inputs(graph: Graph, net: QNet, op: SSM, values: Names) -> tuple[str, str, str]:
    """x (B, E), and B and C (B, N)."""
    x, B_, C = (
        graph.part(values[op.source], first, size)
        for first, size in ((0, op.size), (op.size, op.cells(net)), (op.size + op.cells(net), op.cells(net)))
    )
    return x, B_, C


def _skipped(graph: Graph, net: QNet, op: SSM, x: str) -> str:
    """(B, H, P) what of x (B, H, P) goes to y directly."""
    return graph.add("Mul", x, graph.constant(f"{op.name}.skip", net.ints(op, "skip")[:, None]))


def ssm_form(graph: Graph, net: QNet, op: SSM, values: Names) -> dict[str, str]:
    """Every cell written, then read."""
    heads, cells = net.sizes[op.by], op.cells(net)
    channels = op.size // heads
    decay, gain = _of_dt(graph, net, op, values)
    flat, B_, C = _inputs(graph, net, op, values)
    x = graph.reshape(flat, heads, channels)
    w = graph.requantize(x, graph.reshape(gain, heads, 1), GAIN_BITS)
    written = graph.add("Mul", graph.reshape(w, heads, channels, 1), graph.reshape(B_, 1, 1, cells))
    faded = graph.add("Mul", graph.reshape(values[op.kept], heads, channels, cells), graph.reshape(decay, heads, 1, 1))
    state = graph.shift_right(graph.add("Add", faded, written), DECAY_BITS, plus=ONE // 2)
    seen = graph.reshape(graph.add("MatMul", state, graph.reshape(C, 1, cells, 1)), heads, channels)
    y = graph.add("Add", seen, _skipped(graph, net, op, x))
    return {op.out: graph.reshape(y, op.size), op.kept: graph.reshape(state, op.memory(net))}


@dataclass(frozen=True)
class _Turns:
    """A recurrence whose heads are written in turn, as values of a graph: what a frame reads, and what was kept.

    x (B, H, P), C (B, N, 1); decay, gain (B, H); now (B, 1), place (B, H), due (B, H) whether a head is written
    """

    graph: Graph
    shape: Chunk
    x: str
    C: str
    decay: str
    gain: str
    now: str
    place: str
    due: str

    def constant(self, name: str, array: NDArray[np.int64]) -> str:
        """Numbers that follow from the shape alone, the same of every layer of that shape."""
        return self.graph.constant(f"{name}.{self.shape.heads}x{self.shape.every}", array)

    @property
    def places(self) -> str:
        """(L,) each place among the frames since the last write."""
        return self.constant("places", np.arange(self.shape.every))

    @property
    def newest(self) -> str:
        """(B, H, L) which place is this frame's."""
        return self.graph.add("Equal", self._by_head(self.place, 1), self.places)

    @property
    def come(self) -> str:
        """(B, H, L) which places are of this frame or one before it."""
        return self.graph.add("Greater", self._by_head(self.graph.add("Add", self.place, 1), 1), self.places)

    def _by_head(self, value: str, *shape: int) -> str:
        """(B, H, *shape)."""
        return self.graph.reshape(value, self.shape.heads, *shape)

    def by_frame(self, value: str) -> str:
        """(B, H, L, ...) each head's places, of what is kept of each frame, (B, L, ...)."""
        return self.graph.add("Gather", value, self.constant("frames", self.shape.frames), axis=1)

    def joined_channels(self, before: str) -> str:
        """(B, H, L, P) the codes of x by place, this frame's among them."""
        own = self._by_head(self.x, 1, self.shape.channels)
        return self.graph.where(self._by_head(self.newest, self.shape.every, 1), own, before)

    def joined_inputs(self, before: str, B_: str) -> str:
        """(B, L, N) the codes of B by frame, this one's, (B, N), among them."""
        at = self.graph.reshape(self.graph.add("Equal", self.now, self.places), self.shape.every, 1)
        return self.graph.where(at, self.graph.reshape(B_, 1, self.shape.cells), before)

    def kept(self, lost: str) -> str:
        """(B, H) what is left of the states."""
        left = self.graph.add("Mul", self.graph.add("Sub", ONE, lost), self.decay)
        return self.graph.shift_right(left, DECAY_BITS)

    def faded(self, gains: str) -> str:
        """(B, H, L) each place's gain, this frame's among them."""
        graph = self.graph
        faded = graph.shift_right(graph.add("Mul", gains, self._by_head(self.decay, 1)), DECAY_BITS)
        return graph.where(self.newest, self._by_head(self.gain, 1), graph.where(self.come, faded, gains))

    def read(self, kept: str, states: str, gains: str, xs: str, bs: str) -> str:
        """(B, H, P) what the states and the last frames give."""
        graph, shape, f = self.graph, self.shape, self.shape.places
        dots = graph.reshape(graph.add("MatMul", bs, self.C), shape.every)
        weights = graph.requantize(self.by_frame(dots), gains, PRODUCT_BITS - f)
        k = self._by_head(graph.where(self.come, weights, 0), 1, shape.every)
        late = self._by_head(graph.add("MatMul", k, xs), shape.channels)
        C = graph.reshape(self.C, 1, shape.cells, 1)
        seen = self._by_head(graph.add("MatMul", states, C), shape.channels)
        faded = graph.add("Mul", self._by_head(kept, 1), seen)
        return graph.shift_right(
            graph.add("Add", faded, graph.add("Mul", late, 1 << (DECAY_BITS - f))), DECAY_BITS, plus=ONE // 2
        )

    def written(self, kept: str, states: str, gains: str, xs: str, bs: str) -> str:
        """(B, H, P, N) the states: those of heads that are due hold what the last frames gave them, too."""
        graph, every = self.graph, self.shape.every
        w = graph.requantize(xs, self._by_head(gains, every, 1), GAIN_BITS)
        given = graph.add("MatMul", graph.add("Transpose", w, perm=[0, 1, 3, 2]), self.by_frame(bs))
        held = graph.add("Add", graph.add("Mul", states, self._by_head(kept, 1, 1)), given)
        new = graph.shift_right(held, DECAY_BITS, plus=ONE // 2)
        return graph.where(self._by_head(self.due, 1, 1), new, states)

    def emptied(self, value: str, *shape: int) -> str:
        """A value (B, H, *shape), with zeros where a head is due."""
        return self.graph.where(self._by_head(self.due, *shape), 0, value)


def chunked_ssm_form(graph: Graph, net: QNet, op: ChunkedSSM, values: Names) -> dict[str, str]:
    """What would be written is computed of every head, and taken of those that are due."""
    shape = op.chunk(net)
    heads, every = shape.heads, shape.every
    old = {
        name: graph.reshape(graph.part(values[op.kept], at.start, at.stop - at.start), *shape.shapes[name])
        for name, at in shape.parts.items()
    }
    decay, gain = _of_dt(graph, net, op, values)
    x, B_, C = _inputs(graph, net, op, values)
    now = graph.clip(old["t"], 0, every - 1)
    ago = graph.constant(f"ago.{heads}x{every}", heads - np.arange(heads))
    place = graph.add("Mod", graph.add("Add", now, ago), every)
    due = graph.add("Equal", place, every - 1)
    C = graph.reshape(C, shape.cells, 1)
    turns = _Turns(graph, shape, graph.reshape(x, heads, shape.channels), C, decay, gain, now, place, due)

    kept, gains = turns.kept(old["lost"]), turns.faded(old["G"])
    xs, bs = turns.joined_channels(old["x"]), turns.joined_inputs(old["B"], B_)
    y = graph.add("Add", turns.read(kept, old["S"], gains, xs, bs), _skipped(graph, net, op, turns.x))
    new = {
        "t": graph.add("Mod", graph.add("Add", now, 1), every),
        "lost": turns.emptied(graph.add("Sub", ONE, kept)),
        "G": turns.emptied(gains, 1),
        "S": turns.written(kept, old["S"], gains, xs, bs),
        "x": xs,
        "B": bs,
    }
    flat = [graph.reshape(new[name], at.stop - at.start) for name, at in shape.parts.items()]
    return {op.out: graph.reshape(y, op.size), op.kept: graph.concat(flat, 1)}
