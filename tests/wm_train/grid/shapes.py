"""Random shapes of networks: whatever the config allows and a little more, up to what trains in seconds."""

from typing import Any

import numpy as np

from wm_train.checkpoint import Checkpoint
from wm_train.config import Mamba2Config, MLPConfig, ModelConfig
from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import WEIGHT_GRIDS
from wm_train.shapes import parameter_count

#: More parameters take too long to train, however briefly.
MOST_PARAMETERS = 200_000
ENCODINGS = ("v1", "v2", "v2.1", "v2.2")


def spread(rng: np.random.Generator, least: int, most: int) -> int:
    """A whole number from `least` to `most`, small ones as often as large ones."""
    return int(np.exp(rng.uniform(np.log(least), np.log(most + 0.999))))


def some_bits(rng: np.random.Generator, layers: tuple[str, ...]) -> dict[str, int]:
    """Bits of some layers."""
    return {layer: int(rng.choice(list(WEIGHT_GRIDS))) for layer in layers if rng.random() < 0.3}


def random_mamba2(rng: np.random.Generator) -> dict[str, Any]:
    """Arguments of a Mamba2Config; some are not allowed."""
    shape: dict[str, Any] = {
        "encoding": str(rng.choice(ENCODINGS)),
        "d_model": spread(rng, 1, 4096),
        "d_state": spread(rng, 1, 200) if rng.random() < 0.6 else int(rng.integers(100, 197)),
        "n_layers": spread(rng, 1, 8),
        "expand": spread(rng, 1, 8),
    }
    inner = shape["expand"] * shape["d_model"]
    shape["headdim"] = int(rng.choice([n for n in range(1, min(inner, 256) + 1) if inner % n == 0]))
    layers = tuple(f"blocks.{i}.{name}" for i in range(shape["n_layers"]) for name in ("in_proj", "out_proj"))
    return shape | {"bits": some_bits(rng, ("layer1", *layers, "heads"))}


def random_mlp(rng: np.random.Generator) -> dict[str, Any]:
    """Arguments of an MLPConfig; some are not allowed."""
    return {
        "encoding": str(rng.choice(ENCODINGS)),
        "slots": spread(rng, 1, 64) if rng.random() < 0.3 else spread(rng, 1, 21),
        "hidden": (spread(rng, 8, 4096), spread(rng, 8, 4096)),
        "bits": some_bits(rng, ("layer1", "layer2", "heads")),
    }


def random_shape(seed: int) -> tuple[type[ModelConfig], dict[str, Any]]:
    """A kind of config and arguments for it."""
    rng = np.random.default_rng(seed)
    while True:
        kind, made = (Mamba2Config, random_mamba2(rng)) if seed % 4 else (MLPConfig, random_mlp(rng))
        if _size(kind, made) <= MOST_PARAMETERS:
            return kind, made


def _size(kind: type[ModelConfig], made: dict[str, Any]) -> int:
    """Parameters; 0 of what is not allowed."""
    try:
        return parameter_count(kind(**made))
    except WmTrainError:
        return 0


def wild(checkpoint: Checkpoint, seed: int) -> Checkpoint:
    """Weights and scales as no training leaves them, over many powers of ten, by array and by row."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, array in checkpoint.arrays.items():
        rows = 10 ** rng.uniform(-2, 2, (*array.shape[:1], *[1] * (array.ndim - 1)))
        arrays[name] = (array * 10 ** rng.uniform(-4, 4) * rows).astype(np.float32)
    scales = {name: value * 10 ** rng.uniform(-3, 3) for name, value in checkpoint.scales.items()}
    return Checkpoint(checkpoint.config, checkpoint.form, arrays, checkpoint.split, checkpoint.figures, scales)
