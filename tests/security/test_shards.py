"""A session whose weights lie in three accounts, from window to verdict; no other account is taken for a shard."""

from collections.abc import Callable
from pathlib import Path

import pytest
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from tests.builds import built
from tests.factories import small_qnet
from tests.security.harness import World
from tests.security.kit import CREATOR, OPPONENT, PROGRAM, Kit
from tests.security.stages import put_frozen, world_at
from wm_export.solana.export import export_solana, open_export
from wm_export.solana.toolchain import Toolchain


@pytest.fixture(scope="module")
def sharded(sbpf: Toolchain, cargo: Path, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """A small world in three transactions a frame and three accounts."""
    folder = tmp_path_factory.mktemp("sharded")
    export_solana(small_qnet(), folder / "export", (2, 4), shard_max=910_000)
    export = built(open_export(folder / "export"))
    kit = Kit(export, export.program.read_bytes(), b"")
    kit.stages["frozen"] = World(kit, kit.program)
    put_frozen(kit.stages["frozen"])
    assert len(kit.export.shards) == 3
    return kit


def test_a_session_is_played_and_judged_right(sharded: Kit) -> None:
    assert world_at(sharded, "judged").game.log


Change = Callable[[World, list[Pubkey]], list[Pubkey]]
CHANGES: dict[str, tuple[Change, str]] = {
    "missing": (lambda world, others: others[:-1], "NotEnoughAccountKeys"),
    "all missing": (lambda world, others: [], "NotEnoughAccountKeys"),
    "one more": (lambda world, others: [*others, others[0]], "NotEnoughAccountKeys"),
    "the first again": (lambda world, others: [world.model, others[1]], "WrongLength"),
    "swapped": (lambda world, others: others[::-1], "WrongLength"),
    "twice the same": (lambda world, others: [others[0], others[0]], "WrongLength"),
    "the session": (lambda world, others: [others[0], world.game.address], "WrongLength"),
    "nothing": (lambda world, others: [others[0], Pubkey.from_bytes(bytes([9]) * 32)], "InvalidAccountOwner"),
}
WAYS = {
    "open_window": ("joined", lambda world: world.open_window(world.game), [CREATOR]),
    "step": ("started", lambda world: world.step(world.game, 0, 0), []),
    "advance": ("started", lambda world: world.advance(world.game), []),
    "open_dispute": ("pinned", lambda world: world.open_dispute(world.game), [OPPONENT]),
    "judge": ("disputed", lambda world: world.judge(world.game, 0), []),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("way", WAYS)
def test_no_other_account_is_taken_for_a_shard(sharded: Kit, way: str, change: str) -> None:
    stage, make, signers = WAYS[way]
    world, (others, error) = world_at(sharded, stage), CHANGES[change]
    if way == "open_window":
        world.zeroed(world.game.scratch, sharded.where.scratch_bytes)
    if way in ("step", "advance"):
        world.submit_both(world.game, 0)
    if way == "open_dispute":
        world.must(world.new_dispute(), signers=[OPPONENT])
    good = make(world)
    accounts = good.accounts[: -len(world.more_models)]
    accounts += [AccountMeta(shard, False, False) for shard in others(world, world.more_models)]
    assert not world.attack(Instruction(PROGRAM, good.data, accounts), signers=signers)
    assert world.failures[-1] == error
    world.must(good, signers=signers)
