"""A QNet: an integer network as data. Above it models differ, below it targets differ; neither side sees the other.

    QNET/qnet.json            format, world, ops in order (kind and own fields), parent, provenance
    QNET/qnet.safetensors     every tensor of integers, named `<op>.<part>`

Values between ops are int64 vectors, named; each is written down whole in a Trace. A frame starts from the world's
state (`codes`, the dense columns of the window and the following inputs; `ids`, the per-frame ids; `session_bias`) and
ends with `heads`, and with `heads.<choice>.<player>` of each choice in groups, from which world.step.decode makes the
next Frame. What each op reads, needs, computes and keeps from
frame to frame is said by its class, in wm_quant/ops/.
"""

import hashlib
from collections.abc import Callable, Mapping, Set
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from wm_quant.errors import WmQuantError
from wm_quant.ops.base import CODES, IDS, SESSION_BIAS, Op, Sum, Tensor, Values
from wm_quant.ops.kinds import OPS
from wm_train import json_schema as js
from wm_train.artifact import check_folder
from wm_train.checkpoint import FIGURES, FORMS, SPLIT
from wm_train.config import ModelConfig, RunConfig
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_files, json_bytes
from wm_train.grid.arithmetic import Ints
from wm_train.naming import misnamed
from wm_train.reading import Artifact, JsonArtifact, one_line, parse_arrays, read_json
from wm_train.world.step import World
from wm_train.world.subsystem import Head

FORMAT = "wmq-qnet-5"
HEADS = "heads"
_AGAIN = "make it again from its run with `wmq quantize`"
#: Fields of an op, by what they are in its class.
_FIELDS: Mapping[Any, js.Schema] = {str: js.text(), int: js.integer()}


def _is_op(value: Any, where: str) -> None:
    """The schema of an entry of `ops`: it has the fields of its kind."""
    js.record({"kind": js.one_of(*OPS)}, more=True)(value, where)
    own = {item.name: _FIELDS[item.type] for item in fields(OPS[value["kind"]])}
    js.record({"kind": js.anything} | own)(value, where)


QNET_JSON = JsonArtifact(
    WmQuantError,
    _AGAIN,
    max_bytes=1 << 28,
    format=FORMAT,
    schema=js.record(
        {
            "format": js.text(),
            "model": js.anything,
            "ops": js.list_of(_is_op, most=4096),
            "parent": js.text(),
            "provenance": js.record(
                {},
                {
                    "form": js.one_of(*FORMS),
                    "split": SPLIT,
                    "figures": FIGURES,
                    "seed": js.integer(),
                    "holdout": js.number(0, 1),
                },
            ),
            "sha256": js.text(js.SHA256),
        }
    ),
)
TENSORS = Artifact(WmQuantError, _AGAIN, max_bytes=1 << 30)


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
    def read(self) -> dict[str, int]:
        """Length of every vector that the world reads, in the order of World.read."""
        groups = {vector_of(player, head): head.members for player, head in self.world.choices_in_groups}
        return {HEADS: self.world.always_read} | groups

    def heads(self, values: Values) -> Ints:
        """(B, read_outputs) what the world reads, of every vector by name."""
        return np.concatenate([values[name] for name in self.read], 1)

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


def vector_of(player: int, head: Head) -> str:
    """The vector that holds the logits of the ids of the group that a player's choice in groups chose."""
    return f"{HEADS}.{head.name}.{player}"


def expected_tensors(net: QNet) -> dict[str, Tensor]:
    """Every tensor that the ops ask for, by its name."""
    return {f"{op.name}.{part}": tensor for op in net.ops for part, tensor in op.tensors(net).items()}


def validate(net: QNet) -> None:
    """WmQuantError naming the first op or tensor that is not as the format says."""
    _check_ops(net)
    expected = expected_tensors(net)
    if set(expected) != set(net.tensors):
        odd = sorted(set(expected) ^ set(net.tensors))
        raise WmQuantError(f"qnet: tensors differ from what the ops ask for: {one_line(', '.join(odd))}")
    for name, tensor in expected.items():
        _check_tensor(name, net.tensors[name], tensor)


def _check_ops(net: QNet) -> None:
    known, names = {CODES, IDS}, set[str]()
    for op in net.ops:
        op.check_fields()
    _check_names(net)
    for op in net.ops:
        op.check(net, known)
        if op.name in names:
            raise WmQuantError(f'qnet: two ops are called "{op.name}"')
        names.add(op.name)
        known.add(op.out)
    _check_filled(net)
    for name, length in net.read.items():
        if (got := net.sizes.get(name, 0)) != length:
            raise WmQuantError(f"qnet: the world reads {length} values of `{name}`, and ops write {got}")
    if (begun := len(net.session_ops)) != 1:
        raise WmQuantError(f"qnet: {begun} ops start from {SESSION_BIAS}, expected one")
    if net.memories and net.world.encoding.slots != 1:
        raise WmQuantError(f"qnet: {net.world.encoding.slots} slots, expected 1 of a network with a memory")


def _check_filled(net: QNet) -> None:
    """A vector that several ops put together is put together whole, from its first value to its last."""
    filled: dict[str, int] = {}
    for op in net.ops:
        first, end = op.stretch
        if first not in (0, filled.get(op.out, 0)):
            raise op.refused(f"puts values at {first} of `{op.out}`, expected at {filled.get(op.out, 0)}")
        filled[op.out] = end
    for name, end in filled.items():
        if end != net.sizes[name]:
            raise WmQuantError(f"qnet: {end} values are put into `{name}`, expected {net.sizes[name]}")


def _check_names(net: QNet) -> None:
    """No two ops, and no two vectors, have names that become one in a program."""
    for names in ([op.name for op in net.ops], [CODES, IDS, SESSION_BIAS, *(op.out for op in net.ops)]):
        if wrong := misnamed(names):
            raise WmQuantError(f"qnet: {wrong}; `wmq quantize` makes it again from its run")


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
    """Write a QNet folder, over what it holds; qnet.json last. Raises WmQuantError for a link in it, OSError."""
    validate(net)
    check_folder(folder, WmQuantError)
    folder.mkdir(parents=True, exist_ok=True)
    blob = save({name: np.ascontiguousarray(value) for name, value in sorted(net.tensors.items())})
    meta = {
        "format": FORMAT,
        "model": RunConfig(model=net.model).to_json()["model"],
        "ops": [{"kind": op.kind} | asdict(op) for op in net.ops],
        "parent": net.parent,
        "provenance": dict(net.provenance),
        "sha256": hashlib.sha256(blob).hexdigest(),
    }
    atomic_write_files({folder / "qnet.safetensors": blob, folder / "qnet.json": json_bytes(meta)})


def _op(data: Mapping[str, Any]) -> Op:
    """The op that an entry of qnet.json says."""
    return OPS[data["kind"]](**{key: value for key, value in data.items() if key != "kind"})


def load_qnet(folder: Path) -> QNet:
    """A validated QNet, or WmQuantError."""
    check_folder(folder, WmQuantError)
    path, tensors = folder / "qnet.json", folder / "qnet.safetensors"
    meta, blob = read_json(path, QNET_JSON), TENSORS.read(tensors)
    if hashlib.sha256(blob).hexdigest() != meta["sha256"]:
        raise WmQuantError(f"{tensors}: its hash is not the one in qnet.json; quantize again")
    try:
        model = RunConfig.from_json({"model": meta["model"]}).model
    except WmTrainError as error:
        raise QNET_JSON.refuse(path, error) from None
    ops = tuple(_op(op) for op in meta["ops"])
    net = QNet(model, ops, parse_arrays(blob, tensors, TENSORS), meta["parent"], meta["provenance"])
    validate(net)
    return net
