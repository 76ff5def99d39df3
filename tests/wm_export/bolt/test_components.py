"""components.py, slices.py: which component holds what, and which system needs which."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.factories import random_frames, random_window, small_parts
from tests.wm_export.bolt.conftest import composed_net, remembering_net
from wm_export.bolt.bolt_export import BoltExport
from wm_export.bolt.components import ADDRESS_BYTES, RULED, Components
from wm_export.bolt.match_state import MatchCodec
from wm_export.bolt.slices import LAWS, MEMORY_HEAD, RETURN_MAX, Sliced
from wm_export.errors import WmExportError
from wm_quant.convert import from_checkpoint
from wm_quant.interp import Interpreter
from wm_train.composed import composed
from wm_train.errors import WmTrainError
from wm_train.melee.field_table import STATE
from wm_train.melee.melee import GAME


def test_components_hold_a_frame(exported: BoltExport) -> None:
    components = exported.sliced.components
    frame = random_frames(np.random.default_rng(0))
    ruled = {name: np.array([1 << 40, -7]) for name in components.passed}
    values = components.values_of(frame, ruled)
    assert (components.frame(values) == frame).all()
    for one in components.state:
        account = one.account(values[one.name], bytes(ADDRESS_BYTES))
        assert len(account) == 8 + one.size
        read = one.unpack(account)
        assert read.keys() == values[one.name].keys()
        assert all((read[name] == values[one.name][name]).all() for name in read)
    assert components.passed == ("hitlag", "knockback_x", "knockback_y")
    assert (values["combat"][RULED + "hitlag"] == ruled["hitlag"]).all()


def test_a_system_names_what_its_rule_reads_and_writes(exported: BoltExport) -> None:
    needs = {one.key: [component.name for component in one.components] for one in exported.sliced.systems}
    assert list(needs) == [
        "inputs",
        "hit_detection",
        "damage_and_knockback",
        "movement",
        "action_transitions",
        "shield_and_grab",
    ]
    assert needs["hit_detection"] == ["combat", "match_clock"]
    assert needs["movement"] == ["position", "motion", "combat", "match_clock"]
    assert len(needs["inputs"]) == len(exported.sliced.components.every) == 7
    assert [one.turn for one in exported.sliced.systems] == list(range(6))
    assert all(one.result_bytes <= RETURN_MAX for one in exported.sliced.systems)


@pytest.mark.parametrize(
    "shape",
    [
        {"encoding": "v2.2", "slots": 2},
        {"encoding": "v2", "slots": 3},
        {"encoding": "v1", "slots": 1},
        {"recurrent": True},
    ],
)
def test_a_window_is_as_long_as_its_parts(shape: dict[str, Any]) -> None:
    net = from_checkpoint(composed(small_parts(**shape)), "ab" * 32)
    sliced = Sliced(net)
    state = Interpreter(net).begin(random_window(net.world.encoding, 1))
    made = MatchCodec(sliced).window(state, np.zeros(1, np.int64), [bytes(32)] * 7)
    assert len(made) == sliced.window_bytes


def test_a_memory_is_as_long_as_its_parts(exported: BoltExport) -> None:
    sliced = Sliced(remembering_net())
    assert [one.key for one, _, _ in sliced.remembering] == [one.key for one, _, _ in sliced.learned]
    interpreter = Interpreter(sliced.net)
    state = interpreter.begin(random_window(sliced.net.world.encoding, 1))
    _, after = interpreter.step(state, np.zeros((1, 2, len(sliced.net.world.game.controls)), np.int8))
    clock = bytes(range(32))
    first = MatchCodec(sliced).memories(clock, 1, state, after)
    second = MatchCodec(sliced).memories(clock, 2, after, after)
    for one, _, made in sliced.remembering:
        kept = made.memory.size
        assert len(first[one.key]) == MEMORY_HEAD + 2 * kept == made.memory_bytes - made.work_bytes + kept
        assert first[one.key][-kept:] == second[one.key][-kept:] == second[one.key][MEMORY_HEAD : MEMORY_HEAD + kept]
        assert not any(first[one.key][MEMORY_HEAD : MEMORY_HEAD + kept]) and any(first[one.key][-kept:])
        assert len(MatchCodec(sliced).opened_memory(made, clock)) == made.memory_bytes > kept
    assert not list(exported.sliced.remembering)
    assert all(made.memory_bytes == 0 for _, _, made in exported.sliced.learned)


def test_a_window_is_made_in_one_instruction() -> None:
    with pytest.raises(WmExportError, match="at most 10,240 can be made; train networks of fewer slots"):
        Sliced(from_checkpoint(composed(small_parts(slots=21)), "ab" * 32))


def test_laws_are_a_system_of_their_own() -> None:
    *_, last = Sliced(composed_net(heads="lawful")).systems
    assert last.key == LAWS and last.turn == 6 and last.network is None


def test_what_bolt_cannot_run_is_refused() -> None:
    bare = replace(GAME, components={})
    with pytest.raises(WmExportError, match="does not say which fields are one component"):
        Components(bare, GAME.head_sets["integrated"])


@pytest.mark.parametrize("components", [{"all": ("x",)}, {"all": (*(field.name for field in STATE), "x")}])
def test_a_game_puts_every_field_into_one_component(components: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(WmTrainError, match="components do not hold every field once"):
        replace(GAME, components=components)
