"""A QNet: an integer network as data. Above it models differ, below it targets differ; neither side sees the other.

    QNET/qnet.json            format, world, ops in order, parent, provenance
    QNET/qnet.safetensors     every tensor of integers, named `<op>.<part>`

Values between ops are int64 vectors, named; each is written down whole in a Trace. A frame starts from the world's
state (`codes`, the dense columns of the window and the following inputs; `ids`, the per-frame ids; `session_bias`) and
ends with `heads`, from which world.decode makes the next Frame.

    kind               parts                        meaning (batch left out)
    matvec             rows int8 (N, K)             out += rows @ in, in column blocks of `block` between lane flushes;
                                                    weights of 4 `bits` are -7..7, those of 16 are int16
    gather             rows int8 (R, N), k (N,)     out += k * sum over i of rows[starts[i] + ids[i]]
    requantize_relu    mult (N,), attr shift        out = clamp(requantize(in, mult, shift), 0, 127)
    requantize         mult (N,), attr shift        out = requantize(in, mult, shift)
    requantize_code    the same                     ... kept inside -127..127
    requantize_fine    the same                     ... kept inside -2047..2047
    requantize_wide    the same                     ... kept inside +-(2^20 - 1)
    add                the same                     out = out + requantize(in, mult, shift), kept inside +-(2^20 - 1)
    rmsnorm            table (768,), eps (1,), shift   codes of in / rms(in); see wm_train.integer_mamba2.IntegerNorm
    conv               rows int8 (N, taps)          out = bias + sum over taps of rows[:, k] * in, newest frame last
    lut                table int16 (G, 4096), group (N,)   out = table[group, in + 2048]
    ssm                decay, gain (H, 256), skip (H,)   the recurrence of wm_train.integer_mamba2 on x, B and C, by dt
    gate               attr shift                   out = requantize(in * by, 1, shift)

A vector that is added to starts as `init` names: `session_bias`, or the tensor `<op>.bias`. An op reads its source from
element `first` on. `conv` and `ssm` keep a memory from frame to frame, under their own name; it begins as zeros.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from wm_quant.errors import WmQuantError
from wm_quant.kernels import MATVEC_TILE
from wm_train.config import ModelConfig, RunConfig
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_bytes, atomic_write_json
from wm_train.grid import CODE_MAX, WEIGHT_GRIDS
from wm_train.integer_mamba2 import DT_CODES, FINE_CODES, FINE_MAX, NORM_MANTISSAS, WIDE_MAX
from wm_train.shapes import D_CONV
from wm_train.world import World

FORMAT = "wmq-qnet-3"
#: What each kind keeps its result inside, if it does.
CLAMPS: Mapping[str, tuple[int, int]] = {
    "requantize_relu": (0, CODE_MAX),
    "requantize_code": (-CODE_MAX, CODE_MAX),
    "requantize_fine": (-FINE_MAX, FINE_MAX),
    "requantize_wide": (-WIDE_MAX, WIDE_MAX),
    "add": (-WIDE_MAX, WIDE_MAX),
}
#: Kinds that add to a vector; the others write one of their own.
ADDING = ("matvec", "gather", "add")
KINDS = (*ADDING, "requantize", *(kind for kind in CLAMPS if kind != "add"), "rmsnorm", "conv", "lut", "ssm", "gate")
#: Kinds that read a second vector, `by`.
TWO_SOURCES = ("ssm", "gate")
#: Kinds that multiply by `mult / 2^shift`. What matvecs and gathers add up is read by these only: they bound it.
SCALING = ("requantize", *CLAMPS)
SESSION_BIAS = "session_bias"
SHIFT_MAX = 62
NORM_ENTRIES = NORM_MANTISSAS[1] - NORM_MANTISSAS[0]
#: By kind. The kernel's clamp to 0..127 reads the top bits of a value below 2^57; a norm's shift is lowered by up to 4.
SHIFT_MIN = dict.fromkeys((*SCALING, "gate"), 1) | {"requantize_relu": 7, "rmsnorm": 5}


@dataclass(frozen=True)
class Op:
    """One step of the network.

    name      unique; tensors are `<name>.<part>`
    source    the vector it reads, from element `first` on; `out` the one it writes or adds to
    by        the second vector that it reads, of kinds that do
    init      for the first op that adds to `out`: what it starts from (`session_bias`, `bias`), else empty
    size      length of `out`
    shift     of a requantize
    block     columns between lane flushes, of a matvec
    bits      of the weights of a matvec, as the model's config says; 8 for every other op
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
    first: int = 0
    by: str = ""


@dataclass(frozen=True)
class QNet:
    """An integer network.

    model       the shape it was made from
    ops         in order
    tensors     integers: rows int8 or int16, bias, mult and session tables int32, k int32
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

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Length of every vector."""
        return {"codes": self.world.encoding.dense_columns} | {op.out: op.size for op in self.ops}

    @cached_property
    def memories(self) -> dict[str, int]:
        """Length of what each op keeps from frame to frame, by its name; empty for a network without memory."""
        kept = {"conv": lambda op: (D_CONV - 1) * op.size, "ssm": lambda op: op.size * self.cells(op)}
        return {op.name: kept[op.kind](op) for op in self.ops if op.kind in kept}

    def cells(self, op: Op) -> int:
        """State cells of each channel of an ssm."""
        return (self.sizes[op.source] - op.size) // 2

    @property
    def parameters(self) -> int:
        """Integers in the network, folded tables included."""
        return sum(int(t.size) for t in self.tensors.values())


def expected_tensors(net: QNet) -> dict[str, tuple[tuple[int, ...], type]]:
    """Shape and dtype of every tensor, from the ops."""
    encoding = net.world.encoding
    rows = sum(f.vocab for _, _, f in encoding.id_fields())
    session = sum(f.vocab for _, f in encoding.session_fields())
    shapes: dict[str, tuple[tuple[int, ...], type]] = {}
    for op in net.ops:
        known: dict[str, dict[str, tuple[tuple[int, ...], type]]] = {
            "matvec": {"rows": ((op.size, net.sizes.get(op.source, 0)), WEIGHT_GRIDS[op.bits].dtype)},
            "gather": {"rows": ((rows, op.size), np.int8), "k": ((op.size,), np.int32)},
            "rmsnorm": {"table": ((NORM_ENTRIES,), np.int32), "eps": ((1,), np.int64)},
            "conv": {"rows": ((op.size, D_CONV), np.int8)},
            "lut": {"table": ((_groups(net, op), len(FINE_CODES)), np.int16), "group": ((op.size,), np.int8)},
            "ssm": dict.fromkeys(("decay", "gain"), ((net.sizes.get(op.by, 0), len(DT_CODES)), np.int32))
            | {"skip": ((net.sizes.get(op.by, 0),), np.int32)},
            "gate": {},
        }
        parts = dict(known.get(op.kind, {"mult": ((op.size,), np.int32)}))
        if op.init:
            parts |= {"bias": ((op.size,), np.int32)}
        if op.init == SESSION_BIAS:
            parts |= {"session": ((session, op.size), np.int32)}
        shapes |= {f"{op.name}.{part}": value for part, value in parts.items()}
    return shapes


def _groups(net: QNet, op: Op) -> int:
    """Tables of a lut: as many as its rows ask for."""
    group = net.tensors.get(f"{op.name}.group", np.zeros(1, np.int8))
    return int(group.max(initial=0)) + 1 if group.min(initial=0) >= 0 else 0


def validate(net: QNet) -> None:
    """WmQuantError naming the first op or tensor that is not as the format says."""
    _check_ops(net)
    for op in net.ops:
        _check_bits(net, op)
    expected = expected_tensors(net)
    if set(expected) != set(net.tensors):
        odd = sorted(set(expected) ^ set(net.tensors))
        raise WmQuantError(f"qnet: tensors differ from what the ops ask for: {', '.join(odd)}")
    for name, (shape, dtype) in expected.items():
        got = net.tensors[name]
        if got.shape != shape or got.dtype != dtype:
            raise WmQuantError(f"qnet: {name} is {got.dtype} {got.shape}, expected {np.dtype(dtype)} {shape}")
        least = {"mult": 0, "k": 0, "eps": 1}.get(name.rpartition(".")[2])
        if least is not None and (got < least).any():
            row = int(np.argmin(got))
            most = "2^31-1" if dtype is np.int32 else "2^53"
            raise WmQuantError(
                f"qnet: {name}[{row}] = {got.flat[row]}, expected {least}..{most}; was this written by an older wmq?"
            )
    for op in net.ops:
        _check_weights(net, op)


def _check_bits(net: QNet, op: Op) -> None:
    """An op's weights have as many bits as the model's config says."""
    bits = net.model.bits.get(op.name, 8)
    if op.bits != bits:
        raise WmQuantError(f'qnet: op "{op.name}": bits {op.bits}, expected {bits} as in the model\'s config')


def _check_weights(net: QNet, op: Op) -> None:
    """The weights of an op fit the bits that it says they have."""
    if (bits := op.bits) != 8:
        rows, most = net.tensor(op, "rows").astype(np.int32), WEIGHT_GRIDS[bits].weight_max
        if (worst := int(np.abs(rows).max())) > most:
            raise WmQuantError(f"qnet: {op.name}.rows reaches {worst}, expected {most} at most in {bits} bits")


def _check_ops(net: QNet) -> None:
    written: set[str] = set()
    names: set[str] = set()
    for op in net.ops:
        _check_op(op, written | {"codes", "ids"})
        if op.name in names:
            raise WmQuantError(f'qnet: two ops are called "{op.name}"')
        # What is added to must have been started, once; a requantize writes a vector of its own.
        started = op.out in written
        if started == (bool(op.init) or op.kind not in ADDING):
            raise WmQuantError(f'qnet: op "{op.name}": `{op.out}` has {"two starts" if started else "no start"}')
        _check_sources(net, op, written | {"codes"})
        names.add(op.name)
        written.add(op.out)
    if not net.ops or net.ops[-1].out != "heads" or net.ops[-1].size != net.world.outputs:
        raise WmQuantError(f"qnet: the last op must write `heads` of {net.world.outputs} values")
    if (begun := sum(op.init == SESSION_BIAS for op in net.ops)) != 1:
        raise WmQuantError(f"qnet: {begun} ops start from {SESSION_BIAS}, expected one")
    if net.memories and net.world.encoding.slots != 1:
        raise WmQuantError(f"qnet: {net.world.encoding.slots} slots, expected 1 of a network with a memory")


def _check_sources(net: QNet, op: Op, known: set[str]) -> None:
    """What an op reads must be as long as it reads it."""
    if (op.kind == "gather") != (op.source == "ids"):
        raise WmQuantError(f'qnet: op "{op.name}": a {op.kind} of `{op.source}`; ids are read by gathers only')
    sums = {other.out for other in net.ops if other.kind in ("matvec", "gather")}
    if op.source in sums and op.kind not in SCALING:
        raise WmQuantError(f'qnet: op "{op.name}": a {op.kind} of the sum `{op.source}`; expected {", ".join(SCALING)}')
    wants = op.kind in TWO_SOURCES
    if wants != (op.by in known) or (op.by and not wants):
        raise WmQuantError(f'qnet: op "{op.name}" reads {op.by!r} too; expected {"one" if wants else "no"} vector more')
    length = net.sizes.get(op.source, 0)
    if op.kind == "ssm":
        heads, cells = net.sizes[op.by], net.cells(op)
        if op.size % heads or cells < 1 or op.size + 2 * cells != length or op.first:
            raise WmQuantError(f'qnet: op "{op.name}": {op.size} channels of {heads} heads do not fit {length} values')
    elif op.kind in ("matvec", "gather"):
        if op.first:
            raise WmQuantError(f'qnet: op "{op.name}": from {op.first} on, but a {op.kind} reads all of `{op.source}`')
    elif not 0 <= op.first <= length - op.size:
        raise WmQuantError(f'qnet: op "{op.name}": {op.size} values from {op.first} on, of {length} in `{op.source}`')
    elif op.kind == "gate" and net.sizes[op.by] != op.size:
        raise WmQuantError(f'qnet: op "{op.name}": `{op.by}` has {net.sizes[op.by]} values, expected {op.size}')


def _check_op(op: Op, known: set[str]) -> None:
    for item in fields(op):
        if type(getattr(op, item.name)) is not item.type:
            raise WmQuantError(f'qnet: op "{op.name}": {item.name} is {getattr(op, item.name)!r}, expected {item.type}')
    if op.kind not in KINDS or op.source not in known or op.size < 1 or op.init not in ("", "bias", SESSION_BIAS):
        raise WmQuantError(
            f'qnet: op "{op.name}" reads {op.source!r} as {op.kind!r}; expected {", ".join(KINDS)} '
            "over values that earlier ops wrote"
        )
    least = SHIFT_MIN.get(op.kind, op.shift)
    if not least <= op.shift <= SHIFT_MAX:
        raise WmQuantError(f'qnet: op "{op.name}": shift {op.shift}, expected {least}..{SHIFT_MAX}')
    if op.kind == "matvec" and (op.block < MATVEC_TILE or op.block % MATVEC_TILE):
        raise WmQuantError(f'qnet: op "{op.name}": block {op.block}, expected a multiple of {MATVEC_TILE}')


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
