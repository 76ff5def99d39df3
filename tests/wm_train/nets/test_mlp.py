"""mlp.py: sizes as published, inputs where the encoding says, and an untrained world that coasts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.factories import AHEAD_ONLY, EVERY_FLAG, ONE, random_corpus, small_model
from wm_train.config import MLPConfig
from wm_train.errors import WmTrainError
from wm_train.measure.window import window_at
from wm_train.melee.field_table import SPEEDS, STATE_INDEX
from wm_train.world.encoding import Encoding
from wm_train.world.step import next_frames

torch = pytest.importorskip("torch")

from wm_train.fit.batches import WindowTensors  # noqa: E402
from wm_train.nets.mlp import FrameStackMLP  # noqa: E402
from wm_train.nets.network import preflight, to_arrays  # noqa: E402
from wm_train.nets.predict import float_predictor  # noqa: E402
from wm_train.shapes import array_shapes, parameter_count  # noqa: E402

ENCODINGS = ("v1", "v2", "v2.1", "v2.2")


def windows(config: MLPConfig) -> Any:
    corpus = random_corpus(encoding=config.world.encoding)
    tensors = WindowTensors(corpus, config.world.encoding, as_codes=False)
    return tensors.batch(tensors.starts[::9])


@pytest.mark.parametrize(
    ("heads", "parameters", "outputs"), [("published", 1_304_182, 830), ("integrated", 1_364_320, 1064)]
)
def test_parameters_are_pinned(heads: str, parameters: int, outputs: int) -> None:
    config = MLPConfig(heads=heads)
    assert parameter_count(config) == parameters and config.world.outputs == outputs
    assert sum(p.numel() for p in FrameStackMLP(config).parameters()) == parameters


CONFIGS = [*map(small_model, ENCODINGS), small_model(flags=EVERY_FLAG), small_model(flags=AHEAD_ONLY)]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_count_is_the_modules(config: MLPConfig) -> None:
    network = FrameStackMLP(config)
    assert sum(p.numel() for p in network.parameters()) == parameter_count(config)
    shapes = {name: value.shape for name, value in to_arrays(network).items()}
    assert shapes == array_shapes(config)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_every_input_lies_where_the_encoding_says(config: MLPConfig) -> None:
    network, batch, e = FrameStackMLP(config), windows(config), config.world.encoding
    tables: Any = network.embeddings
    with torch.no_grad():
        network.gain.copy_(torch.rand(e.dense_columns) + 0.5)
        got = network.inputs(batch.dense, batch.ids, batch.session)
        expected = torch.full_like(got, float("nan"))
        for column, place in enumerate(e.dense_fields()):
            expected[:, e.offset(*place)] = batch.dense[:, column] * network.gain[column]
        for column, (slot, player, field) in enumerate(e.id_fields()):
            at = e.offset(slot, player, field)
            expected[:, at : at + field.width] = tables[field.name].weight[batch.ids[:, column]]
        for column, (player, field) in enumerate(e.session_fields()):
            for at in (e.offset(slot, player, field) for slot in range(e.slots)):
                expected[:, at : at + field.width] = tables[field.name].weight[batch.session[:, column]]
    assert torch.equal(got, expected)


def test_an_untrained_world_keeps_its_velocities() -> None:
    config = small_model()
    corpus = random_corpus()
    window = window_at(corpus, config.world.encoding, np.array([5, 9, 50]))
    torch.manual_seed(0)
    heads = float_predictor(FrameStackMLP(config))(window)
    assert heads.dtype == np.int64 and (heads != 0).any()
    speeds = [STATE_INDEX[name] for name in SPEEDS]
    assert (next_frames(config.world, window.now, heads)[..., speeds] == window.now[..., speeds]).all()


def test_the_float_predictor_rounds_heads_by_the_tie_rule() -> None:
    config = small_model("v1", "published")
    network, corpus = FrameStackMLP(config), random_corpus()
    with torch.no_grad():
        network.heads.weight.zero_()
        network.heads.bias.zero_()
        network.heads.bias[:4] = torch.tensor([1.5, 2.5, -1.5, -0.5]) / ONE
    heads = float_predictor(network)(window_at(corpus, config.world.encoding, np.array([5])))
    assert heads[0, :4].tolist() == [2, 3, -1, 0]


def test_dropout_acts_in_training_only() -> None:
    config = small_model(dropout=0.5)
    network, batch = FrameStackMLP(config), windows(config)
    arguments = (batch.dense, batch.ids, batch.session)
    assert not torch.equal(network(*arguments), network(*arguments))
    network.eval()
    assert torch.equal(network(*arguments), network(*arguments))


@pytest.mark.parametrize("part", ["dense", "ids", "session"])
def test_preflight_names_the_array_that_does_not_fit(part: str) -> None:
    config = small_model()
    network, batch = FrameStackMLP(config), windows(config)
    preflight(network, batch.dense, batch.ids, batch.session)
    odd = replace(batch, **{part: getattr(batch, part)[:, 1:]})
    with pytest.raises(WmTrainError, match=f"shape preflight: {part} is .* for encoding v2.2 with 3 slots"):
        preflight(network, odd.dense, odd.ids, odd.session)


def test_slots_are_not_mixed_up() -> None:
    """The encoding of one slot is the front of the encoding of two."""
    one, two = Encoding("v2.1", 1), Encoding("v2.1", 2)
    assert [one.offset(*p) for p in one.dense_fields()] == [two.offset(*p) for p in two.dense_fields()][
        : one.dense_columns
    ]
