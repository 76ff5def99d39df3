"""torchao's door to the grid: `quantize_` prepares a float network for QAT and converts what was trained.

    holder = nn.ModuleDict({"net": net})                      # quantize_ replaces children only
    quantize_(holder, prepare_config(model, scales), filter_fn=None)
    ...                                                       # train holder["net"]
    quantize_(holder, convert_config(), filter_fn=None)

A network is prepared as a whole, by its activations' scales, and each of its layers by the bits of its weights. The
arithmetic is the grid's (qat.py, qat_mamba2.py), not torchao's: its own QAT rounds half to even, layer by layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from wm_train.config import ModelConfig
from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import WEIGHT_GRIDS
from wm_train.nets.ao import AOBaseConfig, FqnToConfig, quantize_, register_quantize_module_handler
from wm_train.nets.grid_linear import GridLinear
from wm_train.nets.mamba2 import Mamba2
from wm_train.nets.mlp import FrameStackMLP
from wm_train.nets.network import FrameNet
from wm_train.nets.qat import QuantizedMLP
from wm_train.nets.qat_mamba2 import QuantizedMamba2

Quantized = QuantizedMLP | QuantizedMamba2
#: The network's name in its holder.
NET = "net"
STEPS = ("prepare", "convert")


@dataclass
class GridConfig(AOBaseConfig):
    """A whole network through the grid.

    step    prepare: integers of the parameters as they are at each forward pass, straight-through gradients;
            convert: the integers of a prepared network's present parameters, once and for all
    scales  what one code of each activation is worth, by name; of `prepare`
    """

    step: str = "prepare"
    scales: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise WmTrainError(f"GridConfig: step = {self.step!r}, expected {' or '.join(STEPS)}")


@dataclass
class GridLinearConfig(AOBaseConfig):
    """A linear layer whose weights have so many bits."""

    bits: int = 8

    def __post_init__(self) -> None:
        if self.bits not in WEIGHT_GRIDS:
            raise WmTrainError(f"GridLinearConfig: bits = {self.bits!r}, expected one of {list(WEIGHT_GRIDS)}")


@register_quantize_module_handler(GridConfig)
def _network(module: nn.Module, config: GridConfig) -> Quantized:
    if config.step == "convert":
        if not isinstance(module, Quantized):
            raise WmTrainError(f"convert: got a {type(module).__name__}, expected a network that was prepared")
        return module.freeze()
    if isinstance(module, FrameStackMLP):
        return QuantizedMLP(module, (config.scales["hidden1"], config.scales["hidden2"]))
    if isinstance(module, Mamba2):
        return QuantizedMamba2(module, dict(config.scales))
    raise WmTrainError(f"prepare: got a {type(module).__name__}, expected a float FrameStackMLP or Mamba2")


@register_quantize_module_handler(GridLinearConfig)
def _layer(module: nn.Module, config: GridLinearConfig) -> GridLinear:
    if not isinstance(module, nn.Linear):
        raise WmTrainError(f"prepare: got a {type(module).__name__}, expected a linear layer")
    return GridLinear.of(module, config.bits)


def prepare_config(model: ModelConfig, scales: Mapping[str, float]) -> Any:
    """What prepares a network in its holder: itself, and its layers by `model.bits`."""
    layers = {f"{NET}.{name}": GridLinearConfig(model.bits.get(name, 8)) for name in model.layers}
    return FqnToConfig({NET: GridConfig("prepare", scales), **layers})


def convert_config() -> Any:
    """What converts a prepared network in its holder."""
    return FqnToConfig({NET: GridConfig("convert")})


def prepared(net: FrameNet, model: ModelConfig, scales: Mapping[str, float]) -> Quantized:
    """A float network through the grid, to be trained: its parameters stay where they are."""
    return _through(net, prepare_config(model, scales))


def converted(quantized: Quantized) -> Quantized:
    """A prepared network, its integers fixed."""
    return _through(quantized, convert_config())


def _through(net: nn.Module, config: Any) -> Quantized:
    holder = nn.ModuleDict({NET: net})
    quantize_(holder, config, filter_fn=None)
    out = holder[NET]
    assert isinstance(out, Quantized)
    return out
