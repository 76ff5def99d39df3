"""What networks keep, on the real rollup: it grows there, is what the interpreter keeps, and comes back empty."""

import asyncio
from pathlib import Path

import pytest
from solders.instruction import AccountMeta, Instruction

from tests.wm_live.bolt.test_match_play import Played, with_played
from tests.wm_live.bolt.test_rollup_match import FRAMES, beginning, with_match
from wm_export.bolt.bolt_export import BoltExport
from wm_export.bolt.components import CLOCK
from wm_export.bolt.match_state import MatchCodec
from wm_export.bolt.slices import STEP_BYTES
from wm_export.schema.accounts import discriminator
from wm_live.bolt.match_parity import Compared, compare
from wm_live.bolt.match_play import end_match, play_match, replayed_first, take_up
from wm_live.bolt.rollup_match import LIMIT, RollupMatch
from wm_live.chain.addresses import undelegate_buffer
from wm_live.chain.transactions import TransactionError
from wm_live.localnet.servers import Localnet


def opened(match: RollupMatch) -> dict[str, bytes]:
    """What `open` makes of each memory, by system."""
    codec, clock = MatchCodec(match.export.sliced), bytes(match.match.accounts[CLOCK])
    every = match.export.sliced.remembering
    return {one.key: codec.opened_memory(made, clock)[:STEP_BYTES] for one, _, made in every}


def test_memories_are_what_the_interpreter_keeps_and_come_back_empty(
    remembering_bolt_net: Localnet, remembering_export: BoltExport
) -> None:
    window, inputs = beginning(remembering_export)
    sizes = [made.memory_bytes for _, _, made in remembering_export.sliced.remembering]
    assert min(sizes) < STEP_BYTES < max(sizes)
    found = Compared()

    async def play(match: RollupMatch) -> None:
        for number in range(2):
            await match.make(number)
            assert await match.memories(match.base) == opened(match)
            await match.delegate()
            await compare(match, found, window, inputs, lambda: None)
            assert await match.memories(match.base) == opened(match)

    with_match(remembering_bolt_net, remembering_export, play)
    assert found.outcome.frames == 2 * FRAMES and found.outcome.first is None
    assert (
        found.spent[0].transactions == len(remembering_export.sliced.systems) and found.to_json()["transactions"] == 1
    )


def test_a_match_with_memories_is_played_lost_and_verified(
    remembering_bolt_net: Localnet, remembering_export: BoltExport, tmp_path: Path
) -> None:
    net = remembering_bolt_net

    async def play(played: Played) -> None:
        match = played.match
        with await played.open() as log:
            await play_match(match, log, played.inputs, 6, 0)
            before = list(log.records)
        assert await played.audited(rollup=True) == ""
        await asyncio.to_thread(net.restart_validator)
        log, lost = await take_up(match, played.folder)
        with log:
            await play_match(match, log, replayed_first(log, lost, played.inputs), 9, 0)
            assert len(lost) == 6 and log.records[: len(before)] == before
        assert await played.audited(rollup=True) == ""
        with (await take_up(match, played.folder))[0] as log:
            await end_match(match, log)
        assert await played.audited() == ""

    with_played(net, remembering_export, tmp_path / "log", play)


def test_a_frame_of_several_transactions_is_completed(
    remembering_bolt_net: Localnet, remembering_export: BoltExport, tmp_path: Path
) -> None:
    async def play(played: Played) -> None:
        match = played.match
        with await played.open() as log:
            await play_match(match, log, played.inputs, 1, 0)
            for system in match.match.frame_of(played.inputs(1))[:3]:
                await match.on_rollup.send([LIMIT, system], preflight=False)
            assert (await match.state()).turn == 3
        with (await take_up(match, played.folder))[0] as log:
            assert log.frames == 2 and log.codec.inputs_in(log.records[-1]).tolist() == played.inputs(1).tolist()
        assert await played.audited(rollup=True) == ""

    with_played(remembering_bolt_net, remembering_export, tmp_path / "log", play)


def test_what_strangers_cannot_do_to_a_memory(remembering_bolt_net: Localnet, remembering_export: BoltExport) -> None:
    async def try_it(match: RollupMatch) -> None:
        await match.make(0)
        one, made = next(
            (one, made) for one, _, made in match.export.sliced.remembering if made.memory_bytes > STEP_BYTES
        )
        scene, program, memory = match.match.scene, match.match.programs[one.crate], match.match.memories[one.key]
        _, growth = match.match.opening(one, made, scene.entity)
        await match.on_base.send([growth])
        with pytest.raises(TransactionError, match="WrongMemory"):
            await match.on_base.send([LIMIT, scene.delegate(program, memory, scene.payer)])
        # What the delegation program alone can sign for.
        seeds = [b"memory", bytes(scene.entity)]
        arguments = len(seeds).to_bytes(4, "little") + b"".join(len(it).to_bytes(4, "little") + it for it in seeds)
        accounts = [
            AccountMeta(memory, False, True),
            AccountMeta(undelegate_buffer(memory), False, False),
            AccountMeta(scene.payer, True, True),
            AccountMeta(scene.payer.default(), False, False),
        ]
        data = discriminator("global", "process_undelegation") + arguments
        with pytest.raises(TransactionError, match="AccountNotSigner"):
            await match.on_base.send([Instruction(program, data, accounts)])

    with_match(remembering_bolt_net, remembering_export, try_it)
