"""Checkpoint -> QNet. For a QAT checkpoint nothing happens here: its integers are the ones it was trained with."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_quant.errors import WmQuantError
from wm_quant.ops.base import BIAS, CODES, IDS, SESSION_BIAS, Op
from wm_quant.ops.conv import Conv
from wm_quant.ops.dense import Matvec
from wm_quant.ops.gate import Gate
from wm_quant.ops.gather import Gather
from wm_quant.ops.norm import RMSNorm
from wm_quant.ops.requantize import Add, Requantize, RequantizeCode, RequantizeFine, RequantizeRelu, RequantizeWide
from wm_quant.ops.ssm import SSM
from wm_quant.ops.table import Lut
from wm_quant.prove import prove
from wm_quant.qnet import HEADS, QNet, expected_tensors, validate
from wm_train.checkpoint import Checkpoint, digest, load_checkpoint
from wm_train.config import Mamba2Config, MLPConfig, ModelConfig
from wm_train.grid.arithmetic import within_floats
from wm_train.grid.integer_mamba2 import BLOCK, GATE_SHIFT, IntegerBlock, IntegerNorm, integer_mamba2
from wm_train.grid.integer_mlp import BLOCK_COLUMNS, IntegerDense, IntegerInput, integer_mlp

#: Integers of any numpy type, by part or by name.
Parts = Mapping[str, NDArray[Any]]
#: An op and its tensors by part.
Made = tuple[Op, Parts]


def mlp_ops(model: MLPConfig, shifts: tuple[int, int, int]) -> tuple[Op, ...]:
    """The ops of a FrameStackMLP."""
    wide, narrow = model.hidden
    outputs = model.world.outputs
    return (
        _matvec(model, "layer1", CODES, "acc1", wide, _blocks("layer1"), SESSION_BIAS),
        Gather("gather", IDS, "acc1", wide),
        RequantizeRelu("relu1", "acc1", "hidden1", wide, shift=shifts[0]),
        _matvec(model, "layer2", "hidden1", "acc2", narrow, _blocks("layer2")),
        RequantizeRelu("relu2", "acc2", "hidden2", narrow, shift=shifts[1]),
        _matvec(model, "heads", "hidden2", "acc3", outputs, _blocks("heads")),
        Requantize("scale", "acc3", HEADS, outputs, shift=shifts[2]),
    )


def _blocks(layer: str) -> dict[int, int]:
    """Columns between two lane flushes of a FrameStackMLP's layer, by the bits of its weights."""
    return {bits: columns[layer] for bits, columns in BLOCK_COLUMNS.items()}


def _matvec(
    model: ModelConfig, name: str, source: str, out: str, size: int, blocks: Mapping[int, int], init: str = BIAS
) -> Matvec:
    """A matvec with the weights that the config gives it."""
    bits = model.bits.get(name, 8)
    return Matvec(name, source, out, size, init, block=blocks[bits], bits=bits)


def _mlp(checkpoint: Checkpoint, model: MLPConfig) -> Iterator[Made]:
    scales = checkpoint.scales["hidden1"], checkpoint.scales["hidden2"]
    mlp = integer_mlp(model.world, checkpoint.deciding, scales, model.bits)
    ops = mlp_ops(model, (mlp.layer1.shift, mlp.layer2.shift, mlp.heads.shift))
    parts = (
        _first(mlp),
        _gather(mlp),
        _mult(mlp.layer1),
        _dense(mlp.layer2),
        _mult(mlp.layer2),
        _dense(mlp.heads),
        _mult(mlp.heads),
    )
    return zip(ops, parts, strict=True)


def _dense(layer: IntegerDense) -> Parts:
    return {"rows": layer.rows, "bias": layer.bias}


def _mult(layer: IntegerDense) -> Parts:
    return {"mult": layer.mult}


def _first(ints: IntegerInput) -> Parts:
    return {**_dense(ints.layer1), "session": ints.session_rows}


def _gather(ints: IntegerInput) -> Parts:
    return {"rows": ints.gather_rows, "k": ints.gather_k}


def _norm(norm: IntegerNorm) -> Parts:
    return {"table": norm.table, "eps": np.array([norm.eps])}


class _Block:
    """The ops of one block of a Mamba2 and their tensors. Its vectors and ops carry its name."""

    def __init__(self, model: Mamba2Config, name: str, ints: IntegerBlock) -> None:
        self.model, self.name, self.ints = model, name, ints

    def _at(self, name: str) -> str:
        return f"{self.name}.{name}"

    def ops(self) -> Iterator[Made]:
        """In order."""
        yield from self._enter()
        yield from self._mix()
        yield from self._leave()

    def _enter(self) -> Iterator[Made]:
        """From the residual stream to codes of z, x, B_, C and dt."""
        at, model, ints = self._at, self.model, self.ints
        codes, acc = model.d_inner + model.d_conv_in, at("acc_in")
        yield RMSNorm(at("norm"), "residual", at("u"), model.d_model, shift=ints.norm.shift), _norm(ints.norm)
        yield _matvec(model, at("in_proj"), at("u"), acc, codes + model.n_heads, BLOCK), _dense(ints.in_proj)
        yield RequantizeFine(at("in_scale"), acc, at("in"), codes, shift=ints.in_proj.shift), _mult(ints.in_proj)
        dt = RequantizeCode(at("dt_scale"), acc, at("dt"), model.n_heads, shift=ints.dt_shift, first=codes)
        yield dt, {"mult": ints.dt_mult}

    def _mix(self) -> Iterator[Made]:
        """The convolution and the recurrence."""
        at, model, ints = self._at, self.model, self.ints
        inner, passed, cells, acc = model.d_inner, model.d_conv_in, model.d_state, at("acc_conv")
        yield Conv(at("conv"), at("in"), acc, passed, first=inner), _dense(ints.conv)
        yield (
            RequantizeFine(at("conv_scale"), acc, at("pre"), passed, shift=ints.conv.shift),
            _mult(ints.conv),
        )
        group = np.repeat(np.arange(3), [inner, cells, cells])
        yield Lut(at("silu"), at("pre"), at("xbc"), passed), {"table": ints.silu, "group": group}
        ssm = {"decay": ints.decay, "gain": ints.gain, "skip": ints.skip}
        yield SSM(at("ssm"), at("xbc"), at("acc_y"), inner, by=at("dt")), ssm
        yield RequantizeWide(at("y_scale"), at("acc_y"), at("y"), inner, shift=ints.y_shift), {"mult": ints.y_mult}

    def _leave(self) -> Iterator[Made]:
        """Gate, norm, and back to the residual stream."""
        at, model, ints, inner = self._at, self.model, self.ints, self.model.d_inner
        table = {"table": ints.gate[None], "group": np.zeros(inner, np.int64)}
        yield Lut(at("gate_silu"), at("in"), at("gate"), inner), table
        yield Gate(at("gate"), at("y"), at("gated"), inner, by=at("gate"), shift=GATE_SHIFT), {}
        norm, out = ints.gated_norm, ints.out_proj
        yield RMSNorm(at("gated_norm"), at("gated"), at("n"), inner, shift=norm.shift), _norm(norm)
        yield _matvec(model, at("out_proj"), at("n"), at("acc_out"), model.d_model, BLOCK), _dense(out)
        yield Add(at("add"), at("acc_out"), "residual", model.d_model, shift=out.shift), _mult(out)


def _mamba2(checkpoint: Checkpoint, model: Mamba2Config) -> Iterator[Made]:
    ints = integer_mamba2(model, checkpoint.deciding, checkpoint.scales)
    width, outputs = model.d_model, model.world.outputs
    yield _matvec(model, "layer1", CODES, "acc1", width, _blocks("layer1"), SESSION_BIAS), _first(ints)
    yield Gather("gather", IDS, "acc1", width), _gather(ints)
    yield RequantizeWide("enter", "acc1", "residual", width, shift=ints.layer1.shift), _mult(ints.layer1)
    for i, block in enumerate(ints.blocks):
        yield from _Block(model, f"blocks.{i}", block).ops()
    yield RMSNorm("norm", "residual", "n", width, shift=ints.norm.shift), _norm(ints.norm)
    yield _matvec(model, "heads", "n", "acc_heads", outputs, BLOCK), _dense(ints.heads)
    yield Requantize("scale", "acc_heads", HEADS, outputs, shift=ints.heads.shift), _mult(ints.heads)


def _narrow(values: NDArray[Any], dtype: type[np.integer[Any]], name: str) -> NDArray[Any]:
    info = np.iinfo(dtype)
    outside = ~((values >= info.min) & (values <= info.max))  # which NaN is
    if outside.any():
        at = tuple(int(i) for i in np.argwhere(outside)[0])
        raise WmQuantError(f"quantize: {name}{list(at)} = {values[at]:.0f} does not fit {info.dtype}; train with --qat")
    return values.astype(dtype)


def quantize(run: Path) -> QNet:
    """The QNet of a run, proved.

    A QAT run's integers are those it was trained with; a float run is rounded to the grid with its calibrated
    activation scales. WmQuantError where a row cannot be proved, with its name and the number.
    """
    net = from_checkpoint(load_checkpoint(run), digest(run))
    prove(net)
    return net


def from_checkpoint(checkpoint: Checkpoint, parent: str) -> QNet:
    """Fold and quantize; validated, not proved yet. WmQuantError where weights or scales are beyond all bounds."""
    with within_floats(WmQuantError):
        net = _made(checkpoint, parent)
    validate(net)
    return net


def _made(checkpoint: Checkpoint, parent: str) -> QNet:
    model = checkpoint.config.model
    made = list(_mamba2(checkpoint, model) if isinstance(model, Mamba2Config) else _mlp(checkpoint, model))
    wide = {f"{op.name}.{part}": values for op, parts in made for part, values in parts.items()}
    provenance = {
        "form": checkpoint.form,
        "split": dict(checkpoint.split),
        "figures": dict(checkpoint.figures),
        "seed": checkpoint.config.train.seed,
        "holdout": checkpoint.config.train.holdout,
    }
    net = QNet(model, tuple(op for op, _ in made), wide, parent, provenance)
    narrow = {name: _narrow(wide[name], tensor.dtype, name) for name, tensor in expected_tensors(net).items()}
    return replace(net, tensors=narrow)
