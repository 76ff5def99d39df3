"""forcing.py: what is fed back is what a running world writes, and what is asked then is the true next frame."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import (
    AHEAD_ONLY,
    EVERY_FLAG,
    random_arrays,
    random_checkpoint,
    random_corpus,
    random_frames,
    small_mamba2,
    small_model,
    write_dataset,
)
from wm_train.config import LossConfig, Mamba2Config, ModelConfig, RunConfig, TrainConfig
from wm_train.games.corpus import Corpus
from wm_train.measure.recurrent import RecurrentWorlds, Stretch
from wm_train.measure.window import stepper, window_at, written
from wm_train.measure.worlds import WindowWorlds, run
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.melee import GAME
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.world.fields import Kind

torch = pytest.importorskip("torch")

from wm_train.fit import learners  # noqa: E402
from wm_train.fit import train as module  # noqa: E402
from wm_train.fit.batches import WindowTensors, in_units, seen  # noqa: E402
from wm_train.fit.forcing import Forcing  # noqa: E402

COUNTS = GAME.roles.counts
from wm_train.fit.learners import StreamLearner, WindowLearner, learner  # noqa: E402
from wm_train.fit.resume import RESUME_FILE  # noqa: E402
from wm_train.fit.train import Job, Progress, train  # noqa: E402
from wm_train.games.sequences import SequencePlan  # noqa: E402
from wm_train.games.store import HeldGames  # noqa: E402
from wm_train.nets.matmul import use_exact_matmul  # noqa: E402
from wm_train.nets.network import from_arrays  # noqa: E402
from wm_train.nets.predict import TorchMamba2, float_predictor, quantized_predictor  # noqa: E402
from wm_train.nets.qat import QuantizedMLP  # noqa: E402
from wm_train.nets.qat_mamba2 import QuantizedMamba2  # noqa: E402

LENGTHS = (23, 9, 41, 2, 30)
TRAIN = TrainConfig(steps=20, batch=16, lanes=3, chunk=8, learning_rate=0.01, seed=4, holdout=0.3)
BOTH = LossConfig(sampling=0.5, horizon=(0.5, 0.25, 0.125))
#: Every flag that a network of one slot can have.
NO_LOOKAHEAD = replace(EVERY_FLAG, lookahead=1)
MODELS: dict[str, ModelConfig] = {
    "mlp": small_model(),
    "mlp with flags": small_model(flags=EVERY_FLAG, dropout=0.3),
    "mlp ahead": small_model(heads="two_level", flags=AHEAD_ONLY),
    "mlp published": small_model("v1", "published"),
    "mamba2": small_mamba2(),
    "mamba2 with flags": small_mamba2(heads="gated", flags=NO_LOOKAHEAD),
    "mamba2 published": small_mamba2(encoding="v2.1", heads="published", flags=MeleeFlags(state_age_as_embed=True)),
}
EVERY = [*product(MODELS, ("float", "qat"))]
AnyLearner = WindowLearner | StreamLearner


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Evaluation computes in float32; training would not, where the processor has bfloat16."""
    monkeypatch.setattr(learners, "training_dtype", lambda: torch.float32)
    use_exact_matmul()
    yield
    use_exact_matmul()


def corpus_of(model: ModelConfig) -> Corpus:
    return random_corpus(3, LENGTHS, model.world.encoding)


def begun(model: ModelConfig, form: str, losses: LossConfig = BOTH, **more: Any) -> Any:
    """A learner whose every parameter is random."""
    config = RunConfig(model, replace(TRAIN, losses=losses, **more))
    made = learner(config, HeldGames(corpus_of(model)), random_checkpoint(model) if form == "qat" else None)
    from_arrays(made.net, random_arrays(model))
    return made


def alike(made: Any, step: int, done: float = 0.0) -> Any:
    """A step's losses, with the same units dropped whoever is asked."""
    torch.manual_seed(step)
    return made.losses(step, done)


def gradients(made: Any, parts: dict[str, Any]) -> list[Any]:
    made.net.zero_grad()
    sum(parts.values(), torch.zeros(())).backward()
    return [None if p.grad is None else p.grad.clone() for p in made.net.parameters()]


def watched(monkeypatch: pytest.MonkeyPatch, name: str) -> list[tuple[Any, ...]]:
    """Arguments and outcome of each call of a method of Forcing, as they come."""
    calls: list[tuple[Any, ...]] = []
    method = getattr(Forcing, name)

    def spy(self: Forcing, *given: Any) -> Any:
        calls.append((*given, method(self, *given)))
        return calls[-1][-1]

    monkeypatch.setattr(Forcing, name, spy)
    return calls


def forcing(model: ModelConfig, form: str = "float", **losses: Any) -> Forcing:
    return Forcing(model.world, replace(TRAIN, losses=LossConfig(**losses)), form == "qat")


# -------------------------------------------------------------------------------------------------------------- off


@pytest.mark.parametrize(("name", "form"), EVERY)
def test_nothing_is_sampled_at_the_start_of_a_run(name: str, form: str) -> None:
    """So a step is then that of a run without sampling, to the last bit: read from Frames or from their tensors."""
    plain, sampling = begun(MODELS[name], form, LossConfig()), begun(MODELS[name], form, LossConfig(sampling=0.5))
    for step in range(2):
        one, two = alike(plain, step, 0.5), alike(sampling, step, 0.0)
        assert one == two
        assert all(
            (a is None and b is None) or (a == b).all()
            for a, b in zip(gradients(plain, one[0]), gradients(sampling, two[0]), strict=True)
        )
    assert alike(plain, 2, 0.5)[0] != alike(sampling, 2, 1.0)[0]


@pytest.mark.parametrize(("name", "form"), EVERY)
def test_running_ahead_changes_no_other_part(name: str, form: str) -> None:
    plain, ahead = begun(MODELS[name], form, LossConfig()), begun(MODELS[name], form, LossConfig(horizon=(0.5, 0.5)))
    for step in range(2):
        (one, frames), (two, same) = alike(plain, step), alike(ahead, step)
        assert frames == same and two.pop("ahead") > 0 and one == two
        assert ahead.net.training
    assert all((part == ahead.carried()[key]).all() for key, part in plain.carried().items())


# --------------------------------------------------------------------------------------------------------- sampling


def test_the_chance_rises_through_the_run_to_the_share_that_is_asked_for() -> None:
    made = forcing(MODELS["mlp"], sampling=0.5)
    shares = {done: float(made.picked(7, done, 100, 100).mean()) for done in (0.0, 0.25, 0.5, 1.0, 1.01)}
    assert shares[0.0] == 0 and shares[1.0] == shares[1.01]
    assert [shares[done] for done in (0.25, 0.5, 1.0)] == pytest.approx([0.125, 0.25, 0.5], abs=0.02)
    assert (made.picked(7, 1.0, 40, 8) == made.picked(7, 1.0, 40, 8)).all()
    assert (made.picked(7, 1.0, 40, 8) != made.picked(8, 1.0, 40, 8)).any()


@pytest.mark.parametrize("name", MODELS)
def test_only_numbers_of_the_players_picked_are_replaced(name: str) -> None:
    model, corpus = MODELS[name], corpus_of(MODELS[name])
    encoding, made = model.world.encoding, forcing(model, sampling=0.5)
    t = corpus.windows(encoding)[::3]
    rng = np.random.default_rng(0)
    predicted = random_frames(rng, len(t), fields=encoding.frame_fields)
    picked = rng.random((len(t), 2)) < 0.5
    batch, true = (
        made.sampled(corpus, t, predicted, picked),
        WindowTensors(corpus, encoding, as_codes=False).batch(torch.from_numpy(t)),
    )
    values = {head.name for head in model.world.heads if head.kind == "value"}
    for place, field in enumerate(encoding.frame_fields):
        replaced = torch.from_numpy(picked & (field.name in values and field.kind is Kind.CONTINUOUS))
        wanted = torch.where(replaced, in_units(encoding, predicted)[..., place], true.now[..., place])
        assert torch.equal(batch.now[..., place], wanted), field.name
        assert field.name in COUNTS or torch.equal(batch.after[..., place], true.after[..., place]), field.name
    window = window_at(corpus, encoding, t)
    window.frames[:, encoding.slots - 1] = (batch.now / in_units(encoding, np.ones_like(predicted[:1]))).numpy()
    for got, expected in zip((batch.dense, batch.ids, batch.session), seen(encoding, window, False), strict=True):
        assert torch.equal(got, expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.booleans())
def test_of_a_count_the_true_change_is_asked(seed: int, first: bool, second: bool) -> None:
    model, corpus = MODELS["mamba2"], corpus_of(MODELS["mamba2"])
    t = corpus.windows(model.world.encoding)[:5]
    predicted = random_frames(np.random.default_rng(seed), len(t))
    batch = forcing(model, sampling=0.5).sampled(corpus, t, predicted, np.tile([first, second], (len(t), 1)))
    change = in_units(model.world.encoding, corpus.frames[t + 1] - corpus.frames[t])
    for place in (STATE_INDEX[name] for name in COUNTS):
        assert (batch.after[..., place] - batch.now[..., place] == change[..., place]).all()


def evaluated(made: Any, model: ModelConfig) -> Any:
    """The learner's network as evaluation has it: a Stepper or a Recurrent."""
    scales = random_checkpoint(model).scales
    if isinstance(model, Mamba2Config):
        return TorchMamba2(made.net, QuantizedMamba2(made.net, dict(scales)).freeze() if made.form == "qat" else None)
    if made.form == "float":
        return stepper(model.world, float_predictor(made.net))
    through = QuantizedMLP(made.net, (scales["hidden1"], scales["hidden2"])).freeze()
    return stepper(model.world, quantized_predictor(through))


def arrays(memory: Any) -> dict[str, Any]:
    return {name: part.numpy().copy() for name, part in memory.items()}


@pytest.mark.parametrize("form", ["float", "qat"])
@pytest.mark.parametrize("name", ["mlp", "mlp with flags", "mlp ahead", "mlp published"])
def test_a_window_gets_the_numbers_that_the_one_before_it_predicts(
    name: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, asked = MODELS[name], watched(monkeypatch, "sampled")
    made, encoding, absent = begun(model, form, LossConfig(sampling=0.5)), model.world.encoding, 0
    for step in range(5):
        made.losses(step, 1.0)
        corpus, t, predicted, picked, _ = asked[-1]
        end = t - encoding.lookahead
        there = np.isin(end, corpus.windows(encoding))
        assert (picked.any(1) <= there).all() and picked.any()
        window = window_at(corpus, encoding, np.maximum(end, encoding.span - 1))
        assert (predicted[there] == evaluated(made, model)(window)[there]).all()
        absent += int((~there).sum())
    assert absent


@pytest.mark.parametrize("form", ["float", "qat"])
@pytest.mark.parametrize("name", ["mamba2", "mamba2 with flags", "mamba2 published"])
def test_a_lane_gets_the_numbers_that_the_frame_before_predicts(
    name: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No first frame of a game or of a chunk is replaced."""
    model, asked = MODELS[name], watched(monkeypatch, "sampled")
    made, compared = begun(model, form, LossConfig(sampling=0.5)), 0
    for step in range(6):
        before, chunk = arrays(made.carried()), SequencePlan(LENGTHS, 3, 8, TRAIN.seed).at(step)
        made.losses(step, 1.0)
        corpus, t, predicted, picked, _ = asked[-1]
        may = np.zeros((3, 8), bool)
        may[:, 1:] = chunk.valid[:, :-1]
        assert (picked.any(1) <= may.ravel()).all() and picked.any()
        at, session = t.reshape(3, 8), corpus.session(model.world.encoding, t.reshape(3, 8)[:, 0])
        stretch = Stretch(corpus.frames[at], corpus.inputs[at], corpus.inputs[at + 1], session)
        heads, _ = evaluated(made, model).run(before, stretch)
        one = ~chunk.reset[:, 1:].any(1) & (~chunk.reset[:, 0] | (step == 0))
        frames = written(model.world, window_at(corpus, model.world.encoding, t), heads.reshape(24, -1))
        said, wanted = (part.reshape(3, 8, 2, -1)[one] for part in (predicted, frames))
        assert (said[:, 1:] == wanted[:, :-1]).all()
        compared += len(said)
    assert compared > 3


# ------------------------------------------------------------------------------------------------------ self-forcing


@pytest.mark.parametrize(("name", "form"), EVERY)
def test_what_is_fed_back_is_what_a_rollout_writes(name: str, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked, steps = MODELS[name], watched(monkeypatch, "ahead"), len(BOTH.horizon)
    made, encoding, alive = begun(model, form), model.world.encoding, np.ones(0, bool)
    for step in range(3):
        before = arrays(made.carried())
        made.net.heads.bias.data += 0.01  # as an optimizer would
        made.losses(step, 1.0)
        corpus, t, _, first, batch = asked[-1]
        net, window = evaluated(made, model), window_at(corpus, encoding, t)
        if isinstance(model, Mamba2Config):
            worlds: Any = RecurrentWorlds(net, before, window.now, window.inputs[:, -1], window.session)
            alive = ~SequencePlan(LENGTHS, 3, 8, TRAIN.seed).at(step).reset[:, 0] | (step == 0)
        else:
            worlds, alive = WindowWorlds(net, window), np.ones(len(t), bool)
        inside = np.minimum(t[:, None] + np.arange(1, steps + 1), len(corpus.game) - 1)
        frames = in_units(encoding, run(worlds, (corpus.inputs[at] for at in inside.T)))
        got = batch.now.unflatten(0, (len(t), -1))
        for number in range(encoding.lookahead, steps + 1):
            assert torch.equal(got[alive, number - first], frames[alive, number - encoding.lookahead])
    assert alive.any()


def frames_asked(made: Any, steps: int, monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """Per step what each call of the loss is asked for: the batch itself first, then frame after frame ahead."""
    asked: list[list[Any]] = []

    def spy(net: Any, now: Any, after: Any, heads: Any, config: RunConfig) -> dict[str, Any]:
        assert len(heads) == len(now) == len(after)
        asked[-1].append(after)
        return {"all": heads.sum()}

    monkeypatch.setattr(learners, "_losses", spy)
    for step in range(steps):
        asked.append([])
        made.losses(step)
    return asked


def places(corpus: Corpus, model: ModelConfig, frames: Any) -> set[int]:
    """Which frames of the corpus these are, whatever they count."""
    kept = [i for i, field in enumerate(model.world.encoding.frame_fields) if field.name not in COUNTS]
    every = in_units(model.world.encoding, corpus.frames)[..., kept]
    place = {bytes(frame.numpy()): i for i, frame in enumerate(every.contiguous())}
    found = [place[bytes(frame.contiguous().numpy())] for frame in frames[..., kept]]
    assert len(set(found)) == len(found)
    return set(found)


def test_lanes_stop_to_count_where_their_game_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    model, corpus, losses = MODELS["mamba2"], corpus_of(MODELS["mamba2"]), LossConfig(horizon=(1.0,) * 7)
    asked = frames_asked(begun(model, "float", losses), 8, monkeypatch)
    ended = 0
    for step, (_, *ahead) in enumerate(asked):
        chunk = SequencePlan(LENGTHS, 3, 8, TRAIN.seed).at(step)
        for number in range(2, 9):
            alive = chunk.valid[:, :number].all(1)
            expected = set((chunk.frame[alive, 0] + number).tolist())
            assert (places(corpus, model, ahead[number - 2]) if expected else set()) == expected
            ended += int((~alive).sum())
    assert ended > 20


@pytest.mark.parametrize("name", ["mlp", "mlp ahead"])
def test_windows_stop_to_count_where_their_game_ends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, corpus, losses = MODELS[name], corpus_of(MODELS[name]), LossConfig(horizon=(1.0,) * 7)
    made, ended = begun(model, "float", losses), 0
    for first, *ahead in frames_asked(made, 5, monkeypatch):
        t = np.array(sorted(places(corpus, model, first))) - 1
        for number in range(2, 9):
            frame = t + number
            inside = frame[frame < len(corpus.game)]
            alive = inside[corpus.game[inside] == corpus.game[inside - number]]
            assert places(corpus, model, ahead[number - 2]) == set(alive.tolist())
            ended += len(t) - len(alive)
    assert ended > 20


@pytest.mark.parametrize("carry", [True, False])
def test_the_loss_ahead_is_that_of_frame_after_frame(carry: bool) -> None:
    """A walk one frame at a time, with gradients through its memory, gives the same loss and gradients; one whose
    memory is cut off does not."""
    made = begun(MODELS["mamba2"], "float", LossConfig(horizon=(0.0, 2.0)), carry=carry)
    made.losses(0)
    made.losses(1)
    memory = made._memory if carry else made.net.start(3)
    chunk = made._feed.at(2, slice(None))
    assert not chunk.reset[:, :3].any() and chunk.kept.view(3, 8)[:, :3].all()
    batch = made._forcing.ahead(
        chunk.corpus, chunk.t.reshape(3, 8)[:, 0], made._walking(made.net, memory, chunk.reset[:, :1]), 0
    )
    dense, ids, session = learners._lanes(batch, chunk.reset[:, :3])
    found = {}
    for cut in (False, True):
        now, no = memory, torch.zeros(3, 1, dtype=torch.bool)
        for i in range(3):
            at = slice(i, i + 1)
            heads, now = made.net(dense[:, at], ids[:, at], session[:, at], now, no)
            now = [layer.detached() for layer in now] if cut else now
        frames = [part.unflatten(0, (3, 3))[:, 2] for part in (batch.now, batch.after)]
        loss = 2 * learners._loss_of(made.net, made._config)(frames[0], frames[1], heads[:, 0])
        found[cut] = loss.detach(), gradients(made, {"ahead": loss})
    ahead = made._ahead(made.net, chunk, memory)
    torch.testing.assert_close(found[False][0], ahead.detach() * chunk.kept.sum() / 24)
    got = [g * chunk.kept.sum() / 24 for g in gradients(made, {"ahead": ahead})]
    for (name, _), mine, through, cut_off in zip(
        made.net.named_parameters(), got, found[False][1], found[True][1], strict=True
    ):
        torch.testing.assert_close(mine, through, rtol=1e-3, atol=1e-4 * float(through.abs().max()))
        if name.startswith("blocks.0.in_proj"):
            assert (mine - cut_off).abs().max() > 0.01 * mine.abs().max()


@pytest.mark.parametrize(("name", "form"), EVERY)
def test_frames_ahead_have_gradients_for_everything(name: str, form: str) -> None:
    made = begun(MODELS[name], form, LossConfig(horizon=(0.0, 0.0, 1.0)))
    parts, _ = made.losses(0)
    gradients(made, {"ahead": parts["ahead"]})
    still = [name for name, p in made.net.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == [] and all(torch.isfinite(p.grad).all() for p in made.net.parameters())


@pytest.mark.parametrize("name", ["mlp", "mamba2"])
def test_weights_of_the_horizon_weigh(name: str) -> None:
    """Each weight multiplies its frame's loss, and nothing depends on how far ahead is looked beyond it."""
    ahead = {
        horizon: float(begun(MODELS[name], "float", LossConfig(horizon=horizon)).losses(0)[0]["ahead"].detach())
        for horizon in ((1.0,), (1.0, 0.0), (0.0, 1.0), (0.5, 2.0))
    }
    assert ahead[(1.0,)] == pytest.approx(ahead[(1.0, 0.0)], rel=1e-5) != ahead[(0.0, 1.0)]
    assert ahead[(0.5, 2.0)] == pytest.approx(0.5 * ahead[(1.0,)] + 2 * ahead[(0.0, 1.0)], rel=1e-5)


# -------------------------------------------------------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder, [50, 40, 60, 45])
    return folder


class KilledError(Exception):
    """Stands for the end of the process."""


@pytest.mark.usefixtures("several_runs")
@pytest.mark.parametrize("name", ["mlp", "mamba2"])
def test_a_killed_run_resumes_to_the_same_bytes(
    dataset: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPORT_EVERY", 1)
    monkeypatch.setattr(module, "SAVE_SECONDS", -1.0)
    config = RunConfig(MODELS[name], replace(TRAIN, steps=7, losses=BOTH))
    straight, killed = (Job(dataset, tmp_path / side, config, qat=True) for side in ("straight", "killed"))
    seen: list[Progress] = []
    train(straight, seen.append)
    assert all("ahead" in progress.losses and "ahead" not in (progress.held_out or {}) for progress in seen)

    def kill(progress: Progress) -> None:
        if progress.share > 0.8:
            raise KilledError

    with pytest.raises(KilledError):
        train(killed, kill)
    assert (killed.run / RESUME_FILE).exists()
    train(replace(killed, resume=True))
    assert (straight.run / "model.safetensors").read_bytes() == (killed.run / "model.safetensors").read_bytes()


def test_the_share_of_the_run_reaches_the_learner(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = watched(monkeypatch, "picked")
    config = RunConfig(MODELS["mlp"], replace(TRAIN, steps=10, losses=LossConfig(sampling=0.5)))
    train(Job(dataset, tmp_path / "run", config))
    assert [done for _, done, *_ in asked] == pytest.approx([step / 10 for step in range(10)])
