"""How long a training will take is said after its first steps, by a clock that the test turns."""

from pathlib import Path

import pytest

from tests.factories import write_dataset
from tests.verbs import run
from wm_cli.estimate import STEPS, Estimate, duration

pytestmark = pytest.mark.usefixtures("exact_again")


def said(shares: list[float], step_seconds: float) -> list[str]:
    """What is said of steps that take so long each, all but the first, which takes a day."""
    at, told = 0.0, list[str]()
    estimate = Estimate(told.append, lambda: at)
    for step, share in enumerate(shares):
        at += 86_400 if step == 0 else step_seconds
        estimate.moved(share)
    return told


def test_the_rest_takes_as_long_as_the_first_steps_say() -> None:
    shares = [(step + 1) / 1_000 for step in range(200)]
    assert said(shares, 0.5) == ["about 8 min to go, by the speed of the first 10 steps"]
    assert said(shares[: STEPS - 1], 0.5) == []
    resumed = [0.5 + share for share in shares]
    assert said(resumed, 20.0) == ["about 2 h 43 min to go, by the speed of the first 10 steps"]


def test_of_a_run_that_is_over_by_then_nothing_is_said() -> None:
    assert said([(step + 1) / STEPS for step in range(STEPS)], 1.0) == []


@pytest.mark.parametrize(("seconds", "text"), [
    (0.1, "1 s"), (59.4, "59 s"), (60, "1 min"), (3_570, "1 h 0 min"), (35_900, "9 h 58 min"), (7e6, "1,944 h"),
])  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_training_says_how_long_it_takes_before_its_first_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "dataset", [40, 30, 35])
    Path("c.yaml").write_text("model: {hidden: [16, 9], slots: 2}\ntrain: {steps: 12, batch: 8, holdout: 0.4}\n")
    for words in ("--out run", "--out run-qat --qat"):
        done = run("train", "--config", "c.yaml", *words.split())
        assert done.exit_code == 0 and "to go, by the speed of the first 10 steps" in done.stderr, done.output
