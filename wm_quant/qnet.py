"""A QNet: an integer network as data. Above it models differ, below it targets differ; neither side sees the other.

    QNET/qnet.json            format, world, ops in order, parent, provenance
    QNET/qnet.safetensors     every tensor of integers, named `<op>.<part>`

Values between ops are int64 vectors, named; each is written down whole in a Trace. A frame starts from the world's
state (`codes`, the dense columns of the window and the following inputs; `ids`, the per-frame ids; `session_bias`) and
ends with `heads`, from which world.decode makes the next Frame.

    kind               parts                        meaning (batch left out)
    matvec             rows int8 (N, K)             out += rows @ in, in column blocks of `block` between lane flushes;
                                                    weights of 4 `bits` are -7..7
    gather             rows int8 (R, N), k (N,)     out += k * sum over i of rows[starts[i] + ids[i]]
    requantize_relu    mult (N,), attr shift        out = clamp(requantize(in, mult, shift), 0, 127)
    requantize         mult (N,), attr shift        out = requantize(in, mult, shift)

A vector that is added to starts as `init` names: `session_bias`, or the tensor `<op>.bias`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from wm_quant.errors import WmQuantError
from wm_quant.kernels import MATVEC_TILE
from wm_train.config import AnyModelConfig, RunConfig
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_bytes, atomic_write_json
from wm_train.grid import WEIGHT_GRIDS
from wm_train.world import World

FORMAT = "wmq-qnet-1"
KINDS = ("matvec", "gather", "requantize_relu", "requantize")
SESSION_BIAS = "session_bias"
SHIFT_MAX = 62
#: The kernel's clamp to 0..127 reads the top bits of a value below 2^57.
RELU_SHIFT_MIN = 7


@dataclass(frozen=True)
class Op:
    """One step of the network.

    name      unique; tensors are `<name>.<part>`
    source    the vector it reads; `out` the one it writes or adds to
    init      for the first op that adds to `out`: what it starts from (`session_bias`, `bias`), else empty
    size      length of `out`
    shift     of a requantize
    block     columns between lane flushes, of a matvec
    bits      of the weights of a matvec; 8 for every other op
    """

    name: str
    kind: str
    source: str
    out: str
    size: int
    init: str = ""
    shift: int = 0
    block: int = 0
    bits: int = 8


@dataclass(frozen=True)
class QNet:
    """An integer network.

    model       the shape it was made from
    ops         in order
    tensors     integers: rows int8, bias, mult and session tables int32, k int32
    parent      sha256 of the run.json it was made from
    provenance  form of the parent (float: quantized after training; qat: trained on the grid), split, and figures
    """

    model: AnyModelConfig
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

    @property
    def parameters(self) -> int:
        """Integers in the network, folded tables included."""
        return sum(int(t.size) for t in self.tensors.values())


def expected_tensors(net: QNet) -> dict[str, tuple[tuple[int, ...], type]]:
    """Shape and dtype of every tensor, from the ops."""
    encoding = net.world.encoding
    sizes = {"codes": encoding.dense_columns} | {op.out: op.size for op in net.ops}
    rows = sum(f.vocab for _, _, f in encoding.id_fields())
    session = sum(f.vocab for _, f in encoding.session_fields())
    shapes: dict[str, tuple[tuple[int, ...], type]] = {}
    for op in net.ops:
        known: dict[str, dict[str, tuple[tuple[int, ...], type]]] = {
            "matvec": {"rows": ((op.size, sizes.get(op.source, 0)), np.int8)},
            "gather": {"rows": ((rows, op.size), np.int8), "k": ((op.size,), np.int32)},
        }
        parts = dict(known.get(op.kind, {"mult": ((op.size,), np.int32)}))
        if op.init:
            parts |= {"bias": ((op.size,), np.int32)}
        if op.init == SESSION_BIAS:
            parts |= {"session": ((session, op.size), np.int32)}
        shapes |= {f"{op.name}.{part}": value for part, value in parts.items()}
    return shapes


def validate(net: QNet) -> None:
    """WmQuantError naming the first op or tensor that is not as the format says."""
    _check_ops(net)
    expected = expected_tensors(net)
    if set(expected) != set(net.tensors):
        odd = sorted(set(expected) ^ set(net.tensors))
        raise WmQuantError(f"qnet: tensors differ from what the ops ask for: {', '.join(odd)}")
    _check_tensors(net, expected)
    for op in (op for op in net.ops if op.bits != 8):
        rows, most = net.tensor(op, "rows").astype(np.int16), WEIGHT_GRIDS[op.bits].weight_max
        if (worst := int(np.abs(rows).max())) > most:
            raise WmQuantError(f"qnet: {op.name}.rows reaches {worst}, expected {most} at most of {op.bits} bits")


def _check_tensors(net: QNet, expected: Mapping[str, tuple[tuple[int, ...], type]]) -> None:
    for name, (shape, dtype) in expected.items():
        got = net.tensors[name]
        if got.shape != shape or got.dtype != dtype:
            raise WmQuantError(f"qnet: {name} is {got.dtype} {got.shape}, expected {np.dtype(dtype)} {shape}")
        if name.endswith((".mult", ".k")) and (got < 0).any():
            row = int(np.argmin(got))
            raise WmQuantError(
                f"qnet: {name}[{row}] = {got.flat[row]}, expected 0..2^31-1; was this written by an older wmq?"
            )


def _check_ops(net: QNet) -> None:
    written: set[str] = set()
    names: set[str] = set()
    for op in net.ops:
        _check_op(op, written | {"codes", "ids"})
        if op.name in names:
            raise WmQuantError(f'qnet: two ops are called "{op.name}"')
        # What is added to must have been started, once; a requantize writes a vector of its own.
        started = op.out in written
        if started == (bool(op.init) or op.kind.startswith("requantize")):
            raise WmQuantError(f'qnet: op "{op.name}": `{op.out}` has {"two starts" if started else "no start"}')
        names.add(op.name)
        written.add(op.out)
    if not net.ops or net.ops[-1].out != "heads" or net.ops[-1].size != net.world.outputs:
        raise WmQuantError(f"qnet: the last op must write `heads` of {net.world.outputs} values")


def _check_op(op: Op, known: set[str]) -> None:
    for item in fields(op):
        if type(getattr(op, item.name)) is not item.type:
            raise WmQuantError(f'qnet: op "{op.name}": {item.name} is {getattr(op, item.name)!r}, expected {item.type}')
    if op.kind not in KINDS or op.source not in known or op.size < 1 or op.init not in ("", "bias", SESSION_BIAS):
        raise WmQuantError(
            f'qnet: op "{op.name}" reads {op.source!r} as {op.kind!r}; expected {", ".join(KINDS)} '
            "over values that earlier ops wrote"
        )
    least = {"requantize_relu": RELU_SHIFT_MIN, "requantize": 1}.get(op.kind, op.shift)
    if not least <= op.shift <= SHIFT_MAX:
        raise WmQuantError(f'qnet: op "{op.name}": shift {op.shift}, expected {least}..{SHIFT_MAX}')
    if op.kind == "matvec" and (op.block < MATVEC_TILE or op.block % MATVEC_TILE):
        raise WmQuantError(f'qnet: op "{op.name}": block {op.block}, expected a multiple of {MATVEC_TILE}')
    if op.bits not in (WEIGHT_GRIDS if op.kind == "matvec" else (8,)):
        raise WmQuantError(f'qnet: op "{op.name}": {op.bits} bits, expected 8, or 4 of a matvec')


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
            "ops": [asdict(op) for op in net.ops],
            "parent": net.parent,
            "provenance": dict(net.provenance),
            "sha256": hashlib.sha256(blob).hexdigest(),
        },
    )


def load_qnet(folder: Path) -> QNet:
    """A validated QNet, or WmQuantError."""
    path = folder / "qnet.json"
    try:
        meta = json.loads(path.read_text())
        blob = (folder / "qnet.safetensors").read_bytes()
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WmQuantError(f"{folder}: not a QNet folder ({error}); make one with `wmq quantize`") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise WmQuantError(f"{path}: expected format {FORMAT}; was it written by another wmq?")
    if hashlib.sha256(blob).hexdigest() != meta.get("sha256"):
        raise WmQuantError(f"{folder}/qnet.safetensors: its hash is not the one in qnet.json; quantize again")
    try:
        model = RunConfig.from_json({"model": meta.get("model")}).model
        ops = tuple(Op(**op) for op in meta["ops"])
        net = QNet(model, ops, load(blob), str(meta.get("parent", "")), meta.get("provenance", {}))
    except (WmTrainError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise WmQuantError(f"{path}: {error}; quantize again") from None
    validate(net)
    return net
