"""recurrent.py: every game from its first frame on, each wanted frame once, and worlds that begin with all of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.factories import random_checkpoint, random_corpus, small_mamba2
from wm_quant.convert import from_checkpoint
from wm_quant.interp import Interpreter
from wm_train.games.corpus import Corpus
from wm_train.measure import evaluate, recurrent, window
from wm_train.measure import worlds as stepping
from wm_train.measure.recurrent import Recurrent, RecurrentWorlds, Stretch, Walk
from wm_train.world.step import next_frames

LENGTHS = (40, 7, 300, 2, 25)
STARTS = np.cumsum([0, *LENGTHS])
CORPUS = random_corpus(2, LENGTHS)
MODEL = small_mamba2(d_model=16, d_state=3, headdim=8, n_layers=1)


def real_net() -> Recurrent:
    """A QNet: its results are integers, so equality is exact."""
    model = Interpreter(from_checkpoint(random_checkpoint(MODEL), "")).model()
    assert isinstance(model, Recurrent)
    return model


NET = real_net()


class Diary:
    """A network whose memory is how many frames it has seen of each game, and a sum that tells them apart; its heads
    are chosen by it."""

    world = NET.world

    def start(self, worlds: int) -> dict[str, Any]:
        return {"count": np.zeros((worlds, 1), np.int64), "sum": np.zeros((worlds, 1), np.int64)}

    def run(self, memory: Mapping[str, Any], stretch: Stretch) -> tuple[Any, Mapping[str, Any]]:
        length = stretch.frames.shape[1]
        told = stretch.frames[..., 0, 1].astype(np.int64) + stretch.following[..., 1, 0]
        counts, sums = memory["count"] + np.arange(1, length + 1), memory["sum"] + np.cumsum(told, 1)
        heads = np.zeros((*told.shape, self.world.outputs), np.int64)
        heads[..., 0], heads[..., 1] = counts * 5, sums % 1001
        return heads, {"count": counts[:, -1:], "sum": sums[:, -1:]}


def forced(net: Recurrent, corpus: Corpus, t: Any) -> Any:
    return stepping.forced(net, corpus, net.world.encoding, t)


def begin(net: Recurrent, corpus: Corpus, t: Any) -> RecurrentWorlds:
    worlds = stepping.begin(net, corpus, net.world.encoding, t)
    assert isinstance(worlds, RecurrentWorlds)
    return worlds


def stretch(at: Any) -> Stretch:
    """Frames `at` (1, L) of CORPUS, none of them the last of all."""
    session = CORPUS.session(NET.world.encoding, at[:, 0])
    return Stretch(CORPUS.frames[at], CORPUS.inputs[at], CORPUS.inputs[at + 1], session)


class CountingDiary(Diary):
    """One that counts the frames that it was given."""

    read = 0

    def run(self, memory: Mapping[str, Any], stretch: Stretch) -> tuple[Any, Mapping[str, Any]]:
        self.read += int(np.prod(stretch.frames.shape[:2]))
        return super().run(memory, stretch)


#: (network, game) -> what by_hand gives of all its frames; networks are those of this module.
WALKED: dict[tuple[int, int], tuple[Any, list[Any]]] = {}


def by_hand(net: Recurrent, game: int, frames: int) -> tuple[Any, list[Any]]:
    """(Frame after each of the first `frames` of a game, the memory before each of them), one at a time."""
    if (id(net), game) not in WALKED:
        WALKED[id(net), game] = whole_by_hand(net, game)
    after, before = WALKED[id(net), game]
    return after[:frames], before[:frames]


def whole_by_hand(net: Recurrent, game: int) -> tuple[Any, list[Any]]:
    """The same of every frame of a game that inputs follow."""
    memory, after, before = net.start(1), [], []
    for t in range(STARTS[game], min(STARTS[game + 1], STARTS[-1] - 1)):
        before.append(memory)
        seen = stretch(np.array([[t]]))
        heads, memory = net.run(memory, seen)
        bounds = net.world.session_places(seen.session)
        after.append(next_frames(net.world, CORPUS.frames[[t]], heads[:, 0], bounds)[0])
    return np.stack(after), before


def same_memory(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    return one.keys() == two.keys() and all((one[name] == two[name]).all() for name in one)


DIARY = Diary()
WANTED = {
    "every window": CORPUS.windows(NET.world.encoding),
    "the first frame of each game": STARTS[:-1],
    "one frame": np.array([STARTS[2] + 270]),
    "some, far apart": np.array([0, 1, 39, 41, STARTS[2] + 5, STARTS[2] + 256, STARTS[4] + 23]),
    "games between are left out": np.array([3, STARTS[4], STARTS[4] + 1]),
}
CASES = [(DIARY, name, chunk) for name in WANTED for chunk in (1, 64, 256)] + [(NET, "games between are left out", 16)]


@pytest.mark.parametrize(("net", "name", "chunk"), CASES)
def test_forced_gives_every_wanted_frame_once(
    net: Recurrent, name: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurrent, "STRETCH", chunk)
    wanted = WANTED[name]
    parts = list(forced(net, CORPUS, wanted))
    t, after = (np.concatenate(part) for part in zip(*parts, strict=True))
    assert sorted(t.tolist()) == wanted.tolist()
    game = CORPUS.game[t]
    for index in np.unique(game):
        of = t[game == index] - STARTS[index]
        want, _ = by_hand(net, int(index), int(of.max()) + 1)
        assert (after[game == index] == want[of]).all()


BEGUN = [(DIARY, 1), (DIARY, 7), (DIARY, 64), (NET, 64)]


@pytest.mark.parametrize(("net", "chunk"), BEGUN)
def test_begin_has_the_memory_of_the_whole_game(net: Recurrent, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurrent, "STRETCH", chunk)
    t = np.array([0, 5, 6, STARTS[1] + 5, STARTS[2], STARTS[2] + 30, STARTS[3], STARTS[4] + 23])
    worlds = begin(net, CORPUS, t)
    assert (worlds.frames == CORPUS.frames[t]).all() and (worlds.inputs == CORPUS.inputs[t]).all()
    assert (worlds.session == CORPUS.session(net.world.encoding, t)).all()
    for i, frame in enumerate(t):
        game = int(CORPUS.game[frame])
        _, before = by_hand(net, game, int(frame - STARTS[game]) + 1)
        assert same_memory({name: kept[i : i + 1] for name, kept in worlds.memory.items()}, before[-1])
    firsts = [i for i, frame in enumerate(t) if frame in STARTS]
    assert all((kept[firsts] == net.start(1)[name]).all() for name, kept in worlds.memory.items()) and len(firsts) == 3
    assert any(kept[5].any() for kept in worlds.memory.values())


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_heads_and_worlds_come_of_one_walk(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever lies further in a game, in whatever order worlds begin; and no frame of a game is read twice but for
    those between a border and a start."""
    monkeypatch.setattr(recurrent, "STRETCH", chunk)
    t, starts = np.array([3, 45, STARTS[2] + 90]), np.array([STARTS[2] + 200, 30, STARTS[4], 30, STARTS[2] + 20])
    net = CountingDiary()
    walk = Walk(net, CORPUS, t, starts)
    with pytest.raises(AssertionError, match="when all heads have been given"):
        walk.worlds()
    parts = list(walk.frames())
    found = zip(*(np.concatenate(part) for part in zip(*parts, strict=True)), strict=True)
    apart = zip(*(np.concatenate(part) for part in zip(*forced(DIARY, CORPUS, t), strict=True)), strict=True)
    assert {int(at): after.tolist() for at, after in found} == {int(at): after.tolist() for at, after in apart}
    walked, worlds = net.read, begin(DIARY, CORPUS, starts)
    for some in (slice(0, 2), slice(2, 5)):
        got, alone = walk.worlds(some), begin(DIARY, CORPUS, starts[some])
        assert same_memory(got.memory, {name: kept[some] for name, kept in worlds.memory.items()})
        assert same_memory(got.memory, alone.memory) and (got.frames == CORPUS.frames[starts[some]]).all()
    games, longest = 4, 200 // chunk * chunk
    assert walked == games * max(longest, 91)
    assert net.read - walked == sum(ahead % chunk for ahead in (200, 30, 0, 30, 20))


def test_two_worlds_may_begin_at_one_frame() -> None:
    worlds = begin(NET, CORPUS, np.array([9, 9, 30]))
    following = CORPUS.inputs[[10, 31, 31]]
    after = worlds.step(following)
    assert (after[0] != after[1]).any()
    assert (begin(NET, CORPUS, np.array([9])).step(following[:1])[0] == after[0]).all()


def test_the_first_step_of_a_world_is_what_forced_gives() -> None:
    t = np.array([0, 11, STARTS[2] + 3])
    ((_, after),) = forced(NET, CORPUS, t)
    assert (begin(NET, CORPUS, t).step(CORPUS.inputs[t + 1]) == after).all()


def test_worlds_feed_on_their_own_frames_and_remember_them() -> None:
    t, horizon = np.array([4, STARTS[2] + 9]), 6
    frames = stepping.rollout(NET, CORPUS, NET.world.encoding, t, horizon)
    worlds = begin(NET, CORPUS, t)
    for i in range(2):
        memory: Mapping[str, Any] = {name: kept[i : i + 1] for name, kept in worlds.memory.items()}
        now, inputs = CORPUS.frames[t[[i]]], CORPUS.inputs[t[[i]]]
        for ahead in range(1, horizon + 1):
            following = CORPUS.inputs[t[[i]] + ahead]
            one = Stretch(now[:, None], inputs[:, None], following[:, None], worlds.session[[i]])
            heads, memory = NET.run(memory, one)
            bounds = NET.world.session_places(one.session)
            now, inputs = next_frames(NET.world, now, heads[:, 0], bounds), following
            assert (frames[i, ahead - 1] == now[0]).all()
    assert (frames[:, 1:] != CORPUS.frames[t[:, None] + np.arange(2, horizon + 1)]).any()


def test_worlds_that_stand_together_are_worlds_alone() -> None:
    t = np.array([0, 17, STARTS[1] + 2, STARTS[2] + 10])
    together = begin(NET, CORPUS, t)
    alone = [begin(NET, CORPUS, t[[i]]) for i in range(len(t))]
    for ahead in range(1, 4):
        frames = together.step(CORPUS.inputs[t + ahead])
        assert all((world.step(CORPUS.inputs[t[[i]] + ahead])[0] == frames[i]).all() for i, world in enumerate(alone))


def test_figures_of_a_recurrent_network_count_every_window() -> None:
    figures = evaluate.evaluate(DIARY, CORPUS, NET.world.encoding)
    assert figures["frames"] == len(WANTED["every window"]) and figures["rollout"]["20"]["position_mae_mean"] > 0


def test_a_network_with_a_memory_is_told_from_one_without() -> None:
    assert isinstance(NET, Recurrent) and isinstance(DIARY, Recurrent)
    assert not isinstance(window.persistence, Recurrent)
    assert isinstance(stepping.begin(NET, CORPUS, NET.world.encoding, np.array([3])), RecurrentWorlds)
