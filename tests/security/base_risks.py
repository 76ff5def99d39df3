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
from tests.security.sealevel import CONSTANT, ELSEWHERE, ROGUE, stranger_game
from tests.security.world_risks import false_records
from wm_export.schema.accounts import DISPUTE, PIN, SESSION, STATUSES
from wm_export.schema.instruction_set import UNDELEGATION
from wm_live.chain.addresses import (
    DELEGATION_PROGRAM,
    SYSTEM_PROGRAM,
    delegation_metadata,
    delegation_record,
    pin_address,
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
    old = world.account(world.game.address)
    world.put(world.game.address, Account(old.lamports, data, old.owner))
    world.patch(delegation_metadata(world.game.address), UNDELEGATABLE, b"\x01")


def callback(account: Pubkey, buffer: Pubkey, signs: bool = True, system: Pubkey = SYSTEM_PROGRAM) -> Instruction:
    """DLP's callback, sent by somebody else."""
    metas = [
        AccountMeta(account, False, True),
        AccountMeta(buffer, signs, True),
        AccountMeta(STRANGER.pubkey(), True, True),
        AccountMeta(system, False, False),
    ]
    return Instruction(PROGRAM, UNDELEGATION + struct.pack("<I", 0), metas)


def forged_session(world: World) -> tuple[Pubkey, bytes]:
    """A session of the stranger's that was never created, with a Frame of the stranger's choice."""
    game = stranger_game(world, started=False)
    data = bytearray(world.data(world.game.address))
    at = SESSION.offsets
    data[at["creator"] : at["creator"] + 32] = bytes(STRANGER.pubkey())
    struct.pack_into("<Q", data, at["id"], game.terms.number)
    seeds = [b"session", bytes(world.model), bytes(STRANGER.pubkey()), game.terms.hash]
    struct.pack_into("<I", data, at["bump"], Pubkey.find_program_address(seeds, PROGRAM)[1])
    struct.pack_into("<QII", data, at["frame_number"], 10**6, 0, STATUSES.index("started"))
    return game.address, bytes(data)


def _forge(world: World, owner: Pubkey, signs: bool = True) -> bool:
    address, data = forged_session(world)
    world.put(ROGUE.pubkey(), Account(10**9, data, owner))
    signers = [STRANGER, ROGUE] if signs else [STRANGER]
    one = callback(address, ROGUE.pubkey(), signs)
    return world.attack(one, signers=signers) and world.data(address) == data


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


@exploit("forged undelegation", "played", "MissingRequiredSignature", also=["WrongAccount"])
def session_minted_from_the_buffer_of_another(world: World) -> bool:
    """DLP's own account, which it fills with what the attacker's validator has committed to an account of theirs."""
    address, data = forged_session(world)
    buffer = undelegate_buffer(ELSEWHERE)
    world.put(buffer, Account(10**9, data, DELEGATION_PROGRAM))
    one = callback(address, buffer, signs=False)
    return world.attack(one, signers=[STRANGER]) and world.data(address) == data


@exploit("arbitrary CPI", "played", "WrongProgram", also=["WrongAccount"], behind=CONSTANT)
def session_minted_through_a_fake_system_program(world: World) -> bool:
    address, data = forged_session(world)
    world.put(ROGUE.pubkey(), Account(10**9, data, DELEGATION_PROGRAM))
    one = callback(address, ROGUE.pubkey(), system=ELSEWHERE)
    return world.attack(one, signers=[STRANGER, ROGUE]) and world.exists(address)


SEEDS = "the program signs with the seeds in the bytes, which are then another account's"


@exploit("forged undelegation", "played", "WrongAccount", behind=SEEDS)
def session_with_a_creator_of_the_operators(world: World) -> bool:
    with_platform(world)
    data = bytearray(world.data(world.game.address))
    at = SESSION.offsets["creator"]
    data[at : at + 32] = bytes(STRANGER.pubkey())
    committed(world, bytes(data))
    return world.attack(undelegate(world, world.game.address, CREATOR.pubkey()), signers=[VALIDATOR])


def _bent(world: World, field: str, value: bytes) -> bool:
    with_platform(world)
    data = bytearray(world.data(world.game.address))
    data[SESSION.place(field)] = value
    committed(world, bytes(data))
    return world.attack(undelegate(world, world.game.address, CREATOR.pubkey()), signers=[VALIDATOR])


@exploit("forged undelegation", "played", "WrongAccount", behind=SEEDS)
def session_given_back_with_another_validator(world: World) -> bool:
    return _bent(world, "validator", bytes(STRANGER.pubkey()))


@exploit("forged undelegation", "played", "WrongAccount", behind=SEEDS)
def session_given_back_with_another_window(world: World) -> bool:
    return _bent(world, "start", bytes([5]) * 32)


@exploit("forged undelegation", "played", "WrongAccount", behind=SEEDS)
def session_given_back_with_other_ids(world: World) -> bool:
    return _bent(world, "ids", struct.pack("<4H", 1, 1, 1, 0))


@exploit("forged undelegation", "played", "WrongAccount", behind=SEEDS)
def session_given_back_with_another_opponent(world: World) -> bool:
    return _bent(world, "opponent", bytes(STRANGER.pubkey()))


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


def emptied(world: World) -> None:
    """The operator has committed no bytes at all; DLP gives such an account back without asking the program."""
    old = world.account(world.game.address)
    world.put(world.game.address, Account(old.lamports, b"", PROGRAM))


def close_empty(world: World, who: Keypair) -> Instruction:
    accounts = {"creator": who.pubkey(), "session": world.game.address, "model": world.model}
    return world.make("close_empty", accounts, terms=world.game.terms.hash)


@exploit("close by a stranger", "played", "WrongAccount")
def empty_session_closed_by_a_stranger(world: World) -> bool:
    emptied(world)
    before = world.lamports(STRANGER)
    return world.attack(close_empty(world, STRANGER), signers=[STRANGER]) and world.lamports(STRANGER) > before


@exploit("close by a stranger", "played", "NotEmpty")
def session_closed_as_if_it_were_empty(world: World) -> bool:
    return world.attack(close_empty(world, CREATOR), signers=[CREATOR]) and not world.exists(world.game.address)


@exploit(
    "revive after close",
    "ended",
    "Delegated",
)
def session_closed_on_the_rollup(world: World) -> bool:
    """There it looks like any other of the program; the base chain would still have it delegated."""
    world.put(delegation_record(world.game.address), Account(10**6, bytes(96), DELEGATION_PROGRAM))
    return world.attack(world.close(world.game), signers=[CREATOR]) and not world.exists(world.game.address)


@exploit("revive after close", "ended", "WrongAccount")
def session_closed_on_the_rollup_with_another_record(world: World) -> bool:
    world.put(delegation_record(world.game.address), Account(10**6, bytes(96), DELEGATION_PROGRAM))
    accounts = {"creator": CREATOR.pubkey(), "session": world.game.address, "record": ELSEWHERE}
    one = world.make("close_session", accounts)
    return world.attack(one, signers=[CREATOR]) and not world.exists(world.game.address)


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


@exploit("false verdict", "pinned", "WrongProof")
def window_of_a_dispute_made_up(world: World) -> bool:
    world.must(world.new_dispute(), world.open_dispute(world.game), signers=[OPPONENT])
    pairs = enumerate(false_records(world)[: world.kit.slots])
    loaded = [world.attack(world.load(world.game, DISPUTED + i, record)) for i, record in pairs]
    return all(loaded) and _judge(world, world.game.log[DISPUTED + world.kit.slots]) and world.verdict() == 2


@exploit("false verdict", "pinned", "WrongStep")
def window_of_a_dispute_in_another_order(world: World) -> bool:
    world.must(world.new_dispute(), world.open_dispute(world.game), signers=[OPPONENT])
    order = range(DISPUTED + world.kit.slots - 1, DISPUTED - 1, -1)
    loaded = [world.attack(world.load(world.game, leaf)) for leaf in order]
    return all(loaded) and _judge(world, world.game.log[DISPUTED + world.kit.slots]) and world.verdict() == 2


@exploit("false verdict", "pinned", "WindowMissing")
def frame_judged_from_an_empty_window(world: World) -> bool:
    world.must(world.new_dispute(), world.open_dispute(world.game), signers=[OPPONENT])
    return _judge(world, world.game.log[DISPUTED + world.kit.slots]) and world.verdict() == 2


@exploit("false verdict", "pinned", "WrongProof")
def dispute_over_a_tree_of_the_disputers(world: World) -> bool:
    log = (*world.game.log[:-PLAYED], *false_records(world), *world.game.log)[: len(world.game.log)]
    game = replace(world.game, log=log)
    opened = world.open_dispute(game, pin=world.pinned(world.game))
    passed = world.attack(world.new_dispute(), opened, signers=[OPPONENT])
    return passed and world.data(world.dispute)[DISPUTE.offsets["session"] :][:32] == bytes(game.address)


@exploit("false verdict", "pinned", "WrongFrame")
def dispute_over_a_frame_that_was_not_committed(world: World) -> bool:
    opened = world.open_dispute(world.game, PLAYED)
    return world.attack(world.new_dispute(), opened, signers=[OPPONENT]) and world.exists(world.dispute)


@exploit("false verdict", "joined", "WrongStatus")
def nothing_pinned_as_a_commit(world: World) -> bool:
    at = pin_address(PROGRAM, world.game.address, OPPONENT.pubkey(), bytes(32))
    return world.attack(world.pin(world.game), signers=[OPPONENT]) and world.exists(at)


@exploit("false verdict", "played", "WrongProof")
def root_pinned_that_was_not_committed(world: World) -> bool:
    game = replace(world.game, log=(*world.game.log[:-PLAYED], *false_records(world)))
    one = world.pin(game, root=game.tree.root())
    return world.attack(one, signers=[OPPONENT]) and world.exists(world.pinned(game))


@exploit("false verdict", "played", "WrongFrame")
def more_leaves_pinned_than_a_tree_has(world: World) -> bool:
    world.patch(world.game.address, SESSION.offsets["frame_number"], struct.pack("<Q", 2**64 - 1))
    return world.attack(world.pin(world.game), signers=[OPPONENT]) and world.exists(world.pinned(world.game))


@exploit("false verdict", "pinned", "NotEmpty", behind="the system program makes no account twice")
def commit_pinned_again(world: World) -> bool:
    return world.attack(world.pin(world.game), signers=[OPPONENT])


@exploit("false verdict", "played", "WrongAccount", behind="the program signs for the pinner's address only")
def pin_at_the_address_of_another(world: World) -> bool:
    return world.attack(world.pin(world.game, pin=world.pinned(world.game, STRANGER)), signers=[OPPONENT])


@exploit("dispute of another", "pinned", "WrongAuthority")
def pin_closed_by_a_stranger(world: World) -> bool:
    before, at = world.lamports(STRANGER), world.pinned(world.game)
    one = world.make("close_pin", {"pinner": STRANGER.pubkey(), "pin": at})
    return world.attack(one, signers=[STRANGER]) and world.lamports(STRANGER) > before


def _framed(world: World, field: str, value: bytes) -> bool:
    """The operator has committed something else than was agreed; a pin of it would be evidence against somebody."""
    world.patch(world.game.address, SESSION.offsets[field], value)
    passed = world.attack(world.pin(world.game), signers=[OPPONENT])
    return passed and PIN.read(world.data(world.pinned(world.game)), "session") == bytes(world.game.address)


@exploit("false verdict", "played", "WrongAccount")
def innocent_validator_named(world: World) -> bool:
    return _framed(world, "validator", bytes(STRANGER.pubkey()))


@exploit("false verdict", "played", "WrongAccount")
def other_window_named(world: World) -> bool:
    return _framed(world, "start", bytes([5]) * 32)


@exploit("false verdict", "played", "WrongAccount")
def other_ids_named(world: World) -> bool:
    return _framed(world, "ids", struct.pack("<H", 1))


@exploit("false verdict", "played", "WrongAccount")
def other_opponent_named(world: World) -> bool:
    return _framed(world, "opponent", bytes(STRANGER.pubkey()))


@exploit("false verdict", "started", "WrongAccount")
def dispute_with_a_model_that_is_not_the_sessions(world: World) -> bool:
    """It has the same bytes, being frozen; but a session names its own."""
    model = world.create_model(STRANGER)
    world.upload(STRANGER, model)
    world.freeze(STRANGER, model)
    world.game = world.play(world.game)
    world.must(world.pin(world.game), signers=[OPPONENT])
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
