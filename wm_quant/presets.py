"""Networks of a known shape without weights: what a world costs and how its bytes lie, before anything is trained."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_quant.convert import BlockShifts, Mamba2Shifts, mamba2_ops, mlp_ops, table_groups
from wm_quant.errors import WmQuantError
from wm_quant.ops.base import Op, Tensor
from wm_quant.qnet import QNet, expected_tensors
from wm_quant.side_by_side import Made, side_by_side
from wm_train.config import ComposedConfig, Mamba2Config, MLPConfig, ModelConfig
from wm_train.world.flags import Flags
from wm_train.world.registry import find_game


def by_ids() -> Flags:
    """The flags of a world whose every number that can be an id is one."""
    game = find_game()
    on: dict[str, Any] = dict.fromkeys(game.as_ids, True)
    return game.flags(**on)


PRESETS: Mapping[str, ModelConfig] = {
    "mlp": MLPConfig(),
    "mlp-published": MLPConfig(heads="published"),
    "mlp-two-level": MLPConfig(heads="two_level"),
    "mlp-int4": MLPConfig(bits=dict.fromkeys(MLPConfig().layers, 4)),
    "mamba2-small": Mamba2Config(
        d_model=128,
        d_state=32,
        n_layers=2,
        bits={"layer1": 16, "heads": 16},
        flags=by_ids(),
    ),
}


def preset(name: str) -> QNet:
    """The named shape with every weight zero."""
    if name not in PRESETS:
        raise WmQuantError(f"preset: got {name!r}, expected one of {', '.join(PRESETS)}")
    return untrained(PRESETS[name])


def untrained(model: ModelConfig) -> QNet:
    """A shape whose integers say nothing, the least that each may be: what it costs and how its bytes lie are those of
    every network of that shape. Which values share a table is as it should be."""
    groups = _groups(model)
    bare = QNet(model, _ops(model), groups)
    tensors = {name: _least(tensor, groups.get(name)) for name, tensor in expected_tensors(bare).items()}
    return QNet(model, bare.ops, tensors)


def _groups(model: ModelConfig) -> dict[str, NDArray[np.int64]]:
    """Which table each value goes through, by the tensor's name."""
    if isinstance(model, ComposedConfig):
        own = {key: _groups(part) for key, part in model.parts.items()}
        return {f"{key}.{name}": group for key, groups in own.items() for name, group in groups.items()}
    return table_groups(model) if isinstance(model, Mamba2Config) else {}


def _least(tensor: Tensor, given: NDArray[Any] | None) -> NDArray[Any]:
    """What was given, or zeros; ones where zeros may not be."""
    if given is not None:
        return given.astype(tensor.dtype)
    # np.zeros takes no memory until somebody looks.
    none: NDArray[Any] = np.zeros(tensor.shape, tensor.dtype)
    return none if (tensor.low or 0) <= 0 else none + np.asarray(tensor.low, tensor.dtype)


def _ops(model: ModelConfig) -> tuple[Op, ...]:
    """The ops of a shape, with some shift that each may have."""
    if isinstance(model, ComposedConfig):
        bare: dict[str, list[Made]] = {key: [(op, {}) for op in _ops(part)] for key, part in model.parts.items()}
        return tuple(op for op, _ in side_by_side(model, bare))
    if isinstance(model, Mamba2Config):
        return mamba2_ops(model, Mamba2Shifts(31, (BlockShifts(*[31] * 7),) * model.n_layers, 31, 31))
    return mlp_ops(model, (31, 31, 31))
