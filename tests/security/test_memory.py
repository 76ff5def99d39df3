"""What a network keeps from frame to frame is changed by steps alone, loaded whole or not at all, and judged."""

from collections.abc import Callable

import pytest

from tests.security.harness import World
from tests.security.kit import CREATOR, DISPUTED, OPPONENT, PLAYED, Game, Kit
from tests.security.stages import forget, world_at
from tests.security.test_operator import tilted
from tests.security.world_risks import rewritten
from wm_export.lower.memory import chunk, differing
from wm_live.session.recompute import Replay

RIGHT, WRONG = 1, 2


def steps(kit: Kit) -> range:
    """Transactions of a frame."""
    return range(len(kit.export.manifest.plan))


def expected(world: World, inputs: bytes) -> bytes:
    """The next record, by the interpreter."""
    kit, log = world.kit, world.game.log
    replay = Replay(kit.export.net, kit.where.memory, world.game.terms.ids)
    return replay.next(list(log), kit.where.records.inputs_of(inputs))


def taken_up(world: World) -> None:
    """What the network keeps, loaded again and checked."""
    world.recalled(world.game, world.state().frame_number)
    world.must(world.check_memory(world.game))


def test_accounts_and_records_hold_what_the_interpreter_keeps(memory_kit: Kit) -> None:
    world = world_at(memory_kit, "started")
    where = memory_kit.where
    assert where.memory.chunks == 4 and world.state().memory == where.records.empty
    for frame in range(PLAYED):
        wanted = expected(world, memory_kit.inputs[frame])
        world.game = world.play(world.game)
        region = memory_kit.region(world.game, frame + 1)
        assert world.game.log[-1] == wanted and world.region() == region
        assert world.state().memory == where.memory.digest(region) == where.records.memory_in(wanted)
    assert any(world.region())


def test_a_session_is_taken_up_again_as_if_nothing_had_been(memory_kit: Kit) -> None:
    whole, broken = world_at(memory_kit, "played"), world_at(memory_kit, "forgotten")
    taken_up(broken)
    for _ in range(3):
        whole.game, broken.game = whole.play(whole.game), broken.play(broken.game)
    assert whole.game.log == broken.game.log and whole.state().root == broken.state().root
    assert whole.region() == broken.region()


def test_a_session_that_is_lost_before_its_first_frame_needs_no_memory_but_its_check(memory_kit: Kit) -> None:
    world = world_at(memory_kit, "started")
    wanted = expected(world, memory_kit.inputs[0])
    forget(world)
    world.must(world.check_memory(world.game))
    assert world.play(world.game).log[-1] == wanted


@pytest.mark.parametrize("done", [1, 2])
def test_a_frame_that_was_lost_in_its_middle_is_computed_whole(memory_kit: Kit, done: int) -> None:
    """Some of the memory had been changed by it already."""
    world = world_at(memory_kit, "played")
    wanted = expected(world, memory_kit.inputs[PLAYED])
    world.submit_both(world.game, PLAYED)
    for step in range(done):
        world.must(world.step(world.game, PLAYED, step))
    forget(world)
    taken_up(world)
    for step in steps(memory_kit):
        world.must(world.step(world.game, PLAYED, step))
    state = world.state()
    assert state.memory == memory_kit.where.records.memory_in(wanted)
    assert memory_kit.where.records.frame_bytes(state.frame) == memory_kit.where.records.claimed(wanted)["frame"]


def test_a_step_that_is_skipped_or_repeated_leaves_the_memory_alone(memory_kit: Kit) -> None:
    """Memory is changed in place, by each transaction of a frame: the cursor alone protects it."""
    world = world_at(memory_kit, "played")
    wanted = expected(world, memory_kit.inputs[PLAYED])
    world.submit_both(world.game, PLAYED)
    seen = []
    for step in steps(memory_kit):
        before = world.region()
        for frame, other in ((f, s) for f in (PLAYED - 1, PLAYED, PLAYED + 1) for s in range(5)):
            assert (frame, other) == (PLAYED, step) or not world.attack(world.step(world.game, frame, other))
        assert world.region() == before
        world.must(world.step(world.game, PLAYED, step))
        seen.append(world.region() != before)
    assert seen == [True, True, True]
    assert not any(world.attack(world.step(world.game, PLAYED, step)) for step in steps(memory_kit))
    assert world.state().memory == memory_kit.where.records.memory_in(wanted)


def test_chunks_come_in_any_order_and_again(memory_kit: Kit) -> None:
    world = world_at(memory_kit, "forgotten")
    region = memory_kit.region(world.game, PLAYED)
    for index in (2, 0, 3, 2, 1, 0):
        world.must(world.load_memory(world.game, index, chunk(region, index), OPPONENT), signers=[OPPONENT])
    assert world.region() == region
    world.must(world.check_memory(world.game))


def test_a_chunk_that_a_player_has_spoiled_is_found_and_written_again(memory_kit: Kit) -> None:
    world = world_at(memory_kit, "forgotten")
    region = memory_kit.region(world.game, PLAYED)
    world.recalled(world.game, PLAYED)
    world.must(world.load_memory(world.game, 1, bytes(len(chunk(region, 1))), OPPONENT), signers=[OPPONENT])
    assert world.send(world.check_memory(world.game)).error == "WrongDigest"
    (spoiled,) = differing(world.region(), region)
    again = world.load_memory(world.game, spoiled, chunk(region, spoiled))
    world.must(again, world.check_memory(world.game), signers=[CREATOR])


def test_a_byte_that_is_false_is_found_wherever_it_lies(memory_kit: Kit) -> None:
    """In what every frame writes, and in every turn: a first and a last byte of each stretch."""
    world, kept = world_at(memory_kit, "forgotten"), memory_kit.where.memory
    world.recalled(world.game, PLAYED)
    turns = [stretch for op in kept.in_turn for turn in op.turns for stretch in turn]
    at = memory_kit.where.scratch_work + kept.start
    for start, length in (*kept.always, *turns):
        for place in {at + start, at + start + length - 1}:
            true = world.data(world.game.scratch)[place]
            world.patch(world.game.scratch, place, bytes([true ^ 1]))
            assert world.send(world.check_memory(world.game)).error == "WrongDigest"
            world.patch(world.game.scratch, place, bytes([true]))
    world.must(world.check_memory(world.game))


def test_hashes_are_those_of_what_is_kept(memory_kit: Kit) -> None:
    """From the first frame on, frame by frame, and of a memory that was loaded."""
    world, kept = world_at(memory_kit, "started"), memory_kit.where.memory
    section = memory_kit.where.work["hashes"]
    at = memory_kit.where.scratch_work + section.offset

    def true() -> bool:
        return world.data(world.game.scratch)[at : at + section.count] == kept.hashes(world.region())

    assert true()
    for _ in range(PLAYED):
        world.game = world.play(world.game)
        assert true()
    forget(world)
    taken_up(world)
    assert true()


def test_without_its_memory_a_session_takes_inputs_and_can_be_ended(memory_kit: Kit) -> None:
    """Else who writes false chunks would keep the other from ever ending it."""
    world = world_at(memory_kit, "forgotten")
    world.submit_both(world.game, PLAYED)
    assert world.send(world.step(world.game, PLAYED, 0)).error == "WindowMissing"
    world.must(world.end(world.game), signers=[CREATOR])
    assert world.state().root == world.game.tree.root()


@pytest.mark.parametrize("length", [0, 1, 895, 897])
def test_chunks_of_another_length(memory_kit: Kit, length: int) -> None:
    world = world_at(memory_kit, "forgotten")
    assert not world.attack(world.load_memory(world.game, 0, bytes(length)), signers=[CREATOR])
    assert world.failures == ["WrongChunk"]


@pytest.mark.parametrize("index", [4, 5, 2**31, 2**32 - 1])
def test_chunks_of_other_numbers(memory_kit: Kit, index: int) -> None:
    world = world_at(memory_kit, "forgotten")
    assert not world.attack(world.load_memory(world.game, index, bytes(896)), signers=[CREATOR])
    assert world.failures == ["WrongChunk"]


def test_a_network_that_keeps_nothing_takes_no_memory(kit: Kit) -> None:
    world = world_at(kit, "played")
    for one, signer in (
        (world.load_memory(world.game, 0, b""), [CREATOR]),
        (world.check_memory(world.game), []),
    ):
        assert not world.attack(one, signers=signer)
    assert world.failures == ["WrongStatus", "WrongStatus"]
    disputed = world_at(kit, "asked")
    assert not disputed.attack(disputed.load_disputed_memory(0, b""), signers=[OPPONENT])
    assert disputed.failures == ["WrongChunk"]


# --- verdicts ---


def judged(world: World, game: Game, frame: int) -> int:
    """The verdict over a frame of what was committed, by the log of it; what is kept comes from the interpreter."""
    world.must(world.pin(game), signers=[OPPONENT])
    world.must(world.new_dispute(), world.open_dispute(game, frame), signers=[OPPONENT])
    if frame:
        region = world.kit.region(game, frame)
        for index in differing(world.region(disputed=True), region):
            world.must(world.load_disputed_memory(index, chunk(region, index)), signers=[OPPONENT])
    for leaf in range(frame, frame + world.kit.slots):
        if not world.verdict():
            world.must(world.load(game, leaf))
    for step in steps(world.kit):
        if not world.verdict():
            world.must(world.judge(game, step, leaf=frame + world.kit.slots), signers=[])
    return world.verdict()


@pytest.mark.parametrize("frame", range(PLAYED))
def test_honest_frames_are_right(memory_kit: Kit, frame: int) -> None:
    world = world_at(memory_kit, "played")
    assert judged(world, world.game, frame) == RIGHT


def other_digest(record: bytes) -> bytes:
    """The record with another digest; its Frame is right."""
    return record[:-32] + bytes([record[-32] ^ 1]) + record[-31:]


Lie = Callable[[bytes], bytes]
LIES: dict[str, Lie] = {
    "digest": other_digest,
    "no digest": lambda record: record[:-32] + bytes(32),
    "Frame": lambda record: tilted(record[:-32]) + record[-32:],
    "both": lambda record: other_digest(tilted(record[:-32]) + record[-32:]),
}


@pytest.mark.parametrize("frame", [0, DISPUTED])
@pytest.mark.parametrize("lie", LIES)
def test_every_lie_about_a_frame_is_wrong(memory_kit: Kit, lie: str, frame: int) -> None:
    world = world_at(memory_kit, "played")
    leaf = frame + memory_kit.slots
    game = rewritten(world, leaf, LIES[lie](world.game.log[leaf]))
    assert judged(world, game, frame) == WRONG


def test_an_honest_frame_after_a_false_one_is_right(memory_kit: Kit) -> None:
    """A Frame that was falsified is the window of the next one; what is kept does not come from it yet."""
    world = world_at(memory_kit, "played")
    leaf = DISPUTED - 1 + memory_kit.slots
    told = LIES["Frame"](world.game.log[leaf])
    log = [*world.game.log[:leaf], told]
    replay = Replay(memory_kit.export.net, memory_kit.where.memory, world.game.terms.ids)
    codec = memory_kit.where.records
    for record in world.game.log[leaf + 1 :]:
        log.append(replay.next(log, codec.inputs_in(record)))
    game = rewritten(world, leaf, told)
    for index, record in enumerate(log):
        game = rewritten(world, index, record) if game.log[index] != record else game
        world.game = game
    assert judged(world, game, DISPUTED) == RIGHT


def test_a_window_that_begins_with_a_memory_is_wrong(memory_kit: Kit) -> None:
    """Also if its root is the one that the session was created for: no program begins with anything but zeros."""
    world = world_at(memory_kit, "played")
    first = memory_kit.slots - 1
    assert judged(world, rewritten(world, first, other_digest(world.game.log[first])), 0) == WRONG


def test_strangers_send_what_is_proved(memory_kit: Kit) -> None:
    world = world_at(memory_kit, "asked")
    world.recalled(world.game, DISPUTED, disputed=True)
    for leaf in range(DISPUTED, DISPUTED + memory_kit.slots):
        world.must(world.load(world.game, leaf))  # the fee is paid by somebody without part in it
    assert world.judge_all(world.game) == RIGHT
