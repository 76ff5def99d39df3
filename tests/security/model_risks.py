"""Risks of this program with models: uploads, freezing, and which model a session or a dispute uses."""

from solders.pubkey import Pubkey

from tests.records import INPUT_BYTES
from tests.security.harness import World
from tests.security.kit import CREATOR, PROGRAM, PUBLISHER, STRANGER
from tests.security.registry import exploit
from tests.security.sealevel import false_model, stranger_game
from wm_export.schema.accounts import MODEL, SESSION
from wm_export.schema.limits import CHUNK_BYTES
from wm_export.solana.layout import chunks


@exploit("wrong model", "started", "WrongManifest")
def session_of_the_model_before_an_upgrade(world: World) -> bool:
    world.patch(world.game.address, SESSION.offsets["manifest"], b"\x01" * 32)
    return world.attack(world.submit(world.game, 0, 0, bytes(INPUT_BYTES)), signers=[CREATOR])


@exploit("wrong model", "frozen", "ModelNotFrozen")
def session_on_a_model_that_can_still_change(world: World) -> bool:
    model = false_model(world)
    game = stranger_game(world, started=False, model=model)
    return world.attack(world.create(game), signers=[STRANGER]) and world.exists(game.address)


@exploit("wrong model", "disputed", "ModelNotFrozen")
def honest_frame_judged_by_false_weights(world: World) -> bool:
    model = false_model(world)
    steps = range(len(world.kit.export.manifest.plan))
    return all(world.attack(world.judge(world.game, step, model=model)) for step in steps) and world.verdict() == 2


@exploit("wrong model", "frozen", "WrongIds")
def session_with_ids_outside_their_tables(world: World) -> bool:
    return world.attack(world.create(world.new_game(ids=(60_000, 1, 1, 0))), signers=[CREATOR])


@exploit("write after freeze", "frozen", "ModelFrozen")
def weights_changed_after_freezing(world: World) -> bool:
    blob = bytes(len(world.kit.export.blob))
    before = world.data(world.model)
    return world.attack(world.chunk(0, PUBLISHER, world.model, blob), signers=[PUBLISHER]) and (
        world.data(world.model) != before
    )


def frozen_mark(world: World, model: Pubkey) -> bool:
    return world.data(model)[MODEL.offsets["frozen"]] == 1


def _freeze(world: World, model: Pubkey) -> bool:
    one = world.make("freeze_model", {"authority": STRANGER.pubkey(), "model": model})
    return world.attack(one, signers=[STRANGER]) and frozen_mark(world, model)


def _hash(world: World, model: Pubkey) -> None:
    for one in world.hash_instructions(STRANGER, model):
        world.must(one, signers=[STRANGER])


@exploit("freeze", "frozen", "WrongDigest")
def false_weights_frozen(world: World) -> bool:
    model = false_model(world)
    _hash(world, model)
    return _freeze(world, model)


@exploit("freeze", "uploaded", "WrongDigest")
def weights_frozen_without_a_hash(world: World) -> bool:
    one = world.make("freeze_model", world.owned(PUBLISHER, world.model))
    return world.attack(one, signers=[PUBLISHER]) and frozen_mark(world, world.model)


@exploit("freeze", "frozen", "ChunkMissing", also=["WrongDigest"])
def weights_frozen_with_a_chunk_missing(world: World) -> bool:
    model = world.create_model(STRANGER)
    world.upload(STRANGER, model, skip=[5])
    passed = [world.attack(one, signers=[STRANGER]) for one in world.hash_instructions(STRANGER, model)]
    return all(passed) and _freeze(world, model)


@exploit("freeze", "frozen", "WrongDigest")
def weights_changed_between_hash_and_freeze(world: World) -> bool:
    model = world.create_model(STRANGER)
    world.upload(STRANGER, model)
    _hash(world, model)
    world.must(world.chunk(0, STRANGER, model, bytes(960)), signers=[STRANGER])
    return _freeze(world, model)


@exploit("freeze", "frozen", "WrongChunk")
def chunk_marked_without_its_bytes(world: World) -> bool:
    model = world.create_model(STRANGER)
    """Whatever lies behind the instruction's data would be taken in its place: the program's address."""
    last, blob = chunks(len(world.kit.export.blob)) - 1, world.kit.export.blob
    data = blob[last * CHUNK_BYTES :][:-32]
    one = world.make("write_chunk", world.owned(STRANGER, model), index=last, data=data)
    section = world.kit.where.model["blob"]
    written = (
        world.data(model)[section.offset : section.offset + len(blob)] if world.attack(one, signers=[STRANGER]) else b""
    )
    return written.endswith(bytes(PROGRAM))


@exploit("freeze", "frozen", "WrongChunk")
def chunk_behind_the_end_of_the_blob(world: World) -> bool:
    model, count = world.create_model(STRANGER), chunks(len(world.kit.export.blob))
    before = world.data(model)
    one = world.make("write_chunk", world.owned(STRANGER, model), index=count, data=bytes([7]) * CHUNK_BYTES)
    return world.attack(one, signers=[STRANGER]) and world.data(model) != before


@exploit("wrong model", "frozen", "WrongAccount")
def model_at_an_address_of_its_makers_choice(world: World) -> bool:
    world.must(world.new_account(STRANGER, "mine", world.kit.where.model_bytes[0]), signers=[STRANGER])
    mine = Pubkey.create_with_seed(STRANGER.pubkey(), "mine", PROGRAM)
    return world.attack(world.make("create_model", world.owned(STRANGER, mine)), signers=[STRANGER])


@exploit("write after freeze", "uploaded", "WrongAuthority")
def upload_spoiled_by_a_stranger(world: World) -> bool:
    one = world.make("write_chunk", world.owned(STRANGER, world.model), index=0, data=bytes(960))
    before = world.data(world.model)
    return world.attack(one, signers=[STRANGER]) and world.data(world.model) != before
