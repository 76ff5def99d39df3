"""A crank drives a session: whoever runs it signs for the fee alone, and sends the same bytes every time."""

import pytest
from solders.instruction import Instruction

from tests.security.harness import World
from tests.security.kit import CREATOR, OPPONENT, PAYER, Kit
from tests.security.sealevel import stranger_game
from tests.security.stages import world_at
from wm_export.schema.instruction_set import INSTRUCTIONS

FRAMES = 3


@pytest.fixture(params=["kit", "memory_kit"])
def world(request: pytest.FixtureRequest) -> World:
    """A session that has started, of a network that keeps nothing and of one that does."""
    return world_at(request.getfixturevalue(request.param), "started")


def left_alone(world: World, one: Instruction) -> None:
    """It passes, and changes nothing but who has paid the fee."""
    before = dict(world.accounts())
    world.must(one)
    after = dict(world.accounts())
    assert after | {PAYER.pubkey(): before[PAYER.pubkey()]} == before


def test_it_names_no_frame_and_no_signer() -> None:
    about = INSTRUCTIONS["advance"]
    assert not about.args and not any(role.signer for role in about.accounts)
    assert about.accounts == INSTRUCTIONS["step"].accounts


def test_the_same_bytes_compute_frame_after_frame(world: World) -> None:
    """As many of them as a frame has transactions; what comes out is what `step` gives."""
    stepped = world_at(world.kit, "started")
    one = world.advance(world.game)
    for frame in range(FRAMES):
        stepped.game = stepped.play(stepped.game)
        world.submit_both(world.game, frame)
        for _ in world.kit.export.manifest.plan:
            world.must(one)
    assert world.state().frame_number == FRAMES
    assert world.data(world.game.address) == stepped.data(stepped.game.address)
    assert world.data(world.game.scratch) == stepped.data(stepped.game.scratch)


def test_a_session_that_waits_for_a_player_is_left_alone(world: World) -> None:
    """Cranks give up on what fails: waiting must not."""
    one = world.advance(world.game)
    left_alone(world, one)
    halves = world.kit.where.records.parts(world.kit.inputs[0])
    world.must(world.submit(world.game, 1, 0, halves[1]), signers=[OPPONENT])
    left_alone(world, one)
    world.must(world.submit(world.game, 0, 0, halves[0]), signers=[CREATOR])
    world.must(one)
    assert world.state().step == 1


def test_a_crank_and_a_driver_do_not_hinder_each_other(world: World) -> None:
    world.submit_both(world.game, 0)
    world.must(world.step(world.game, 0, 0))
    world.must(world.advance(world.game))
    world.must(world.step(world.game, 0, 2))
    assert (world.state().frame_number, world.state().step) == (1, 0)
    left_alone(world, world.advance(world.game))


def test_several_in_one_transaction_go_no_further_than_the_inputs(kit: Kit) -> None:
    world = world_at(kit, "started")
    world.submit_both(world.game, 0)
    world.must(*[world.advance(world.game)] * (len(kit.export.manifest.plan) + 2))
    assert world.state().frame_number == 1


@pytest.mark.parametrize(("stage", "error"), [("joined", "WrongStatus"), ("ended", "WrongStatus")])
def test_a_session_that_is_not_played_is_refused(kit: Kit, stage: str, error: str) -> None:
    """So that a crank is given up with it."""
    world = world_at(kit, stage)
    if not world.exists(world.game.scratch):
        world.zeroed(world.game.scratch, kit.where.scratch_bytes)
    assert not world.attack(world.advance(world.game))
    assert world.failures == [error]


def test_what_the_rollup_has_lost_is_not_made_up(kit: Kit) -> None:
    world = world_at(kit, "loading")
    assert not world.attack(world.advance(world.game))
    assert world.failures == ["WrongStatus"]


def test_the_window_of_another_session_is_refused(kit: Kit) -> None:
    world = world_at(kit, "started")
    other = stranger_game(world)
    world.submit_both(world.game, 0)
    assert not world.attack(world.advance(world.game, scratch=other.scratch))
    assert world.failures == ["WrongAccount"]
