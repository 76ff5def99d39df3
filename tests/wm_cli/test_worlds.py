"""The worlds that come with wmq: integers that hold what they claim, and a game that runs by itself."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.factories import write_dataset
from tests.verbs import run
from wm_cli.artifacts import RUN
from wm_cli.errors import WmCliError
from wm_cli.experiments import experiments
from wm_cli.packaged import PARTS, START, WORLDS, packaged, unpack, worlds
from wm_export.onnx.runtime import OrtRunner
from wm_live.session.inputs import by_chance
from wm_live.watch.arena import opened
from wm_quant.interp import Interpreter
from wm_quant.prove import prove
from wm_quant.qnet import QNet, load_qnet
from wm_train.checkpoint import digest, load_checkpoint
from wm_train.config import RunConfig, load_config
from wm_train.measure.worlds import begin
from wm_train.world.fields import Kind, fixed

#: Bytes of one file at most.
MOST = 1 << 20
FRAMES = 300
STARTS = worlds(RUN)


@pytest.fixture(scope="module", params=worlds())
def net(request: pytest.FixtureRequest) -> QNet:
    return load_qnet(WORLDS / request.param)


@pytest.mark.parametrize("name", STARTS)
def test_files_are_small_and_none_is_left_over(name: str) -> None:
    files = {path.relative_to(WORLDS / name): path.stat().st_size for path in (WORLDS / name).rglob("*.*")}
    played = {Path("qnet.json"), Path("qnet.safetensors")} if name in worlds() else set[Path]()
    others = {path for path in files if not path.match(f"{START}/{PARTS}")}
    assert others == played | {Path("manifest.json"), Path(START, "run.json")} and max(files.values()) < MOST


def test_every_world_can_be_trained_further() -> None:
    assert set(worlds()) <= set(STARTS) == {path.name for path in WORLDS.iterdir()}


@pytest.mark.parametrize("name", worlds())
def test_it_is_exported_by_its_name(name: str, tmp_path: Path) -> None:
    """As a graph, which costs less than a program."""
    mistyped = run("export", name[:-1], "--target", "solana")
    assert mistyped.exit_code == 1 and f"come with wmq: {name}" in mistyped.output
    exported = run("export", name, "--target", "onnx", "--out", str(tmp_path / "world.onnx"))
    assert exported.exit_code == 0, exported.output
    OrtRunner(tmp_path / "world.onnx")


@pytest.mark.parametrize("name", STARTS)
def test_its_start_is_the_run_of_its_manifest(name: str, tmp_path: Path) -> None:
    made = json.loads((WORLDS / name / "manifest.json").read_text())
    unpack(WORLDS / name / START, tmp_path / "run")
    run, again = load_checkpoint(tmp_path / "run"), load_config(experiments()[name])
    assert run.form == "float" and run.config == RunConfig.from_json(made["runs"]["float"]["config"])
    assert {part: len(run.split[part]) for part in ("train", "valid")} == {k: len(v) for k, v in made["md5"].items()}
    assert again == run.config
    assert {"float"} <= set(made["figures"]) and made["figures"]["float"]["position_mae"] > 0


@pytest.mark.parametrize("name", worlds())
def test_its_integers_are_those_of_its_manifest(name: str) -> None:
    made = json.loads((WORLDS / name / "manifest.json").read_text())
    net = load_qnet(WORLDS / name)
    runs = made["runs"]
    assert (net.parent, runs["qat"]["parent"]) == (runs["qat"]["sha256"], runs["float"]["sha256"])
    assert made["figures"]["qnet"]["alone"]["laws"]


@pytest.mark.parametrize("name", worlds())
def test_it_is_read_as_before_when_an_encoding_has_one_more_flag(name: str, tmp_path: Path) -> None:
    """Files of worlds name no flag that came after them."""
    shutil.copytree(WORLDS / name, tmp_path / "world", ignore=shutil.ignore_patterns(START))
    qnet = json.loads((tmp_path / "world" / "qnet.json").read_text())
    off = [flag for flag, value in qnet["model"]["flags"].items() if value is False]
    for flag in off:
        del qnet["model"]["flags"][flag]
    (tmp_path / "world" / "qnet.json").write_text(json.dumps(qnet))
    assert off and load_qnet(tmp_path / "world").model == load_qnet(WORLDS / name).model


def test_it_is_proved(net: QNet) -> None:
    prove(net)


def test_it_says_what_it_was_made_from(net: QNet) -> None:
    split = net.provenance["split"]
    assert net.provenance["form"] == "qat" and len(split["train"]) > len(split["valid"]) > 0


def test_a_game_runs_in_it(net: QNet) -> None:
    """On chance inputs, from its game's opening: every field in its range, and both players move."""
    world, game = net.world, net.world.game
    corpus = opened(world.encoding, *game.usual)
    worlds = begin(Interpreter(net).model(), corpus, world.encoding, np.array([len(corpus.game) - 2]))
    inputs = by_chance(game, 0)
    pressed = np.zeros((1, 2, len(world.encoding.controls) - len(game.controls)), np.int8)
    frames = np.concatenate([worlds.step(np.concatenate([inputs(n)[None], pressed], 2)) for n in range(FRAMES)])
    for i, field in enumerate(game.state):
        low, high = (fixed(field.lo), fixed(field.hi)) if field.kind is Kind.CONTINUOUS else (0, field.hi)
        assert low <= frames[..., i].min() and frames[..., i].max() <= high, field.name
    across = frames[..., game.state_index[game.roles.position[0]]]
    assert (np.ptp(across, axis=0) > fixed(5)).all()


def test_who_is_at_rest_stays_there(net: QNet) -> None:
    """Nobody presses anything: whoever stands goes on to stand near where it is, to two units a second."""
    world, game = net.world, net.world.game
    corpus = opened(world.encoding, *game.usual)
    worlds = begin(Interpreter(net).model(), corpus, world.encoding, np.array([len(corpus.game) - 2]))
    still = np.zeros((1, 2, len(world.encoding.controls)), np.int8)
    frames = np.concatenate([worlds.step(still) for _ in range(FRAMES)])
    at = game.at(*game.roles.position)
    assert np.abs(frames[-1][:, at] - corpus.frames[0][:, at]).max() < fixed(10)


@pytest.mark.parametrize("verb", ["play", "watch"])
def test_a_name_that_there_is_not_is_answered_with_those_that_there_are(verb: str) -> None:
    got = run(verb, "--world", "atlantis")
    assert got.exit_code == 1 and f"come with wmq: {', '.join(worlds())}" in got.output
    assert all(name in run(verb, "--help").output for name in worlds())


def test_a_start_that_there_is_not_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    write_dataset(tmp_path / "games", [50, 50])
    got = run("train", "--start", "atlantis", "--dataset", str(tmp_path / "games"))
    assert got.exit_code == 1 and all(name in got.output for name in STARTS)
    assert all(name in run("train", "--help").output for name in STARTS)


def test_a_folder_of_that_name_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert packaged(Path(STARTS[0]), RUN) == WORLDS / STARTS[0]
    Path(STARTS[0]).mkdir()
    assert packaged(Path(STARTS[0]), RUN) is None


def test_one_is_trained_further_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "dataset", [120, 120, 120, 120])
    for name in STARTS:
        got = json.loads(run("train", "--start", name, "--steps", "1", "--out", f"run-{name}", "--json").stdout)
        unpack(WORLDS / name / START, tmp_path / name)
        assert got["form"] == "float" and load_checkpoint(Path(f"run-{name}")).parent == digest(tmp_path / name)


def test_a_damaged_start_is_refused(tmp_path: Path) -> None:
    shutil.copytree(WORLDS / STARTS[0] / START, tmp_path / "start")
    next((tmp_path / "start").glob(PARTS)).unlink()
    with pytest.raises(WmCliError, match="parameters, expected"):
        unpack(tmp_path / "start", tmp_path / "run")
