"""speculation.py against a loop that really rolls back, frame by frame."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.factories import ONE, make_heads, random_corpus, still_corpus
from wm_train.games.corpus import Corpus
from wm_train.measure.recurrent import Memory, Stretch
from wm_train.measure.speculation import DELAYS, LATE, inputs_figures, outcome_figures, repeats
from wm_train.measure.window import Window, persistence, window_at
from wm_train.measure.worlds import Model
from wm_train.melee.field_table import STATE_INDEX
from wm_train.world.encoding import Encoding
from wm_train.world.step import World

V22 = Encoding("v2.2", 3)
X = STATE_INDEX["x"]


def corpus_of(lengths: tuple[int, ...] = (70, 50), seed: int = 0, hold: float = 0.7) -> Corpus:
    """Games whose players hold their one stick for a while each."""
    rng = np.random.default_rng(seed)
    corpus = still_corpus(lengths)
    for player in range(2):
        changes = np.cumsum(rng.random(sum(lengths)) > hold)
        corpus.inputs[:, player, 0] = rng.integers(-80, 81, changes[-1] + 1)[changes]
    return corpus


def rolled_back(inputs: Any, delay: int) -> tuple[int, int]:
    """(frames first shown with inputs that were all right, frames computed again) of one game, by doing it."""
    used: dict[int, Any] = {}
    right = again = 0
    for frame in range(len(inputs) + delay):
        known = frame - delay
        if 0 < known < len(inputs) and (used[known] != inputs[known]).any():
            for late in range(known, min(frame, len(inputs))):
                used[late] = inputs[known]
                again += 1
        if frame < len(inputs):
            used[frame] = inputs[max(known, 0)]
            guessed = range(known + 1, frame + 1) if known >= 0 else ()
            right += bool(guessed) and all((inputs[g] == used[frame]).all() for g in guessed)
    return right, again


@pytest.mark.parametrize("late", LATE)
def test_inputs_are_as_a_rollback_counts_them(late: str) -> None:
    corpus = corpus_of((70, 50, 9))
    got = inputs_figures(corpus)[late]
    games = [corpus.inputs[corpus.game == g][:, list(LATE[late])] for g in range(3)]
    for i, delay in enumerate(DELAYS):
        right, again = np.sum([rolled_back(game, delay) for game in games], 0)
        assert got["right"][i] == pytest.approx(right / sum(max(len(g) - delay, 0) for g in games), rel=1e-12)
        assert got["recomputed"][i] == pytest.approx(again / sum(len(g) - 1 for g in games), rel=1e-12)


def test_runs_are_counted_by_hand() -> None:
    corpus = still_corpus((10, 6))
    corpus.inputs[4:, 0, 0] = 1
    corpus.inputs[5:, 0, 0] = 2
    assert repeats(corpus, (0,)).tolist() == [False, *[True] * 3, False, False, *[True] * 4, False, *[True] * 5]
    figures = inputs_figures(corpus)
    assert figures["player0"]["runs"] == {"count": 3, "mean": 4.0, "p50": 4.0, "p90": 4.8, "longest": 5}
    assert figures["player1"]["right"] == [1.0] * len(DELAYS) and figures["player1"]["recomputed"] == [0] * len(DELAYS)
    assert figures["all"] == figures["player0"]


def test_inputs_that_never_repeat_have_no_runs() -> None:
    corpus = random_corpus()
    got = inputs_figures(corpus)["all"]
    assert got["right"] == [0.0] * len(DELAYS) and got["runs"]["count"] == 0 and got["recomputed"][0] == 1


def pushed(window: Window) -> Any:
    """A world that the stick moves, but not while it is in its inner half."""
    out = window.now.copy()
    stick = window.following[..., 0].astype(np.int32)
    out[..., X] += np.where(np.abs(stick) > 40, stick, 0) * ONE // 80
    return out


@dataclass
class Summing:
    """A world with a memory: players stand where the sum of their sticks since the beginning is."""

    world: World = field(default_factory=lambda: World(Encoding("v2.2", 1), "published"))

    def start(self, worlds: int) -> Memory:
        return {"moved": np.zeros((worlds, 2), np.int64)}

    def run(self, memory: Memory, stretch: Stretch) -> tuple[Any, Memory]:
        step = stretch.following[..., 0].astype(np.int64)
        heads = np.repeat(make_heads(self.world)[:, None], step.shape[1], 1).repeat(len(step), 0)
        sums = memory["moved"][:, None] + step.cumsum(1)
        for player in range(2):
            now = stretch.frames[:, :, player, X]
            heads[..., self.world.span(player, "x").start] = sums[..., player] * ONE // 80 - now
        return heads, {"moved": sums[:, -1]}


def by_hand(model: Model, corpus: Corpus, t: int, inputs: Any) -> Any:
    """x of both players after each of these inputs (H, 2, controls), from frame t."""
    if isinstance(model, Summing):
        begun = corpus.inputs[1 : t + 1][..., 0].astype(np.int64).sum(0)
        return (begun + inputs[..., 0].astype(np.int64).cumsum(0)) * ONE // 80
    window, out = window_at(corpus, V22, np.array([t])), []
    for following in inputs:
        window = Window(window.frames, window.inputs, following[None], window.session)
        frames = model(window)  # type: ignore[operator]
        out.append(frames[0, :, X])
        window = window.advanced(frames, following[None])
    return np.array(out)


@pytest.mark.parametrize("model", [pushed, Summing()], ids=["stepper", "recurrent"])
def test_outcomes_are_those_of_worlds_run_one_by_one(model: Any) -> None:
    corpus = corpus_of((40,), hold=0.8)
    encoding = model.world.encoding if isinstance(model, Summing) else V22
    got = outcome_figures(model, corpus, encoding, 10_000)
    ends = range(encoding.slots - 1, 40 - len(DELAYS))
    assert got["windows"] == len(ends)
    for late, players in LATE.items():
        wrong, differ, jumps = [], [], []
        for t in ends:
            true = corpus.inputs[t + 1 : t + 1 + len(DELAYS)]
            guess, again = true.copy(), true.copy()
            guess[:, list(players)] = corpus.inputs[t][list(players)]
            again[:, list(players)] = corpus.inputs[t + 1][list(players)]
            shown, right, redone = (by_hand(model, corpus, t, one) for one in (guess, true, again))
            wrong.append((shown != right).any(1))
            differ.append((shown != redone).any(1))
            jumps.append(np.abs(shown.astype(np.int64) - right).max(1) / ONE)
        figures = got[late]
        assert figures["right"] == pytest.approx(1 - np.mean(wrong, 0), rel=1e-12)
        assert figures["different"] == pytest.approx(np.cumsum(np.mean(differ, 0)), rel=1e-12)
        last = np.array(wrong)[:, -1]
        assert figures["jump_mean"][-1] == pytest.approx(np.array(jumps)[last, -1].mean(), rel=1e-9)
        # A frame is right at least where the inputs are, and no more differ than are computed again.
        assert all(a >= b for a, b in zip(figures["right"], figures["inputs_right"], strict=True))
        assert all(a <= b + 1e-12 for a, b in zip(figures["different"], figures["recomputed"], strict=True))


def test_a_world_that_reads_no_input_is_never_wrong() -> None:
    got = outcome_figures(persistence, corpus_of(), V22, 50)
    assert got["windows"] == 50
    for late in LATE:
        assert got[late]["right"] == [1.0] * len(DELAYS)
        assert not any(got[late]["different"] + got[late]["jump_mean"] + got[late]["jump_p99"])
        assert got[late]["recomputed"][0] > 0
