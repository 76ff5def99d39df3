"""A world that the page plays: what it presses is what the world is given, and nothing else is listened to."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from examples.pong import pong
from tests.factories import small_model, small_qnet
from wm_live.errors import WmLiveError
from wm_live.session.inputs import neutral
from wm_live.watch.arena import OVER_S, Arena, Hands, opened
from wm_live.watch.viewer import FrameMessage, LiveFeed
from wm_quant.interp import Interpreter
from wm_train.measure.worlds import begin
from wm_train.melee.field_table import CONTROLS, STATE_INDEX
from wm_train.melee.first_frame import opening
from wm_train.melee.melee import GAME
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.world.encoding import Encoding

#: A model whose network reads what was pressed, what is near, and what no rule makes.
NET = small_qnet(small_model("v2.2", "lawful", flags=MeleeFlags(press_events="next", geometry=True, stale_moves=True)))
ENCODING = NET.world.encoding


class Still:
    """A world in which nothing moves; what it was given. The game is over from frame `over` on."""

    def __init__(self, over: int = 1 << 30) -> None:
        self.given: list[Any] = []
        self.over = over

    def step(self, following: Any) -> Any:
        self.given.append(following[0])
        frames = opening(31, (22, 1))[None].copy()
        if len(self.given) > self.over:
            frames[0, 1, STATE_INDEX["stocks"]] = 0
        return frames


def arena(hands: Hands | None, worlds: Any = None, **more: Any) -> Arena:
    corpus = opened(ENCODING, 31, (22, 1))
    t = len(corpus.game) - 2
    given = {
        "begin": (lambda: worlds)
        if worlds
        else lambda: begin(Interpreter(NET).model(), corpus, ENCODING, np.array([t])),
        "other": lambda frame: neutral(GAME),
        "fps": 0,
    }
    return Arena(title="in play", encoding=ENCODING, corpus=corpus, t=t, hands=hands, **(given | more))


def taken(one: Arena, frames: int, before: Any = lambda n: None) -> list[FrameMessage]:
    async def take() -> list[FrameMessage]:
        messages = []
        before(0)
        async for message in LiveFeed(one.hello, one).frames():
            messages.append(one.hello.checked(message))
            before(len(messages))
            if len(messages) == frames:
                break
        return messages

    return asyncio.run(take())


def say(hands: Hands, **said: Any) -> None:
    hands.hear(json.dumps(said))


def inputs(**values: int) -> list[int]:
    return [values.get(control.name, 0) for control in CONTROLS]


def test_without_hands_the_inputs_are_the_others() -> None:
    worlds, both = Still(), neutral(GAME) + 1
    messages = taken(arena(None, worlds, other=lambda frame: both), 3)
    assert all(np.array_equal(message.inputs, both) for message in messages if message.inputs is not None)
    assert (worlds.given[0][:, : both.shape[1]] == both).all()
    assert arena(None, worlds).hello.pad is None


def test_the_page_is_told_what_to_press() -> None:
    pad = json.loads(json.dumps(arena(Hands(GAME)).hello.to_json()))["pad"]
    assert (
        pad["keys"]["a"] == ["stick_x", -80]
        and pad["gamepad_axes"][1] == ["stick_y", -80]
        and pad["gamepad_buttons"][0] == ["A", 1]
    )
    names = {name for name, _ in [*pad["keys"].values(), *pad["gamepad_axes"], *pad["gamepad_buttons"]]}
    assert names <= {"", *(control.name for control in CONTROLS)}


def test_it_begins_where_the_game_says_and_steps_as_the_network_does() -> None:
    one = arena(Hands(GAME))
    messages = taken(one, 5)
    worlds = one.begin()
    for message in messages:
        frames = worlds.step(np.zeros((1, 2, len(ENCODING.controls)), np.int8))
        assert (message.frame == frames[0, :, : len(GAME.state)]).all() and not np.any(message.inputs)
    assert [message.n for message in messages] == [0, 1, 2, 3, 4]
    assert one.hello.cast == (22, 1) and one.hello.place == 31


def test_what_is_pressed_is_what_the_world_is_given() -> None:
    hands, world = Hands(GAME), Still()
    pressed = {1: inputs(stick_x=-80, A=1), 3: inputs()}
    taken(arena(hands, world), 5, lambda n: say(hands, inputs=pressed[n]) if n in pressed else None)
    controls = len(CONTROLS)
    assert [row[0, :controls].tolist() for row in world.given] == [inputs(), *[pressed[1]] * 2, *[inputs()] * 2]
    a = [press.name for press in ENCODING.controls].index("press_A")
    assert [int(row[0, a]) for row in world.given] == [0, 1, 0, 0, 0], "a button goes down once"


def test_the_second_player_is_somebody_else() -> None:
    hands, world, theirs = Hands(GAME), Still(), np.array([inputs(A=1), inputs(B=1)], np.int8)
    say(hands, inputs=inputs(X=1))
    (message,) = taken(arena(hands, world, other=lambda frame: theirs), 1)
    assert message.inputs is not None and message.inputs.tolist() == [inputs(X=1), inputs(B=1)]


def test_a_game_begins_again_when_it_is_over_or_asked() -> None:
    made: list[Still] = []

    def world() -> Any:
        made.append(Still(over=2))
        return made[-1]

    hands = Hands(GAME)
    frames = int(OVER_S * GAME.fps) + 3
    messages = taken(replace(arena(hands), begin=world), frames + 4, lambda n: say(hands, again=n == frames + 2))
    assert [len(one.given) for one in made] == [frames, 2, 2]
    assert [message.n for message in messages] == list(range(frames + 4)), "frames are numbered on"


@pytest.mark.parametrize(
    "text",
    [
        "", "[", "[]", "3", "null", "{}", '{"inputs": 3}', '{"inputs": [1]}', '{"again": 1}', "\ud800",
        json.dumps({"inputs": [None] * 13}), json.dumps({"inputs": [True] * 13}), json.dumps({"inputs": [0.5] * 13}),
        json.dumps({"inputs": [0] * 14}), '{"inputs": [NaN' + ", 0" * 12 + "]}", "[" * 500,
    ],
)  # fmt: skip
def test_what_is_no_message_is_passed_over(text: str) -> None:
    hands = Hands(GAME)
    hands.hear(text)
    assert not hands.pressed.any() and not hands.again


def test_numbers_are_kept_in_a_controllers_range() -> None:
    hands = Hands(GAME)
    say(hands, inputs=[10**30] * len(CONTROLS))
    assert hands.pressed.tolist() == [int(control.hi) for control in CONTROLS]
    say(hands, inputs=[-(10**30)] * len(CONTROLS))
    assert hands.pressed.tolist() == [int(control.lo) for control in CONTROLS]


def test_a_game_that_says_of_no_frame_that_it_may_begin_with_it_is_refused() -> None:
    with pytest.raises(WmLiveError, match="begin with --against replay"):
        opened(Encoding(pong.GAME.editions[0].name, game=pong.GAME), 0, (0, 0))


def test_frames_come_at_their_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late ones are not made up for."""
    slept: list[float] = []
    monkeypatch.setattr("wm_live.watch.arena.time.monotonic", lambda: 0.0)

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))

    monkeypatch.setattr("wm_live.watch.arena.asyncio.sleep", sleep)
    taken(arena(Hands(GAME), Still(), fps=50), 4)
    assert slept[:3] == [0.02, 0.04, 0.06]


def test_flags_without_presses_read_the_controls_alone() -> None:
    assert replace(ENCODING, flags=MeleeFlags()).controls == GAME.controls
