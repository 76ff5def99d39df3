"""Training one subsystem alone: only its own heads and losses, through the grid as any network."""

from pathlib import Path

import numpy as np
import pytest

from tests.factories import random_corpus, small_mamba2, small_model, write_dataset
from wm_quant.convert import from_checkpoint
from wm_quant.interp import Interpreter
from wm_quant.qnet import HEADS
from wm_train.config import ModelConfig, RunConfig, TrainConfig
from wm_train.measure.window import window_at
from wm_train.melee.rules import HEAD_SETS
from wm_train.world.step import next_codes

torch = pytest.importorskip("torch")

from wm_train.fit.train import Job, Progress, train  # noqa: E402
from wm_train.nets.predict import heads_along  # noqa: E402

pytestmark = pytest.mark.usefixtures("exact_again")

#: Parts of the loss that each subsystem has.
OWN = {
    "hit_detection": {"hitlag", "combo_count", "hit", "last_attack"},
    "damage_and_knockback": {"percent", "speed", "damage", "respawn", "stock_lost"},
    "movement": {"position", "teleport_to", "speed", "teleport", "on_ground", "ground"},
    "action_transitions": {"state_age", "age_reset", "facing", "action", "jumps", "l_cancel"},
    "shield_and_grab": {"shield", "hurtbox"},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder, [50, 40, 60, 45])
    return folder


def config(model: ModelConfig) -> RunConfig:
    return RunConfig(model, TrainConfig(steps=3, batch=16, lanes=2, chunk=8, holdout=0.3))


@pytest.mark.parametrize("key", OWN)
def test_a_part_is_trained_on_its_own_heads(key: str, dataset: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    made = train(Job(dataset, tmp_path / "run", config(small_model(heads=f"integrated/{key}"))), told.append)
    world = made.config.model.world
    assert set(told[-1].losses) == OWN[key] and set(told[-1].held_out or {}) == OWN[key]
    assert world.heads == HEAD_SETS["integrated"].parts[key].heads
    assert len(made.arrays["heads.bias"]) == world.outputs == 2 * sum(head.width for head in world.heads)
    assert set(made.thresholds) <= set(world.head_set.happenings)


@pytest.mark.parametrize("model", [small_model(heads="lawful/movement"), small_mamba2(heads="gated/movement")])
def test_the_qnet_of_a_part_gives_the_heads_that_it_was_trained_with(
    model: ModelConfig, dataset: Path, tmp_path: Path
) -> None:
    made = train(Job(dataset, tmp_path / "run", config(model), qat=True))
    net = from_checkpoint(made, "ab" * 32)
    corpus = random_corpus(encoding=model.world.encoding)
    t = corpus.windows(model.world.encoding)[:1]  # all that a network with a memory has seen of its game
    ((_, heads),) = heads_along(made, corpus, t)
    interpreter, window = Interpreter(net), window_at(corpus, model.world.encoding, t)
    state = interpreter.begin(window)
    codes = np.concatenate([state.codes, next_codes(model.world.encoding, window.following[:, None])], 1)
    written = interpreter.network(state.bias, state.memory, {"codes": codes, "ids": state.ids})
    assert made.form == "qat" and (written[HEADS] == heads).all()
