"""Risks of this program on the rollup: models, inputs, steps, windows."""

import struct
from dataclasses import replace
from typing import Any

from solders.instruction import AccountMeta, Instruction

from tests.factories import random_corpus
from tests.records import FRAME_BYTES, INPUT_BYTES, frame_bytes, input_bytes
from tests.security.harness import World
from tests.security.kit import CREATOR, KEYS, NOW, OPPONENT, PROGRAM, STRANGER, Game
from tests.security.registry import exploit
from tests.security.sealevel import input_waits
from tests.wm_live.deploying import EMPTY_PROGRAM
from wm_export.schema.accounts import SCRATCH, SESSION
from wm_live.chain.addresses import MAGIC_PROGRAM, scratch_address
from wm_live.session.tree import Tree, root_of
from wm_train.melee.field_table import STATE_INDEX

IDLE = bytes(INPUT_BYTES)
FULL = bytes([80, 80, 80, 80, 80, 0])


def lasting(world: World, record: bytes) -> Game:
    """A session of the stranger's whose agreed window ends with this record."""
    seeds = (*world.kit.seeds[:-1], record)
    game = world.new_game(STRANGER, start=root_of(seeds))
    world.must(world.create(game), signers=[STRANGER])
    world.must(world.join(game), signers=[OPPONENT])
    world.zeroed(game.scratch, world.kit.where.scratch_bytes)
    world.must(world.open_window(game), signers=[STRANGER])
    for index, seed in enumerate(seeds[:-1]):
        world.must(world.seed(game, index, seed), signers=[STRANGER])
    return replace(game, log=seeds)


def bad_record(world: World) -> bytes:
    """A record whose first player's action lies far outside its table."""
    record = bytearray(world.kit.seeds[-1])
    at = len(record) - FRAME_BYTES + 4 * STATE_INDEX["action"]
    record[at : at + 4] = struct.pack("<i", 60_000)
    return bytes(record)


def window_ids(world: World, game: Game) -> list[int]:
    """Ids of the window, as the network's table look-ups read them."""
    section = world.kit.where.work["ids"]
    count = len(list(world.kit.export.net.world.encoding.id_fields()))
    return list(
        struct.unpack_from(f"<{count}H", world.data(game.scratch), world.kit.where.scratch_work + section.offset)
    )


# steps


@exploit("skipped step", "started", "WrongStep")
def step_left_out(world: World) -> bool:
    world.submit_both(world.game, 0)
    world.must(world.step(world.game, 0, 0))
    last = len(world.kit.export.manifest.plan) - 1
    return world.attack(world.step(world.game, 0, last)) and world.state().frame_number == 1


@exploit("replayed step", "started", "WrongStep")
def step_run_twice(world: World) -> bool:
    """The cursor goes back: who replays steps can keep a frame from ever ending."""
    world.submit_both(world.game, 0)
    world.must(world.step(world.game, 0, 0))
    world.must(world.step(world.game, 0, 1))
    return world.attack(world.step(world.game, 0, 0)) and world.state().step == 1


@exploit("replayed step", "played", "WrongFrame", also=["WindowMissing", "MissingInput"])
def frame_computed_again(world: World) -> bool:
    steps = range(len(world.kit.export.manifest.plan))
    passed = all(world.attack(world.step(world.game, 2, step)) for step in steps)
    return passed and world.state().frame_number == 3


@exploit("step before inputs", "started", "MissingInput")
def frame_computed_without_the_opponents_input(world: World) -> bool:
    world.must(world.submit(world.game, 0, 0, FULL), signers=[CREATOR])
    steps = range(len(world.kit.export.manifest.plan))
    return all(world.attack(world.step(world.game, 0, step)) for step in steps) and world.state().frame_number == 1


@exploit("step before inputs", "played", "WindowMissing")
def frame_computed_from_an_old_window(world: World) -> bool:
    """The scratch account that a rollup still had when the session came back to it."""
    frame = world.state().frame_number
    world.patch(world.game.scratch, SCRATCH.offsets["frame_number"], struct.pack("<Q", frame - 1))
    world.submit_both(world.game, frame)
    steps = range(len(world.kit.export.manifest.plan))
    return all(world.attack(world.step(world.game, frame, step)) for step in steps)


@exploit("step after the end", "ended", "WrongStatus", also=["MissingInput"])
def frame_computed_after_the_end(world: World) -> bool:
    frame = world.state().frame_number
    steps = range(len(world.kit.export.manifest.plan))
    return all(world.attack(world.step(world.game, frame, step)) for step in steps)


# inputs


@exploit("foreign input", "started", "WrongAuthority")
def input_for_the_other_player(world: World) -> bool:
    one = world.submit(world.game, 0, 0, IDLE, OPPONENT)
    return world.attack(one, signers=[OPPONENT]) and bool(input_waits(world, 0, 0))


@exploit("foreign input", "started", "WrongAuthority")
def input_by_the_other_players_session_key(world: World) -> bool:
    one = world.submit(world.game, 0, 0, IDLE, KEYS[1])
    return world.attack(one, signers=[KEYS[1]]) and bool(input_waits(world, 0, 0))


@exploit("foreign input", "started", "WrongPlayer", also=["WrongAuthority"])
def key_of_a_third_player_written_over_the_inputs(world: World) -> bool:
    accounts = {"player": STRANGER.pubkey(), "session": world.game.address}
    one = world.make("set_key", accounts, player=2, key=FULL * 5 + b"\x80\x80", expires=0)
    before = world.data(world.game.address)
    at = world.kit.where.session["inputs"].offset
    return world.attack(one, signers=[STRANGER]) and world.data(world.game.address)[at:] != before[at:]


@exploit("late input", "played", "LateInput", also=["EarlyInput"])
def input_for_a_frame_of_the_past(world: World) -> bool:
    """It would wait in the place of a frame to come."""
    one = world.submit(world.game, 1, 0, FULL)
    return world.attack(one, signers=[OPPONENT]) and bool(input_waits(world, 1, 8))


@exploit("early input", "started", "EarlyInput")
def input_too_far_ahead(world: World) -> bool:
    """It would wait in the place of the current frame."""
    one = world.submit(world.game, 1, 8, FULL)
    return world.attack(one, signers=[OPPONENT]) and bool(input_waits(world, 1, 0))


@exploit("input twice", "started", "TakenInput")
def input_taken_back(world: World) -> bool:
    """After the other player's has been seen."""
    world.must(world.submit(world.game, 1, 0, IDLE), signers=[OPPONENT])
    world.must(world.submit(world.game, 0, 0, IDLE), signers=[CREATOR])
    one = world.submit(world.game, 1, 0, FULL)
    return world.attack(one, signers=[OPPONENT]) and input_waits(world, 1, 0)[:6] == FULL


@exploit("input out of range", "started", "WrongInput")
def input_that_no_controller_sends(world: World) -> bool:
    one = world.submit(world.game, 0, 0, bytes([127, 0, 0, 0, 0, 0]))
    return world.attack(one, signers=[CREATOR]) and input_waits(world, 0, 0)[:1] == bytes([127])


@exploit("input before the start", "joined", "WrongStatus")
def input_before_the_start(world: World) -> bool:
    one = world.submit(world.game, 0, 0, IDLE)
    return world.attack(one, signers=[CREATOR]) and bool(input_waits(world, 0, 0))


# session keys


@exploit("expired session key", "started", "KeyExpired")
def input_by_a_key_out_of_its_time(world: World) -> bool:
    world.set_time(NOW + 3600)
    one = world.submit(world.game, 0, 0, IDLE, KEYS[0])
    return world.attack(one, signers=[KEYS[0]]) and bool(input_waits(world, 0, 0))


@exploit("session key prolongs itself", "started", "WrongAuthority")
def session_key_prolongs_itself(world: World) -> bool:
    accounts = {"player": KEYS[0].pubkey(), "session": world.game.address}
    one = world.make("set_key", accounts, player=0, key=bytes(KEYS[0].pubkey()), expires=NOW + 10**6)
    return world.attack(one, signers=[KEYS[0]]) and world.state().players[0].expires == NOW + 10**6


@exploit("session key prolongs itself", "started", "WrongAuthority")
def session_key_set_by_the_opponent(world: World) -> bool:
    accounts = {"player": OPPONENT.pubkey(), "session": world.game.address}
    key = bytes(KEYS[1].pubkey())
    one = world.make("set_key", accounts, player=0, key=key, expires=NOW + 10**6)
    return world.attack(one, signers=[OPPONENT]) and bytes(world.state().players[0].key) == key


@exploit("session key beyond its scope", "played", "WrongAuthority")
def session_ended_by_a_session_key(world: World) -> bool:
    one = world.make("end_session", {"party": KEYS[1].pubkey(), "session": world.game.address})
    return world.attack(one, signers=[KEYS[1]]) and world.state().status == "ended"


# seats and sessions


@exploit("reserved seat", "reserved", "WrongAuthority")
def reserved_seat_taken(world: World) -> bool:
    one = world.join(world.game, STRANGER)
    return world.attack(one, signers=[STRANGER]) and world.state().players[1].wallet == STRANGER.pubkey()


@exploit("reserved seat", "joined", "WrongStatus", also=["WrongAuthority"])
def seat_taken_from_who_sits_there(world: World) -> bool:
    one = world.join(world.game, STRANGER)
    return world.attack(one, signers=[STRANGER]) and world.state().players[1].wallet == STRANGER.pubkey()


def _bent_join(world: World, **changed: Any) -> bool:
    """The creator makes the session again, with something else agreed, while the join is under way; it has another
    address then, and who takes the join there finds that it names other terms."""
    other = world.new_game(**changed)
    assert other.address != world.game.address
    world.must(world.close(world.game), world.create(other), signers=[CREATOR])
    passed = world.attack(world.join(replace(other, terms=world.game.terms)), signers=[OPPONENT])
    return passed and world.state(other).status == "joined"


@exploit("other terms", "open", "WrongTerms")
def window_changed_before_the_other_joins(world: World) -> bool:
    return _bent_join(world, start=b"\x05" * 32)


@exploit("other terms", "open", "WrongTerms")
def ids_changed_before_the_other_joins(world: World) -> bool:
    return _bent_join(world, ids=(1, 1, 1, 0))


@exploit("other terms", "open", "WrongTerms")
def validator_changed_before_the_other_joins(world: World) -> bool:
    return _bent_join(world, validator=STRANGER.pubkey())


@exploit("other terms", "frozen", "WrongAccount", behind="the program signs for the address that the terms lead to")
def session_made_at_the_address_of_other_terms(world: World) -> bool:
    other = world.new_game(validator=STRANGER.pubkey())
    one = world.create(replace(other, address=world.game.address))
    return world.attack(one, signers=[CREATOR]) and world.exists(world.game.address)


@exploit("close by a stranger", "ended", "WrongAuthority")
def session_rent_taken_by_a_stranger(world: World) -> bool:
    before = world.lamports(STRANGER)
    return world.attack(world.close(world.game, STRANGER), signers=[STRANGER]) and world.lamports(STRANGER) > before


@exploit("close by a stranger", "played", "WrongAuthority")
def session_ended_by_a_stranger(world: World) -> bool:
    one = world.make("end_session", {"party": STRANGER.pubkey(), "session": world.game.address})
    return world.attack(one, signers=[STRANGER]) and world.state().status == "ended"


# windows


@exploit("false start", "joined", "WrongStart")
def window_that_was_not_agreed(world: World) -> bool:
    game = world.game
    world.zeroed(game.scratch, world.kit.where.scratch_bytes)
    world.must(world.open_window(game), signers=[CREATOR])
    for index in range(world.kit.slots - 1):
        world.must(world.seed(game, index), signers=[CREATOR])
    one = world.seed(game, world.kit.slots - 1, world.kit.seeds[0])
    return world.attack(one, signers=[CREATOR]) and world.state().status == "started"


@exploit("false start", "joined", "WrongAuthority")
def window_opened_by_a_stranger(world: World) -> bool:
    world.zeroed(world.game.scratch, world.kit.where.scratch_bytes)
    plain = world.open_window(world.game)
    metas = [*plain.accounts]
    metas[0] = AccountMeta(STRANGER.pubkey(), True, False)
    return world.attack(Instruction(PROGRAM, plain.data, metas), signers=[STRANGER])


@exploit("record out of range", "frozen", "WrongRecord")
def agreed_window_with_an_id_outside_its_table(world: World) -> bool:
    game = lasting(world, bad_record(world))
    one = world.seed(game, world.kit.slots - 1, game.log[-1])
    return world.attack(one, signers=[STRANGER]) and max(window_ids(world, game)) == 60_000


@exploit("record out of range", "played", "WrongRecord")
def committed_window_with_an_id_outside_its_table(world: World) -> bool:
    """What another rollup's operator has committed comes back to an honest one."""
    game = rewritten(world, -1, bad_record(world))
    lost(world)
    world.must(world.open_window(game), signers=[CREATOR])
    first = world.state().frame_number
    leaves = range(first, first + world.kit.slots)
    passed = [world.attack(world.load_for_scratch(game, leaf)) for leaf in leaves]
    return all(passed) and max(window_ids(world, game)) == 60_000


@exploit("record out of range", "played", "WrongAccount", also=["WrongIds"])
def committed_ids_outside_their_tables(world: World) -> bool:
    lost(world)
    world.patch(world.game.address, SESSION.offsets["ids"], struct.pack("<H", 33))
    return world.attack(world.open_window(world.game), signers=[CREATOR])


def lost(world: World) -> None:
    """The rollup has lost the scratch account, and made it again."""
    world.zeroed(world.game.scratch, world.kit.where.scratch_bytes)


def rewritten(world: World, index: int, record: bytes) -> Game:
    """The session with another record in its tree, as an operator who lies would commit it."""
    log = list(world.game.log)
    log[index] = record
    game = replace(world.game, log=tuple(log))
    world.patch(game.address, SESSION.offsets["root"], root_of(log))
    return game


def false_records(world: World) -> tuple[bytes, ...]:
    """Records that were never computed."""
    corpus = random_corpus(99, (world.kit.slots + 2,))
    return tuple(input_bytes(i) + frame_bytes(f) for i, f in zip(corpus.inputs, corpus.frames, strict=True))


@exploit("forged window", "played", "WrongProof")
def window_of_records_that_were_never_committed(world: World) -> bool:
    game = world.game
    lost(world)
    world.must(world.open_window(game), signers=[CREATOR])
    first = world.state().frame_number
    pairs = enumerate(false_records(world)[: world.kit.slots])
    passed = [world.attack(world.load_for_scratch(game, first + i, record)) for i, record in pairs]
    return all(passed)


@exploit("forged window", "played", "WrongProof")
def peaks_of_another_tree(world: World) -> bool:
    lost(world)
    one = world.make(
        "open_window",
        {"party": CREATOR.pubkey(), "session": world.game.address, "scratch": world.game.scratch, "model": world.model},
        peaks=Tree([*world.game.log[1:], world.game.log[0]]).peaks(),
    )
    return world.attack(one, signers=[CREATOR])


@exploit("forged window", "loading", "WrongStep")
def window_in_another_order(world: World) -> bool:
    return world.attack(world.load_for_scratch(world.game, world.state().frame_number + 2))


@exploit("forged window", "started", "WrongStatus")
def window_seeded_again_in_the_middle(world: World) -> bool:
    return world.attack(world.seed(world.game, 0), signers=[CREATOR])


@exploit("forged window", "loading", "WrongFrame")
def window_loaded_for_another_frame(world: World) -> bool:
    world.patch(world.game.scratch, SCRATCH.offsets["frame_number"], bytes(8))
    return world.attack(world.load_for_scratch(world.game, world.state().frame_number + 1))


# the current Frame changes with its record, and with nothing else


@exploit("half a frame", "loading", "WrongStatus")
def session_ended_while_its_window_is_loaded(world: World) -> bool:
    return world.attack(world.end(world.game), signers=[CREATOR]) and world.state().status == "ended"


def _asked(world: World, one: Instruction) -> bool:
    """Only a rollup has the Magic program: who gets as far as calling what stands in its place was not refused."""
    world.svm.add_program(MAGIC_PROGRAM, EMPTY_PROGRAM)
    return world.attack(one, signers=[CREATOR]) or any(f"{MAGIC_PROGRAM} invoke" in line for line in world.logs)


def _written(world: World, name: str) -> bool:
    return _asked(world, world.make(name, {"party": CREATOR.pubkey(), "session": world.game.address}))


def _half(world: World) -> None:
    """In the middle of a frame."""
    world.submit_both(world.game, 0)
    world.must(world.step(world.game, 0, 0))


@exploit("half a frame", "loading", "WrongStatus")
def session_committed_while_its_window_is_loaded(world: World) -> bool:
    return _written(world, "commit_session")


@exploit("half a frame", "loading", "WrongStatus")
def session_given_back_while_its_window_is_loaded(world: World) -> bool:
    return _written(world, "undelegate_session")


@exploit("half a frame", "started", "WrongStep")
def session_ended_in_the_middle_of_a_frame(world: World) -> bool:
    _half(world)
    return world.attack(world.end(world.game), signers=[CREATOR]) and world.state().status == "ended"


@exploit("half a frame", "started", "WrongStep")
def session_committed_in_the_middle_of_a_frame(world: World) -> bool:
    _half(world)
    return _written(world, "commit_session")


@exploit("half a frame", "started", "WrongStep")
def session_given_back_in_the_middle_of_a_frame(world: World) -> bool:
    _half(world)
    return _written(world, "undelegate_session")


@exploit("window taken away", "played", "NotEmpty")
def window_opened_again_under_the_others_hands(world: World) -> bool:
    """Who does so before every step keeps the other from ever ending a frame."""
    world.submit_both(world.game, world.state().frame_number)
    world.must(world.step(world.game, world.state().frame_number, 0))
    passed = world.attack(world.open_window(world.game), signers=[CREATOR])
    return passed and world.state().status == "loading"


@exploit("window taken away", "loading", "NotEmpty")
def loading_begun_again(world: World) -> bool:
    passed = world.attack(world.open_window(world.game), signers=[CREATOR])
    return passed and SCRATCH.read(world.data(world.game.scratch), "loaded") == 0


@exploit("window taken away", "started", "WrongStatus")
def scratch_account_closed_while_it_is_played(world: World) -> bool:
    accounts = {"party": CREATOR.pubkey(), "session": world.game.address, "scratch": world.game.scratch}
    return _asked(world, world.make("close_scratch", accounts))


@exploit("window taken away", "started", "NotEmpty")
def second_scratch_account_made(world: World) -> bool:
    """The session would lose the window of the first, and pay for both."""
    to = scratch_address(PROGRAM, world.game.address, 1)
    accounts = {"party": CREATOR.pubkey(), "session": world.game.address, "scratch": to, "previous": world.game.scratch}
    return _asked(world, world.make("grow_scratch", accounts, nonce=1))


@exploit("numbers", "started", "WrongFrame")
def frame_beyond_the_end_of_the_range(world: World) -> bool:
    """An operator's session at frame 2^64 - 1: its tree would be of a few leaves."""
    last = 2**64 - 1
    world.patch(world.game.address, SESSION.offsets["frame_number"], struct.pack("<Q", last))
    world.patch(world.game.scratch, SCRATCH.offsets["frame_number"], struct.pack("<Q", last))
    at = world.kit.where.session["inputs"].offset
    world.patch(world.game.address, at, (bytes(7) + b"\x80") * 16)
    return all(world.attack(world.step(world.game, last, n)) for n in range(len(world.kit.export.manifest.plan)))
