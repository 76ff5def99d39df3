"""A QNet: an integer network as data. Above it models differ, below it targets differ; neither side sees the other.

    QNET/qnet.json            format, world, ops in order (kind and own fields), parent, provenance
    QNET/qnet.safetensors     every tensor of integers, named `<op>.<part>`

Values between ops are int64 vectors, named; each is written down whole in a Trace. A frame starts from the world's
state (`codes`, the dense columns of the window and the following inputs; `ids`, the per-frame ids; `session_bias`) and
ends with `heads`, from which world.step.decode makes the next Frame. What each op reads, needs, computes and keeps from
frame to frame is said by its class, in wm_quant/ops/.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Set
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from wm_quant.errors import WmQuantError
from wm_quant.ops.base import CODES, IDS, SESSION_BIAS, Op, Sum, Tensor
from wm_quant.ops.kinds import OPS
from wm_train.config import ModelConfig, RunConfig
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_bytes, atomic_write_json
from wm_train.grid.arithmetic import Ints
from wm_train.world.step import World

FORMAT = "wmq-qnet-4"
HEADS = "heads"


@dataclass(frozen=True)
class QNet:
    """An integer network.

    model       the shape it was made from
    ops         in order
    tensors     integers, as the ops' classes say; not to be changed in place
    parent      sha256 of the run.json it was made from
    provenance  form of the parent (float: quantized after training; qat: trained on the grid), split, and figures
    """

    model: ModelConfig
    ops: tuple[Op, ...]
    tensors: Mapping[str, NDArray[Any]]
    parent: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def world(self) -> World:
        """Encoding and heads."""
        return self.model.world

    def tensor(self, op: Op, part: str) -> NDArray[Any]:
        """Tensor `part` of `op`."""
        return self.tensors[f"{op.name}.{part}"]

    def ints(self, op: Op, part: str) -> Ints:
        """The same in int64."""
        return self.once(op, f"{part} int64", lambda: self.tensor(op, part).astype(np.int64))

    def once(self, op: Op, what: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """What `make` gives, made once for each op and `what`, and read-only."""
        key = op.name, what
        if key not in self._made:
            self._made[key] = made = make()
            made.flags.writeable = False
        return self._made[key]

    @cached_property
    def _made(self) -> dict[tuple[str, str], NDArray[Any]]:
        return {}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Length of every vector of numbers."""
        return {CODES: self.world.encoding.dense_columns} | {op.out: op.size for op in self.ops}

    @cached_property
    def sums(self) -> Set[str]:
        """Vectors that accumulate products."""
        return {op.out for op in self.ops if op.makes_sum}

    @cached_property
    def memories(self) -> dict[str, int]:
        """Length of what each op keeps from frame to frame, by its name; empty for a network without memory."""
        lengths = {op.name: op.memory(self) for op in self.ops}
        return {name: length for name, length in lengths.items() if length}

    @property
    def session_ops(self) -> list[Sum]:
        """The ops that start from what the session's ids give: one, in a QNet that is as it should be."""
        return [op for op in self.ops if isinstance(op, Sum) and op.init == SESSION_BIAS]

    @property
    def parameters(self) -> int:
        """Integers in the network, folded tables included."""
        return sum(int(t.size) for t in self.tensors.values())


def expected_tensors(net: QNet) -> dict[str, Tensor]:
    """Every tensor that the ops ask for, by its name."""
    return {f"{op.name}.{part}": tensor for op in net.ops for part, tensor in op.tensors(net).items()}


def validate(net: QNet) -> None:
    """WmQuantError naming the first op or tensor that is not as the format says."""
    _check_ops(net)
    expected = expected_tensors(net)
    if set(expected) != set(net.tensors):
        odd = sorted(set(expected) ^ set(net.tensors))
        raise WmQuantError(f"qnet: tensors differ from what the ops ask for: {', '.join(odd)}")
    for name, tensor in expected.items():
        _check_tensor(name, net.tensors[name], tensor)


def _check_ops(net: QNet) -> None:
    known, names = {CODES, IDS}, set[str]()
    for op in net.ops:
        op.check(net, known)
        if op.name in names:
            raise WmQuantError(f'qnet: two ops are called "{op.name}"')
        names.add(op.name)
        known.add(op.out)
    if not net.ops or net.ops[-1].out != HEADS or net.ops[-1].size != net.world.outputs:
        raise WmQuantError(f"qnet: the last op must write `{HEADS}` of {net.world.outputs} values")
    if (begun := len(net.session_ops)) != 1:
        raise WmQuantError(f"qnet: {begun} ops start from {SESSION_BIAS}, expected one")
    if net.memories and net.world.encoding.slots != 1:
        raise WmQuantError(f"qnet: {net.world.encoding.slots} slots, expected 1 of a network with a memory")


def _check_tensor(name: str, got: NDArray[Any], tensor: Tensor) -> None:
    """Shape, type and range of one tensor."""
    if got.shape != tensor.shape or got.dtype != tensor.dtype:
        raise WmQuantError(f"qnet: {name} is {got.dtype} {got.shape}, expected {np.dtype(tensor.dtype)} {tensor.shape}")
    info = np.iinfo(tensor.dtype)
    low, high = (own if own is not None else end for own, end in ((tensor.low, info.min), (tensor.high, info.max)))
    outside = np.argwhere((got < low) | (got > high))
    if len(outside):
        at = tuple(int(i) for i in outside[0])
        raise WmQuantError(
            f"qnet: {name}{list(at)} = {got[at]}, expected {low}..{high}; was this written by an older wmq?"
        )


def save_qnet(folder: Path, net: QNet) -> None:
    """Write a QNet folder; qnet.json last."""
    validate(net)
    folder.mkdir(parents=True, exist_ok=True)
    blob = save({name: np.ascontiguousarray(value) for name, value in sorted(net.tensors.items())})
    atomic_write_bytes(folder / "qnet.safetensors", blob)
    atomic_write_json(
        folder / "qnet.json",
        {
            "format": FORMAT,
            "model": RunConfig(model=net.model).to_json()["model"],
            "ops": [{"kind": op.kind} | asdict(op) for op in net.ops],
            "parent": net.parent,
            "provenance": dict(net.provenance),
            "sha256": hashlib.sha256(blob).hexdigest(),
        },
    )


def _op(data: Any) -> Op:
    """The op that an entry of qnet.json says; WmQuantError where its kind or its fields are not known."""
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise WmQuantError(f"qnet: an op is {data!r:.60}, expected an object with a kind")
    own = {key: value for key, value in data.items() if key != "kind"}
    kind = OPS.get(data["kind"])
    if kind is None:
        raise WmQuantError(f'qnet: op "{data.get("name")}": kind {data["kind"]!r}, expected {", ".join(OPS)}')
    if own.keys() != (known := {item.name for item in fields(kind)}):
        odd = ", ".join(sorted(own.keys() ^ known))
        raise WmQuantError(f'qnet: op "{data.get("name")}": fields differ from those of a {kind.kind}: {odd}')
    return kind(**own)


def load_qnet(folder: Path) -> QNet:
    """A validated QNet, or WmQuantError."""
    path = folder / "qnet.json"
    try:
        meta = json.loads(path.read_text())
        blob = (folder / "qnet.safetensors").read_bytes()
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WmQuantError(f"{folder}: not a QNet folder ({error}); make one with `wmq quantize`") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        found = meta.get("format") if isinstance(meta, dict) else None
        raise WmQuantError(
            f"{path}: expected format {FORMAT}, got {found!r}; make it again from its run with `wmq quantize`"
        )
    if hashlib.sha256(blob).hexdigest() != meta.get("sha256"):
        raise WmQuantError(f"{folder}/qnet.safetensors: its hash is not the one in qnet.json; quantize again")
    try:
        model = RunConfig.from_json({"model": meta.get("model")}).model
        ops = tuple(_op(op) for op in meta["ops"])
        net = QNet(model, ops, load(blob), str(meta.get("parent", "")), meta.get("provenance", {}))
    except (WmTrainError, WmQuantError, SafetensorError, TypeError, AttributeError, KeyError, ValueError) as error:
        raise WmQuantError(f"{path}: {error}; quantize again") from None
    validate(net)
    return net
