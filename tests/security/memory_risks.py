"""Risks of what a network keeps from frame to frame: no chunk of it is proved by itself, only all of it at once."""

from solders.account import Account
from solders.instruction import Instruction

from tests.security.harness import World
from tests.security.kit import CREATOR, DISPUTED, OPPONENT, STRANGER
from tests.security.registry import exploit
from tests.security.sealevel import ELSEWHERE, changed, stranger_game
from tests.security.stages import forget
from wm_export.lower.memory import chunk
from wm_export.schema.limits import MEMORY_CHUNK_BYTES

#: A chunk of a memory that no network has computed.
FALSE = b"\x07" * MEMORY_CHUNK_BYTES


def _written(world: World, one: Instruction, *signers: object) -> bool:
    """Whether an attacker's chunk is in the scratch account afterwards."""
    return world.attack(one, signers=signers) and world.region()[:MEMORY_CHUNK_BYTES] == FALSE  # type: ignore[arg-type]


def _played_on(world: World) -> bool:
    """Whether the next frame can be computed."""
    frame = world.state().frame_number
    world.submit_both(world.game, frame)
    steps = range(len(world.kit.export.manifest.plan))
    return all(world.attack(world.step(world.game, frame, step)) for step in steps)


# who writes, where and when


@exploit("missing signer", "forgotten", "MissingRequiredSignature", keeps=True)
def memory_written_in_the_creators_name(world: World) -> bool:
    return _written(world, changed(world.load_memory(world.game, 0, FALSE), 0, signer=False))


@exploit("missing signer", "asked", "MissingRequiredSignature", keeps=True)
def memory_of_a_dispute_written_in_the_disputers_name(world: World) -> bool:
    one = changed(world.load_disputed_memory(0, FALSE), 0, signer=False)
    return world.attack(one) and world.region(disputed=True)[:MEMORY_CHUNK_BYTES] == FALSE


@exploit("forged memory", "forgotten", "WrongAuthority", keeps=True)
def memory_written_by_a_stranger(world: World) -> bool:
    """Who does so before every check keeps a session from going on."""
    return _written(world, world.load_memory(world.game, 0, FALSE, STRANGER), STRANGER)


@exploit("forged memory", "asked", "WrongAuthority", keeps=True)
def memory_of_a_dispute_written_by_a_stranger(world: World) -> bool:
    """Who does so before every check keeps a dispute from its verdict."""
    passed = world.attack(world.load_disputed_memory(0, FALSE, STRANGER), signers=[STRANGER])
    return passed and world.region(disputed=True)[:MEMORY_CHUNK_BYTES] == FALSE


@exploit("forged memory", "played", "WrongStatus", keeps=True)
def memory_written_while_frames_are_computed(world: World) -> bool:
    return _written(world, world.load_memory(world.game, 0, FALSE), CREATOR)


@exploit("forged memory", "forgotten", "WrongStatus", keeps=True)
def memory_written_after_its_check(world: World) -> bool:
    world.recalled(world.game, world.state().frame_number)
    world.must(world.check_memory(world.game))
    return _written(world, world.load_memory(world.game, 0, FALSE), CREATOR) and _played_on(world)


@exploit("forged memory", "forgotten", "WrongChunk", keeps=True)
def memory_written_over_the_window(world: World) -> bool:
    where = world.kit.where
    at = where.scratch_work + where.memory.start + where.memory.chunks * MEMORY_CHUNK_BYTES
    before = world.data(world.game.scratch)[at : at + MEMORY_CHUNK_BYTES]
    one = world.load_memory(world.game, where.memory.chunks, FALSE)
    return world.attack(one, signers=[CREATOR]) and world.data(world.game.scratch)[at:][: len(before)] != before


@exploit("forged memory", "asked", "WrongChunk", keeps=True)
def memory_of_a_dispute_written_over_its_window(world: World) -> bool:
    where = world.kit.where
    at = where.dispute_work + where.memory.start + where.memory.chunks * MEMORY_CHUNK_BYTES
    before = world.data(world.dispute)[at : at + MEMORY_CHUNK_BYTES]
    one = world.load_disputed_memory(where.memory.chunks, FALSE)
    return world.attack(one, signers=[OPPONENT]) and world.data(world.dispute)[at:][: len(before)] != before


@exploit(
    "wrong owner",
    "forgotten",
    "InvalidAccountOwner",
    behind="the runtime lets a program write only what it owns",
    keeps=True,
)
def memory_written_into_an_account_of_another_program(world: World) -> bool:
    true = world.account(world.game.scratch)
    world.put(world.game.scratch, Account(true.lamports, true.data, ELSEWHERE))
    return _written(world, world.load_memory(world.game, 0, FALSE), CREATOR)


@exploit("account data matching", "started", "WrongAccount", keeps=True)
def memory_of_another_session_written(world: World) -> bool:
    """By who has a part in a session of their own, which stands at the same frame."""
    mine = stranger_game(world)
    forget(world)
    return _written(world, world.load_memory(mine, 0, FALSE, scratch=world.game.scratch), STRANGER)


@exploit("duplicate mutable accounts", "forgotten", "SameAccount", also=["WrongLength", "WrongTag", "WrongAccount"],
         behind="what a session account has at that place is no count of records", keeps=True)  # fmt: skip
def memory_written_into_the_session(world: World) -> bool:
    before = world.data(world.game.address)
    one = world.load_memory(world.game, 0, FALSE, scratch=world.game.address)
    return world.attack(one, signers=[CREATOR]) and world.data(world.game.address) != before


# what is computed from it


@exploit("forged memory", "forgotten", "WindowMissing", keeps=True)
def frame_computed_without_a_memory(world: World) -> bool:
    return _played_on(world)


@exploit("forged memory", "forgotten", "WrongDigest", keeps=True)
def frame_computed_from_a_part_of_its_memory(world: World) -> bool:
    region = world.kit.region(world.game, world.state().frame_number)
    world.must(world.load_memory(world.game, 0, chunk(region, 0)), signers=[CREATOR])
    return world.attack(world.check_memory(world.game)) and _played_on(world)


@exploit("forged memory", "forgotten", "WrongProof", keeps=True)
def frame_computed_from_an_empty_memory(world: World) -> bool:
    """Whose digest is told as the committed one."""
    empty = world.kit.where.records.empty
    told = world.game.log[-1][: -len(empty)] + empty
    return world.attack(world.check_memory(world.game, record=told)) and _played_on(world)


@exploit("forged memory", "forgotten", "WrongProof", keeps=True)
def frame_computed_from_an_older_memory(world: World) -> bool:
    """Which was committed, with an earlier frame."""
    leaf = len(world.game.log) - 2
    world.recalled(world.game, world.state().frame_number - 1)
    return world.attack(world.check_memory(world.game, leaf)) and _played_on(world)


@exploit("forged memory", "forgotten", "WrongDigest", keeps=True)
def frame_computed_from_a_memory_false_where_no_frame_writes_yet(world: World) -> bool:
    """Its hash of that turn is still the one that was made when the turn was written."""
    frame = world.state().frame_number
    world.recalled(world.game, frame, spoiled=world.kit.idle(frame))
    return world.attack(world.check_memory(world.game)) and _played_on(world)


# verdicts


def _judged(world: World, leaf: int = DISPUTED) -> bool:
    """Whether the last record of the window is taken, and the verdict is `wrong`."""
    steps = range(len(world.kit.export.manifest.plan))
    own = leaf + world.kit.slots
    loaded = world.attack(world.load(world.game, leaf))
    return loaded and all(world.attack(world.judge(world.game, n, leaf=own)) for n in steps) and world.verdict() == 2


@exploit("false verdict", "asked", "WrongDigest", keeps=True)
def honest_frame_judged_from_an_empty_memory(world: World) -> bool:
    return _judged(world)


@exploit("false verdict", "asked", "WrongDigest", keeps=True)
def honest_frame_judged_from_a_memory_made_up(world: World) -> bool:
    world.must(world.load_disputed_memory(0, FALSE), signers=[OPPONENT])
    return _judged(world)


@exploit("false verdict", "asked", "WrongDigest", keeps=True)
def honest_frame_judged_from_a_memory_false_where_it_does_not_write(world: World) -> bool:
    """What it reads there makes another Frame, or another memory."""
    world.recalled(world.game, DISPUTED, disputed=True, spoiled=world.kit.idle(DISPUTED))
    return _judged(world)


@exploit("false verdict", "disputed", "WrongStep", keeps=True)
def memory_made_up_once_it_was_proved(world: World) -> bool:
    passed = world.attack(world.load_disputed_memory(0, FALSE), signers=[OPPONENT])
    return passed and world.judge_all(world.game) == 2


@exploit("false verdict", "pinned", "WrongStep", keeps=True)
def memory_made_up_before_the_first_frame(world: World) -> bool:
    opened = world.open_dispute(world.game, frame=0)
    world.must(world.new_dispute(), opened, signers=[OPPONENT])
    passed = world.attack(world.load_disputed_memory(0, FALSE), signers=[OPPONENT])
    return passed and _judged(world, 0)


@exploit("false verdict", "asked", "WrongProof", keeps=True)
def window_proved_with_a_digest_made_up(world: World) -> bool:
    """Of the empty memory, from which the frame is then judged."""
    empty = world.kit.where.records.empty
    told = world.game.log[DISPUTED][: -len(empty)] + empty
    loaded = world.attack(world.load(world.game, DISPUTED, told))
    return loaded and world.judge_all(world.game) == 2


@exploit("false verdict", "disputed", "WrongProof", keeps=True)
def honest_frame_judged_by_a_digest_of_the_disputers(world: World) -> bool:
    record = world.game.log[DISPUTED + world.kit.slots]
    told = record[: -len(world.kit.where.records.empty)] + bytes(32)
    steps = range(len(world.kit.export.manifest.plan))
    return all(world.attack(world.judge(world.game, step, told)) for step in steps) and world.verdict() == 2


@exploit("verdict overwritten", "judged", "Judged", also=["WrongStep"], keeps=True)
def memory_changed_after_the_verdict(world: World) -> bool:
    """A verdict whose memory is another afterwards says nothing that can be followed."""
    passed = world.attack(world.load_disputed_memory(0, FALSE), signers=[OPPONENT])
    return passed and world.region(disputed=True)[:MEMORY_CHUNK_BYTES] == FALSE
