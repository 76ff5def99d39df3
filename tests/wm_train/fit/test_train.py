"""train.py: a short run works, and one that was killed and resumed ends in the same bytes."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import add_game, game_columns, small_model, write_dataset
from wm_quant.convert import quantize
from wm_quant.ops.dense import Matvec
from wm_train.checkpoint import load_checkpoint
from wm_train.config import LossConfig, RunConfig, TrainConfig
from wm_train.errors import WmTrainError
from wm_train.fit.curves import CURVES, scalars
from wm_train.games.corpus import split_games
from wm_train.games.dataset import fingerprint, open_dataset, write_meta
from wm_train.games.store import open_split

torch = pytest.importorskip("torch")

from wm_train.fit import alone, learners  # noqa: E402
from wm_train.fit import train as module  # noqa: E402
from wm_train.fit.interrupts import Terminated  # noqa: E402
from wm_train.fit.resume import settled  # noqa: E402
from wm_train.fit.train import BEST, RESUME_FILE, STARTED_LEARNING_RATE, Job, Progress, learning_rate, train  # noqa: E402
from wm_train.nets.observers import OBSERVERS, min_max  # noqa: E402

pytestmark = pytest.mark.usefixtures("exact_again")

CONFIG = RunConfig(small_model(dropout=0.1), TrainConfig(steps=15, batch=32, learning_rate=0.01, seed=5, holdout=0.3))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder, [50, 40, 60, 45])
    return folder


@pytest.fixture
def talkative(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that reports every 5 steps."""
    monkeypatch.setattr(module, "REPORT_EVERY", 5)
    monkeypatch.setattr(module, "HELD_OUT_EVERY", 5)


@pytest.fixture
def busy(talkative: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that also keeps its state after every step."""
    monkeypatch.setattr(module, "SAVE_SECONDS", -1.0)


class KilledError(Exception):
    """Stands for the end of the process."""


def killed_at(share: float) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.share >= share:
            raise KilledError

    return report


def model_bytes(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


def test_a_short_run_learns_and_saves(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_EVERY", 10)
    config, seen = replace(CONFIG, train=replace(CONFIG.train, steps=30)), list[Progress]()
    checkpoint = train(Job(dataset, tmp_path / "run", config), seen.append)
    assert [p.step for p in seen] == [10, 20, 30] and seen[-1].share == 1
    # The data is noise, but every choice can be told from the frame before more often than not at all.
    assert sum(seen[-1].losses.values()) < sum(seen[0].losses.values())
    loaded = load_checkpoint(tmp_path / "run")
    assert loaded.form == "float" and loaded.config == config and loaded.figures["steps"] == 30
    assert all((loaded.arrays[name] == array).all() for name, array in checkpoint.arrays.items())
    split = split_games(dataset, CONFIG.model.world.encoding, 0.3, 5)
    assert loaded.split == {
        "train": list(split.train), "valid": list(split.valid), "skipped": [], "only": ["standard"],
        "fingerprint": split.fingerprint,
    }  # fmt: skip
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names - {"curves.tfevents"} == {"best", "manifest.json", "model.safetensors", "run.json"}


@pytest.mark.parametrize("qat", [False, True])
def test_every_step_says_how_much_is_done(dataset: Path, tmp_path: Path, qat: bool) -> None:
    shares: list[float] = []
    train(Job(dataset, tmp_path, CONFIG, qat), moved=shares.append)
    assert len(shares) == 15 and shares == pytest.approx([(step + 1) / 15 for step in range(15)])


def test_the_manifest_says_how_a_run_was_made(dataset: Path, tmp_path: Path, talkative: None) -> None:
    seen: list[Progress] = []
    train(Job(dataset, tmp_path, CONFIG), seen.append)
    manifest, run = (json.loads((tmp_path / name).read_text()) for name in ("manifest.json", "run.json"))
    assert manifest["reports"] == [vars(progress) for progress in seen]
    assert manifest["config"] == run["config"] and (manifest["form"], manifest["parent"]) == ("float", None)
    data = manifest["data"]
    assert {key: data[key] for key in run["split"]} == run["split"]
    assert data["fingerprint"] == fingerprint([*data["valid"], *data["train"]])
    assert manifest["machine"]["torch"] == torch.__version__.partition("+")[0] and manifest["machine"]["cores"] >= 1
    assert [report["epoch"] for report in manifest["reports"]] == sorted(
        report["epoch"] for report in manifest["reports"]
    )
    assert "seconds" not in json.dumps(run), "run.json is the same whenever it is made"


def test_best_is_a_run_of_its_own(dataset: Path, tmp_path: Path, talkative: None) -> None:
    """The data is noise: what is learned of it is worth less and less on other games."""
    seen: list[Progress] = []
    last = train(Job(dataset, tmp_path, replace(CONFIG, train=replace(CONFIG.train, steps=30))), seen.append)
    held_out = [sum((progress.held_out or {}).values()) for progress in seen]
    best = load_checkpoint(tmp_path / BEST)
    assert best.figures == {"steps": 5 * (1 + int(np.argmin(held_out))), "held_out": min(held_out)}
    assert last.figures == {"steps": 30, "held_out": held_out[-1]}
    same = all((best.arrays[name] == array).all() for name, array in last.arrays.items())
    assert same == (np.argmin(held_out) == 5)
    assert quantize(tmp_path / BEST).provenance["figures"] == best.figures


def test_parts_of_the_held_out_loss_decide_what_is_best(dataset: Path, tmp_path: Path, busy: None) -> None:
    seen: list[Progress] = []
    named = replace(CONFIG, train=replace(CONFIG.train, steps=60, best=("facing", "on_ground")))
    train(Job(dataset, tmp_path, named), seen.append)
    measured = [(report.step, report.held_out) for report in seen if report.held_out]
    step, least = min(measured, key=lambda one: one[1]["facing"] + one[1]["on_ground"])
    assert load_checkpoint(tmp_path / BEST).figures == {"steps": step, "held_out": sum(least.values())}
    assert len({step, *(min(measured, key=lambda one: one[1][name])[0] for name in measured[0][1])}) > 1
    for names in (("facing", "goal"), ("facing", "facing")):
        wrong = replace(CONFIG, train=replace(CONFIG.train, best=names))
        with pytest.raises(WmTrainError, match=r"train\.best = .*, expected parts of the loss, each once: .*facing"):
            train(Job(dataset, tmp_path / "wrong", wrong))
        assert not (tmp_path / "wrong" / RESUME_FILE).exists()


def test_measuring_changes_nothing(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(Job(dataset, tmp_path / "seldom", CONFIG))
    monkeypatch.setattr(module, "REPORT_EVERY", 1)
    monkeypatch.setattr(module, "HELD_OUT_EVERY", 1)
    train(Job(dataset, tmp_path / "often", CONFIG))
    assert model_bytes(tmp_path / "seldom") == model_bytes(tmp_path / "often")


def test_what_is_measured_and_saved_is_the_average(dataset: Path, tmp_path: Path, talkative: None) -> None:
    """At rate 0.01 over 15 steps of noise the average lags behind the weights, and training is the same."""
    plain, mean = (tmp_path / name for name in ("plain", "mean"))
    seen: dict[str, list[Progress]] = {"plain": [], "mean": []}
    train(Job(dataset, plain, CONFIG), seen["plain"].append)
    averaged = replace(CONFIG, train=replace(CONFIG.train, ema=0.99))
    train(Job(dataset, mean, averaged), seen["mean"].append)
    assert [p.losses for p in seen["plain"]] == [p.losses for p in seen["mean"]]
    assert seen["plain"][-1].held_out != seen["mean"][-1].held_out
    assert model_bytes(plain) != model_bytes(mean)


def test_curves_are_those_of_the_reports(dataset: Path, tmp_path: Path, busy: None) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    job, seen = Job(dataset, tmp_path, CONFIG), list[Progress]()
    with pytest.raises(KilledError):
        train(job, killed_at(0.6))
    train(replace(job, resume=True))
    train(Job(dataset, tmp_path / "straight", CONFIG), seen.append)
    points = [event for event in EventFileLoader(str(tmp_path / CURVES)).Load() if event.summary.value]
    assert [point.step for point in points] == [5, 10, 15]
    for point, progress in zip(points, seen, strict=True):
        found = {value.tag: value.tensor.float_val[0] for value in point.summary.value}
        assert found["loss/speed"] == pytest.approx(progress.losses["speed"])
        assert found["held_out"] == pytest.approx(sum((progress.held_out or {}).values()))
        assert found["learning_rate"] == pytest.approx(progress.learning_rate)


def test_worlds_alone_are_measured_and_training_is_the_same(
    dataset: Path, tmp_path: Path, talkative: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "FRAMES", 8)
    train(Job(dataset, tmp_path / "unseen", CONFIG))
    monkeypatch.setattr(module, "ALONE_EVERY", 15)
    seen = list[Progress]()
    outcome = train(Job(dataset, tmp_path / "seen", CONFIG), seen.append)
    assert model_bytes(tmp_path / "seen") == model_bytes(tmp_path / "unseen")
    *before, last = (progress.alone for progress in seen)
    assert before == [None] * len(before) and last
    held_out = open_split(dataset, CONFIG.model.world.encoding, **CONFIG.train.split)[1]
    runs = alone.Alone(dataset, CONFIG, held_out.corpus(range(len(held_out.names))), outcome.split)
    assert last == runs.figures(replace(outcome, thresholds={}))
    assert 0 <= last["lawful"] <= 1 and last["position_p50"] > 0
    assert dict(scalars(vars(seen[-1])))["alone/lawful"] == last["lawful"]


def test_games_that_are_too_short_for_worlds_alone(
    dataset: Path, tmp_path: Path, talkative: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ALONE_EVERY", 5)
    seen = list[Progress]()
    train(Job(dataset, tmp_path / "run", CONFIG), seen.append)
    assert [progress.alone for progress in seen] == [{}] * len(seen)


class FakeWandb:
    """What wandb is asked for: a module whose runs keep their points by id, and go on where they are resumed."""

    Settings, Error = dict, RuntimeError

    def __init__(self) -> None:
        self.asked, self.closed = list[dict[str, Any]](), 0
        self.points = dict[str, list[tuple[int, dict[str, float]]]]()

    def init(self, **asked: Any) -> "FakeWandb":
        self.asked.append(asked)
        self._own = self.points.setdefault(asked["id"], [])
        return self

    @property
    def step(self) -> int:
        return self._own[-1][0] + 1 if self._own else 0

    def log(self, values: dict[str, float], step: int) -> None:
        self._own.append((step, values))

    def finish(self) -> None:
        self.closed += 1


def test_a_named_project_has_the_curves(
    dataset: Path, tmp_path: Path, busy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each report once, of a run that was killed too; a run that names no project loads nothing of wandb."""
    fake, reports = FakeWandb(), list[Progress]()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    train(Job(dataset, tmp_path / "quiet", CONFIG), reports.append)
    assert not fake.asked
    job = Job(dataset, tmp_path / "told", replace(CONFIG, train=replace(CONFIG.train, wandb="melee")))
    with pytest.raises(KilledError):
        train(job, killed_at(0.6))
    train(replace(job, resume=True))
    assert [(asked["project"], asked["name"]) for asked in fake.asked] == [("melee", "told")] * 2 and fake.closed == 2
    (points,) = fake.points.values()
    assert [step for step, _ in points] == [report.step for report in reports]
    assert points[-1][1]["loss/speed"] == pytest.approx(reports[-1].losses["speed"])


def test_a_project_without_the_package_is_refused(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    named = replace(CONFIG, train=replace(CONFIG.train, wandb="melee"))
    with pytest.raises(WmTrainError, match=r"train\.wandb = melee: .* `pip install \"wmq\[wandb\]\"`"):
        train(Job(dataset, tmp_path / "run", named))
    with pytest.raises(WmTrainError, match=r"train\.wandb = 'a/b', expected a project"):
        replace(CONFIG.train, wandb="a/b")


def test_a_project_that_wandb_refuses_is_said_in_a_line(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(FakeWandb):
        def init(self, **asked: Any) -> FakeWandb:
            raise self.Error("No API key configured.")

    monkeypatch.setitem(sys.modules, "wandb", Refusing())
    named = replace(CONFIG, train=replace(CONFIG.train, wandb="melee"))
    with pytest.raises(WmTrainError, match=r"train\.wandb = melee: No API key configured\.; .* WANDB_MODE=offline"):
        train(Job(dataset, tmp_path / "run", named))


@pytest.mark.parametrize("steps", [3, 8])
def test_the_last_report_is_a_mean_too(dataset: Path, tmp_path: Path, talkative: None, steps: int) -> None:
    """A report that covers fewer steps than the others is not smaller for it."""
    seen: list[Progress] = []
    frozen = replace(CONFIG, train=replace(CONFIG.train, steps=steps, learning_rate=1e-9))
    train(Job(dataset, tmp_path / "run", frozen), seen.append)
    alike = replace(frozen, train=replace(frozen.train, steps=5))
    whole: list[Progress] = []
    train(Job(dataset, tmp_path / "whole", alike), whole.append)
    assert sum(seen[-1].losses.values()) == pytest.approx(sum(whole[0].losses.values()), rel=0.2)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(dataset: Path, tmp_path: Path) -> None:
    short = replace(CONFIG, train=replace(CONFIG.train, steps=4))
    other = replace(short, train=replace(short.train, seed=6))
    for name, config in (("a", short), ("b", short), ("c", other)):
        train(Job(dataset, tmp_path / name, config))
    assert model_bytes(tmp_path / "a") == model_bytes(tmp_path / "b") != model_bytes(tmp_path / "c")


@pytest.mark.parametrize(("qat", "share", "kept"), [(False, 0.6, "."), (True, 0.3, "float"), (True, 0.9, ".")])
def test_a_killed_run_resumes_to_the_same_bytes(
    dataset: Path, tmp_path: Path, busy: None, qat: bool, share: float, kept: str
) -> None:
    """A QAT run is 9 steps in float and 6 through the grid: it is killed in either."""
    straight, killed = (Job(dataset, tmp_path / name, CONFIG, qat=qat) for name in ("straight", "killed"))
    train(straight)
    with pytest.raises(KilledError):
        train(killed, killed_at(share))
    assert (killed.run / kept / RESUME_FILE).exists() and not (killed.run / "run.json").exists()
    shares: list[float] = []
    train(replace(killed, resume=True), lambda p: shares.append(p.share))
    assert min(shares) > share and max(shares) == pytest.approx(1)
    assert model_bytes(straight.run) == model_bytes(killed.run)
    assert load_checkpoint(straight.run).scales == load_checkpoint(killed.run).scales
    assert not list(killed.run.rglob(RESUME_FILE))


@pytest.mark.parametrize("asks", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_an_interrupted_run_resumes_to_the_same_bytes(
    dataset: Path, tmp_path: Path, asks: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal keeps the state of the step that it interrupts, however short ago the last one was kept."""
    monkeypatch.setattr(module, "REPORT_EVERY", 5)
    straight, stopped = (Job(dataset, tmp_path / name, CONFIG) for name in ("straight", "stopped"))
    train(straight)

    def press(progress: Progress) -> None:
        if progress.step == 10:
            os.kill(os.getpid(), asks)

    own = signal.default_int_handler if asks == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(asks, own)
    try:
        with pytest.raises(KeyboardInterrupt if asks == signal.SIGINT else Terminated):
            train(stopped, press)
        assert signal.getsignal(asks) is own
    finally:
        signal.signal(asks, before)
    assert torch.load(stopped.run / RESUME_FILE, weights_only=True)["step"] == 11
    train(replace(stopped, resume=True))
    assert model_bytes(straight.run) == model_bytes(stopped.run)


def test_a_finished_run_is_not_resumed(dataset: Path, tmp_path: Path) -> None:
    job = Job(dataset, tmp_path, replace(CONFIG, train=replace(CONFIG.train, steps=1)))
    train(job)
    with pytest.raises(WmTrainError, match="is finished"):
        train(replace(job, resume=True))


@pytest.mark.parametrize("qat", [False, True])
def test_an_automatic_resume_begins_goes_on_and_then_does_nothing(
    dataset: Path, tmp_path: Path, busy: None, qat: bool
) -> None:
    straight = Job(dataset, tmp_path / "straight", CONFIG, qat=qat)
    train(straight)
    job = replace(straight, run=tmp_path / "run", resume=True, auto=True)
    for share in (0.3, 0.9):
        with pytest.raises(KilledError):
            train(job, killed_at(share))
    train(job)
    assert model_bytes(job.run) == model_bytes(straight.run)
    written = {path: path.stat().st_mtime_ns for path in job.run.rglob("*") if path.is_file()}
    reports: list[Progress] = []
    assert train(job, reports.append).figures["steps"] == (6 if qat else 15) and not reports
    assert {path: path.stat().st_mtime_ns for path in job.run.rglob("*") if path.is_file()} == written


@pytest.mark.parametrize("qat", [False, True])
def test_an_automatic_resume_takes_no_other_run_for_its_own(dataset: Path, tmp_path: Path, qat: bool) -> None:
    job = Job(dataset, tmp_path, replace(CONFIG, train=replace(CONFIG.train, steps=4)), qat=qat)
    train(job)
    longer = replace(job.config, train=replace(job.config.train, steps=8))
    with pytest.raises(WmTrainError, match=r"run\.json: is of another run: config\.train\.steps was \d, now \d;"):
        train(replace(job, config=longer, resume=True, auto=True))
    assert (tmp_path / "run.json").exists()


def test_a_run_that_was_begun_over_a_finished_one_is_gone_on_with(dataset: Path, tmp_path: Path, busy: None) -> None:
    """The float part of the new one has begun, and what the old one came to is still there."""
    job = Job(dataset, tmp_path, CONFIG, qat=True)
    train(job)
    old = (tmp_path / "run.json").read_bytes()
    with pytest.raises(KilledError):
        train(replace(job, overwrite=True), killed_at(0.3))
    (tmp_path / "run.json").write_bytes(old)
    assert not settled(tmp_path)


def test_without_a_kept_state_resume_begins(dataset: Path, tmp_path: Path) -> None:
    short = replace(CONFIG, train=replace(CONFIG.train, steps=3))
    train(Job(dataset, tmp_path / "a", short))
    train(Job(dataset, tmp_path / "b", short, resume=True))
    assert model_bytes(tmp_path / "a") == model_bytes(tmp_path / "b")


def growing(tmp_path: Path) -> Path:
    """A dataset of its own, which a test may add games to."""
    folder = tmp_path / "growing"
    write_dataset(folder, [50, 40, 60, 45])
    return folder


def one_more(folder: Path) -> None:
    add_game(folder, 77, game_columns(np.random.default_rng(77), 48))


SHORT = CONFIG


def stopped(tmp_path: Path, **about: Any) -> Job:
    """A run that was killed halfway."""
    job = Job(growing(tmp_path), tmp_path / "run", SHORT, **about)
    with pytest.raises(KilledError):
        train(job, killed_at(0.5))
    return job


def other_learning_rate(job: Job) -> Job:
    return replace(job, config=replace(job.config, train=replace(job.config.train, learning_rate=0.02)))


def other_games(job: Job) -> Job:
    one_more(job.dataset)
    return job


def one_game_less(job: Job) -> Job:
    """A run's games are there, one that it left out is not."""
    folder = job.dataset
    meta = open_dataset(folder)
    write_meta(replace(meta, games=meta.games[:-1]))
    return job


def other_dataset(job: Job) -> Job:
    folder = job.run.parent / "other"
    rng = np.random.default_rng(3)
    for index in range(20, 24):
        add_game(folder, index, game_columns(rng, 50))
    return replace(job, dataset=folder)


OTHERS: list[tuple[Callable[[Job], Job], str]] = [
    (other_learning_rate, r"asked\.train\.learning_rate was 0\.01, now 0\.02"),
    (other_games, r"games\.\w+.*(new|now)"),
    (one_game_less, r"games\.\w+.*(gone|now)"),
    (other_dataset, r"games\.train: \d of its \d are gone, \d are new"),
]


@pytest.mark.parametrize(("other", "named"), OTHERS)
def test_resume_takes_up_nothing_of_another_run(
    tmp_path: Path, busy: None, other: Callable[[Job], Job], named: str
) -> None:
    job = stopped(tmp_path)
    kept = (job.run / RESUME_FILE).read_bytes()
    with pytest.raises(WmTrainError, match=f"is of another run: {named}"):
        train(replace(other(job), resume=True))
    assert (job.run / RESUME_FILE).read_bytes() == kept and not (job.run / "run.json").exists()


@pytest.mark.parametrize(("other", "named"), OTHERS)
def test_the_float_part_of_a_qat_run_is_taken_only_for_what_it_is_of(
    tmp_path: Path, busy: None, other: Callable[[Job], Job], named: str
) -> None:
    """Killed in its second part: the first one is finished."""
    job = Job(growing(tmp_path), tmp_path / "run", SHORT, qat=True)
    with pytest.raises(KilledError):
        train(job, killed_at(0.9))
    assert (job.run / "float" / "run.json").exists() and (job.run / RESUME_FILE).exists()
    named = named.removeprefix(r"asked\.")
    with pytest.raises(WmTrainError, match=f"float/run.json: is of another run: .*{named}"):
        train(replace(other(job), resume=True))
    with pytest.raises(WmTrainError, match=r"another run: config\.model\.slots was 3, now 2"):
        train(replace(job, config=replace(SHORT, model=small_model(dropout=0.1, slots=2)), resume=True))


def test_a_qat_run_is_of_its_float_run_and_of_what_was_asked(tmp_path: Path, busy: None) -> None:
    dataset = growing(tmp_path)
    parent = Job(dataset, tmp_path / "float", SHORT)
    train(parent)
    job = Job(dataset, tmp_path / "run", SHORT, qat=True, start=parent.run)
    with pytest.raises(KilledError):
        train(job, killed_at(0.5))
    # The model's shape comes from the float run: what was asked for is compared all the same.
    asked = replace(SHORT, model=small_model(dropout=0.1, slots=2))
    with pytest.raises(WmTrainError, match=r"another run: asked\.model\.slots was 3, now 2"):
        train(replace(job, config=asked, resume=True))
    train(replace(parent, config=replace(SHORT, train=replace(SHORT.train, learning_rate=0.005)), overwrite=True))
    with pytest.raises(WmTrainError, match=r"another run: parent was '[0-9a-f]+.*, now '"):
        train(replace(job, resume=True))


@pytest.mark.parametrize("blob", [b"not a state", b"PK\x03\x04" + bytes(64)])
def test_a_broken_state_is_refused(dataset: Path, tmp_path: Path, blob: bytes) -> None:
    (tmp_path / RESUME_FILE).write_bytes(blob)
    with pytest.raises(WmTrainError, match="cannot be resumed from"):
        train(Job(dataset, tmp_path, CONFIG, resume=True))


def test_an_empty_state_is_refused(dataset: Path, tmp_path: Path) -> None:
    test_a_broken_state_is_refused(dataset, tmp_path, b"")


def test_qat_from_the_start_gives_a_network_that_can_be_proved(dataset: Path, tmp_path: Path) -> None:
    checkpoint = train(Job(dataset, tmp_path, CONFIG, qat=True))
    assert checkpoint.form == "qat" and len(checkpoint.parent or "") == 64
    assert min(checkpoint.scales.values()) > 0 and load_checkpoint(tmp_path / "float").form == "float"
    assert (checkpoint.arrays["gain"] != 1).any()
    net = quantize(tmp_path)
    assert net.provenance["form"] == "qat" and net.provenance["seed"] == 5


def test_qat_goes_on_from_a_float_run(dataset: Path, tmp_path: Path) -> None:
    parent, child = tmp_path / "float", tmp_path / "qat"
    first = train(Job(dataset, parent, CONFIG))
    asked = RunConfig(small_model(slots=2), TrainConfig(steps=2, batch=16, learning_rate=1e-6, seed=77, holdout=0.5))
    got = train(Job(dataset, child, asked, qat=True, start=parent))
    assert got.config.model == CONFIG.model and (got.config.train.seed, got.config.train.holdout) == (5, 0.3)
    assert got.config.train.steps == 2 and got.split == first.split
    assert len(got.parent or "") == 64
    for name, array in first.arrays.items():
        assert np.abs(got.arrays[name] - array).max() < 1e-4, name
    assert (got.arrays["gain"] == first.arrays["gain"]).all()


def test_qat_takes_bits_from_its_own_config(dataset: Path, tmp_path: Path) -> None:
    short = replace(CONFIG, train=replace(CONFIG.train, steps=1))
    train(Job(dataset, tmp_path / "a", replace(short, model=small_model(dropout=0.1, bits={"layer2": 4}))))
    kept = train(Job(dataset, tmp_path / "b", short, qat=True, start=tmp_path / "a"))
    other = replace(short, model=small_model(bits={"heads": 4}))
    got = train(Job(dataset, tmp_path / "c", other, qat=True, start=tmp_path / "a"))
    assert (kept.config.model.bits, got.config.model.bits) == ({"layer2": 4}, {"heads": 4})
    assert [op.bits for op in quantize(tmp_path / "c").ops if isinstance(op, Matvec)] == [8, 8, 4]
    plain = replace(short, model=small_model(bits={"layer2": 8}))
    train(Job(dataset, tmp_path / "d", plain, qat=True, start=tmp_path / "a"))
    assert [op.bits for op in quantize(tmp_path / "d").ops if isinstance(op, Matvec)] == [8, 8, 8]


def test_scales_are_found_as_the_config_says_and_kept_by_qat(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OBSERVERS, "min-max", lambda name, values, most: 2 * min_max(name, values, most))
    short = replace(CONFIG, train=replace(CONFIG.train, steps=1))
    other = replace(short, train=replace(short.train, calibration="min-max"))
    squares, ends = (train(Job(dataset, tmp_path / c.train.calibration, c)) for c in (short, other))
    said = json.loads((tmp_path / "min-max" / "run.json").read_text())["config"]["train"]
    assert said["calibration"] == "min-max"
    assert "calibration" not in json.loads((tmp_path / "mse" / "run.json").read_text())["config"]["train"]
    assert all(squares.scales[name] < ends.scales[name] for name in ends.scales)
    through = train(Job(dataset, tmp_path / "qat", short, qat=True, start=tmp_path / "min-max"))
    assert through.scales == ends.scales and through.config.train.calibration == "min-max"
    with pytest.raises(WmTrainError, match=r"calibration = 'min-max', but the float run .* has the scales of 'mse'"):
        train(Job(dataset, tmp_path / "not", other, qat=True, start=tmp_path / "mse"))


def test_games_too_short_are_an_error(tmp_path: Path) -> None:
    write_dataset(tmp_path, [3, 3])
    with pytest.raises(WmTrainError, match="no game has 4 frames in a row"):
        train(Job(tmp_path, tmp_path / "run", CONFIG))


@pytest.mark.parametrize("qat", [False, True])
def test_a_head_that_nothing_teaches_is_an_error_before_anything_is_written(
    dataset: Path, tmp_path: Path, qat: bool
) -> None:
    untaught = replace(CONFIG, model=small_model(heads="two_level"))
    with pytest.raises(WmTrainError, match=r"train\.losses\.category = 0\.0"):
        train(Job(dataset, tmp_path / "run", untaught, qat))
    assert not (tmp_path / "run").exists()
    taught = replace(untaught, train=replace(CONFIG.train, steps=2, losses=LossConfig(category=2.0)))
    assert train(Job(dataset, tmp_path / "run", taught, qat)).config.model == untaught.model


def test_divergence_is_an_error(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = learners.losses

    def broken(*arguments: Any) -> dict[str, Any]:
        return real(*arguments) | {"bad": torch.tensor(float("nan"))}

    monkeypatch.setattr(learners, "losses", broken)
    with pytest.raises(WmTrainError, match="diverged at step 0: loss is nan"):
        train(Job(dataset, tmp_path, CONFIG))


def test_a_gradient_that_is_no_number_is_one_too(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of the very last step may still be finite; what it would leave is not."""
    real = learners.losses

    def broken(world: Any, now: Any, after: Any, heads: Any, *more: Any) -> dict[str, Any]:
        # The root has no slope at 0, and what is multiplied with it there is 0.
        return real(world, now, after, heads, *more) | {"bad": (heads * 0).abs().sum().sqrt() * 0}

    monkeypatch.setattr(learners, "losses", broken)
    config = replace(CONFIG, train=replace(CONFIG.train, steps=1))
    with pytest.raises(WmTrainError, match=r"diverged at step 0: gradient is nan; lower train\.learning_rate$"):
        train(Job(dataset, tmp_path, config))
    assert not (tmp_path / "run.json").exists()


def test_a_held_out_loss_that_is_no_number_says_what_is_kept(
    dataset: Path, tmp_path: Path, busy: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = module.HeldOut.losses, []

    def broken(self: Any, net: Any) -> dict[str, float]:
        seen.append(real(self, net))
        return seen[-1] if len(seen) == 1 else {**seen[-1], "bad": float("inf")}

    monkeypatch.setattr(module.HeldOut, "losses", broken)
    with pytest.raises(WmTrainError, match=f"diverged at step 10: held-out loss is inf; .*is in {tmp_path / BEST}$"):
        train(Job(dataset, tmp_path, CONFIG))
    assert load_checkpoint(tmp_path / BEST).figures["steps"] == 5


@pytest.mark.parametrize("warmup", [0.0, 0.02, 0.5])
def test_the_rate_warms_up_then_falls_to_zero(warmup: float) -> None:
    shares = np.linspace(0, 1, 2001)
    config = TrainConfig(learning_rate=0.5, warmup=warmup)
    rates = np.array([2 * learning_rate(config, share, started=False) for share in shares])
    assert learning_rate(config, warmup, started=True) == 0.5 * STARTED_LEARNING_RATE
    assert (
        2 * learning_rate(config, warmup, started=False) == 1
        and rates[-1] == pytest.approx(0, abs=1e-12)
        and rates.min() >= 0
    )
    assert rates.max() <= 1.01 and rates.argmax() == pytest.approx(warmup * 2000, abs=1)
    assert (np.diff(rates[shares < warmup]) > 0).all() and (np.diff(rates[shares > warmup]) < 0).all()
    assert rates[0] > 0 and learning_rate(config, 1.5, started=False) == pytest.approx(0, abs=1e-12)
    assert learning_rate(config, (1 + warmup) / 2, started=False) == pytest.approx(0.25)
