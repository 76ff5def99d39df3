"""What viewers are fed: messages that are what they say, rollouts that are those of evaluate, late frames marked."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from examples.pong import pong
from tests.factories import random_corpus, small_model, small_qnet
from tests.wm_live.worlds import HELLO, message
from wm_live.errors import WmLiveError
from wm_live.watch.viewer import Feed, FrameMessage, Hello, ListFeed, LiveFeed, RolloutFeed
from wm_quant.interp import Interpreter
from wm_train.measure.worlds import rollout
from wm_train.melee.field_table import CONTROLS, STATE, STATE_INDEX
from wm_train.melee.melee import GAME
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.melee.names import CHARACTERS, STAGES, action_names, character_name, stage
from wm_train.world.rule_ops import ONE


def taken(feed: Feed) -> list[FrameMessage]:
    async def take() -> list[FrameMessage]:
        return [m async for m in feed.frames()]

    return asyncio.run(take())


def test_hello_names_every_field_and_its_scale() -> None:
    hello = HELLO.to_json()
    assert [f["name"] for f in hello["fields"]] == [f.name for f in STATE]
    assert {f["name"]: f["scale"] for f in hello["fields"]}["x"] == ONE
    assert {f["name"]: f["scale"] for f in hello["fields"]}["action"] == 1
    assert [c["name"] for c in hello["controls"]] == [f.name for f in CONTROLS]
    assert hello["cast"] == ["Fox", "Falco"] and hello["place"]["name"] == "Battlefield"
    assert len(hello["actions"]) == STATE[STATE_INDEX["action"]].vocab


def test_a_game_without_a_view_is_greeted_by_what_its_fields_tell() -> None:
    hello = json.loads(json.dumps(Hello("Rally", pong.GAME, 0, (), 3).to_json()))
    assert (hello["place"]["name"], hello["place"]["floor"], hello["cast"]) == ("Pong", [], ["", ""])
    assert hello["place"]["box"] == hello["place"]["seen"] == [-64, 128, 32, -32]
    assert hello["roles"] == {
        "position": ["ball_across", "ball_up"],
        "action": "swing",
        "damage": "",
        "lives": "points",
    }
    assert [figure["field"] for figure in hello["figures"]] == ["paddle", "speed_across", "speed_up", "coming"]
    assert [part["controls"] for part in hello["controller"]] == [["stick"], ["smash"]]


def test_a_view_names_only_what_the_game_has() -> None:
    hello = HELLO.to_json()
    looks, bubble = hello["looks"], hello["looks"]["bubble"]
    fields = {looks["side"], looks["bold"], looks["dashed"], bubble["field"], hello["meter"]["field"]}
    assert fields | {figure["field"] for figure in hello["figures"]} <= {f.name for f in STATE}
    drawn = [name for part in hello["controller"] for name in part["controls"]]
    assert sorted(drawn) == sorted(f.name for f in CONTROLS)


def test_a_message_carries_its_integers_unchanged() -> None:
    made = message(3, real=message(4).frame, cu=853_790, digest="ab" * 32, late=True)
    data = made.to_json()
    assert np.array_equal(data["frame"], made.frame) and np.array_equal(data["real"], message(4).frame)
    assert made.inputs is not None and np.array_equal(data["inputs"], made.inputs)
    assert (data["n"], data["cu"], data["digest"], data["late"]) == (3, 853_790, "ab" * 32, True)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"frame": np.zeros((2, 3), np.int32)}, "frame is int32"),
        ({"frame": message(0).frame.astype(float)}, "expected integers"),
        ({"inputs": np.zeros((1, len(CONTROLS)), np.int8)}, "inputs is int8"),
        ({"real": np.zeros((2, 3), np.int32)}, "real is int32"),
        ({"n": -1}, "must not be negative"),
        ({"cu": -5}, "must not be negative"),
        ({"digest": "<b>"}, "expected lower-case hex"),
    ],
)
def test_what_is_no_frame_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(WmLiveError, match=says):
        HELLO.checked(replace(message(0), **wrong))


def test_a_list_is_given_in_order() -> None:
    assert [m.n for m in taken(ListFeed(HELLO, [message(n) for n in (0, 1, 5)]))] == [0, 1, 5]


class Arriving:
    """A session seen at these times: (frame number, seconds)."""

    def __init__(self, seen: Iterable[tuple[int, float]]) -> None:
        self.seen, self.now = seen, 0.0

    async def frames(self) -> AsyncIterator[FrameMessage]:
        for n, at in self.seen:
            self.now = at
            yield message(n)


def test_frames_seen_before_are_dropped() -> None:
    source = Arriving((n, i / 60) for i, n in enumerate((0, 0, 1, 1, 3, 2, 4)))
    assert [m.n for m in taken(LiveFeed(HELLO, source, lambda: source.now))] == [0, 1, 3, 4]


def test_one_hiccup_is_one_late_frame() -> None:
    at = [0, 1, 2, 3, 9, 10, 11, 12]  # in sixtieths: frame 4 comes five frames late, those after it in time
    source = Arriving((n, t / 60) for n, t in enumerate(at))
    assert [m.n for m in taken(LiveFeed(HELLO, source, lambda: source.now)) if m.late] == [4]


def test_a_skipped_frame_has_the_time_of_two() -> None:
    source = Arriving([(0, 0), (1, 1 / 60), (5, 5.5 / 60)])
    assert not any(m.late for m in taken(LiveFeed(HELLO, source, lambda: source.now)))


def test_being_early_does_not_pay_for_being_late() -> None:
    early = [(n, n / 600) for n in range(50)]
    source = Arriving([*early, (50, early[-1][1] + 4 / 60)])
    assert [m.n for m in taken(LiveFeed(HELLO, source, lambda: source.now)) if m.late] == [50]


@pytest.mark.parametrize("flags", [MeleeFlags(), MeleeFlags(press_events="next", reach=True)], ids=str)
def test_a_rollout_is_that_of_evaluate_beside_the_replay(flags: MeleeFlags) -> None:
    """What flags append is not shown."""
    net = small_qnet(small_model(slots=3, flags=flags))
    encoding, model = net.world.encoding, Interpreter(net).model()
    seen = random_corpus(lengths=(40, 30), encoding=encoding)
    messages = taken(RolloutFeed("r", model, seen, encoding, 10, 25))
    expected = rollout(model, seen, encoding, np.array([10]), 25)[0, ..., : len(GAME.state)]
    corpus = replace(seen, frames=seen.frames[..., : len(GAME.state)], inputs=seen.inputs[..., : len(GAME.controls)])
    assert [m.n for m in messages] == list(range(25))
    assert np.array_equal([m.frame for m in messages], expected)
    assert np.array_equal([m.to_json()["real"] for m in messages], corpus.frames[11:36])
    assert np.array_equal([m.to_json()["inputs"] for m in messages], corpus.inputs[11:36])
    assert not RolloutFeed("r", model, seen, encoding, 10, 25).hello.live


@pytest.mark.parametrize(("t", "length"), [(1, 5), (10, 30), (69, 1), (10, 0)])
def test_a_rollout_stays_within_one_game(t: int, length: int) -> None:
    net, corpus = small_qnet(small_model(slots=3)), random_corpus(lengths=(40, 30))
    with pytest.raises(WmLiveError, match="not within one game"):
        RolloutFeed("r", lambda w: w.now, corpus, net.world.encoding, t, length)


def test_names() -> None:
    names = action_names()
    assert (names[14], names[24], names[69], names[235], names[340]) == (
        "standing", "jump squat", "down air", "spot dodge", "held",
    )  # fmt: skip
    assert names[341] == "special 341" and not any(name.startswith("special") for name in names[:341])
    assert len(CHARACTERS) == 27 and character_name(18) == "Marth"
    assert character_name(99) == "character 99" and stage(77).name == "stage 77"


@pytest.mark.parametrize("number", [*STAGES, 77])
def test_a_stage_lies_within_its_blast_zone(number: int) -> None:
    outline = stage(number)
    left, right, top, bottom = outline.blast
    assert all(left < x < right and bottom < y < top for x, y in outline.floor)
    assert all(left < a < b < right and 0 < y < top for a, b, y in outline.platforms + outline.moving)
