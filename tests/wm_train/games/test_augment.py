"""augment.py: games are turned by chance, whole, anew each time that they begin, and any step sees the same again."""

from itertools import islice

import numpy as np
import pytest

from tests.factories import random_corpus
from wm_train.errors import WmTrainError
from wm_train.games.augment import Augment, augment_of
from wm_train.games.corpus import Corpus
from wm_train.games.sequences import SequencePlan
from wm_train.games.store import HeldGames
from wm_train.games.stream import WindowPlan, chunks, window_batches
from wm_train.grid.arithmetic import Ints
from wm_train.melee.symmetries import SYMMETRY
from wm_train.world.encoding import Encoding
from wm_train.world.fields import Field, Mirrored, axis, binary, categorical, continuous
from wm_train.world.symmetry import Pairs, Symmetry

ENCODING = Encoding("v2.2", 3)
LENGTHS = [9, 14, 12, 21, 11, 8, 17]
FIRST: Ints = np.cumsum(LENGTHS, dtype=np.int64) - np.array(LENGTHS)
CORPUS = random_corpus(1, LENGTHS)
CORPUS.place[:] = np.array([31, 8, 2, 31, 5, 3, 32])[CORPUS.game]  # 8 and 5 are no mirror images of themselves
BOTH = Augment(ENCODING, ("mirror", "swap"), 7)


def images(corpus: Corpus) -> list[Corpus]:
    """As it is, mirrored, swapped, both."""
    swapped = Corpus(corpus.frames[:, ::-1], corpus.inputs[:, ::-1], corpus.place, corpus.game, corpus.names)
    return [corpus, _mirrored(corpus), swapped, _mirrored(swapped)]


def _mirrored(corpus: Corpus) -> Corpus:
    frames, inputs = (
        np.where(SYMMETRY.mirrors_at(corpus.place)[:, None, None], SYMMETRY.mirrored(fields, values, place), values)
        for fields, values, place in (
            (ENCODING.frame_fields, corpus.frames, _allowed(corpus.place)),
            (ENCODING.controls, corpus.inputs, _allowed(corpus.place)),
        )
    )
    return Corpus(frames, inputs, corpus.place, corpus.game, corpus.names)


def _allowed(place: Ints) -> Ints:
    return np.where(SYMMETRY.mirrors_at(place), place, 31)


IMAGES = images(CORPUS)


def which(got: Corpus, frame: Ints) -> Ints:
    """(T,) the number of the first of IMAGES of frame number `frame` that each row is."""
    return np.array([
        next(
            i for i, image in enumerate(IMAGES)
            if (image.frames[f] == got.frames[row]).all() and (image.inputs[f] == got.inputs[row]).all()
        )
        for row, f in enumerate(frame)
    ])  # fmt: skip


def test_every_turn_comes_and_a_game_is_turned_whole() -> None:
    visit = np.repeat(np.arange(60), 3)
    frame = np.tile([0, 1, 2], 60)
    at = HeldGames(CORPUS).take(frame)
    turns = which(BOTH.turned(at, visit), frame).reshape(60, 3)
    assert (turns == turns[:, :1]).all() and set(turns[:, 0]) == {0, 1, 2, 3}
    assert set(which(Augment(ENCODING, ("swap",), 7).turned(at, visit), frame)) == {0, 2}
    assert set(which(Augment(ENCODING, ("mirror",), 7).turned(at, visit), frame)) == {0, 1}
    assert (which(Augment(ENCODING, ("mirror", "swap"), 8).turned(at, visit), frame) != turns.ravel()).any()
    assert augment_of(ENCODING, (), 7) is None and augment_of(ENCODING, ("swap",), 7) is not None


def test_a_place_that_is_no_mirror_image_of_itself_is_not_mirrored() -> None:
    frame = np.flatnonzero(CORPUS.place == 8)
    got = HeldGames(CORPUS).take(np.tile(frame, 9))
    turned = Augment(ENCODING, ("mirror",), 0).turned(got, np.repeat(np.arange(9), len(frame)))
    assert (turned.frames == got.frames).all() and (turned.inputs == got.inputs).all()


def test_lanes_turn_each_game_anew_and_any_step_again() -> None:
    games, plan = HeldGames(CORPUS), SequencePlan(LENGTHS, 2, 7, seed=0)
    every = list(islice(chunks(games, plan, 0, BOTH), 40))
    turns: dict[int, set[int]] = {}
    for chunk, corpus in every:
        drawn = which(corpus, chunk.and_next().ravel())
        for number, turn, place in zip(chunk.visit_and_next().ravel(), drawn, corpus.place, strict=True):
            turns.setdefault(int(number), set()).add(int(turn))
            assert turn in (0, 2) or place not in (8, 5)
    assert all(len(drawn) == 1 for drawn in turns.values()) and set.union(*turns.values()) == {0, 1, 2, 3}
    for (_, one), (_, again) in zip(every[17:], chunks(games, plan, 17, BOTH), strict=False):
        assert (one.frames == again.frames).all() and (one.inputs == again.inputs).all()


@pytest.mark.parametrize("buffer", [3, 9])
def test_windows_are_of_games_that_are_turned_anew_in_each_epoch(buffer: int) -> None:
    games, plan = HeldGames(CORPUS), WindowPlan(np.array(LENGTHS), ENCODING, 4, buffer, 0)
    steps = int(plan.batches(0).sum())
    every = list(islice(window_batches(games, plan, 0, BOTH), 3 * steps))
    epochs = [{id(batch.corpus): batch for batch in every[i * steps : (i + 1) * steps]}.values() for i in range(3)]
    turns = []
    for batches in epochs:
        drawn: dict[int, int] = {}
        for batch in batches:
            first = np.flatnonzero(np.diff(batch.corpus.game, prepend=-1))
            starts = FIRST[[CORPUS.names.index(name) for name in batch.corpus.names]]
            head = HeldGames(batch.corpus).take(first)
            drawn |= dict(zip(starts.tolist(), which(head, starts).tolist(), strict=True))
        turns.append(tuple(drawn[start] for start in sorted(drawn)))
    assert len(set(turns)) == 3 and all(len(drawn) == len(LENGTHS) for drawn in turns)
    again = next(window_batches(games, plan, steps + 1, BOTH))
    assert (again.corpus.frames == every[steps + 1].corpus.frames).all() and (again.t == every[steps + 1].t).all()


@pytest.mark.parametrize(
    ("field", "pairs", "message"),
    [
        (continuous("a", "m", 0, 3, 1, 1, mirrored=Mirrored.NEGATED), (), "a: 0 to 3 cannot be negated"),
        (axis("b", "b", -80, 80, mirrored=Mirrored.FLIPPED), (), "b: -80 to 80 cannot be flipped"),
        (categorical("c", 4, 2, unknown=0, mirrored=Mirrored.NEGATED), (), "c: .* cannot be negated"),
        (categorical("d", 4, 2, unknown=0, pairs=((1, 2),)), ((2, 3),), r"d: .* each once, got \[1, 2, 2, 3\]"),
        (categorical("e", 4, 2, unknown=0), ((0, 4),), r"e: expected pairs of its ids"),
        (binary("f", "f", mirrored=Mirrored.FLIPPED), ((0, 1),), r"f: expected pairs of its ids"),
    ],
)
def test_a_field_that_has_no_mirror_image_is_named(field: Field, pairs: Pairs, message: str) -> None:
    with pytest.raises(WmTrainError, match=message):
        Symmetry(mirrors={0: {field.name: pairs}}).check([field])
