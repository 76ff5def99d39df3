"""examples/pong: a game that is not built in goes from its data to a program that computes the same everywhere."""

import pickle
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.pong.pong import GAME, HALF
from examples.pong.rallies import write_rallies
from wm_export.onnx.graph import onnx_model
from wm_export.onnx.runtime import OrtRunner
from wm_export.parity import Executor, Recording, rollouts, teacher_forced
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.metering import build, predicted, runner
from wm_export.solana.native import NativeRunner
from wm_export.solana.toolchain import Toolchain
from wm_quant.convert import quantize
from wm_quant.interp import Interpreter, RefInterpreter
from wm_quant.qnet import load_qnet
from wm_train.config import LossConfig, MLPConfig, RunConfig, TrainConfig
from wm_train.errors import WmTrainError
from wm_train.games.corpus import load_corpus
from wm_train.games.dataset import open_dataset
from wm_train.measure.drift import drift_figures
from wm_train.measure.evaluate import evaluate
from wm_train.measure.measures import Event, MeasuredLaw, Measures
from wm_train.measure.recorded import Recorded, recorded
from wm_train.measure.window import baselines, persistence, window_at
from wm_train.world.encoding import Encoding
from wm_train.world.flags import Flags
from wm_train.world.registry import find_game, register

pytest.importorskip("torch")

MODEL: dict[str, Any] = {"game": "pong", "encoding": "court", "heads": "rally", "slots": 3, "hidden": (32, 16)}


@pytest.fixture(scope="module", autouse=True)
def known() -> None:
    """The game, as a package's entry point would make it known."""
    register(GAME)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pong") / "rallies"
    write_rallies(folder, 4, 200)
    return folder


@pytest.fixture(scope="module")
def export(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A network trained for a few steps with its integers, exported."""
    from wm_train.fit.train import Job, train

    folder = tmp_path_factory.mktemp("trained")
    config = RunConfig(MLPConfig(**MODEL), TrainConfig(steps=20, batch=16, losses=LossConfig(), holdout=0.3))
    assert train(Job(dataset, folder / "run", config, qat=True)).form == "qat"
    export_solana(quantize(folder / "run"), folder / "export")
    return open_export(folder / "export")


def recording(export: Export, dataset: Path, worlds: int, frames: int) -> Recording:
    """Worlds that stand in rallies, and the inputs of the frames that follow."""
    encoding = export.net.world.encoding
    corpus = load_corpus(dataset, [game.md5 for game in open_dataset(dataset).games], encoding)
    t = corpus.windows(encoding)
    t = t[corpus.game[np.minimum(t + frames, len(corpus.game) - 1)] == corpus.game[t]][:: max(1, len(t) // worlds)]
    t = t[:worlds]
    inputs = np.stack([corpus.inputs[t + ahead] for ahead in range(1, frames + 1)])
    return Recording(Interpreter(export.net).begin(window_at(corpus, encoding, t)), inputs)


def same(name: str, executor: Executor, export: Export, dataset: Path) -> None:
    reference = Interpreter(export.net)
    (one,) = teacher_forced({name: executor}, reference, [recording(export, dataset, 40, 1)])
    assert (one.frames, one.mismatches, one.first) == (40, 0, None)
    (free,) = rollouts({name: executor}, reference, recording(export, dataset, 2, 30))
    assert (free.frames, free.mismatches, free.first) == (60, 0, None)


def test_artifacts_name_the_game(export: Export, dataset: Path) -> None:
    assert open_dataset(dataset).game is GAME and find_game("pong") is GAME
    assert load_qnet(export.home / "qnet").world.game is GAME
    assert export.manifest.data["model"]["game"] == "pong"
    assert pickle.loads(pickle.dumps(GAME)) is GAME


def test_a_game_that_is_not_known_is_named() -> None:
    with pytest.raises(WmTrainError, match=r"got .chess., expected one of .*melee.*pong"):
        find_game("chess")
    with pytest.raises(WmTrainError, match=r"encoding: got .v2\.2., expected one of court"):
        Encoding("v2.2", 3, game=GAME)


def test_a_dataset_of_another_game_is_refused(dataset: Path) -> None:
    with pytest.raises(WmTrainError, match="its games are of pong, expected melee"):
        load_corpus(dataset, [], Encoding("v2.2", 3))


def test_it_is_measured_by_roles(export: Export, dataset: Path) -> None:
    encoding = export.net.world.encoding
    corpus = load_corpus(dataset, [game.md5 for game in open_dataset(dataset).games[:2]], encoding)
    assert list(baselines(GAME)) == ["persistence"]
    figures = evaluate(Interpreter(export.net).model(), corpus, encoding, starts=4)
    still = evaluate(baselines(GAME)["persistence"], corpus, encoding, starts=4)
    assert figures["damage_mae"] == still["damage_mae"] == 0 and still["position_mae"] > 0.2
    assert 0 < figures["position_mae"] < still["position_mae"]  # the rules integrate speeds


def test_a_game_without_laws_is_measured_without_them(dataset: Path) -> None:
    encoding = Encoding("court", 3, game=GAME)
    names = [game.md5 for game in open_dataset(dataset).games]
    shown = recorded(dataset, encoding, {"train": names[:3]}, 0.3)
    corpus = load_corpus(dataset, names[3:], encoding)
    figures = evaluate(persistence, corpus, encoding, starts=4, recorded=shown)
    assert shown.known is None and not {"events", "hit_damage"} & figures.keys()
    assert "lawful" not in figures["rollout"]["5"] and figures["coverage"][0]["player_frames"] > 0
    assert "laws" not in drift_figures(persistence, corpus, encoding, 30, 4, recorded=shown)


def test_a_game_may_bring_laws_and_events_of_its_own(dataset: Path) -> None:
    court = MeasuredLaw(broken=lambda games, known: np.abs(games.value("paddle")) > HALF / 2, reads=("paddle",))
    point = Event(happens=lambda now, after: after("points") > now("points"), reads=("points",))
    own = replace(GAME, measures=lambda: Measures(laws={"half": court}, events={"points": point}))
    corpus = load_corpus(dataset, [game.md5 for game in open_dataset(dataset).games], Encoding("court", 3, game=GAME))
    shown = Recorded(0, 0, np.zeros((1, 3), np.int64), None)
    figures = drift_figures(persistence, corpus, Encoding("court", 3, game=own), 60, 20, recorded=shown)
    laws = figures["laws"]
    assert laws["predicted"]["lawful"] == laws["predicted"]["unbroken"]  # nothing moves: broken at once or never
    assert 0 < laws["real"]["broken"]["half"] < 1 and laws["real"]["unbroken"] < laws["predicted"]["unbroken"]
    assert figures["habits"]["predicted"]["points_a_minute"] == 0


@pytest.mark.parametrize("name", ["ref", "ort"])
def test_the_interpreter_and_onnx_are_the_same(name: str, export: Export, dataset: Path) -> None:
    other = RefInterpreter(export.net) if name == "ref" else OrtRunner(onnx_model(export.net).SerializeToString())
    same(name, other, export, dataset)


def test_the_program_is_the_same_and_costs_what_is_predicted(
    sbpf: Toolchain, cargo: Path, export: Export, dataset: Path
) -> None:
    build(export)
    with ExitStack() as stack:
        same("native", stack.enter_context(NativeRunner(export)), export, dataset)
    program = runner(export)
    same("svm", program, export, dataset)
    start = recording(export, dataset, 1, 1)
    program.load(start.state)
    assert program.frame(0, start.inputs[0][0]) == predicted(export).transactions(0)


def test_flags_of_another_game_are_refused() -> None:
    with pytest.raises(WmTrainError, match="flags are for none"):
        Encoding("court", 3, Flags(press_events="all"), GAME)
