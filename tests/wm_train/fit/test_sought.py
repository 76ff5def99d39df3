"""sought.py: a share of training is around moments at which something happens, each event as often as the others."""

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest

from tests.factories import small_mamba2, small_model, still_corpus
from wm_train.config import ModelConfig, RunConfig, TrainConfig
from wm_train.errors import WmTrainError
from wm_train.games.sequences import AFTER, BEFORE, Chunk, SequencePlan
from wm_train.games.store import HeldGames
from wm_train.games.stream import WindowPlan, chunks, window_batches
from wm_train.melee.field_table import STATE_INDEX

torch = pytest.importorskip("torch")

from wm_train.fit import sought as module  # noqa: E402
from wm_train.fit.held_out import HeldOut  # noqa: E402
from wm_train.fit.learners import learner  # noqa: E402
from wm_train.fit.sought import NEAR, SoughtWindows, sought_of  # noqa: E402

LENGTHS = [300, 90, 200, 30]
CORPUS = still_corpus(LENGTHS)
#: Frames after which a player is hit, in three of the games; and one after which a stock is lost.
HITS, LOST = [4, 120, 350, 560], [289]
for hit in HITS:
    later = (np.arange(len(CORPUS.game)) > hit) & (CORPUS.game == CORPUS.game[hit])
    CORPUS.frames[later, 1, STATE_INDEX["percent"]] += 4096
CORPUS.frames[:, 0, STATE_INDEX["stocks"]] = 4096
CORPUS.frames[290:300, 0, STATE_INDEX["stocks"]] = 0
GAMES = HeldGames(CORPUS)
ASKED = TrainConfig(lanes=4, chunk=8, batch=40, events=("hits", "kos"), event_share=0.5, seed=3)
MODELS: list[ModelConfig] = [small_mamba2(d_model=16, d_state=4, headdim=8), small_model()]
CONFIG = RunConfig(MODELS[0], ASKED)


def plan() -> SequencePlan:
    sought = sought_of(CONFIG)
    assert sought
    return SequencePlan(LENGTHS, 4, 8, 3, sought.moments_of(GAMES))


def walked(steps: int) -> Chunk:
    order = plan()
    return Chunk(*(np.concatenate(parts, 1) for parts in zip(*map(order.at, range(steps)), strict=True)))


def test_moments_are_the_frames_before_events() -> None:
    sought = sought_of(CONFIG)
    assert sought and [kind.tolist() for kind in sought.moments(CORPUS)] == [HITS, LOST]
    moments = sought.moments_of(GAMES)
    assert [kind.tolist() for kind in moments.kinds] == [HITS, LOST] and moments.share == 0.5


def test_events_are_looked_for_in_so_many_games_evenly_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOUGHT_GAMES", 2)  # the first and the last
    sought = sought_of(CONFIG)
    assert sought and [kind.tolist() for kind in sought.moments_of(GAMES).kinds] == [HITS[:2], LOST]
    monkeypatch.setattr(module, "SOUGHT_GAMES", 3)
    assert [kind.tolist() for kind in sought.moments_of(GAMES).kinds] == [HITS[:2] + HITS[2:3], LOST]


def test_a_share_of_the_lanes_walks_around_moments_each_kind_as_often_as_the_others() -> None:
    order = walked(100)
    begins, seen = order.reset[:2], {"hit": 0, "lost": 0}
    for lane in range(2):
        first = np.flatnonzero(begins[lane])
        for begin, end in pairwise(first):
            frames = order.frame[lane, begin:end]
            assert (np.diff(frames) == 1).all() and len(set(order.visit[lane, begin:end])) == 1
            assert order.valid[lane, begin : end - 1].all() and not order.valid[lane, end - 1]
            (moment,) = (m for m in (*HITS, *LOST) if m + AFTER == frames[-1] or (m == 289 and frames[-1] == 299))
            assert BEFORE[0] <= moment - frames[0] < BEFORE[1] or frames[0] == 0
            seen["hit" if moment in HITS else "lost"] += 1
    assert abs(seen["hit"] - seen["lost"]) <= 2 and seen["hit"] > 10
    starts = np.cumsum(LENGTHS) - LENGTHS
    assert np.isin(order.frame[2:][order.reset[2:]], starts).all()


def test_any_step_is_the_same_whatever_was_asked_before() -> None:
    order = plan()
    for step in (40, 3, 41):
        assert all((a == b).all() for a, b in zip(order.at(step), plan().at(step), strict=True))


def test_a_chunk_that_goes_from_one_moment_to_the_next_has_their_frames() -> None:
    for chunk, corpus in islice(chunks(GAMES, plan(), 0), 30):
        assert (corpus.frames == CORPUS.frames[chunk.and_next().ravel()]).all()


def test_a_share_of_each_batch_ends_near_events() -> None:
    config = replace(CONFIG, model=MODELS[1])
    sought, order = sought_of(config), WindowPlan(np.array(LENGTHS), MODELS[1].world.encoding, 40, 9, 0)
    assert sought
    near = np.unique(np.add.outer([*HITS, *LOST], np.arange(-NEAR, NEAR + 1)))
    shown = []
    for step, batch in enumerate(islice(window_batches(GAMES, order, 0), 8)):
        t, again = (SoughtWindows(sought).around(batch, step) for _ in range(2))
        assert (t == again).all() and (t[20:] == batch.t[20:]).all()
        assert np.isin(t, CORPUS.windows(order.encoding)).all()
        shown += [end for end, was in zip(t[:20], batch.t[:20], strict=True) if end != was]
    assert np.isin(shown, near).all() and np.isin(shown, np.add(LOST[0], np.arange(-NEAR, NEAR + 1))).mean() > 0.4


@pytest.mark.parametrize("model", MODELS)
def test_held_out_games_are_shown_as_they_are(model: ModelConfig) -> None:
    plain, asked = (RunConfig(model, replace(ASKED, events=events)) for events in ((), ("hits", "kos")))
    shown = [learner(config, GAMES, None).losses(0)[0] for config in (plain, asked)]
    assert any(not torch.equal(shown[0][name], shown[1][name]) for name in shown[0])
    net = learner(plain, GAMES, None).net
    assert HeldOut(plain, GAMES, None).losses(net) == HeldOut(asked, GAMES, None).losses(net)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (("hits", "goals"), r"train\.events = \['hits', 'goals'\], expected each once: hits, grabs, landings"),
        (("kos", "kos"), r"train\.events = \['kos', 'kos'\], expected each once"),
        (("grabs",), "no game for training has any of grabs"),
    ],
)
def test_events_that_are_not_there_are_named(events: tuple[str, ...], message: str) -> None:
    with pytest.raises(WmTrainError, match=message):
        learner(replace(CONFIG, train=replace(ASKED, events=events)), GAMES, None)
