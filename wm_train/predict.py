"""A torch network as a Predictor: windows in, integer heads out."""

import numpy as np
import torch

from wm_train.batches import dense_values
from wm_train.checkpoint import Checkpoint
from wm_train.evaluate import Predictor, Window
from wm_train.fake_quant import QuantizedMLP
from wm_train.frames import Encoding
from wm_train.grid import FRAC_BITS, Ints, round_half_up
from wm_train.matmul import use_exact_matmul
from wm_train.mlp import FrameStackMLP
from wm_train.world import window_codes, window_ids


def float_predictor(net: FrameStackMLP) -> Predictor:
    """The float network; its heads are brought to the heads' fixed point by the tie rule."""
    encoding = net.world.encoding
    net.eval()

    @torch.no_grad()
    def predict(window: Window) -> Ints:
        dense = torch.from_numpy(dense_values(encoding, window.frames, window.inputs, window.following))
        out = net(dense, _ids(encoding, window), torch.from_numpy(window.session))
        heads: Ints = round_half_up(out.double().numpy() * (1 << FRAC_BITS)).astype(np.int64)
        return heads

    return predict


def quantized_predictor(quantized: QuantizedMLP) -> Predictor:
    """The QAT network: exact integers."""
    encoding = quantized.net.world.encoding
    quantized.eval().freeze()

    @torch.no_grad()
    def predict(window: Window) -> Ints:
        codes = window_codes(encoding, window.frames, window.inputs, window.following)
        out = quantized.heads(
            torch.from_numpy(codes.astype(np.float32)), _ids(encoding, window), torch.from_numpy(window.session)
        )
        heads: Ints = out.numpy().astype(np.int64)
        return heads

    return predict


def checkpoint_predictor(checkpoint: Checkpoint) -> Predictor:
    """The network of a checkpoint, in its own form."""
    use_exact_matmul()
    net = FrameStackMLP(checkpoint.config.model)
    net.load_state_dict({name: torch.from_numpy(value) for name, value in checkpoint.arrays.items()})
    if checkpoint.form == "float":
        return float_predictor(net)
    return quantized_predictor(QuantizedMLP(net, checkpoint.hidden_scales))


def _ids(encoding: Encoding, window: Window) -> torch.Tensor:
    return torch.from_numpy(window_ids(encoding, window.frames))
