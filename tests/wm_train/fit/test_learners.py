"""learners.py: a network that walks through games is asked for what the same game holds, and goes on where it was."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import random_corpus, small_mamba2, small_model, write_dataset
from wm_quant.convert import quantize
from wm_quant.interp import Interpreter
from wm_quant.prove import prove
from wm_train.checkpoint import Checkpoint, load_checkpoint
from wm_train.config import Mamba2Config, ModelConfig, RunConfig, TrainConfig
from wm_train.errors import WmTrainError
from wm_train.games.corpus import held_out
from wm_train.measure.evaluate import evaluate
from wm_train.shapes import scale_names

torch = pytest.importorskip("torch")

from wm_train.fit import feed, learners  # noqa: E402
from wm_train.fit.batches import WindowTensors  # noqa: E402
from wm_train.fit.held_out import HeldOut  # noqa: E402
from wm_train.fit.learners import StreamLearner, WindowLearner, learner  # noqa: E402
from wm_train.fit.parents import parent_of  # noqa: E402
from wm_train.fit.train import Job, train  # noqa: E402
from wm_train.games.sequences import SequencePlan  # noqa: E402
from wm_train.games.store import HeldGames  # noqa: E402
from wm_train.nets.matmul import use_exact_matmul  # noqa: E402
from wm_train.nets.network import to_arrays  # noqa: E402
from wm_train.nets.predict import checkpoint_model  # noqa: E402
from wm_train.nets.qat_mamba2 import QuantizedMamba2  # noqa: E402

LENGTHS = (23, 9, 41, 2, 30)
MODEL = small_mamba2(d_model=16, d_state=4, headdim=8, n_layers=2)
CONFIG = RunConfig(MODEL, TrainConfig(steps=20, lanes=3, chunk=8, learning_rate=0.01, seed=4, holdout=0.3))
RUN = replace(CONFIG, train=replace(CONFIG.train, steps=6))
CORPUS = random_corpus(3, LENGTHS)


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Training switches fast products on, for the whole process; calibration here is of a few frames."""
    use_exact_matmul()
    yield
    use_exact_matmul()


def begun(start: Checkpoint | None = None, **more: Any) -> StreamLearner:
    config = replace(CONFIG, train=replace(CONFIG.train, **more))
    made = learner(config, HeldGames(CORPUS), start)
    assert isinstance(made, StreamLearner)
    return made


@pytest.fixture(scope="module")
def parent() -> Checkpoint:
    """A float run's outcome."""
    use_exact_matmul()
    made = begun()
    with torch.no_grad():
        made.net.heads.weight.normal_(0, 0.1)
    return Checkpoint(CONFIG, "float", to_arrays(made.net), {}, {}, made.scales())


def plan(chunk: int) -> SequencePlan:
    """How the learner above walks through the games."""
    return SequencePlan(LENGTHS, CONFIG.train.lanes, chunk, CONFIG.train.seed)


def loss(made: StreamLearner, step: int) -> Any:
    return sum(made.losses(step)[0].values(), torch.zeros(()))


def test_the_architecture_chooses_the_learner() -> None:
    mlp = RunConfig(small_model(), CONFIG.train)
    assert isinstance(learner(mlp, HeldGames(CORPUS), None), WindowLearner) and isinstance(begun(), StreamLearner)


@pytest.mark.parametrize("model", [MODEL, small_model()])
def test_training_games_are_turned_and_held_out_ones_are_not(model: ModelConfig) -> None:
    plain, turned = (RunConfig(model, replace(CONFIG.train, augment=names)) for names in ((), ("mirror", "swap")))
    games = HeldGames(random_corpus(3, [30] * 9))
    shown = [learner(config, games, None).losses(0)[0] for config in (plain, turned)]
    assert any(not torch.equal(shown[0][name], shown[1][name]) for name in shown[0])
    measured = [HeldOut(config, games, None) for config in (plain, turned)]
    net = learner(plain, games, None).net
    assert measured[0].losses(net) == measured[1].losses(net)


def test_no_loss_goes_across_a_game_border(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame but a game's last is asked for the Frame that follows it in the corpus; its last is not asked."""
    asked: list[tuple[Any, Any]] = []
    made = begun()

    def spy(net: Any, now: Any, after: Any, heads: Any, config: RunConfig) -> dict[str, Any]:
        asked.append((now, after))
        assert len(heads) == len(now)
        return {"all": heads.sum()}

    monkeypatch.setattr(learners, "_losses", spy)
    states, last = WindowTensors(CORPUS, MODEL.world.encoding, as_codes=False).states, np.cumsum(LENGTHS) - 1
    for step in range(20):
        made.losses(step)
    place = {bytes(state.numpy()): i for i, state in enumerate(states)}
    pairs = [
        (place[bytes(now.numpy())], place[bytes(after.numpy())])
        for nows, afters in asked
        for now, after in zip(nows, afters, strict=True)
    ]
    assert all(after == now + 1 for now, after in pairs)
    assert {now for now, _ in pairs} == set(range(sum(LENGTHS))) - set(last.tolist())
    # 20 steps of 3 lanes with 8 frames, less the last frames.
    ends = sum(int((~plan(chunk=8).at(step).valid).sum()) for step in range(20))
    assert len(pairs) == 480 - ends < 480


def test_memory_is_handed_from_chunk_to_chunk_and_ends_where_a_game_begins() -> None:
    """After five chunks it is that of one chunk of all their frames, which holds several games."""
    short, long = begun(), begun(chunk=40)
    assert plan(chunk=40).at(0).reset[:, 1:].any()
    with torch.no_grad():
        for step in range(5):
            loss(short, step)
        loss(long, 0)
    for name, part in long.carried().items():
        assert part.any()
        torch.testing.assert_close(short.carried()[name], part, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("share", [slice(None), slice(1, 3)])
def test_steps_read_together_are_those_read_one_by_one(share: slice, monkeypatch: pytest.MonkeyPatch) -> None:
    together = begun(augment=("mirror", "swap"))._feed
    monkeypatch.setattr(feed, "READ_AT_ONCE", 1)
    alone = begun(augment=("mirror", "swap"))._feed
    for step in (0, 1, 2, 300, 301, 5, 169, 169, 170, 171, 170):
        ours, theirs = together.at(step, share), alone.at(step, share)
        assert (ours.reset == theirs.reset).all() and (ours.kept == theirs.kept).all()
        for mine, other in zip(vars(ours.batch).values(), vars(theirs.batch).values(), strict=True):
            assert (mine == other)[ours.kept].all()
        for part in ("frames", "inputs", "place", "game"):
            assert (getattr(ours.corpus, part)[ours.t] == getattr(theirs.corpus, part)[theirs.t]).all()


@pytest.mark.parametrize("form", ["float", "qat"])
def test_without_carry_each_chunk_begins_with_nothing(form: str, parent: Checkpoint) -> None:
    start = parent if form == "qat" else None
    carried, not_carried = begun(start), begun(start, carry=False)
    with torch.no_grad():
        assert loss(carried, 0) == loss(not_carried, 0)
        assert loss(carried, 1) != loss(not_carried, 1)
        assert loss(not_carried, 1) == loss(begun(start, carry=False), 1)


@pytest.mark.parametrize("form", ["float", "qat"])
def test_what_was_carried_is_taken_up_exactly(form: str, parent: Checkpoint) -> None:
    start = parent if form == "qat" else None
    whole, stopped, resumed = begun(start), begun(start), begun(start)
    with torch.no_grad():
        for step in range(3):
            loss(whole, step)
            loss(stopped, step)
        kept = {name: part.clone() for name, part in stopped.carried().items()}
        assert any(part.any() for part in kept.values())
        resumed.carry_on(kept)
        for step in range(3, 6):
            assert loss(resumed, step) == loss(whole, step)
    assert all((resumed.carried()[name] == part).all() for name, part in whole.carried().items())


@pytest.mark.parametrize("form", ["float", "qat"])
def test_a_step_has_gradients_for_everything_and_they_end_with_the_chunk(form: str, parent: Checkpoint) -> None:
    made = begun(parent if form == "qat" else None)
    if form == "float":
        with torch.no_grad():
            made.net.heads.weight.normal_(0, 0.1)
    for step in range(2):
        made.net.zero_grad()
        loss(made, step).backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in made.net.parameters())
        still = [name for name, p in made.net.named_parameters() if p.grad is None or not p.grad.any()]
        assert still == []
    assert not any(part.requires_grad for part in made.carried().values())


def test_scales_are_calibrated_for_a_float_run_and_kept_through_qat(parent: Checkpoint) -> None:
    assert sorted(parent.scales) == sorted(scale_names(MODEL)) and all(unit > 0 for unit in parent.scales.values())
    through = begun(parent)
    assert through.form == "qat" and isinstance(through._model, QuantizedMamba2)
    assert through.scales() == parent.scales


def test_calibration_does_not_move_the_walk() -> None:
    one, two = begun(), begun()
    with torch.no_grad():
        loss(one, 0)
        one.scales()
        one.net.train()
        loss(two, 0)
        assert loss(one, 1) == loss(two, 1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float run and the QAT run that starts from it, of a few steps each, on five games."""
    folder = tmp_path_factory.mktemp("runs")
    write_dataset(folder / "dataset", [30, 27, 33, 28, 31])
    train(Job(folder / "dataset", folder / "float", RUN))
    train(Job(folder / "dataset", folder / "qat", RUN, qat=True, start=folder / "float"))
    use_exact_matmul()
    return folder


def test_from_nothing_to_integers(runs: Path) -> None:
    """float -> QAT -> QNet -> figures: those of the QAT run and of its QNet are the same numbers."""
    checkpoint = load_checkpoint(runs / "qat")
    assert checkpoint.form == "qat" and isinstance(checkpoint.config.model, Mamba2Config)
    assert checkpoint.scales == load_checkpoint(runs / "float").scales
    net = quantize(runs / "qat")
    assert all(proof.value < proof.bound for proof in prove(net))
    corpus = held_out(runs / "dataset", MODEL.world.encoding, checkpoint.split, CONFIG.train.holdout)
    figures = [
        evaluate(model, corpus, MODEL.world.encoding)
        for model in (checkpoint_model(checkpoint), Interpreter(net).model())
    ]
    assert figures[0] == figures[1] and figures[0]["frames"] == len(corpus.windows(MODEL.world.encoding))


def test_a_float_run_can_be_quantized_and_measured_too(runs: Path) -> None:
    checkpoint = load_checkpoint(runs / "float")
    corpus = held_out(runs / "dataset", MODEL.world.encoding, checkpoint.split, CONFIG.train.holdout)
    net = quantize(runs / "float")
    prove(net)
    floating, whole = (
        evaluate(m, corpus, MODEL.world.encoding) for m in (checkpoint_model(checkpoint), Interpreter(net).model())
    )
    assert floating["position_mae"] == pytest.approx(whole["position_mae"], rel=0.2)


def test_the_same_seed_gives_the_same_run(runs: Path, tmp_path: Path) -> None:
    train(Job(runs / "dataset", tmp_path / "again", RUN))
    assert (tmp_path / "again/model.safetensors").read_bytes() == (runs / "float/model.safetensors").read_bytes()


def test_a_run_starts_from_a_float_run_only(runs: Path) -> None:
    with pytest.raises(WmTrainError, match="this one is qat"):
        parent_of(runs / "qat")
