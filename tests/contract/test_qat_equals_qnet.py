"""Nothing happens at conversion: the QAT module, its training pass and the QNet compute the same heads, bit for bit."""

import numpy as np
import pytest
import torch

from tests.factories import AHEAD_ONLY, EVERY_FLAG, random_arrays, random_checkpoint, random_window
from wm_quant.convert import from_checkpoint
from wm_quant.interp import Interpreter
from wm_quant.prove import prove
from wm_train.checkpoint import Checkpoint
from wm_train.config import MLPConfig
from wm_train.fit.batches import seen
from wm_train.grid.arithmetic import FRAC_BITS, Ints
from wm_train.measure.window import Window
from wm_train.nets.door import prepared
from wm_train.nets.matmul import use_exact_matmul
from wm_train.nets.mlp import FrameStackMLP
from wm_train.nets.network import from_arrays
from wm_train.nets.predict import quantized_predictor
from wm_train.nets.qat import QuantizedMLP
from wm_train.world.step import window_codes, window_ids

SCALES = {"hidden1": 0.25, "hidden2": 0.125}
MODELS = {
    "default": MLPConfig(),
    "small": MLPConfig(slots=2, hidden=(64, 32)),
    "published": MLPConfig(encoding="v1", heads="published", slots=4, hidden=(96, 40)),
    "int4": MLPConfig(slots=2, hidden=(64, 32), bits={"layer1": 4, "layer2": 4, "heads": 4}),
    "mixed": MLPConfig(slots=3, hidden=(96, 40), bits={"layer2": 4}),
    "int16": MLPConfig(slots=2, hidden=(64, 32), bits={"layer1": 16, "layer2": 16, "heads": 16}),
    "in groups": MLPConfig(heads="lawful_grouped", slots=2, hidden=(64, 32)),
    "int16 ends": MLPConfig(bits={"layer1": 16, "heads": 16}),
    "long": MLPConfig(encoding="v2.1", slots=12, hidden=(64, 64)),
    "every flag": MLPConfig(hidden=(64, 32), flags=EVERY_FLAG),
    "ahead only": MLPConfig(slots=2, hidden=(64, 32), flags=AHEAD_ONLY),
}


def qat_module(checkpoint: Checkpoint) -> QuantizedMLP:
    assert isinstance(checkpoint.config.model, MLPConfig)
    net = from_arrays(FrameStackMLP(checkpoint.config.model), checkpoint.arrays)
    module = prepared(net, checkpoint.config.model, SCALES)
    assert isinstance(module, QuantizedMLP)
    return module


def qnet_heads(checkpoint: Checkpoint, window: Window) -> Ints:
    net = from_checkpoint(checkpoint, "")
    prove(net)
    interpreter = Interpreter(net)
    return interpreter.net.heads(interpreter.step(interpreter.begin(window), window.following)[0])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_qat_module_computes_the_qnet(name: str, seed: int) -> None:
    use_exact_matmul()
    checkpoint = random_checkpoint(MODELS[name], seed)
    encoding = checkpoint.config.model.world.encoding
    window = random_window(encoding, 64, seed)
    want = qnet_heads(checkpoint, window)
    module = qat_module(checkpoint)
    codes = torch.from_numpy(window_codes(encoding, window.frames, window.inputs, window.following).astype(np.float32))
    ids, session = torch.from_numpy(window_ids(encoding, window.frames)), torch.from_numpy(window.session)
    trained = module.train()(codes, ids, session).detach().double().numpy() * (1 << FRAC_BITS)
    assert np.array_equal(checkpoint.config.model.world.read(trained), want)
    assert np.array_equal(quantized_predictor(module)(window), want)
    assert len(np.unique(want)) > 1000


@pytest.mark.parametrize("tables", ["ids", "session_ids"])
def test_large_tables_before_int16_weights_are_exact(tables: str) -> None:
    """Sums of picked rows beyond 2^24, where float32 ends."""
    use_exact_matmul()
    model = MLPConfig(slots=2, hidden=(64, 32), bits={"layer1": 16})
    checkpoint, window = random_checkpoint(model), random_window(model.world.encoding, 64)
    checkpoint.arrays["gain"][:] /= 1000
    for field in getattr(model.world.encoding, tables):
        checkpoint.arrays[f"embeddings.{field.name}.weight"][:] *= 10
    net = Interpreter(from_checkpoint(checkpoint, ""))
    acc = net.step(net.begin(window), window.following)[0]["acc1"]
    assert np.abs(acc).max() > 1 << 26 and (acc % 2).any()
    module = qat_module(checkpoint).freeze()
    assert module._frozen
    codes, ids, session = seen(model.world.encoding, window, as_codes=True)
    got = module._frozen.entry.accumulate(codes, ids + module.id_starts, session + module.session_starts)
    assert np.array_equal(got.numpy(), acc)


def test_the_gather_takes_part() -> None:
    """The tables of the test above are not so small that a wrong row would go unseen."""
    model = MODELS["small"]
    window = random_window(model.world.encoding, 8)
    without = random_arrays(model)
    for field in model.world.encoding.ids:
        without[f"embeddings.{field.name}.weight"][:] = 0
    checkpoint = random_checkpoint(model)
    bare = Checkpoint(checkpoint.config, "qat", without, {}, {}, SCALES)
    assert (qnet_heads(bare, window) != qnet_heads(checkpoint, window)).mean() > 0.9
