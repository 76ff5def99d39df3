"""Bits stay as they are: a small QNet of each model and what it computes, as they were made before the code moved.

`tests/contract/golden/<model>.safetensors` holds the QNet's tensors (`net.<op>.<part>`), the window that three worlds
begin with (`window.<part>`), the inputs of eight frames after it, and per frame the heads, the next Frames and what the
network remembers. Nothing here is tolerant.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.factories import random_inputs, random_window, small_mamba2, small_model, small_qnet
from wm_export.lower.lowering import lower
from wm_export.solana.blob import pack
from wm_quant.interp import Interpreter
from wm_quant.qnet import QNet
from wm_train.config import ModelConfig
from wm_train.measure.window import Window

GOLDEN = Path(__file__).parent / "golden"
MODELS: dict[str, ModelConfig] = {"mlp": small_model(), "mamba2": small_mamba2()}
#: sha256 of the MLP's weight blob.
BLOB = "4d92dbf38b7492bbeb6470f1b8d59c4d92dda93e11677d1eb58019c5fea8f03e"
WORLDS, FRAMES = 3, 8


def computed(net: QNet, window: Window, inputs: Any) -> dict[str, Any]:
    """What the interpreter makes of these windows and inputs (FRAMES, WORLDS, 2, controls)."""
    interpreter = Interpreter(net)
    state = interpreter.begin(window)
    heads, frames = [], []
    for following in inputs:
        trace, state = interpreter.step(state, following)
        heads.append(trace["heads"].astype(np.int32))
        frames.append(trace["frame"].astype(np.int32))
    memory = {f"memory.{name}": kept.astype(np.int32) for name, kept in state.memory.items()}
    return {"heads": np.stack(heads), "frames": np.stack(frames)} | memory


def write(name: str) -> None:
    """Make the golden file of a model, from the code as it is."""
    net = small_qnet(MODELS[name], seed=11)
    window = random_window(net.world.encoding, WORLDS, seed=12)
    inputs = random_inputs(np.random.default_rng(13), FRAMES, WORLDS, fields=net.world.encoding.controls)
    parts = {"frames": window.frames, "inputs": window.inputs, "following": window.following, "session": window.session}
    tensors: dict[str, Any] = {f"net.{key}": value for key, value in net.tensors.items()}
    tensors |= {f"window.{key}": value for key, value in parts.items()} | {"inputs": inputs}
    tensors |= computed(net, window, inputs)
    GOLDEN.mkdir(exist_ok=True)
    save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, GOLDEN / f"{name}.safetensors")


@pytest.mark.parametrize("name", MODELS)
def test_a_network_is_made_of_the_same_integers(name: str) -> None:
    golden = load_file(GOLDEN / f"{name}.safetensors")
    net = small_qnet(MODELS[name], seed=11)
    assert set(net.tensors) == {key.removeprefix("net.") for key in golden if key.startswith("net.")}
    for key, value in net.tensors.items():
        assert value.dtype == golden[f"net.{key}"].dtype and (value == golden[f"net.{key}"]).all(), key


@pytest.mark.parametrize("name", MODELS)
def test_a_network_computes_the_same_frames(name: str) -> None:
    golden = load_file(GOLDEN / f"{name}.safetensors")
    net = small_qnet(MODELS[name], seed=11)
    window = Window(*(golden[f"window.{part}"] for part in ("frames", "inputs", "following", "session")))
    for key, value in computed(net, window, golden["inputs"]).items():
        assert (value == golden[key]).all(), key


def test_a_blob_has_the_same_bytes() -> None:
    assert hashlib.sha256(pack(lower(small_qnet(MODELS["mlp"], seed=11))).data).hexdigest() == BLOB
