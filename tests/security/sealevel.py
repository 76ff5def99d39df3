"""The eleven classes of sealevel-attacks, tried on this program."""

from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.system_program import TransferParams, transfer

from tests.records import INPUT_BYTES
from tests.security.harness import World
from tests.security.kit import CREATOR, KEYS, NOW, OPPONENT, PROGRAM, PUBLISHER, STRANGER, Game, keypair
from tests.security.registry import exploit
from wm_export.schema.accounts import DISPUTE, MODEL
from wm_live.chain.addresses import delegation_record, pin_address

ELSEWHERE = Pubkey.from_bytes(bytes([0x66]) * 32)
ROGUE = keypair("rogue")


def changed(one: Instruction, index: int, signer: bool | None = None, key: Pubkey | None = None) -> Instruction:
    """An instruction with one account replaced, or without its signature."""
    metas = list(one.accounts)
    old = metas[index]
    metas[index] = AccountMeta(key or old.pubkey, old.is_signer if signer is None else signer, old.is_writable)
    return Instruction(one.program_id, one.data, metas)


# 0 signer authorization


@exploit("missing signer", "started", "MissingRequiredSignature")
def input_without_the_players_signature(world: World) -> bool:
    one = world.submit(world.game, 0, 0, bytes(INPUT_BYTES))
    return world.attack(changed(one, 0, signer=False)) and bool(input_waits(world, 0, 0))


@exploit("missing signer", "played", "MissingRequiredSignature")
def end_in_the_creators_name(world: World) -> bool:
    return world.attack(changed(world.end(world.game), 0, signer=False)) and world.state().status == "ended"


@exploit("missing signer", "open", "MissingRequiredSignature")
def seat_taken_in_anothers_name(world: World) -> bool:
    one = changed(world.join(world.game), 0, signer=False)
    return world.attack(one) and world.state().players[1].wallet == OPPONENT.pubkey()


@exploit("missing signer", "started", "MissingRequiredSignature")
def session_key_set_without_the_wallet(world: World) -> bool:
    accounts = {"player": CREATOR.pubkey(), "session": world.game.address}
    key = bytes(STRANGER.pubkey())
    one = world.make("set_key", accounts, player=0, key=key, expires=NOW + 60)
    return world.attack(changed(one, 0, signer=False)) and bytes(world.state().players[0].key) == key


@exploit("missing signer", "uploaded", "MissingRequiredSignature")
def upload_thrown_away_by_a_stranger(world: World) -> bool:
    one = world.make("close_model", world.owned(PUBLISHER, world.model))
    return world.attack(changed(one, 0, signer=False)) and not world.exists(world.model)


@exploit("missing signer", "judged", "MissingRequiredSignature")
def verdict_removed_by_a_stranger(world: World) -> bool:
    one = world.make("close_dispute", {"disputer": OPPONENT.pubkey(), "dispute": world.dispute})
    return world.attack(changed(one, 0, signer=False)) and not world.exists(world.dispute)


# 1 account data matching


def false_model(world: World) -> Pubkey:
    """A model of the stranger's, of this manifest, whose weights are another's; it cannot be frozen."""
    model = world.create_model(STRANGER)
    blob = bytes(len(world.kit.export.blob))
    world.upload(STRANGER, model, blob)
    return model


@exploit("account data matching", "started", "WrongAccount")
def step_with_weights_of_the_attackers(world: World) -> bool:
    model = false_model(world)
    world.submit_both(world.game, 0)
    steps = range(len(world.kit.export.manifest.plan))
    passed = [world.attack(world.step(world.game, 0, step, model=model)) for step in steps]
    return all(passed) and world.state().frame_number == 1


@exploit("account data matching", "started", "WrongAccount")
def step_with_the_window_of_another_session(world: World) -> bool:
    other = stranger_game(world)
    world.submit_both(world.game, 0)
    steps = range(len(world.kit.export.manifest.plan))
    passed = [world.attack(world.step(world.game, 0, step, scratch=other.scratch)) for step in steps]
    return all(passed) and world.state().frame_number == 1


# 2 owner checks


@exploit("wrong owner", "frozen", "InvalidAccountOwner")
def session_on_a_forged_model(world: World) -> bool:
    true = world.account(world.model)
    at = world.kit.where.model["blob"].offset
    forged = true.data[:at] + bytes(len(true.data) - at)
    world.put(ROGUE.pubkey(), Account(true.lamports, forged, ELSEWHERE))
    game = stranger_game(world, started=False, model=ROGUE.pubkey())
    return world.attack(world.create(game), signers=[STRANGER]) and world.exists(game.address)


@exploit("wrong owner", "played", "InvalidAccountOwner", also=["WrongAccount"])
def forged_session_pinned(world: World) -> bool:
    true = world.account(world.game.address)
    world.put(ROGUE.pubkey(), Account(true.lamports, true.data, ELSEWHERE))
    at = pin_address(PROGRAM, ROGUE.pubkey(), OPPONENT.pubkey(), world.state().root)
    one = world.pin(world.game, session=ROGUE.pubkey(), pin=at)
    return world.attack(one, signers=[OPPONENT]) and world.exists(at)


@exploit("wrong owner", "pinned", "InvalidAccountOwner")
def verdict_on_a_forged_pin(world: World) -> bool:
    true = world.account(world.pinned(world.game))
    world.put(ROGUE.pubkey(), Account(true.lamports, true.data, ELSEWHERE))
    opened = world.open_dispute(world.game, pin=ROGUE.pubkey())
    return world.attack(world.new_dispute(), opened, signers=[OPPONENT]) and world.exists(world.dispute)


# 3 type cosplay


@exploit("type cosplay", "frozen", "WrongLength", also=["WrongTag"])
def frozen_model_closed_as_if_it_were_a_dispute(world: World) -> bool:
    assert MODEL.offsets["authority"] == DISPUTE.offsets["disputer"]
    before = world.lamports(PUBLISHER)
    one = world.make("close_dispute", {"disputer": PUBLISHER.pubkey(), "dispute": world.model})
    return world.attack(one, signers=[PUBLISHER]) and world.lamports(PUBLISHER) > before


@exploit(
    "type cosplay",
    "frozen",
    "WrongTag",
    also=["WrongVersion", "WrongLength", "WrongManifest", "WrongAccount", "WrongAuthority"],
)
def account_without_a_kind_closed_as_a_session(world: World) -> bool:
    world.must(world.new_account(OPPONENT, "victim", world.kit.where.session_bytes), signers=[OPPONENT])
    victim = Pubkey.create_with_seed(OPPONENT.pubkey(), "victim", PROGRAM)
    accounts = {"creator": STRANGER.pubkey(), "session": victim, "record": delegation_record(victim)}
    one = world.make("close_session", accounts)
    return world.attack(one, signers=[STRANGER]) and not world.exists(victim)


# 4 initialization


@exploit("initialization", "judged", "NotEmpty")
def dispute_taken_over_by_opening_it_again(world: World) -> bool:
    before = world.lamports(STRANGER)
    opened = world.open_dispute(world.game, who=STRANGER)
    closed = world.make("close_dispute", {"disputer": STRANGER.pubkey(), "dispute": world.dispute})
    return world.attack(opened, closed, signers=[STRANGER]) and world.lamports(STRANGER) > before


@exploit("initialization", "played", "NotEmpty", behind="the system program makes no account twice")
def session_created_again(world: World) -> bool:
    return world.attack(world.create(world.game), signers=[CREATOR]) and world.state().frame_number == 0


# 5 arbitrary CPI


CONSTANT = "programs that are called are constants; the account is there for the runtime only"


@exploit("arbitrary CPI", "joined", "WrongProgram", behind=CONSTANT)
def fake_delegation_program(world: World) -> bool:
    one = changed(world.delegate(world.game), 7, key=ELSEWHERE)
    return world.attack(one, signers=[CREATOR])


@exploit("arbitrary CPI", "started", "WrongProgram", behind=CONSTANT)
def fake_magic_program(world: World) -> bool:
    one = world.make("commit_session", {"party": CREATOR.pubkey(), "session": world.game.address})
    return world.attack(changed(one, 3, key=ELSEWHERE), signers=[CREATOR])


@exploit("arbitrary CPI", "ended", "WrongProgram", behind=CONSTANT)
def fake_vault_of_the_rollup(world: World) -> bool:
    accounts = {"party": CREATOR.pubkey(), "session": world.game.address, "scratch": world.game.scratch}
    one = world.make("close_scratch", accounts)
    return world.attack(changed(one, 3, key=ELSEWHERE), signers=[CREATOR])


@exploit("arbitrary CPI", "frozen", "WrongProgram", behind=CONSTANT)
def session_created_by_a_fake_system_program(world: World) -> bool:
    one = changed(world.create(world.game), 3, key=ELSEWHERE)
    return world.attack(one, signers=[CREATOR]) and world.exists(world.game.address)


@exploit("arbitrary CPI", "played", "WrongProgram", behind=CONSTANT)
def commit_pinned_by_a_fake_system_program(world: World) -> bool:
    one = changed(world.pin(world.game), 3, key=ELSEWHERE)
    return world.attack(one, signers=[OPPONENT]) and world.exists(world.pinned(world.game))


@exploit("arbitrary CPI", "joined", "WrongProgram", behind=CONSTANT)
def session_delegated_by_a_fake_system_program(world: World) -> bool:
    one = changed(world.delegate(world.game), 6, key=ELSEWHERE)
    return world.attack(one, signers=[CREATOR])


# 6 duplicate mutable accounts


@exploit(
    "duplicate mutable accounts",
    "joined",
    "SameAccount",
    also=["WrongLength", "WrongTag", "WrongAccount"],
)
def session_that_is_its_own_scratch_account(world: World) -> bool:
    one = changed(world.seed(world.game, 0), 2, key=world.game.address)
    before = world.data(world.game.address)
    end = world.kit.where.session["inputs"].offset
    return world.attack(one, signers=[CREATOR]) and world.data(world.game.address)[:end] != before[:end]


@exploit(
    "duplicate mutable accounts", "played", "SameAccount", behind="the runtime counts all lamports before and after"
)
def dispute_closed_into_itself(world: World) -> bool:
    world.must(world.pin(world.game), signers=[OPPONENT])
    size = world.kit.where.dispute_bytes
    world.zeroed(ROGUE.pubkey(), size)
    opened = world.open_dispute(world.game, who=ROGUE, dispute=ROGUE.pubkey())
    world.must(opened, signers=[ROGUE])
    before = world.account(ROGUE.pubkey()).lamports
    one = world.make("close_dispute", {"disputer": ROGUE.pubkey(), "dispute": ROGUE.pubkey()})
    return world.attack(one, signers=[ROGUE]) and world.account(ROGUE.pubkey()).lamports > before


# 7 bump seed canonicalization


@exploit("bump canonicalization", "frozen", "WrongAccount", behind="the program signs for the canonical address only")
def second_address_of_the_same_session(world: World) -> bool:
    one = world.create(world.game)
    return world.attack(changed(one, 1, key=other_bump(world)), signers=[CREATOR])


def other_bump(world: World) -> Pubkey:
    """The address of the creator's session under the next bump below the canonical one."""
    seeds = [b"session", bytes(world.model), bytes(CREATOR.pubkey()), world.game.terms.hash]
    _, bump = Pubkey.find_program_address(seeds, PROGRAM)
    for lower in range(bump - 1, -1, -1):
        try:
            return Pubkey.create_program_address([*seeds, bytes([lower])], PROGRAM)
        except Exception:  # on the curve: no program address
            continue
    raise AssertionError("no second bump")


# 8 PDA sharing


@exploit("PDA sharing", "started", "WrongAccount")
def scratch_account_of_another_session_claimed(world: World) -> bool:
    mine = stranger_game(world, started=False)
    world.must(world.create(mine), signers=[STRANGER])
    world.must(world.join(mine), signers=[OPPONENT])
    one = changed(world.open_window(mine), 2, key=world.game.scratch)
    world.submit_both(world.game, 0)
    return world.attack(one, signers=[STRANGER]) and world.send(world.step(world.game, 0, 0)).error != ""


# 9 closing accounts


@exploit(
    "revive after close",
    "ended",
    "InvalidAccountOwner",
    also=[
        "WrongLength",
        "WrongTag",
        "WrongVersion",
        "WrongManifest",
        "WrongAccount",
        "WrongAuthority",
        "WrongStatus",
        "WrongTerms",
    ],
    behind="the runtime lets a program write only what it owns, and a closed account is the system's",
)
def session_used_after_its_rent_was_paid_out(world: World) -> bool:
    game = world.game
    refund = transfer(TransferParams(from_pubkey=STRANGER.pubkey(), to_pubkey=game.address, lamports=10**8))
    revived = world.attack(world.close(game), refund, world.join(game, STRANGER), signers=[CREATOR, STRANGER])
    return revived and world.exists(game.address)


@exploit("revive after close", "joined", "ModelFrozen")
def frozen_model_closed_while_sessions_use_it(world: World) -> bool:
    one = world.make("close_model", world.owned(PUBLISHER, world.model))
    return world.attack(one, signers=[PUBLISHER]) and not world.exists(world.model)


@exploit("revive after close", "played", "WrongStatus")
def session_closed_while_it_is_played(world: World) -> bool:
    return world.attack(world.close(world.game), signers=[CREATOR]) and not world.exists(world.game.address)


# 10 sysvar address checking


@exploit(
    "fake sysvar",
    "started",
    "NotEnoughAccountKeys",
    behind="no instruction takes a sysvar, or one account more than it names: the clock is asked for",
    fixed=True,
)
def forged_clock_given_to_an_expired_key(world: World) -> bool:
    one = world.submit(world.game, 0, 0, bytes(INPUT_BYTES), KEYS[0])
    world.set_time(NOW + 7200)
    clock = AccountMeta(Pubkey.from_string("SysvarC1ock11111111111111111111111111111111"), False, False)
    forged = Instruction(one.program_id, one.data, [*one.accounts, clock])
    return world.attack(forged, signers=[KEYS[0]])


def stranger_game(world: World, started: bool = True, model: Pubkey | None = None) -> Game:
    """A session of the stranger's, with OPPONENT as the other player."""
    game = world.new_game(STRANGER, model=model, number=7)
    if not started:
        return game
    world.must(world.create(game), signers=[STRANGER])
    world.must(world.join(game), signers=[OPPONENT])
    return world.started(game)


def input_waits(world: World, player: int, frame: int) -> bytes:
    """The word of the ring in which a player's input for a frame waits, empty if none does."""
    at = world.kit.where.session["inputs"].offset + 8 * (2 * (frame % 8) + player)
    word = world.data(world.game.address)[at : at + 8]
    return word if any(word) else b""
