"""Checkpoint -> QNet. For a QAT checkpoint nothing happens here: its integers are the ones it was trained with."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_quant.errors import WmQuantError
from wm_quant.prove import prove
from wm_quant.qnet import SESSION_BIAS, Op, QNet
from wm_train.checkpoint import Checkpoint, load_checkpoint
from wm_train.config import ModelConfig
from wm_train.grid import Floats
from wm_train.integer import BLOCK_COLUMNS, IntegerDense, IntegerMLP, integer_mlp


def mlp_ops(model: ModelConfig, shifts: tuple[int, int, int]) -> tuple[Op, ...]:
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


def _matvec(model: ModelConfig, name: str, source: str, out: str, size: int, init: str = "bias") -> Op:
    """A matvec with the weights that the config gives it."""
    bits = model.bits.get(name, 8)
    return Op(name, "matvec", source, out, size, init, block=BLOCK_COLUMNS[bits][name], bits=bits)


def _tensors(mlp: IntegerMLP) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {
        "gather.rows": _narrow(mlp.gather_rows, np.int8, "gather.rows"),
        "gather.k": _narrow(mlp.gather_k, np.int32, "gather.k"),
        "layer1.session": _narrow(mlp.session_rows, np.int32, "layer1.session"),
    }
    layers: Mapping[str, tuple[str, IntegerDense]] = {
        "layer1": ("relu1", mlp.layer1),
        "layer2": ("relu2", mlp.layer2),
        "heads": ("scale", mlp.heads),
    }
    for name, (scale, layer) in layers.items():
        tensors[f"{name}.rows"] = _narrow(layer.rows, np.int8, f"{name}.rows")
        tensors[f"{name}.bias"] = _narrow(layer.bias, np.int32, f"{name}.bias")
        tensors[f"{scale}.mult"] = _narrow(layer.mult.astype(np.float64), np.int32, f"{scale}.mult")
    return tensors


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
    net = from_checkpoint(load_checkpoint(run), hashlib.sha256((run / "run.json").read_bytes()).hexdigest())
    prove(net)
    return net


def from_checkpoint(checkpoint: Checkpoint, parent: str) -> QNet:
    """Fold and quantize; not proved yet."""
    model = checkpoint.config.model
    if not isinstance(model, ModelConfig):
        raise WmQuantError(f"quantize: no integer form of {model.arch} yet")
    scales = checkpoint.scales["hidden1"], checkpoint.scales["hidden2"]
    mlp = integer_mlp(model.world, checkpoint.arrays, scales, model.bits)
    shifts = (mlp.layer1.shift, mlp.layer2.shift, mlp.heads.shift)
    ops = mlp_ops(model, shifts)
    provenance = {
        "form": checkpoint.form,
        "split": dict(checkpoint.split),
        "figures": dict(checkpoint.figures),
        "seed": checkpoint.config.train.seed,
        "holdout": checkpoint.config.train.holdout,
    }
    return QNet(model, ops, _tensors(mlp), parent, provenance)
