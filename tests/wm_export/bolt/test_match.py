"""A match in LiteSVM: every system applied through the real World, and what must not be possible."""

import re
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_metadata import FailedTransactionMetadata

from tests import builds
from tests.wm_export.bolt.conftest import Played, beginnings, refused, system
from wm_export.bolt.component_parity import compare
from wm_export.bolt.lockfile import lockfile
from wm_export.bolt.match_instructions import HEADER_BYTES
from wm_export.bolt.program_addresses import window_address
from wm_export.bolt.svm_match import SvmMatch
from wm_export.bolt.world_client import SYSTEM_PROGRAM, bytes_argument, shown, written
from wm_export.errors import WmExportError
from wm_export.schema.accounts import discriminator
from wm_export.schema.records import Records
from wm_quant.interp import Interpreter

EXAMPLE = Path(__file__).parents[3] / "examples" / "bolt" / "walking"


@pytest.fixture
def loaded(played: Played) -> SvmMatch:
    """A match that stands before a frame."""
    windows, _ = beginnings(played, 1, 1)
    state = Interpreter(played.export.net).begin(windows)
    played.match.load(state, windows.session[0])
    return played.match


def inputs(match: SvmMatch, arguments: bytes = bytes(12)) -> Instruction:
    return match.apply(system(match, "inputs"), arguments)


def test_components_are_what_the_interpreter_computes(played: Played) -> None:
    windows, following = beginnings(played, 4, 6)
    found = compare(played.match, Interpreter(played.export.net), windows, following)
    assert found.outcome.frames == 24 and found.outcome.first is None
    systems = [one.key for one in played.export.sliced.systems]
    assert all([units.system for units in frame] == systems for frame in found.units)
    assert all(0 < units.own < units.total < 400_000 for frame in found.units for units in frame)
    assert 1 <= played.match.transactions <= 3


def test_every_system_runs_once_and_in_order(loaded: SvmMatch) -> None:
    hits, movement = (system(loaded, key) for key in ("hit_detection", "movement"))
    assert "NotItsTurn" in refused(loaded, loaded.apply(hits))
    loaded.send(inputs(loaded))
    assert "NotItsTurn" in refused(loaded, inputs(loaded))
    assert "NotItsTurn" in refused(loaded, loaded.apply(movement))
    loaded.send(loaded.apply(hits))
    assert "NotItsTurn" in refused(loaded, loaded.apply(hits))


def test_a_system_takes_its_own_window_and_weights_only(loaded: SvmMatch) -> None:
    loaded.send(inputs(loaded))
    hits = system(loaded, "hit_detection")
    window, weights = loaded.extras(hits)

    def given(*extras: AccountMeta) -> str:
        return refused(loaded, loaded.apply(hits, extras=extras))

    assert "WrongWeights" in given(window, shown(loaded.weights["movement"]))
    assert "WrongWeights" in given(window, window)
    assert "WrongWindow" in given(weights, weights)
    name = loaded.accounts["combat"]
    data = loaded.data(loaded.window)
    other = data.replace(bytes(name), bytes(loaded.accounts["shield"]))
    loaded.put(loaded.window, other, loaded.programs["inputs"])
    assert "WrongWindow" in given(window, weights)
    loaded.put(loaded.window, data, loaded.programs["inputs"])
    loaded.send(loaded.apply(hits))


def test_sealed_weights_are_not_written(loaded: SvmMatch) -> None:
    address = loaded.weights["movement"]
    accounts = [shown(loaded.payer.pubkey(), signs=True), written(address)]

    def of_weights(name: str, arguments: bytes = b"") -> Instruction:
        return Instruction(loaded.programs["weights"], discriminator("global", name) + arguments, accounts)

    change = of_weights("write", (0).to_bytes(4, "little") + bytes_argument(b"x"))
    assert "Sealed" in refused(loaded, change) and "Sealed" in refused(loaded, of_weights("hash"))
    data = loaded.data(address)
    loaded.put(address, bytes(len(data)), loaded.programs["weights"])
    loaded.send(of_weights("begin"))
    loaded.send(change)
    assert loaded.data(address)[HEADER_BYTES : HEADER_BYTES + 2] == b"x\0"
    beyond = (len(data)).to_bytes(4, "little") + bytes_argument(b"x")
    assert "Outside" in refused(loaded, of_weights("write", beyond))
    movement = system(loaded, "movement")
    assert "WrongWeights" in refused(loaded, loaded.apply(movement))
    loaded.put(address, data, loaded.programs["weights"])


@pytest.mark.parametrize("arguments", [b"", bytes(11), b"\x7f" + bytes(11)])
def test_inputs_are_those_of_a_controller(loaded: SvmMatch, arguments: bytes) -> None:
    assert "WrongArguments" in refused(loaded, inputs(loaded, arguments))


def test_nobody_but_the_delegation_program_makes_a_window(loaded: SvmMatch) -> None:
    entity, program, buffer = Pubkey.new_unique(), loaded.programs["inputs"], Keypair()
    address = window_address(program, entity)
    loaded.put(buffer.pubkey(), loaded.data(loaded.window), SYSTEM_PROGRAM)
    seeds = [b"window", bytes(entity)]
    arguments = len(seeds).to_bytes(4, "little") + b"".join(map(bytes_argument, seeds))
    accounts = [written(address), shown(buffer.pubkey(), signs=True), written(loaded.payer.pubkey(), signs=True)]
    data = discriminator("global", "process_undelegation") + arguments
    forged = Instruction(program, data, [*accounts, shown(SYSTEM_PROGRAM)])
    blockhash = loaded.svm.latest_blockhash()
    message = Message.new_with_blockhash([forged], loaded.payer.pubkey(), blockhash)
    result = loaded.svm.send_transaction(Transaction([loaded.payer, buffer], message, blockhash))
    assert isinstance(result, FailedTransactionMetadata) and "ConstraintSeeds" in "".join(result.meta().logs())
    assert loaded.svm.get_account(address) is None


def test_a_frame_outside_its_range_is_not_taken(loaded: SvmMatch) -> None:
    one = loaded.sliced.components.named("action")
    data = bytearray(loaded.data(loaded.accounts["action"]))
    data[8:12] = (400).to_bytes(4, "little")
    loaded.put(loaded.accounts["action"], bytes(data), loaded.programs[one.crate])
    assert "WrongFrame" in refused(loaded, inputs(loaded))


@pytest.fixture(scope="module")
def walking(played: Played, tmp_path_factory: pytest.TempPathFactory) -> tuple[Pubkey, bytes]:
    """The example's program: its address, and what its workspace makes of it."""
    folder = tmp_path_factory.mktemp("walking")
    workspace = folder / "workspace"
    shutil.copytree(played.export.workspace_folder, workspace)
    shutil.copytree(EXAMPLE, workspace / "programs-ecs" / "systems" / "walking")
    manifest = tomllib.loads((EXAMPLE / "Cargo.toml").read_text())
    lock = lockfile(played.export.workspace.local | {"walking": list(manifest["dependencies"])})
    (workspace / "Cargo.lock").write_text(lock)
    builds.compile_crates(workspace, folder, ["walking"])
    declared = re.search(r'declare_id!\("(\w+)"\)', (EXAMPLE / "src" / "lib.rs").read_text())
    assert declared
    return Pubkey.from_string(declared[1]), (folder / "walking.so").read_bytes()


def test_another_system_takes_the_place_of_one(played: Played, walking: tuple[Pubkey, bytes]) -> None:
    match, (address, elf) = played.match, walking
    game = match.codec.world.game
    frame = np.zeros((2, len(game.state)), np.int32)
    frame[:, game.state_index["on_ground"]] = 1
    windows, _ = beginnings(played, 1, 1)
    state = replace(Interpreter(played.export.net).begin(windows), frame=frame[None])
    match.load(state, windows.session[0])
    match.svm.add_program(address, elf)
    pads = np.zeros((2, len(game.controls)), np.int8)
    pads[0, 0] = 80  # the first player's stick, all to the right
    own = [match.programs[name] for name in ("position", "motion", "combat", "input", "match-clock")]
    for one in match.sliced.systems:
        if one.key == "movement":
            match.send(match.scene.apply(address, own, [shown(match.window)]))
        else:
            match.send(match.apply(one, Records(game).input_bytes(pads) if one.key == "inputs" else b""))
    every = match.sliced.components.every
    values = {one.name: one.unpack(match.data(match.accounts[one.name])) for one in every}
    free = values["combat"]["ruled_hitlag"] <= 0
    walked = np.where(free, [80 * (4096 // 160), 0] + values["motion"]["knockback_x"], 0)
    assert (values["position"]["x"] == walked).all() and values["match_clock"]["frame"] == 1
    match.frame(pads)


def test_a_match_begins_once(played: Played) -> None:
    match, world = played.match, played.export.net.world
    frame = world.game.opening(31, (22, 1)) if world.game.opening else None
    assert frame is not None
    for one in match.sliced.components.every:
        blank = {member.name: np.zeros(member.shape, np.int64) for member in one.members}
        match.put(match.accounts[one.name], one.account(blank, bytes(match.payer.pubkey())), match.programs[one.crate])
    data = match.data(match.window)
    match.put(match.window, data[:8] + bytes(16) + data[24:], match.programs["inputs"])
    assert "NotBegun" in refused(match, inputs(match))
    session = np.array([22, 1, 31])
    with pytest.raises(WmExportError, match="WrongArguments"):
        match.begin(np.array([22, 1, 999]), frame)
    match.begin(session, frame)
    components = match.sliced.components
    values = {one.name: one.unpack(match.data(match.accounts[one.name])) for one in components.every}
    assert (components.frame(values) == frame).all() and values["match_clock"]["frame"] == 0
    with pytest.raises(WmExportError, match="Begun"):
        match.begin(session, frame)
    still = np.zeros((2, len(world.game.controls)), np.int8)
    assert len(match.frame(still)) == len(match.sliced.systems)
