"""measured_laws.py: each law on hand-made columns whose breaches are known; a true game keeps them."""

from typing import Any

import numpy as np
import pytest

from tests.factories import ONE, still_corpus
from wm_train.games.corpus import Corpus
from wm_train.measure.footage import Footage, footage
from wm_train.measure.lawful import breaches, law_figures, lawful_ahead, runs_figures
from wm_train.measure.measures import measures_of
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.measured_laws import (
    BEYOND,
    HEIGHT_FRAMES,
    HEIGHT_STEP,
    ID_FRAMES,
    ID_SHARE,
    LOSS,
    REACH,
    RESPAWN,
    Standing,
    count,
)
from wm_train.melee.melee import GAME
from wm_train.world.encoding import Encoding

BATTLEFIELD, UNKNOWN, NO_STAGE = 31, 5, 9
MEASURES = measures_of(Encoding("v2.2"))
STAND, FALL, EITHER, RARE = 14, 29, 50, 60


def field(corpus: Corpus, name: str) -> Any:
    return corpus.frames[..., STATE_INDEX[name]]


def game(length: int = 200, stage: int = BATTLEFIELD) -> Corpus:
    """Both players stand on the ground at height 0, with four stocks and 50 percent."""
    corpus = still_corpus((length,))
    corpus.place[:] = stage
    for name, value in (("on_ground", 1), ("action", STAND), ("stocks", 4 * ONE), ("percent", 50 * ONE)):
        field(corpus, name)[:] = value
    return corpus


@pytest.fixture(scope="module")
def known() -> Standing:
    """Counts of a game with two heights and a height seen too rarely, and of one in the air."""
    ground, air = game(), game()
    field(ground, "y")[:HEIGHT_FRAMES, 0] = round(27.2 * ONE)
    field(ground, "y")[-HEIGHT_FRAMES + 1 :, 1] = 80 * ONE
    field(ground, "action")[:100, 1] = EITHER
    field(air, "on_ground")[:] = 0
    field(air, "action")[:] = FALL
    field(air, "action")[:100, 1] = EITHER
    field(air, "action")[: ID_FRAMES - 1, 0] = RARE
    return count(footage(GAME, ground)) + count(footage(GAME, air))


def broken(corpus: Corpus, known: Standing, law: str) -> list[list[int]]:
    """(frame, player) of every breach of a law; no other law may be broken."""
    found = breaches(MEASURES, known, footage(GAME, corpus))
    assert not any(mask.any() for name, mask in found.items() if name != law)
    return np.argwhere(found[law]).tolist()


def test_the_table_says_where_it_is_from_and_what_it_knows(known: Standing) -> None:
    assert known.heights_of(BATTLEFIELD).tolist() == [0, 27]
    assert known.to_json() == {
        "games": 2, "frames": 400, "heights": {"31": [0.0, 27.0]}, "ids": {"air": 1, "ground": 1}}  # fmt: skip
    assert [np.flatnonzero(known.bound_to(ground)).tolist() for ground in (0, 1)] == [[FALL], [STAND]]


def test_the_numbers_of_the_laws() -> None:
    assert (REACH, HEIGHT_STEP, HEIGHT_FRAMES, ID_SHARE, ID_FRAMES) == (1.5, 0.5, 20, 0.99, 50)
    assert (BEYOND, LOSS, RESPAWN) == (3, 60, 90)


def test_a_quiet_game_breaks_no_law(known: Standing) -> None:
    figures = law_figures(MEASURES, known, footage(GAME, game()))
    assert figures == {
        "lawful": 1.0, "broken": dict.fromkeys(("ground", "action", "dead", "percent"), 0.0),
        "first_broken": None, "unbroken": 1.0}  # fmt: skip


def test_who_is_on_the_ground_stands_at_a_known_height(known: Standing) -> None:
    corpus = game()
    y = field(corpus, "y")
    y[10, 0], y[11, 0], y[12, 1] = REACH * ONE, (REACH + 0.125) * ONE, -(REACH + 0.125) * ONE
    y[13, 0], y[14, 0] = 28.5 * ONE, 28.625 * ONE
    y[20, 0], field(corpus, "on_ground")[20, 0], field(corpus, "action")[20, 0] = 12 * ONE, 0, FALL
    assert broken(corpus, known, "ground") == [[11, 0], [12, 1], [14, 0]]


def test_a_stage_without_recorded_ground_is_not_judged(known: Standing) -> None:
    corpus = game(stage=UNKNOWN)
    field(corpus, "y")[:] = 12 * ONE
    assert broken(corpus, known, "ground") == []


def test_an_id_of_the_ground_is_not_shown_in_the_air_nor_the_reverse(known: Standing) -> None:
    corpus = game()
    field(corpus, "on_ground")[5, 0] = 0
    field(corpus, "action")[7, 1] = FALL
    for frame, shown in ((9, EITHER), (11, RARE), (13, 399)):
        field(corpus, "action")[frame : frame + 2, 0] = shown
        field(corpus, "on_ground")[frame, 0] = 0
    assert broken(corpus, known, "action") == [[5, 0], [7, 1]]


@pytest.mark.parametrize(("x", "y", "outside"), [
    (-225, 0, True), (225, 0, True), (0, -109, True), (-223, 0, False), (0, -108, False), (0, 290, False)
])  # fmt: skip
def test_who_is_beyond_the_blast_zone_has_lost_a_stock(x: int, y: int, outside: bool, known: Standing) -> None:
    corpus = game()
    field(corpus, "on_ground")[:, 0], field(corpus, "action")[:, 0] = 0, FALL
    field(corpus, "x")[20:30, 0], field(corpus, "y")[20:30, 0] = x * ONE, y * ONE
    expected = [[frame, 0] for frame in range(20 + BEYOND, 30)] if outside else []
    assert broken(corpus, known, "dead") == expected


def test_a_lost_stock_explains_that_for_a_while(known: Standing) -> None:
    corpus = game()
    field(corpus, "on_ground")[:, 0], field(corpus, "action")[:, 0] = 0, FALL
    field(corpus, "x")[20:, 0] = 225 * ONE
    field(corpus, "stocks")[22:, 0] = 3 * ONE
    assert broken(corpus, known, "dead") == [[frame, 0] for frame in range(22 + LOSS, 200)]
    field(corpus, "stocks")[22:, 0] = 0
    assert broken(corpus, known, "dead") == []  # the game is over


def test_a_stage_without_a_known_blast_zone_is_not_judged(known: Standing) -> None:
    corpus = game(stage=NO_STAGE)
    field(corpus, "x")[20:, 0] = 290 * ONE
    assert broken(corpus, known, "dead") == []


def test_percent_falls_after_a_lost_stock_only(known: Standing) -> None:
    corpus = game()
    field(corpus, "percent")[40:, 0] = 49 * ONE
    field(corpus, "stocks")[50:, 1] = 3 * ONE
    field(corpus, "percent")[50 + RESPAWN - 1 :, 1] = 0
    assert broken(corpus, known, "percent") == [[40, 0]]
    field(corpus, "percent")[50 + RESPAWN - 1, 1] = 50 * ONE
    assert broken(corpus, known, "percent") == [[40, 0], [50 + RESPAWN, 1]]


def test_a_frame_is_lawful_when_neither_player_breaks_a_law(known: Standing) -> None:
    corpus = game(100)
    field(corpus, "y")[60:70, 0] = 12 * ONE
    field(corpus, "y")[65:80, 1] = 12 * ONE
    field(corpus, "on_ground")[:50, 1], field(corpus, "action")[:50, 1] = 0, FALL
    figures = law_figures(MEASURES, known, footage(GAME, corpus))
    assert figures["lawful"] == pytest.approx(0.8) and figures["unbroken"] == 0
    # Of the frames on the ground: 100 of player 0, 50 of player 1.
    assert figures["broken"] == {"ground": 25 / 150, "action": 0.0, "dead": 0.0, "percent": 0.0}
    assert figures["first_broken"] == 61 / 60


def test_free_runs_are_judged_with_the_true_past_in_mind(known: Standing) -> None:
    corpus = game()
    field(corpus, "on_ground")[:, 0], field(corpus, "action")[:, 0] = 0, FALL
    field(corpus, "x")[90:, 0] = 225 * ONE
    field(corpus, "stocks")[90:, 0] = 3 * ONE
    t = np.array([50, 100])
    # The second world begins beyond the blast zone, 11 frames after its player has lost a stock.
    runs = np.repeat(corpus.frames[t][:, None], 60, 1)
    figures = runs_figures(MEASURES, known, GAME, corpus, t, runs)
    assert figures["broken"]["dead"] == 11 / 240 and figures["unbroken"] == 0.5 and figures["first_broken"] is None
    ahead = lawful_ahead(MEASURES, known, GAME, corpus, t, runs)
    assert ahead.tolist() == [[True] * 60, [True] * 49 + [False] * 11]


def test_every_law_is_judged_for_many_games_at_once(known: Standing) -> None:
    one = game(120)
    field(one, "y")[30, 0] = 12 * ONE
    field(one, "percent")[40:, 1] = 0
    frames = np.concatenate([one.frames, one.frames])
    both = Footage(GAME, frames, np.repeat([BATTLEFIELD], 240), np.repeat([0, 1], 120))
    for name, mask in breaches(MEASURES, known, both).items():
        alone = breaches(MEASURES, known, footage(GAME, one))[name]
        assert (mask == np.concatenate([alone, alone])).all(), name


def test_an_encoding_that_reads_less_is_judged_by_fewer_laws() -> None:
    assert list(measures_of(Encoding("v1")).laws) == ["ground", "action"]
    assert list(MEASURES.laws) == ["ground", "action", "dead", "percent"]
