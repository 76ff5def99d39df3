"""A linear layer of a network that is seen through the grid."""

from torch import nn


class GridLinear(nn.Linear):
    """A float layer, with the bits that its weights have as integers. The network that it is of computes with those:
    its multipliers take the scales of two layers, and the first layer's tables are folded."""

    bits: int

    @staticmethod
    def of(layer: nn.Linear, bits: int) -> "GridLinear":
        """The same parameters, under the same names."""
        made = GridLinear(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        made.weight, made.bias, made.bits = layer.weight, layer.bias, bits
        return made.train(layer.training)


def bits_of(net: nn.Module) -> dict[str, int]:
    """Bits of the layers of a prepared network whose weights do not have 8, by their names."""
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, GridLinear)}
    return {name: layer.bits for name, layer in layers.items() if layer.bits != 8}
