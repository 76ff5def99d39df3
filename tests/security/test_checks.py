"""Every check of `step` and `submit_input`, the instructions of every frame, and the errors that no exploit provokes.

Accounts are changed from outside: what is refused here should never exist, whatever goes wrong.
"""

import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from tests.records import INPUT_BYTES
from tests.security.attacks import EXPLOITS
from tests.security.golden import value
from tests.security.harness import World
from tests.security.kit import CREATOR, OPPONENT, PROGRAM, STRANGER, Kit
from tests.security.sealevel import ELSEWHERE
from tests.security.stages import world_at
from wm_export.schema.accounts import DISPUTE, MODEL, SCRATCH, SESSION
from wm_export.schema.instruction_set import INSTRUCTIONS
from wm_export.schema.limits import TREE_LEVELS
from wm_export.schema.program_errors import ERRORS
from wm_export.schema.types import Struct

HEADERS = {"session": SESSION, "scratch": SCRATCH, "model": MODEL}
IDLE = bytes(INPUT_BYTES)


@pytest.fixture
def world(kit: Kit) -> World:
    """A session that has started, both inputs of its first frame given."""
    made = world_at(kit, "started")
    made.submit_both(made.game, 0)
    return made


def refused(world: World, error: str, one: Instruction) -> None:
    """Both players sign, and the instruction fails with this error; nothing changes."""
    needed = {meta.pubkey for meta in one.accounts if meta.is_signer}
    signers = [who for who in (CREATOR, OPPONENT, STRANGER) if who.pubkey() in needed]
    world.failures.clear()
    assert not world.attack(one, signers=signers)
    assert world.failures == [error]


def step(world: World, frame: int = 0, number: int = 0) -> Instruction:
    return world.step(world.game, frame, number)


def submit(world: World, value: bytes = IDLE, player: int = 0, frame: int = 1) -> Instruction:
    return world.submit(world.game, player, frame, value)


def address(world: World, role: str) -> Pubkey:
    return {"session": world.game.address, "scratch": world.game.scratch, "model": world.model}[role]


def resized(world: World, role: str, change: Callable[[bytes], bytes]) -> None:
    old = world.account(address(world, role))
    world.put(address(world, role), Account(10**12, change(old.data), old.owner))


def with_metas(one: Instruction, change: Callable[[list[AccountMeta]], list[AccountMeta]]) -> Instruction:
    return Instruction(one.program_id, one.data, change(list(one.accounts)))


def read_only(one: Instruction, index: int) -> Instruction:
    def change(metas: list[AccountMeta]) -> list[AccountMeta]:
        metas[index] = AccountMeta(metas[index].pubkey, metas[index].is_signer, False)
        return metas

    return with_metas(one, change)


def test_a_window_is_opened_with_the_bounds_of_its_stage(kit: Kit) -> None:
    world, section = world_at(kit, "frozen"), kit.where.work["bounds"]
    at = kit.where.scratch_work + section.offset
    for stage, expected in enumerate(kit.export.net.world.places):
        game = world.new_game(ids=(1, 2, stage, 0))
        world.must(world.create(game), world.join(game), signers=[CREATOR, OPPONENT])
        world.zeroed(game.scratch, kit.where.scratch_bytes)
        world.must(world.open_window(game), signers=[CREATOR])
        assert np.frombuffer(world.data(game.scratch), "<i8", section.count, at).tolist() == expected.tolist()


def test_good_ones_pass(world: World) -> None:
    world.must(submit(world), signers=[CREATOR])
    for number in range(len(world.kit.export.manifest.plan)):
        world.must(step(world, 0, number))


@pytest.mark.parametrize("role", list(HEADERS))
def test_account_of_another_program(world: World, role: str) -> None:
    old = world.account(address(world, role))
    world.put(address(world, role), Account(old.lamports, old.data, ELSEWHERE))
    refused(world, "InvalidAccountOwner", step(world))
    if role == "session":
        refused(world, "InvalidAccountOwner", submit(world))


@pytest.mark.parametrize("role", list(HEADERS))
@pytest.mark.parametrize(("field", "value", "error"), [
    ("tag", bytes(8), "WrongTag"),
    ("version", struct.pack("<I", 2), "WrongVersion"),
    ("length", bytes(8), "WrongLength"),
])  # fmt: skip
def test_headers(world: World, role: str, field: str, value: bytes, error: str) -> None:
    world.patch(address(world, role), HEADERS[role].offsets[field], value)
    refused(world, error, step(world))
    if role == "session":
        refused(world, error, submit(world))


@pytest.mark.parametrize("role", list(HEADERS))
@pytest.mark.parametrize("change", [lambda data: data[:-8], lambda data: data + bytes(8), lambda data: b""])
def test_sizes(world: World, role: str, change: Callable[[bytes], bytes]) -> None:
    resized(world, role, change)
    refused(world, "WrongLength", step(world))
    if role == "session":
        refused(world, "WrongLength", submit(world))


def test_another_manifest(world: World) -> None:
    world.patch(world.game.address, SESSION.offsets["manifest"], bytes([1]) * 32)
    refused(world, "WrongManifest", step(world))
    refused(world, "WrongManifest", submit(world))


@pytest.mark.parametrize(("role", "fields", "field"), [
    ("session", SESSION, "model"),
    ("scratch", SCRATCH, "session"),
])  # fmt: skip
def test_links_between_accounts(world: World, role: str, fields: Struct, field: str) -> None:
    world.patch(address(world, role), fields.offsets[field], bytes([1]) * 32)
    refused(world, "WrongAccount", step(world))


@pytest.mark.parametrize(("place", "other", "error"), [
    ("session", "scratch", "SameAccount"),
    ("scratch", "session", "SameAccount"),
    ("session", "model", "WrongLength"),
    ("scratch", "model", "WrongLength"),
    ("model", "session", "WrongLength"),
    ("model", "scratch", "WrongLength"),
])  # fmt: skip
def test_one_kind_of_account_in_place_of_another(world: World, place: str, other: str, error: str) -> None:
    refused(world, error, world.step(world.game, 0, 0, **{place: address(world, other)}))


@pytest.mark.parametrize("index", [0, 1])
def test_step_needs_writable_accounts(world: World, index: int) -> None:
    refused(world, "Immutable", read_only(step(world), index))


def test_submit_input_needs_a_writable_session(world: World) -> None:
    refused(world, "Immutable", read_only(submit(world), 1))


@pytest.mark.parametrize("frame", [1, 2**32, 2**64 - 1])
def test_frame_that_is_not_next(world: World, frame: int) -> None:
    refused(world, "WrongFrame", step(world, frame))


@pytest.mark.parametrize("number", [1, 2, 3, 255])
def test_step_that_is_not_next(world: World, number: int) -> None:
    refused(world, "WrongStep", step(world, 0, number))


@pytest.mark.parametrize("field", ["loaded", "frame_number"])
def test_window_of_another_frame(world: World, field: str) -> None:
    world.patch(world.game.scratch, SCRATCH.offsets[field], struct.pack("<Q", 1))
    refused(world, "WindowMissing", step(world))


@pytest.mark.parametrize("player", [0, 1])
def test_missing_input(kit: Kit, player: int) -> None:
    world = world_at(kit, "started")
    signers = [CREATOR, OPPONENT]
    world.must(world.submit(world.game, player, 0, IDLE), signers=[signers[player]])
    refused(world, "MissingInput", step(world))


@pytest.mark.parametrize("status", [0, 1, 3, 4, 2**32 - 1])
def test_status(world: World, status: int) -> None:
    world.patch(world.game.address, SESSION.offsets["status"], struct.pack("<I", status))
    refused(world, "WrongStatus", step(world))
    refused(world, "WrongStatus", submit(world))


@pytest.mark.parametrize("axis", [81, -81, -128, 127])
@pytest.mark.parametrize("at", [0, 3, 4])
def test_axis_that_no_controller_sends(world: World, axis: int, at: int) -> None:
    value = bytearray(INPUT_BYTES)
    value[at : at + 1] = np.array([axis], np.int8).tobytes()
    refused(world, "WrongInput", submit(world, bytes(value)))


def test_shoulder_below_zero(world: World) -> None:
    refused(world, "WrongInput", submit(world, bytes([0, 0, 0, 0, 255, 0])))


@pytest.mark.parametrize("player", [2, 3, 255])
def test_player_that_does_not_exist(world: World, player: int) -> None:
    one = submit(world)
    data = one.data[:8] + bytes([player]) + one.data[9:]
    refused(world, "WrongPlayer", Instruction(PROGRAM, data, one.accounts))


def test_inputs_too_early_and_taken(world: World) -> None:
    refused(world, "TakenInput", submit(world, frame=0))
    for frame in (8, 9, 2**63, 2**64 - 1):
        refused(world, "EarlyInput", submit(world, frame=frame))


def test_inputs_too_late(kit: Kit) -> None:
    world = world_at(kit, "played")
    for frame in range(world.state().frame_number):
        refused(world, "LateInput", submit(world, frame=frame))


def test_full_tree(world: World) -> None:
    """The last leaf would need one level more: refused before the frame is begun, so that the session can be ended."""
    last = (1 << TREE_LEVELS) - 1 - world.kit.slots
    world.patch(world.game.address, SESSION.offsets["frame_number"], struct.pack("<Q", last))
    world.patch(world.game.scratch, SCRATCH.offsets["frame_number"], struct.pack("<Q", last))
    at = world.kit.where.session["inputs"].offset
    world.patch(world.game.address, at, (bytes(7) + b"\x80") * 16)
    refused(world, "WrongFrame", step(world, last, 0))
    world.must(world.end(world.game), signers=[CREATOR])


@pytest.mark.parametrize("name", list(INSTRUCTIONS))
def test_account_lists_of_another_length(world: World, name: str) -> None:
    """One account less, one more, twelve (what the program takes in), sixty (what a transaction takes)."""
    about = INSTRUCTIONS[name]
    given = {role.name: keys(world).get(role.name, CREATOR.pubkey()) for role in about.accounts}
    fixed = ("system_program", "delegation_program", "magic_program", "magic_context", "vault", "owner_program")
    one = world.make(
        name, {k: v for k, v in given.items() if k not in fixed}, **{arg.name: value(arg.type) for arg in about.args}
    )
    extra = AccountMeta(ELSEWHERE, False, False)
    full = len(one.accounts)
    for count in (0, full - 1 - sum(role.optional for role in about.accounts), full + 1, 12, 60):
        metas = [*one.accounts, *[extra] * 60][:count]
        refused(world, "NotEnoughAccountKeys", Instruction(PROGRAM, one.data, metas))


def keys(world: World) -> dict[str, Pubkey]:
    return {label: address(world, label) for label in HEADERS} | {"authority": STRANGER.pubkey()}


def test_data_of_other_lengths(world: World) -> None:
    """On chain as on the host (onchain/program/tests/decode.rs): what is not an instruction, whole, changes nothing."""
    for one in (step(world), submit(world)):
        for data in (b"", one.data[:7], one.data[:-1], one.data + b"\0", one.data + bytes(1000), bytes(8)):
            refused(world, "InvalidInstructionData", Instruction(PROGRAM, data, one.accounts))


def test_grown_scratch_grows_no_more(world: World) -> None:
    scratch = world.game.scratch
    accounts = {"party": CREATOR.pubkey(), "session": world.game.address, "scratch": scratch, "previous": scratch}
    refused(world, "NotEmpty", world.make("grow_scratch", accounts, nonce=0))


def test_judged_dispute_takes_no_frame(kit: Kit) -> None:
    world = world_at(kit, "pinned")
    world.must(world.new_dispute(), world.open_dispute(world.game), signers=[OPPONENT])
    world.patch(world.dispute, DISPUTE.offsets["verdict"], struct.pack("<I", 2))
    refused(world, "Judged", world.load(world.game, 4))


def test_sessions_of_other_games_are_told_apart(world: World) -> None:
    other = replace(world.game, address=world.game.scratch)
    refused(world, "WrongLength", world.submit(other, 0, 1, IDLE))


def test_every_error_is_provoked() -> None:
    """By an exploit, or above: WrongVersion alone needs an account of another version of the program."""
    assert set(ERRORS) - {exploit.error for exploit in EXPLOITS} == {"WrongVersion"}
