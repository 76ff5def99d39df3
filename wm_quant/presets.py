"""Networks of a known shape without weights: what a world costs and how its bytes lie, before anything is trained."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_quant.convert import mlp_ops
from wm_quant.errors import WmQuantError
from wm_quant.qnet import QNet, expected_tensors
from wm_train.config import MLPConfig, ModelConfig

PRESETS: Mapping[str, MLPConfig] = {
    "mlp": MLPConfig(),
    "mlp-published": MLPConfig(heads="published"),
    "mlp-two-level": MLPConfig(heads="two_level"),
    "mlp-int4": MLPConfig(bits=dict.fromkeys(MLPConfig().layers, 4)),
}


def preset(name: str) -> QNet:
    """The named shape with every weight zero."""
    if name not in PRESETS:
        raise WmQuantError(f"preset: got {name!r}, expected one of {', '.join(PRESETS)}")
    return untrained(PRESETS[name])


def untrained(model: ModelConfig) -> QNet:
    """A shape with every weight zero; WmQuantError for one that no program computes."""
    if not isinstance(model, MLPConfig):
        raise WmQuantError(f"arch {model.arch}: no program computes it yet, so its size on chain is not known")
    bare = QNet(model, mlp_ops(model, (31, 31, 31)), {})
    tensors: dict[str, NDArray[Any]] = {
        name: np.zeros(tensor.shape, tensor.dtype) for name, tensor in expected_tensors(bare).items()
    }
    return QNet(model, bare.ops, tensors)
