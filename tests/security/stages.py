"""Stages of a session: each is reached once, from the one before, by real instructions on the true program."""

from collections.abc import Callable

from solders.account import Account

from tests.security.harness import World
from tests.security.kit import CREATOR, DISPUTED, FUNDS, OPPONENT, PLAYED, PROGRAM, PUBLISHER, Kit
from wm_export.solana.account_codec import model_accounts


def world_at(kit: Kit, stage: str, program: bytes | None = None) -> World:
    """A world in a stage, on the true program or on another."""
    source = reach(kit, stage)
    world = World(kit, program or kit.program)
    for address, account in source.accounts():
        world.put(address, account)
    world.game = source.game
    return world


def put_frozen(world: World) -> None:
    """All shards of the model as if they had been uploaded and frozen."""
    export = world.kit.export
    made = model_accounts(export.lowered, export.shards, export.manifest.hash, bytes(PUBLISHER.pubkey()))
    for address, data in zip((world.model, *world.more_models), made, strict=True):
        world.put(address, Account(FUNDS, data, PROGRAM))


def _uploaded(world: World) -> None:
    world.create_model()
    world.upload(PUBLISHER, world.model)


def _frozen(world: World) -> None:
    world.freeze(PUBLISHER, world.model)


def _open(world: World) -> None:
    world.must(world.create(world.game), signers=[CREATOR])


def _reserved(world: World) -> None:
    world.game = world.new_game(opponent=OPPONENT.pubkey())
    world.must(world.create(world.game), signers=[CREATOR])


def _joined(world: World) -> None:
    world.must(world.join(world.game), signers=[OPPONENT])


def _started(world: World) -> None:
    world.game = world.started(world.game)


def _played(world: World) -> None:
    for _ in range(PLAYED):
        world.game = world.play(world.game)


def _pinned(world: World) -> None:
    world.must(world.pin(world.game), signers=[OPPONENT])


def _loading(world: World) -> None:
    """The rollup has lost the scratch account; the window was opened again, and one record is there."""
    world.zeroed(world.game.scratch, world.kit.where.scratch_bytes)
    world.must(world.open_window(world.game), signers=[CREATOR])
    world.must(world.load_for_scratch(world.game, PLAYED))


def _forgotten(world: World) -> None:
    """The rollup has lost the scratch account; the window is there again, and what the network keeps is not."""
    forget(world)


def forget(world: World) -> None:
    """As the stage `forgotten`, from any frame."""
    first = world.state().frame_number
    world.zeroed(world.game.scratch, world.kit.where.scratch_bytes)
    world.must(world.open_window(world.game), signers=[CREATOR])
    for leaf in range(first, first + world.kit.slots):
        world.must(world.load_for_scratch(world.game, leaf))


def _ended(world: World) -> None:
    world.must(world.end(world.game), signers=[CREATOR])


def _asked(world: World) -> None:
    world.must(world.new_dispute(), world.open_dispute(world.game), signers=[OPPONENT])


def _disputed(world: World) -> None:
    world.recalled(world.game, DISPUTED, disputed=True)
    for leaf in range(DISPUTED, DISPUTED + world.kit.slots):
        world.must(world.load(world.game, leaf))


def _judged(world: World) -> None:
    assert world.judge_all(world.game) == 1


STAGES: dict[str, tuple[str, Callable[[World], None]]] = {
    "uploaded": ("", _uploaded),
    "frozen": ("uploaded", _frozen),
    "open": ("frozen", _open),
    "reserved": ("frozen", _reserved),
    "joined": ("open", _joined),
    "started": ("joined", _started),
    "played": ("started", _played),
    "ended": ("played", _ended),
    "loading": ("played", _loading),
    "pinned": ("played", _pinned),
    "forgotten": ("played", _forgotten),
    "asked": ("pinned", _asked),
    "disputed": ("asked", _disputed),
    "judged": ("disputed", _judged),
}


def reach(kit: Kit, stage: str) -> World:
    """The world that has gone as far as that."""
    if stage not in kit.stages:
        before, advance = STAGES[stage]
        world = world_at(kit, before) if before else World(kit, kit.program)
        advance(world)
        kit.stages[stage] = world
    return kit.stages[stage]
