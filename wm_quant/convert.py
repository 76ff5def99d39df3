"""Checkpoint -> QNet. For a QAT checkpoint nothing happens here: its integers are the ones it was trained with."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_quant.errors import WmQuantError
from wm_quant.prove import prove
from wm_quant.qnet import SESSION_BIAS, Op, QNet
from wm_train.checkpoint import Checkpoint, digest, load_checkpoint
from wm_train.config import Mamba2Config, MLPConfig
from wm_train.grid import Floats, Ints
from wm_train.integer import BLOCK_COLUMNS, IntegerDense, IntegerInput, integer_mlp
from wm_train.integer_mamba2 import BLOCK, GATE_SHIFT, IntegerBlock, IntegerNorm, integer_mamba2

Tensors = dict[str, NDArray[Any]]


def mlp_ops(model: MLPConfig, shifts: tuple[int, int, int]) -> tuple[Op, ...]:
    """The ops of a FrameStackMLP."""
    wide, narrow = model.hidden
    outputs = model.world.outputs
    return (
        _matvec(model, "layer1", "codes", "acc1", wide, init=SESSION_BIAS),
        Op("gather", "gather", "ids", "acc1", wide),
        Op("relu1", "requantize_relu", "acc1", "hidden1", wide, shift=shifts[0]),
        _matvec(model, "layer2", "hidden1", "acc2", narrow),
        Op("relu2", "requantize_relu", "acc2", "hidden2", narrow, shift=shifts[1]),
        _matvec(model, "heads", "hidden2", "acc3", outputs),
        Op("scale", "requantize", "acc3", "heads", outputs, shift=shifts[2]),
    )


def _matvec(model: MLPConfig, name: str, source: str, out: str, size: int, init: str = "bias") -> Op:
    """A matvec with the weights that the config gives it."""
    bits = model.bits.get(name, 8)
    return Op(name, "matvec", source, out, size, init, block=BLOCK_COLUMNS[bits][name], bits=bits)


def _input_tensors(ints: IntegerInput) -> Tensors:
    return {
        "gather.rows": _narrow(ints.gather_rows, np.int8, "gather.rows"),
        "gather.k": _narrow(ints.gather_k, np.int32, "gather.k"),
        "layer1.session": _narrow(ints.session_rows.astype(np.float64), np.int32, "layer1.session"),
        **_dense("layer1", ints.layer1),
    }


def _dense(name: str, layer: IntegerDense) -> Tensors:
    return {
        f"{name}.rows": _narrow(layer.rows, layer.grid.dtype, f"{name}.rows"),
        f"{name}.bias": _narrow(layer.bias, np.int32, f"{name}.bias"),
    }


def _mult(name: str, mult: Ints) -> Tensors:
    return {f"{name}.mult": _narrow(mult.astype(np.float64), np.int32, f"{name}.mult")}


def _mlp(checkpoint: Checkpoint, model: MLPConfig) -> tuple[tuple[Op, ...], Tensors]:
    scales = checkpoint.scales["hidden1"], checkpoint.scales["hidden2"]
    mlp = integer_mlp(model.world, checkpoint.arrays, scales, model.bits)
    layers = {"relu1": mlp.layer1, "relu2": mlp.layer2, "scale": mlp.heads}
    tensors = _input_tensors(mlp) | _dense("layer2", mlp.layer2) | _dense("heads", mlp.heads)
    for name, layer in layers.items():
        tensors |= _mult(name, layer.mult)
    return mlp_ops(model, (mlp.layer1.shift, mlp.layer2.shift, mlp.heads.shift)), tensors


def _norm(name: str, source: str, out: str, size: int, norm: IntegerNorm) -> tuple[Op, Tensors]:
    tensors: Tensors = {f"{name}.table": norm.table.astype(np.int32), f"{name}.eps": np.array([norm.eps], np.int64)}
    return Op(name, "rmsnorm", source, out, size, shift=norm.shift), tensors


class _Block:
    """The ops and tensors of one block of a Mamba2; vectors and ops carry its name."""

    def __init__(self, model: Mamba2Config, name: str, ints: IntegerBlock) -> None:
        self.model, self.name, self.ints = model, name, ints
        self.ops: list[Op] = []
        self.tensors: Tensors = {}
        self._enter()
        self._mix()
        self._leave()

    def _op(self, name: str, kind: str, source: str, out: str, size: int, by: str = "", **more: Any) -> None:
        target = out if out == "residual" else f"{self.name}.{out}"
        second = f"{self.name}.{by}" if by else ""
        self.ops.append(Op(f"{self.name}.{name}", kind, f"{self.name}.{source}", target, size, by=second, **more))

    def _keep(self, name: str, tensors: Tensors) -> None:
        self.tensors |= {f"{self.name}.{name}.{part}": values for part, values in tensors.items()}

    def _scaled(
        self, name: str, kind: str, source: str, out: str, size: int, mult: Ints, shift: int, first: int = 0
    ) -> None:
        self._op(name, kind, source, out, size, shift=shift, first=first)
        self.tensors |= _mult(f"{self.name}.{name}", mult)

    def _layer(self, name: str, source: str, out: str, size: int, layer: IntegerDense) -> None:
        bits = self.model.bits.get(f"{self.name}.{name}", 8)
        self._op(name, "matvec", source, out, size, init="bias", block=BLOCK[bits], bits=bits)
        self.tensors |= _dense(f"{self.name}.{name}", layer)

    def _normed(self, name: str, source: str, out: str, size: int, norm: IntegerNorm) -> None:
        op, tensors = _norm(f"{self.name}.{name}", source, f"{self.name}.{out}", size, norm)
        self.ops.append(op)
        self.tensors |= tensors

    def _enter(self) -> None:
        """From the residual stream to codes of z, x, B_, C and dt."""
        model, ints = self.model, self.ints
        codes = model.d_inner + model.d_conv_in
        self._normed("norm", "residual", "u", model.d_model, ints.norm)
        self._layer("in_proj", "u", "acc_in", codes + model.n_heads, ints.in_proj)
        self._scaled("in_scale", "requantize_fine", "acc_in", "in", codes, ints.in_proj.mult, ints.in_proj.shift)
        self._scaled("dt_scale", "requantize_code", "acc_in", "dt", model.n_heads, ints.dt_mult, ints.dt_shift, codes)

    def _mix(self) -> None:
        """The convolution and the recurrence."""
        model, ints = self.model, self.ints
        inner, passed = model.d_inner, model.d_conv_in
        group = np.repeat(np.arange(3, dtype=np.int8), [inner, model.d_state, model.d_state])
        self._op("conv", "conv", "in", "acc_conv", passed, init="bias", first=inner)
        self.tensors |= _dense(f"{self.name}.conv", ints.conv)
        self._scaled("conv_scale", "requantize_fine", "acc_conv", "pre", passed, ints.conv.mult, ints.conv.shift)
        self._op("silu", "lut", "pre", "xBC", passed)
        self._keep("silu", {"table": ints.silu.astype(np.int16), "group": group})
        self._op("ssm", "ssm", "xBC", "acc_y", inner, by="dt")
        ssm = {"decay": ints.decay, "gain": ints.gain, "skip": ints.skip}
        self._keep("ssm", {part: _narrow(values, np.int32, f"{self.name}.ssm.{part}") for part, values in ssm.items()})
        self._scaled("y_scale", "requantize_wide", "acc_y", "y", inner, ints.y_mult, ints.y_shift)

    def _leave(self) -> None:
        """Gate, norm, and back to the residual stream."""
        model, ints, inner = self.model, self.ints, self.model.d_inner
        self._op("gate_silu", "lut", "in", "gate", inner)
        self._keep("gate_silu", {"table": ints.gate.astype(np.int16)[None], "group": np.zeros(inner, np.int8)})
        self._op("gate", "gate", "y", "gated", inner, by="gate", shift=GATE_SHIFT)
        self._normed("gated_norm", f"{self.name}.gated", "n", inner, ints.gated_norm)
        self._layer("out_proj", "n", "acc_out", model.d_model, ints.out_proj)
        self._scaled("add", "add", "acc_out", "residual", model.d_model, ints.out_proj.mult, ints.out_proj.shift)


def _mamba2(checkpoint: Checkpoint, model: Mamba2Config) -> tuple[tuple[Op, ...], Tensors]:
    ints = integer_mamba2(model, checkpoint.arrays, checkpoint.scales)
    width, outputs = model.d_model, model.world.outputs
    bits, head_bits = model.bits.get("layer1", 8), model.bits.get("heads", 8)
    blocks = [_Block(model, f"blocks.{i}", block) for i, block in enumerate(ints.blocks)]
    norm, tensors = _norm("norm", "residual", "n", width, ints.norm)
    ops = (
        Op("layer1", "matvec", "codes", "acc1", width, SESSION_BIAS, block=BLOCK_COLUMNS[bits]["layer1"], bits=bits),
        Op("gather", "gather", "ids", "acc1", width),
        Op("enter", "requantize_wide", "acc1", "residual", width, shift=ints.layer1.shift),
        *(op for block in blocks for op in block.ops),
        norm,
        Op("heads", "matvec", "n", "acc_heads", outputs, "bias", block=BLOCK[head_bits], bits=head_bits),
        Op("scale", "requantize", "acc_heads", "heads", outputs, shift=ints.heads.shift),
    )
    tensors |= _input_tensors(ints) | _mult("enter", ints.layer1.mult)
    tensors |= _dense("heads", ints.heads) | _mult("scale", ints.heads.mult)
    for block in blocks:
        tensors |= block.tensors
    return ops, tensors


def _narrow(values: Floats, dtype: type[np.integer[Any]], name: str) -> NDArray[Any]:
    info = np.iinfo(dtype)
    outside = (values < info.min) | (values > info.max)
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
    """Fold and quantize; not proved yet."""
    model = checkpoint.config.model
    ops, tensors = _mamba2(checkpoint, model) if isinstance(model, Mamba2Config) else _mlp(checkpoint, model)
    provenance = {
        "form": checkpoint.form,
        "split": dict(checkpoint.split),
        "figures": dict(checkpoint.figures),
        "seed": checkpoint.config.train.seed,
        "holdout": checkpoint.config.train.holdout,
    }
    return QNet(model, ops, tensors, parent, provenance)
