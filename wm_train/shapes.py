"""Shapes of a network's parameters from its config alone: what a checkpoint must hold, and how large a network is."""

from collections.abc import Callable, Mapping
from math import prod

from wm_train.config import ComposedConfig, Mamba2Config, MLPConfig, ModelConfig

#: Taps of Mamba-2's convolution.
D_CONV = 4

#: Scales of a block of Mamba-2: codes, but for the wide `y`.
BLOCK_SCALES = (
    "z", "gate", *(f"{name}{at}" for at in ("_in", "_pre", "") for name in "xBC"), "dt", "y"
)  # fmt: skip

Shapes = dict[str, tuple[int, ...]]


def _linear(sizes: Mapping[str, tuple[int, int]]) -> Shapes:
    shapes: Shapes = {}
    for name, (out, into) in sizes.items():
        shapes |= {f"{name}.weight": (out, into), f"{name}.bias": (out,)}
    return shapes


def _mlp(model: MLPConfig) -> Shapes:
    wide, narrow = model.hidden
    return _linear({"layer1": (wide, model.world.encoding.input_dims), "layer2": (narrow, wide),
                    "heads": (model.world.outputs, narrow)})  # fmt: skip


def _mamba2(model: Mamba2Config) -> Shapes:
    d, inner, heads, passed = model.d_model, model.d_inner, model.n_heads, model.d_conv_in
    block = {
        "norm.weight": (d,),
        "in_proj.weight": (inner + passed + heads, d),
        "conv.weight": (passed, D_CONV),
        "conv.bias": (passed,),
        **dict.fromkeys(("dt_bias", "A_log", "D"), (heads,)),
        "gated_norm.weight": (inner,),
        "out_proj.weight": (d, inner),
    }
    shapes = _linear({"layer1": (d, model.world.encoding.input_dims), "heads": (model.world.outputs, d)})
    for i in range(model.n_layers):
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
    return shapes | {"norm.weight": (d,)}


def parameter_shapes(model: ModelConfig) -> Shapes:
    """Shape of every trained parameter by its dotted name."""
    if isinstance(model, ComposedConfig):
        return _of_parts(model, parameter_shapes)
    encoding = model.world.encoding
    embeddings = {f"embeddings.{f.name}.weight": (f.vocab, f.width) for f in encoding.embeddings}
    return embeddings | (_mamba2(model) if isinstance(model, Mamba2Config) else _mlp(model))


def array_shapes(model: ModelConfig) -> Shapes:
    """Shape of every array of a checkpoint: parameters and `gain`."""
    if isinstance(model, ComposedConfig):
        return _of_parts(model, array_shapes)
    return parameter_shapes(model) | {"gain": (model.world.encoding.dense_columns,)}


def _of_parts(model: ComposedConfig, of: Callable[[ModelConfig], Shapes]) -> Shapes:
    """What each part has, its key before the names."""
    return {f"{key}.{name}": shape for key, part in model.parts.items() for name, shape in of(part).items()}


def parameter_count(model: ModelConfig) -> int:
    """Trainable parameters."""
    return sum(prod(shape) for shape in parameter_shapes(model).values())


def scale_names(model: ModelConfig) -> tuple[str, ...]:
    """Activations whose integers have a scale of their own, in the order in which they are computed."""
    if isinstance(model, ComposedConfig):
        return tuple(f"{key}.{name}" for key, part in model.parts.items() for name in scale_names(part))
    if not isinstance(model, Mamba2Config):
        return "hidden1", "hidden2"
    return ("residual", *(f"blocks.{i}.{name}" for i in range(model.n_layers) for name in BLOCK_SCALES))
