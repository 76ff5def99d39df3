"""Risks of this program on the base chain: delegation, undelegation, disputes."""

import os
import struct
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.security.harness import World
from tests.security.kit import CREATOR, DISPUTED, OPPONENT, PLAYED, PROGRAM, STRANGER, VALIDATOR
from tests.security.registry import exploit
from tests.security.sealevel import ELSEWHERE, ROGUE, stranger_game
from tests.security.world_risks import false_records
from wm_export.schema.accounts import DISPUTE, SESSION, STATUSES
from wm_export.schema.instruction_set import UNDELEGATION
from wm_live.chain.addresses import (
    DELEGATION_PROGRAM,
    SYSTEM_PROGRAM,
    delegation_metadata,
    delegation_record,
    undelegate_buffer,
)
from wm_live.localnet.base_chain.genesis import FEES_VAULT, rollup_accounts
from wm_live.localnet.servers import rollup_home

#: Offset of DLP's mark that the validator has asked for undelegation: behind tag and nonce.
UNDELEGATABLE = 16
FRAME_AT = "frame"


@cache
def delegation_program() -> bytes:
    """The real DLP; skips where there is none."""
    folders = [os.environ.get("WMQ_PLATFORM_PROGRAMS"), str(rollup_home() / "programs")]
    for folder in filter(None, folders):
        path = Path(folder) / f"{DELEGATION_PROGRAM}.so"
        if path.is_file():
            return path.read_bytes()
    pytest.skip(f"no {DELEGATION_PROGRAM}.so in WMQ_PLATFORM_PROGRAMS or {rollup_home()}: make rollup")


def with_platform(world: World) -> None:
    """The real DLP, and the vaults of a validator that its administrators have admitted."""
    world.svm.add_program(DELEGATION_PROGRAM, delegation_program())
    for address, account in rollup_accounts(VALIDATOR.pubkey()).items():
        world.put(address, account)


def undelegate(world: World, address: Pubkey, payer: Pubkey) -> Instruction:
    """DLP's `undelegate`, as the validator sends it."""
    find = Pubkey.find_program_address
    state, record = (
        find([tag, bytes(address)], DELEGATION_PROGRAM)[0] for tag in (b"state-diff", b"commit-state-record")
    )
    vault = find([b"v-fees-vault", bytes(VALIDATOR.pubkey())], DELEGATION_PROGRAM)[0]
    metas = [
        AccountMeta(VALIDATOR.pubkey(), True, True),
        AccountMeta(address, False, True),
        AccountMeta(PROGRAM, False, False),
        AccountMeta(undelegate_buffer(address), False, True),
        AccountMeta(state, False, False),
        AccountMeta(record, False, False),
        AccountMeta(delegation_record(address), False, True),
        AccountMeta(delegation_metadata(address), False, True),
        AccountMeta(payer, False, True),
        AccountMeta(FEES_VAULT, False, True),
        AccountMeta(vault, False, True),
        AccountMeta(SYSTEM_PROGRAM, False, False),
    ]
    return Instruction(DELEGATION_PROGRAM, struct.pack("<Q", 3), metas)


def committed(world: World, data: bytes) -> None:
    """The session is delegated, and its validator has committed these bytes and asked for undelegation."""
    world.must(world.delegate(world.game), signers=[CREATOR])
    world.patch(world.game.address, 0, data)
    world.patch(delegation_metadata(world.game.address), UNDELEGATABLE, b"\x01")


def callback(account: Pubkey, buffer: Keypair | Pubkey, signs: bool = True) -> Instruction:
    """DLP's callback, sent by somebody else."""
    key = buffer if isinstance(buffer, Pubkey) else buffer.pubkey()
    metas = [
        AccountMeta(account, False, True),
        AccountMeta(key, signs, True),
        AccountMeta(STRANGER.pubkey(), True, True),
        AccountMeta(SYSTEM_PROGRAM, False, False),
    ]
    return Instruction(PROGRAM, UNDELEGATION + struct.pack("<I", 0), metas)


def forged_session(world: World) -> tuple[Pubkey, bytes]:
    """A session of the stranger's that was never created, with a Frame of the stranger's choice."""
    game = stranger_game(world, started=False)
    data = bytearray(world.data(world.game.address))
    at = SESSION.offsets
    data[at["creator"] : at["creator"] + 32] = bytes(STRANGER.pubkey())
    struct.pack_into("<Q", data, at["id"], game.number)
    seeds = [b"session", bytes(world.model), bytes(STRANGER.pubkey()), struct.pack("<Q", game.number)]
    struct.pack_into("<I", data, at["bump"], Pubkey.find_program_address(seeds, PROGRAM)[1])
    struct.pack_into("<QII", data, at["frame_number"], 10**6, 0, STATUSES.index("started"))
    return game.address, bytes(data)


def _forge(world: World, owner: Pubkey, signs: bool = True) -> bool:
    address, data = forged_session(world)
    world.put(ROGUE.pubkey(), Account(10**9, data, owner))
    signers = [STRANGER, ROGUE] if signs else [STRANGER]
    return world.attack(callback(address, ROGUE, signs), signers=signers) and world.data(address) == data


@exploit("forged undelegation", "played", "WrongAccount")
def session_minted_from_a_delegated_account_of_the_attackers(world: World) -> bool:
    """Anyone can delegate an account of their own, with bytes of their choice, and sign for it."""
    return _forge(world, DELEGATION_PROGRAM)


@exploit("forged undelegation", "played", "InvalidAccountOwner", also=["WrongAccount"])
def session_minted_by_another_program(world: World) -> bool:
    return _forge(world, ELSEWHERE)


@exploit("forged undelegation", "played", "MissingRequiredSignature", also=["WrongAccount"])
def session_minted_without_a_signature(world: World) -> bool:
    return _forge(world, DELEGATION_PROGRAM, signs=False)


SEEDS = "the program signs with the seeds in the bytes, which are then another account's"


@exploit("forged undelegation", "played", "WrongAccount", behind=SEEDS)
def session_with_a_creator_of_the_operators(world: World) -> bool:
    with_platform(world)
    data = bytearray(world.data(world.game.address))
    at = SESSION.offsets["creator"]
    data[at : at + 32] = bytes(STRANGER.pubkey())
    committed(world, bytes(data))
    return world.attack(undelegate(world, world.game.address, CREATOR.pubkey()), signers=[VALIDATOR])


@exploit("forged undelegation", "played", "WrongAccount", behind=SEEDS)
def session_with_the_bytes_of_another(world: World) -> bool:
    other = stranger_game(world)
    with_platform(world)
    committed(world, world.data(other.address))
    return world.attack(undelegate(world, world.game.address, CREATOR.pubkey()), signers=[VALIDATOR])


@exploit("forged undelegation", "played", "WrongTag", behind=SEEDS)
def session_with_the_bytes_of_nothing(world: World) -> bool:
    with_platform(world)
    committed(world, bytes(world.kit.where.session_bytes))
    return world.attack(undelegate(world, world.game.address, CREATOR.pubkey()), signers=[VALIDATOR])


@exploit("foreign delegation", "joined", "WrongAuthority")
def session_delegated_by_a_stranger(world: World) -> bool:
    with_platform(world)
    passed = world.attack(world.delegate(world.game, STRANGER), signers=[STRANGER])
    return passed and world.account(world.game.address).owner == DELEGATION_PROGRAM


@exploit("foreign delegation", "open", "WrongStatus")
def session_delegated_before_the_other_has_joined(world: World) -> bool:
    with_platform(world)
    passed = world.attack(world.delegate(world.game), signers=[CREATOR])
    return passed and world.account(world.game.address).owner == DELEGATION_PROGRAM


# disputes


def _judge(world: World, record: bytes, leaf: int = 0) -> bool:
    steps = range(len(world.kit.export.manifest.plan))
    return all(world.attack(world.judge(world.game, step, record, leaf)) for step in steps)


@exploit("false verdict", "disputed", "WrongProof")
def honest_frame_judged_by_a_record_of_the_disputers(world: World) -> bool:
    return _judge(world, false_records(world)[0]) and world.verdict() == 2


@exploit("false verdict", "disputed", "WrongProof")
def another_frame_judged_than_proved(world: World) -> bool:
    leaf = DISPUTED + world.kit.slots + 1
    return _judge(world, world.game.log[leaf], leaf) and world.verdict() == 2


@exploit("false verdict", "played", "WrongProof")
def window_of_a_dispute_made_up(world: World) -> bool:
    world.must(world.new_dispute(), world.open_dispute(world.game), signers=[OPPONENT])
    pairs = enumerate(false_records(world)[: world.kit.slots])
    loaded = [world.attack(world.load(world.game, DISPUTED + i, record)) for i, record in pairs]
    return all(loaded) and _judge(world, world.game.log[DISPUTED + world.kit.slots]) and world.verdict() == 2


@exploit("false verdict", "played", "WrongStep")
def window_of_a_dispute_in_another_order(world: World) -> bool:
    world.must(world.new_dispute(), world.open_dispute(world.game), signers=[OPPONENT])
    order = range(DISPUTED + world.kit.slots - 1, DISPUTED - 1, -1)
    loaded = [world.attack(world.load(world.game, leaf)) for leaf in order]
    return all(loaded) and _judge(world, world.game.log[DISPUTED + world.kit.slots]) and world.verdict() == 2


@exploit("false verdict", "played", "WindowMissing")
def frame_judged_from_an_empty_window(world: World) -> bool:
    world.must(world.new_dispute(), world.open_dispute(world.game), signers=[OPPONENT])
    return _judge(world, world.game.log[DISPUTED + world.kit.slots]) and world.verdict() == 2


@exploit("false verdict", "played", "WrongProof")
def dispute_over_a_tree_of_the_disputers(world: World) -> bool:
    log = (*world.game.log[:-PLAYED], *false_records(world), *world.game.log)[: len(world.game.log)]
    game = replace(world.game, log=log)
    passed = world.attack(world.new_dispute(), world.open_dispute(game), signers=[OPPONENT])
    return passed and world.data(world.dispute)[DISPUTE.offsets["session"] :][:32] == bytes(game.address)


@exploit("false verdict", "played", "WrongFrame")
def dispute_over_a_frame_that_was_not_committed(world: World) -> bool:
    opened = world.open_dispute(world.game, PLAYED)
    return world.attack(world.new_dispute(), opened, signers=[OPPONENT]) and world.exists(world.dispute)


@exploit("false verdict", "joined", "WrongStatus", also=["WrongFrame", "WrongProof"])
def dispute_before_the_start(world: World) -> bool:
    opened = world.open_dispute(replace(world.game, log=world.kit.seeds), 0)
    return world.attack(world.new_dispute(), opened, signers=[OPPONENT]) and world.exists(world.dispute)


@exploit("false verdict", "started", "WrongAccount")
def dispute_with_a_model_that_is_not_the_sessions(world: World) -> bool:
    """It has the same bytes, being frozen; but a session names its own."""
    model = world.create_model(STRANGER)
    world.upload(STRANGER, model)
    world.freeze(STRANGER, model)
    world.game = world.play(world.game)
    opened = world.open_dispute(world.game, 0, model=model)
    return world.attack(world.new_dispute(), opened, signers=[OPPONENT]) and world.exists(world.dispute)


@exploit("verdict overwritten", "judged", "Judged", also=["WrongStep", "WrongProof"])
def verdict_overwritten(world: World) -> bool:
    return _judge(world, false_records(world)[0]) and world.verdict() == 2


@exploit("verdict overwritten", "disputed", "WrongStep")
def step_of_a_verdict_left_out(world: World) -> bool:
    last = len(world.kit.export.manifest.plan) - 1
    return world.attack(world.judge(world.game, last)) and world.verdict() == 2


@exploit("dispute of another", "judged", "WrongAuthority")
def dispute_closed_by_a_stranger(world: World) -> bool:
    before = world.lamports(STRANGER)
    one = world.make("close_dispute", {"disputer": STRANGER.pubkey(), "dispute": world.dispute})
    return world.attack(one, signers=[STRANGER]) and world.lamports(STRANGER) > before


@exploit("dispute of another", "disputed", "WrongAccount", also=["WrongStep", "WrongProof"])
def window_of_another_session_loaded_into_a_dispute(world: World) -> bool:
    mine = stranger_game(world)
    return world.attack(world.load(mine, 0))
