"""torchao's own ways to small integers, to be measured beside the grid; no chain computes them.

Each takes the layers that the grid takes (`model.layers`), rounds their weights, and for INT8 what they read. All else
stays float: embeddings, norms, convolution, recurrence, and the factors between layers.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from wm_train.checkpoint import Checkpoint
from wm_train.config import ModelConfig
from wm_train.games.corpus import load_corpus
from wm_train.nets import ao
from wm_train.nets.mamba2 import Mamba2
from wm_train.nets.matmul import use_exact_matmul
from wm_train.nets.mlp import FrameStackMLP
from wm_train.nets.predict import figures_of, float_form, float_network, heads_of, model_of

N = TypeVar("N", bound=nn.Module)
Net = FrameStackMLP | Mamba2
#: Columns that share a scale where weights have 4 bits; a layer whose columns it does not divide has a scale a row.
GROUP = 32
#: Training games, and frames of them, that static scales of activations are found on.
CALIBRATION_GAMES = 8
CALIBRATION_FRAMES = 4096


def _base() -> Any:
    """What torchao's own QAT trains for and converts to: the INT8 scheme that its fake quantizers know."""
    return ao.Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int8, weight_granularity=ao.PerAxis(0))


def _by_layer(net: nn.Module, model: ModelConfig, config_of: Callable[[nn.Linear], Any]) -> None:
    layers = {name: net.get_submodule(name) for name in model.layers}
    configs = {name: config_of(layer) for name, layer in layers.items() if isinstance(layer, nn.Linear)}
    ao.quantize_(net, ao.FqnToConfig(configs), filter_fn=None)


def fake_quantized(net: N, model: ModelConfig) -> N:
    """A float network with torchao's fake quantizers in its layers, to be trained; its parameters are the same."""
    with ao.quietly():  # it imports more of itself
        _by_layer(net, model, lambda layer: ao.QATConfig(_base(), step="prepare"))
    return net


def _dynamic(net: Net, model: ModelConfig, inputs: Mapping[str, Tensor]) -> None:
    config = ao.Int8DynamicActivationInt8WeightConfig(set_inductor_config=False)
    _by_layer(net, model, lambda layer: config)


def _static(net: Net, model: ModelConfig, inputs: Mapping[str, Tensor]) -> None:
    for name in model.layers:
        config = ao.Int8StaticActivationInt8WeightConfig(
            act_quant_scale=inputs[name], granularity=[ao.PerTensor(), ao.PerRow()], set_inductor_config=False
        )
        ao.quantize_(net, ao.FqnToConfig({name: config}), filter_fn=None)


def _int4(net: Net, model: ModelConfig, inputs: Mapping[str, Tensor]) -> None:
    config = ao.Int4WeightOnlyConfig(group_size=GROUP, set_inductor_config=False)
    _by_layer(net, model, lambda layer: config)


def _int4_unpacked(net: Net, model: ModelConfig, inputs: Mapping[str, Tensor]) -> None:
    def config(layer: nn.Linear) -> Any:
        granularity = ao.PerAxis(0) if layer.in_features % GROUP else ao.PerGroup(GROUP)
        return ao.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=granularity)  # type: ignore[attr-defined]

    _by_layer(net, model, config)


def _trained(net: Net, model: ModelConfig, inputs: Mapping[str, Tensor]) -> None:
    _by_layer(net, model, lambda layer: _base())


#: A form of `wmq study rivals` -> what makes it of a float network in place, from what a code of each layer's input is
#: worth. The last is for a run that was trained with `fake_quantized`.
RIVALS: Mapping[str, Callable[[Net, ModelConfig, Mapping[str, Tensor]], None]] = {
    "torchao_int8_dynamic": _dynamic,
    "torchao_int8_static": _static,
    "torchao_int4_weight_only": _int4,
    "torchao_int4_unpacked": _int4_unpacked,
    "torchao_qat": _trained,
}


@torch.no_grad()
def _input_scales(net: Net, checkpoint: Checkpoint, dataset: Path) -> dict[str, Tensor]:
    """What a code of each layer's input is worth, by torchao's min-max observer on training games."""
    model, encoding = checkpoint.config.model, checkpoint.config.model.world.encoding
    corpus = load_corpus(dataset, checkpoint.split["train"][:CALIBRATION_GAMES], encoding)
    kind, eps = ao.MappingType.SYMMETRIC, torch.finfo(torch.float32).eps
    observers = {
        name: ao.AffineQuantizedMinMaxObserver(kind, torch.int8, ao.PerTensor(), eps=eps, keepdim=True)
        for name in model.layers
    }

    def watch(observer: nn.Module) -> Callable[[nn.Module, tuple[Tensor]], None]:
        def hook(module: nn.Module, read: tuple[Tensor]) -> None:
            observer(read[0])

        return hook

    hooks = [net.get_submodule(name).register_forward_pre_hook(watch(one)) for name, one in observers.items()]
    for _ in heads_of(float_form(net), encoding, corpus, corpus.windows(encoding)[:CALIBRATION_FRAMES]):
        pass
    for hook in hooks:
        hook.remove()
    return {name: observer.calculate_qparams()[0] for name, observer in observers.items()}


def rival_figures(checkpoint: Checkpoint, rival: str, dataset: Path, limit: int, starts: int) -> dict[str, Any]:
    """Metrics of a float run in one of torchao's forms, as evaluate has them; or only `why` it cannot be computed."""
    use_exact_matmul()
    net, model = float_network(checkpoint), checkpoint.config.model
    inputs = _input_scales(net, checkpoint, dataset) if rival == "torchao_int8_static" else {}
    try:
        RIVALS[rival](net, model, inputs)
    except (ImportError, NotImplementedError) as error:
        return {"why": f"{type(error).__name__}: {error}"}
    return figures_of(model_of(float_form(net), model.world), checkpoint, dataset, limit, starts)
