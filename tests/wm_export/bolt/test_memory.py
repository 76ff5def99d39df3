"""What networks keep from frame to frame, in a match in LiteSVM: only a frame of the match moves it on, once."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.wm_export.bolt.conftest import Played, beginnings, refused, system
from wm_export.bolt.component_parity import compare
from wm_export.bolt.program_addresses import component_address, memory_address
from wm_export.bolt.slices import MEMORY_HEAD, STEP_BYTES, Network, Slice
from wm_export.bolt.svm_match import SvmMatch
from wm_export.bolt.world_client import Scene, bytes_argument, shown, written
from wm_export.schema.accounts import discriminator
from wm_export.schema.records import Records
from wm_quant.interp import Interpreter, State

#: Its network writes in turn.
KEY = "movement"


@pytest.fixture
def begun(remembering: Played) -> SvmMatch:
    """A match before its first frame."""
    windows, _ = beginnings(remembering, 1, 1)
    remembering.match.load(Interpreter(remembering.export.net).begin(windows), windows.session[0])
    return remembering.match


def direct(match: SvmMatch, one: Slice, arguments: bytes = b"") -> Instruction:
    """A system called by a stranger, without World."""
    accounts = [shown(Keypair().pubkey()), *(shown(match.accounts[it.name]) for it in one.components)]
    data = discriminator("global", "bolt_execute") + bytes_argument(arguments)
    return Instruction(match.programs[one.crate], data, [*accounts, *match.extras(one)])


def pads(match: SvmMatch, inputs: NDArray[np.int8]) -> bytes:
    return Records(match.codec.world.game).input_bytes(inputs)


def network_of(match: SvmMatch, key: str) -> Network:
    return next(made for one, _, made in match.sliced.remembering if one.key == key)


def test_what_networks_keep_is_what_the_interpreter_keeps(remembering: Played) -> None:
    windows, following = beginnings(remembering, 2, 11)
    found = compare(remembering.match, Interpreter(remembering.export.net), windows, following)
    assert found.outcome.frames == 22 and found.outcome.first is None
    kept = remembering.match.data(remembering.match.memories[KEY])[MEMORY_HEAD:]
    size = network_of(remembering.match, KEY).memory.size
    assert kept[:size] != kept[size : 2 * size] and any(kept[:size])


def test_parity_sees_every_byte_that_is_kept(remembering: Played, begun: SvmMatch) -> None:
    match = begun
    windows, following = beginnings(remembering, 1, 2)
    interpreter = Interpreter(remembering.export.net)

    class Forgetful:
        """An interpreter whose memory is one integer off after the first frame."""

        net, begin = interpreter.net, interpreter.begin

        def step(self, state: State, inputs: NDArray[np.int8]) -> tuple[dict[str, NDArray[np.int64]], State]:
            trace, after = interpreter.step(state, inputs)
            after.memory["hit_detection.blocks.0.ssm"][0, -1] += 1
            return trace, after

    found = compare(match, Forgetful(), windows, following)  # type: ignore[arg-type]
    assert found.outcome.mismatches == 2 and found.outcome.first
    assert found.outcome.first.tensor == "hit_detection memory"


def test_a_frame_is_made_once_whoever_calls_the_systems(remembering: Played) -> None:
    """Strangers call every system without World, before and after each apply: components and memories are the same."""
    match = remembering.match
    windows, following = beginnings(remembering, 1, 3)

    class Disturbed:
        """The match, with strangers."""

        def __getattr__(self, name: str) -> object:
            return getattr(match, name)

        def frame(self, inputs: NDArray[np.int8]) -> list[object]:
            false = pads(match, np.zeros_like(inputs))
            for one in match.sliced.systems:
                given = pads(match, inputs) if one.key == "inputs" else b""
                for _ in range(2):
                    match.send(direct(match, one, false if given else b""))
                match.send(match.apply(one, given))
                assert "NotItsTurn" in refused(match, direct(match, one, given))
                assert "NotItsTurn" in refused(match, match.apply(one, given))
            return []

    found = compare(Disturbed(), Interpreter(remembering.export.net), windows, following)  # type: ignore[arg-type]
    assert found.outcome.frames == 3 and found.outcome.first is None


def test_out_of_turn_nothing_is_kept(begun: SvmMatch) -> None:
    match = begun
    before = {key: match.data(address) for key, address in match.memories.items()}
    movement = system(match, KEY)
    for instruction in (match.apply(movement), direct(match, movement)):
        assert "NotItsTurn" in refused(match, instruction)
    match.send(match.apply(match.sliced.systems[0], bytes(12)))
    for instruction in (match.apply(movement), direct(match, movement)):
        assert "NotItsTurn" in refused(match, instruction)
    assert before == {key: match.data(address) for key, address in match.memories.items()}


@pytest.fixture
def other_match(begun: SvmMatch) -> Iterator[Pubkey]:
    """Memory of another entity's match, made by the same system."""
    match = begun
    scene = Scene(match.payer.pubkey(), entity_number=1)
    address = memory_address(match.programs[KEY], scene.entity)
    if match.svm.get_account(scene.entity) is None:
        match.send(scene.entity_made())
        match.send(*match.opening(system(match, KEY), network_of(match, KEY), scene.entity))
    yield address


def test_a_system_takes_its_own_memory_only(begun: SvmMatch, other_match: Pubkey) -> None:
    match, movement = begun, system(begun, KEY)
    for one in match.sliced.systems[: movement.turn]:
        match.send(match.apply(one, bytes(12) if one.key == "inputs" else b""))
    window, weights, own = match.extras(movement)

    def given(memory: AccountMeta) -> str:
        return refused(match, match.apply(movement, extras=[window, weights, memory]))

    assert "WrongMemory" in given(written(other_match))
    assert "WrongMemory" in given(written(match.memories["hit_detection"]))
    assert "WrongMemory" in given(written(match.window))
    assert "WrongMemory" in given(weights)
    assert given(shown(own.pubkey))  # the runtime refuses what was written there
    whole = match.data(own.pubkey)
    for wrong in (whole[:-8], whole + bytes(8), bytes(8) + whole[8:], whole[:40] + b"\2" + whole[41:]):
        match.put(own.pubkey, wrong, match.programs[KEY])
        assert "WrongMemory" in given(own)
    made_up = Keypair().pubkey()
    match.put(made_up, whole, match.programs["weights"])
    assert "WrongMemory" in given(written(made_up))
    match.put(own.pubkey, whole, match.programs[KEY])
    match.send(match.apply(movement))


def test_a_memory_is_made_once_and_has_all_its_bytes(begun: SvmMatch, other_match: Pubkey) -> None:
    match, (one, made) = begun, (system(begun, KEY), network_of(begun, KEY))
    scene = Scene(match.payer.pubkey(), entity_number=1)
    steps = list(match.opening(one, made, scene.entity))
    assert len(steps) == 2 and STEP_BYTES < made.memory_bytes < 2 * STEP_BYTES
    clock = bytes(component_address(match.programs["match-clock"], scene.entity))
    assert match.data(other_match) == match.codec.opened_memory(made, clock)
    assert "already in use" in refused(match, steps[0])
    match.send(steps[1])
    assert len(match.data(other_match)) == made.memory_bytes
