"""composed.py: runs of all subsystems become one world, and what does not fit together is refused by name."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.factories import random_checkpoint, small_mamba2, small_model, small_parts
from wm_train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from wm_train.composed import composed
from wm_train.config import ComposedConfig, MLPConfig, RunConfig, one_network
from wm_train.errors import WmTrainError
from wm_train.shapes import parameter_count, scale_names

PARTS = small_parts()


def changed(key: str, **changes: Any) -> dict[str, Checkpoint]:
    return {**PARTS, key: replace(PARTS[key], **changes)}


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_composed_run_has_its_parts(recurrent: bool, tmp_path: Path) -> None:
    cuts = {"hit_detection": {"hit": 1.0}, "damage_and_knockback": {"damage": 2.0}, "movement": {"teleport": 3.0}}
    parts = {key: replace(run, thresholds=cuts.get(key, {})) for key, run in small_parts(recurrent).items()}
    made = composed(dict(reversed(parts.items())))
    save_checkpoint(tmp_path, made)
    loaded = load_checkpoint(tmp_path)
    assert loaded.config == made.config and loaded.thresholds == {"hit": 1.0, "damage": 2.0, "teleport": 3.0}
    assert parameter_count(made.config.model) == sum(parameter_count(run.config.model) for run in parts.values())
    assert set(loaded.scales) == set(scale_names(made.config.model))
    for key, run in loaded.parts.items():
        assert run.config.model == parts[key].config.model and run.thresholds == parts[key].thresholds
        assert run.scales == parts[key].scales and run.arrays.keys() == parts[key].arrays.keys()
        assert all((run.arrays[name] == values).all() for name, values in parts[key].arrays.items())
        assert all((loaded.deciding[f"{key}.{name}"] == one).all() for name, one in parts[key].deciding.items())


def test_its_config_names_every_layer() -> None:
    model = composed(PARTS).config.model
    assert model.heads == "integrated/joined" and model.world.player_outputs == sum(
        run.config.model.world.player_outputs for run in PARTS.values()
    )
    assert model.layers[:3] == ("layer1", "hit_detection.layer2", "hit_detection.heads")
    bits = {"layer1": 16, "heads": 4}
    parts = {key: replace(one_network(run.config.model), bits=bits) for key, run in PARTS.items()}
    assert ComposedConfig(parts).bits == {"layer1": 16, **{f"{key}.heads": 4 for key in parts}}


@pytest.mark.parametrize(
    ("runs", "text"),
    [
        ({"whole": random_checkpoint(small_model())}, "whole: predicts integrated, expected one subsystem"),
        ({**PARTS, "again": PARTS["movement"]}, "again: is of movement, as movement is; expected one run of each"),
        ({key: PARTS[key] for key in ("movement", "shield_and_grab")}, "no run of hit_detection, damage_and_"),
        (changed("movement", form="float"), "movement: its form is not that of the other runs"),
        (changed("movement", split={"train": []}), "movement: what it was trained on is not that of the other runs"),
    ],
)  # fmt: skip
def test_runs_that_make_no_world_are_refused(runs: dict[str, Checkpoint], text: str) -> None:
    with pytest.raises(WmTrainError, match=text):
        composed(runs)


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (MLPConfig(slots=3, heads="integrated/movement", hidden=(24, 16)), "movement.encoding .* the same slots"),
        (small_mamba2(heads="integrated/movement"), "movement.encoding .* all parts to read the same"),
        (MLPConfig(slots=2, heads="gated/movement", hidden=(24, 16)), "movement.heads = 'gated/movement'"),
        (MLPConfig(slots=2, heads="integrated/movement", bits={"layer1": 4}), "movement.bits .* 8 of layer1"),
    ],
)
def test_shapes_that_do_not_fit_side_by_side_are_refused(model: Any, text: str) -> None:
    parts = {key: one_network(run.config.model) for key, run in PARTS.items()}
    with pytest.raises(WmTrainError, match=text):
        RunConfig(ComposedConfig({**parts, "movement": model}))
