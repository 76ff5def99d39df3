"""A rollup's operator who lies, strangers who stand in the way, and what a dispute says of it."""

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from solders.account import Account
from solders.pubkey import Pubkey

from tests.records import FRAME_BYTES
from tests.security.base_risks import committed, undelegate, with_platform
from tests.security.harness import World
from tests.security.kit import CREATOR, DISPUTED, OPPONENT, PROGRAM, VALIDATOR, Game, Kit
from tests.security.stages import world_at
from tests.security.world_risks import bad_record, rewritten
from wm_export.schema.accounts import SESSION
from wm_live.chain.addresses import DELEGATION_PROGRAM, SYSTEM_PROGRAM, delegation_buffer

DUST = 890_880
RIGHT, WRONG = 1, 2


def opened(world: World, game: Game) -> None:
    world.must(world.new_dispute(), world.open_dispute(game), signers=[OPPONENT])


def judged(world: World, game: Game) -> int:
    """The verdict, reached by whoever sends the log."""
    for leaf in range(DISPUTED, DISPUTED + world.kit.slots):
        if not world.verdict():
            world.must(world.load(game, leaf))
    return world.verdict() or world.judge_all(game)


def tilted(record: bytes, at: int = -FRAME_BYTES + 4, by: int = 1) -> bytes:
    """A record with one field of its Frame changed (or another number in it)."""
    at += len(record)
    old = struct.unpack_from("<i", record, at)[0]
    return record[:at] + struct.pack("<i", old + by) + record[at + 4 :]


def loud(record: bytes) -> bytes:
    """A record with an input that no controller sends."""
    return bytes([127]) + record[1:]


def test_honest_frames_are_right(kit: Kit) -> None:
    world = world_at(kit, "played")
    opened(world, world.game)
    assert judged(world, world.game) == RIGHT


#: Leaf of the disputed frame's own record.
def own(world: World) -> int:
    return DISPUTED + world.kit.slots


@pytest.mark.parametrize("lie", [
    lambda world: (own(world), tilted(world.game.log[own(world)])),
    lambda world: (own(world), tilted(world.game.log[own(world)], -4, -1)),
    lambda world: (own(world), loud(world.game.log[own(world)])),
    lambda world: (own(world), bad_record(world)),
    lambda world: (own(world) - 1, loud(world.game.log[own(world) - 1])),
    lambda world: (own(world) - 1, bad_record(world)),
    lambda world: (own(world) - 1, world.game.log[0]),
], ids=["field", "last field", "input", "id", "input before", "id before", "another window"])  # fmt: skip
def test_every_lie_in_the_log_is_wrong(kit: Kit, lie: Callable[[World], tuple[int, bytes]]) -> None:
    world = world_at(kit, "played")
    game = rewritten(world, *lie(world))
    opened(world, game)
    assert judged(world, game) == WRONG


def test_ids_that_no_program_wrote_are_wrong(kit: Kit) -> None:
    world = world_at(kit, "played")
    world.patch(world.game.address, SESSION.offsets["ids"], struct.pack("<H", 60_000))
    opened(world, world.game)
    assert world.verdict() == WRONG


def test_a_session_is_judged_while_it_is_delegated(kit: Kit) -> None:
    world = world_at(kit, "played")
    with_platform(world)
    world.must(world.delegate(world.game), signers=[CREATOR])
    assert world.account(world.game.address).owner == DELEGATION_PROGRAM
    opened(world, world.game)
    assert judged(world, world.game) == RIGHT


def test_a_dispute_outlives_its_session(kit: Kit) -> None:
    """The creator closes the session and makes another at its address: the dispute keeps to what was committed."""
    world = world_at(kit, "played")
    opened(world, world.game)
    world.must(world.end(world.game), world.close(world.game), signers=[CREATOR])
    world.must(world.terms(world.game, ids=(1, 1, 1, 0)), signers=[CREATOR])
    assert judged(world, world.game) == RIGHT


def test_a_record_that_is_wrong_stays_judged(kit: Kit) -> None:
    world = world_at(kit, "played")
    game = rewritten(world, own(world) - 1, bad_record(world))
    opened(world, game)
    assert judged(world, game) == WRONG
    assert not world.attack(world.load(game, DISPUTED + world.kit.slots - 1))
    assert not world.attack(world.judge(game, 0))
    assert world.failures == ["Judged", "Judged"]


# strangers who stand in the way


def test_lamports_at_the_sessions_address_do_not_keep_it_from_being_made(kit: Kit) -> None:
    world = world_at(kit, "frozen")
    world.put(world.game.address, Account(DUST, b"", SYSTEM_PROGRAM))
    before = world.lamports(CREATOR)
    world.must(world.terms(world.game), signers=[CREATOR])
    account = world.account(world.game.address)
    assert account.owner == PROGRAM and account.lamports == before + DUST - world.lamports(CREATOR)


def test_lamports_at_the_buffer_do_not_keep_a_session_from_being_delegated(kit: Kit) -> None:
    world = world_at(kit, "joined")
    with_platform(world)
    world.put(delegation_buffer(PROGRAM, world.game.address), Account(DUST, b"", SYSTEM_PROGRAM))
    world.must(world.delegate(world.game), signers=[CREATOR])
    assert world.account(world.game.address).owner == DELEGATION_PROGRAM


def test_a_session_comes_back_as_it_was_committed(kit: Kit) -> None:
    """Through the real delegation program; the deposit for the scratch account comes back too."""
    world = world_at(kit, "played")
    with_platform(world)
    before = world.account(world.game.address)
    changed = bytearray(before.data)
    struct.pack_into("<Q", changed, SESSION.offsets["frame_number"], 1000)
    committed(world, bytes(changed))
    world.must(undelegate(world, world.game.address, CREATOR.pubkey()), signers=[VALIDATOR])
    after = world.account(world.game.address)
    assert (after.owner, after.data, after.lamports) == (PROGRAM, bytes(changed), before.lamports)


def test_the_dispute_is_of_the_session_that_it_names(kit: Kit) -> None:
    world = world_at(kit, "disputed")
    stranger = replace(world.game, address=Pubkey.from_bytes(bytes([3]) * 32))
    assert not world.attack(world.load(stranger, DISPUTED))
    assert world.failures == ["WrongAccount"]
