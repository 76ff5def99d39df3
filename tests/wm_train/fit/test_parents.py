"""parents.py: a run that goes on from a float run, in float or through the grid, and on which games."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import add_game, game_columns, small_model, write_dataset
from wm_train.checkpoint import digest, load_checkpoint
from wm_train.config import RunConfig, TrainConfig
from wm_train.errors import WmTrainError
from wm_train.games.corpus import held_out, moved_over
from wm_train.games.dataset import open_dataset, write_meta
from wm_train.games.overlap import use_of_split
from wm_train.world.flags import Flags

torch = pytest.importorskip("torch")

from wm_train.fit.train import Job, train  # noqa: E402

pytestmark = pytest.mark.usefixtures("exact_again")

CONFIG = RunConfig(small_model(), TrainConfig(steps=3, batch=32, learning_rate=0.01, seed=5, holdout=0.3))


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float run, beside its dataset."""
    folder = tmp_path_factory.mktemp("parent")
    write_dataset(folder / "dataset", [50, 40, 60, 45])
    train(Job(folder / "dataset", folder / "run", CONFIG))
    return folder / "run"


def asked(**about: Any) -> RunConfig:
    return replace(CONFIG, train=replace(CONFIG.train, **about))


def others(folder: Path, count: int = 4) -> Path:
    """A dataset of games that the parent has not seen."""
    for index in range(20, 20 + count):
        add_game(folder, index, game_columns(np.random.default_rng(index), 50))
    return folder


def only(parent: Path, folder: Path, side: str) -> Path:
    """A dataset of one game that the parent knows as this."""
    kept = load_checkpoint(parent).split[side][:1]
    write_dataset(folder, [50, 40, 60, 45])
    meta = open_dataset(folder)
    write_meta(replace(meta, games=tuple(game for game in meta.games if game.match in kept)))
    return folder


def test_a_float_run_goes_on_from_another_on_other_games(parent: Path, tmp_path: Path) -> None:
    first = load_checkpoint(parent)
    got = train(Job(others(tmp_path / "others"), tmp_path / "run", asked(learning_rate=1e-6, seed=7), start=parent))
    assert (got.form, got.parent) == ("float", digest(parent))
    assert (got.config.train.seed, got.config.train.holdout) == (5, 0.3)
    for name, array in first.arrays.items():
        assert np.abs(got.arrays[name] - array).max() < 1e-4, name
    assert (got.arrays["gain"] == first.arrays["gain"]).all()
    assert set(first.split["train"]) < set(got.split["train"])
    assert not set(got.split["train"]) & set(got.split["valid"])
    assert load_checkpoint(tmp_path / "run").parent == digest(parent)


def test_what_trained_the_first_run_is_held_out_of_none_after_it(parent: Path, tmp_path: Path) -> None:
    """A QAT run of it too."""
    float_run, games = tmp_path / "float", others(tmp_path / "others")
    train(Job(games, float_run, CONFIG, start=parent))
    got = train(Job(games, tmp_path / "qat", CONFIG, qat=True, start=float_run))
    fresh = held_out(parent.parent / "dataset", got.config.model.world.encoding, got.split, 0.3)
    assert set(fresh.names) == set(load_checkpoint(parent).split["valid"])


def test_a_killed_run_goes_on_from_the_same_start_only(parent: Path, tmp_path: Path) -> None:
    job = Job(others(tmp_path / "others"), tmp_path / "run", CONFIG, start=parent)

    def stop(progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(job, stop)
    with pytest.raises(WmTrainError, match="is of another run: games"):
        train(replace(job, start=None, resume=True))
    assert train(replace(job, resume=True)).parent == digest(parent)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (replace(small_model(), hidden=(16, 8)), r"model\.hidden was '\[64, 32\]', now '\[16, 8\]'"),
        (small_model("v2.2", "gated"), r"model\.heads was 'integrated', now 'gated'"),
        (small_model(slots=2), r"model\.slots was 3, now 2"),
        (small_model(flags=Flags(press_events="next")), r"model\.flags\.press_events was 'none', now 'next'"),
        (small_model("v1"), r"model\.encoding was 'v2.2', now 'v1'"),
    ],
)
def test_another_model_is_refused_by_name(parent: Path, tmp_path: Path, model: Any, named: str) -> None:
    with pytest.raises(WmTrainError, match=f"is of another model than the config: {named}"):
        train(Job(parent.parent / "dataset", tmp_path / "run", replace(CONFIG, model=model), start=parent))
    assert not (tmp_path / "run" / "run.json").exists()


def test_bits_and_dropout_are_the_new_run_s(parent: Path, tmp_path: Path) -> None:
    model = small_model(dropout=0.5, bits={"layer2": 4})
    got = train(Job(parent.parent / "dataset", tmp_path / "run", replace(asked(steps=1), model=model), start=parent))
    assert got.config.model == model


def test_no_game_validates_that_trained_the_first_run(parent: Path, tmp_path: Path) -> None:
    dataset = only(parent, tmp_path / "known", "train")
    with pytest.raises(WmTrainError, match=r"was trained on game [0-9a-f]{32}, which would validate this one"):
        train(Job(dataset, tmp_path / "run", CONFIG, start=parent))


def test_one_game_that_is_new_is_cut(parent: Path, tmp_path: Path) -> None:
    """Its middle is held out, and it is told so, though others trained the network too."""
    dataset = others(tmp_path / "one", 1)
    got = train(Job(dataset, tmp_path / "run", CONFIG, start=parent))
    (game,) = got.split["valid"]
    assert game in got.split["train"] and len(got.split["train"]) > 1
    assert len(held_out(dataset, got.config.model.world.encoding, got.split, 0.3).game) == int(50 * 0.3)
    roles = use_of_split("run", got.split, 0.3).roles
    assert roles[game] == "cut" and set(roles.values()) == {"cut", "train"}
    assert not moved_over(got.split, got.config.train)
    again = train(Job(dataset, tmp_path / "more", CONFIG, start=tmp_path / "run"))
    assert again.split == got.split
