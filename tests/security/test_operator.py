"""A rollup's operator who lies, strangers who stand in the way, and what a dispute says of it."""

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from solders.account import Account
from solders.pubkey import Pubkey

from tests.records import FRAME_BYTES, INPUT_BYTES
from tests.security.base_risks import close_empty, committed, undelegate, with_platform
from tests.security.harness import World
from tests.security.kit import CREATOR, DISPUTED, NOW, OPPONENT, PROGRAM, VALIDATOR, Game, Kit
from tests.security.stages import world_at
from tests.security.world_risks import bad_record, rewritten
from wm_export.schema.accounts import SESSION, STATUSES
from wm_live.chain.addresses import DELEGATION_PROGRAM, SYSTEM_PROGRAM, delegation_buffer
from wm_live.session.tree import root_of

DUST = 890_880
RIGHT, WRONG = 1, 2


def opened(world: World, game: Game) -> None:
    world.must(world.pin(game), signers=[OPPONENT])
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


def test_a_session_is_judged_while_it_is_delegated(kit: Kit) -> None:
    world = world_at(kit, "played")
    with_platform(world)
    world.must(world.delegate(world.game), signers=[CREATOR])
    assert world.account(world.game.address).owner == DELEGATION_PROGRAM
    opened(world, world.game)
    assert judged(world, world.game) == RIGHT


def test_a_dispute_outlives_its_session(kit: Kit) -> None:
    """The creator closes the session and makes another at its address: the dispute keeps to what was pinned."""
    world = world_at(kit, "played")
    opened(world, world.game)
    world.must(world.end(world.game), world.close(world.game), signers=[CREATOR])
    world.must(world.create(world.game), signers=[CREATOR])
    assert judged(world, world.game) == RIGHT


def test_a_pinned_lie_is_disputed_after_it_was_overwritten(kit: Kit) -> None:
    """The operator commits the truth afterwards, the session is ended and closed: the pin has the lie."""
    world = world_at(kit, "played")
    game = rewritten(world, own(world), tilted(world.game.log[own(world)]))
    world.must(world.pin(game), signers=[OPPONENT])
    world.patch(game.address, SESSION.offsets["root"], world.game.tree.root())
    world.must(world.end(game), world.close(game), signers=[CREATOR])
    world.must(world.new_dispute(), world.open_dispute(game), signers=[OPPONENT])
    world.must(world.make("close_pin", {"pinner": OPPONENT.pubkey(), "pin": world.pinned(game)}), signers=[OPPONENT])
    assert judged(world, game) == WRONG


def test_a_commit_is_pinned_whatever_status_it_claims(kit: Kit) -> None:
    for status in range(len(STATUSES)):
        world = world_at(kit, "played")
        world.patch(world.game.address, SESSION.offsets["status"], struct.pack("<I", status))
        opened(world, world.game)
        assert judged(world, world.game) == RIGHT


def test_another_first_window_is_wrong(kit: Kit) -> None:
    """Every frame of it is right, but it is not the window that the session's address is made from."""
    other = World(kit, kit.program)
    for address, account in world_at(kit, "frozen").accounts():
        other.put(address, account)
    seeds = kit.seeds[::-1]
    game = other.new_game(start=root_of(seeds))
    other.must(other.create(game), other.join(game), signers=[CREATOR, OPPONENT])
    other.zeroed(game.scratch, kit.where.scratch_bytes)
    other.must(other.open_window(game), signers=[CREATOR])
    for index, record in enumerate(seeds):
        other.must(other.seed(game, index, record), signers=[CREATOR])
    game = other.play(replace(game, log=seeds))

    for lies, verdict in ((True, WRONG), (False, RIGHT)):
        world = world_at(kit, "started")
        if lies:
            world.patch(world.game.address, SESSION.offsets["root"], game.tree.root())
            world.patch(world.game.address, SESSION.offsets["frame_number"], struct.pack("<Q", 1))
            disputed = replace(world.game, log=game.log)
        else:
            disputed = world.game = world.play(world.game)
        world.must(world.pin(disputed), signers=[OPPONENT])
        world.must(world.new_dispute(), world.open_dispute(disputed, 0), signers=[OPPONENT])
        for leaf in range(kit.slots):
            world.must(world.load(disputed, leaf))
        if not lies:
            for step in range(len(kit.export.manifest.plan)):
                world.must(world.judge(disputed, step, leaf=kit.slots))
        assert world.verdict() == verdict


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
    world.must(world.create(world.game), signers=[CREATOR])
    account = world.account(world.game.address)
    assert account.owner == PROGRAM and account.lamports == before + DUST - world.lamports(CREATOR)


def test_lamports_at_a_pins_address_do_not_keep_it_from_being_made(kit: Kit) -> None:
    world = world_at(kit, "played")
    world.put(world.pinned(world.game), Account(DUST, b"", SYSTEM_PROGRAM))
    world.must(world.pin(world.game), signers=[OPPONENT])
    assert world.account(world.pinned(world.game)).owner == PROGRAM


def test_a_wallet_that_named_itself_as_its_key_is_not_locked_out(kit: Kit) -> None:
    world = world_at(kit, "started")
    accounts = {"player": CREATOR.pubkey(), "session": world.game.address}
    key = {"key": bytes(CREATOR.pubkey()), "expires": NOW - 1}
    world.must(world.make("set_key", accounts, player=0, **key), signers=[CREATOR])
    world.must(world.submit(world.game, 0, 0, bytes(INPUT_BYTES)), signers=[CREATOR])


def test_a_session_that_came_back_empty_is_closed_and_its_address_free(kit: Kit) -> None:
    """Through the real delegation program, which gives it back without asking this one."""
    world = world_at(kit, "played")
    with_platform(world)
    committed(world, b"")
    world.must(undelegate(world, world.game.address, CREATOR.pubkey()), signers=[VALIDATOR])
    empty, before = world.account(world.game.address), world.lamports(CREATOR)
    assert empty.owner == PROGRAM and empty.data == b""
    world.must(close_empty(world, CREATOR), signers=[CREATOR])
    assert world.lamports(CREATOR) == before + empty.lamports
    world.must(world.create(world.game), signers=[CREATOR])


@pytest.mark.parametrize("middle", [("status", "loading"), ("step", 1)])
def test_a_session_that_came_back_in_the_middle_is_closed(kit: Kit, middle: tuple[str, str | int]) -> None:
    """No program commits such a one; whoever did must not keep its rent."""
    world, data = world_at(kit, "played"), bytearray()
    data += world.data(world.game.address)
    SESSION.write(data, *middle)
    world.patch(world.game.address, 0, bytes(data))
    assert not world.attack(world.end(world.game), signers=[CREATOR])
    world.must(world.close(world.game), signers=[CREATOR])


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
