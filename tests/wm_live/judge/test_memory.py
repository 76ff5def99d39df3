"""Audits and disputes of a world whose network keeps something from frame to frame: each record ends with a digest."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.builds import built
from tests.factories import random_inputs, small_mamba2, small_qnet
from tests.wm_live.courts import Court, court, first_window
from wm_export.lower.lowering import lower
from wm_export.lower.memory import Memory, memory
from wm_export.schema.records import Records
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.toolchain import Toolchain
from wm_live.errors import WmLiveError
from wm_live.judge.audit import audit
from wm_live.judge.dispute import Dispute, SettledDispute
from wm_live.session import recompute
from wm_live.session.lifecycle import window_records
from wm_live.session.log import Log, read_log
from wm_live.session.recompute import Replay, wrong_frames
from wm_quant.interp import Interpreter
from wm_quant.qnet import QNet

FRAMES = 40
Lies = Mapping[int, Callable[[bytes], bytes]]


def other_digest(record: bytes) -> bytes:
    """A record whose Frame is right."""
    return record[:-1] + bytes([record[-1] ^ 1])


def other_frame(record: bytes) -> bytes:
    """A record whose digest is right: the last field of its Frame is another."""
    return record[:-36] + (int.from_bytes(record[-36:-32], "little") ^ 1).to_bytes(4, "little") + record[-32:]


def played(net: QNet, kept: Memory, frames: int, lies: Lies | None = None) -> tuple[list[int], list[bytes]]:
    """(session ids, records) of a session with random inputs. After a lie about a Frame it goes on from there; what the
    network keeps is never another, as the operator has it."""
    window = first_window(net)
    ids = [int(value) for value in window.session[0]]
    records, replay = window_records(Records(net.world.game, kept.empty), window), Replay(net, kept, ids)
    for frame, inputs in enumerate(random_inputs(np.random.default_rng(0), frames, 1)):
        records.append(replay.next(records, inputs[0]))
        if lies and frame in lies:
            records[-1] = lies[frame](records[-1])
    return ids, records


# --- without a chain ---


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> tuple[QNet, Memory]:
    """A network, and where what it keeps lies; frames are computed eight at a time."""
    monkeypatch.setattr(recompute, "CHUNK", 8)
    net = small_qnet(small_mamba2())
    return net, memory(lower(net))


def test_records_are_what_the_interpreter_gives_frame_by_frame(world: tuple[QNet, Memory]) -> None:
    net, kept = world
    ids, records = played(net, kept, 20)
    interpreter, codec = Interpreter(net), Records(net.world.game, kept.empty)
    state = interpreter.begin(first_window(net))
    for record in records[net.world.encoding.slots :]:
        state = interpreter.step(state, codec.inputs_in(record)[None])[1]
        assert record == codec.record_bytes(
            codec.inputs_in(record), state.frame[0], kept.digest(kept.pack(state.memory))
        )
    assert Replay(net, kept, ids).through(records) == kept.pack(state.memory)


@pytest.mark.parametrize(
    ("lies", "wrong"),
    [
        ({}, []),
        ({0: other_digest}, [0]),
        ({7: other_digest, 8: other_frame}, [7, 8]),
        ({19: other_frame}, [19]),
        ({3: other_frame, 12: lambda record: other_digest(other_frame(record))}, [3, 12]),
    ],
)
def test_one_lie_is_one_wrong_frame(world: tuple[QNet, Memory], lies: Lies, wrong: list[int]) -> None:
    net, kept = world
    ids, records = played(net, kept, 20, lies)
    steps: list[tuple[int, int]] = []
    found = wrong_frames(Replay(net, kept, ids), records, lambda *step: steps.append(step))
    assert [it.frame for it in found] == wrong and steps == [(8, 20), (16, 20), (20, 20)]
    for it in found:
        said = "what the network keeps after it" if lies[it.frame] is other_digest else "the model gives"
        assert said in it.text


def test_a_record_out_of_range_is_wrong_and_so_is_what_it_leads_to(world: tuple[QNet, Memory]) -> None:
    net, kept = world
    ids, records = played(net, kept, 20)
    records[10] = bytes([127]) + records[10][1:]
    found = wrong_frames(Replay(net, kept, ids), records)
    assert [it.frame for it in found][:2] == [9, 10] and "outside the ranges" in found[0].text


# --- on a chain ---


@pytest.fixture(scope="module")
def export(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The world in two transactions a frame; what is kept is four chunks."""
    folder = tmp_path_factory.mktemp("memory-court")
    net = small_qnet(small_mamba2())
    export_solana(net, folder, (lower(net).names.index("blocks.1.ssm"),))
    return built(open_export(folder))


def trial(export: Export, work: Callable[[Court], Awaitable[None]], lies: Lies | None = None) -> None:
    """Run `work` on a committed session."""

    async def run() -> None:
        ids, records = played(export.net, export.layout.memory, FRAMES, lies)
        async with court(export, ids, records) as made:
            await made.commit(records)
            await work(made)

    asyncio.run(run())


def disputed(made: Court, log: Log, frame: int) -> Dispute:
    return Dispute(made.disputer(), made.session.world.export, log, made.session.address, frame)


async def verdict(made: Court, log: Log, frame: int) -> SettledDispute:
    dispute = disputed(made, log, frame)
    told = await dispute.costs()
    outcome = await dispute.run()
    assert len(outcome.sent) == told.transactions
    return outcome


def test_an_honest_operator_is_right(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        found = await audit(made.rpc, None, export, log, made.session.address)
        assert found.ok, found.lines("")
        for frame, chunks in ((0, 0), (1, 4), (20, 4), (FRAMES - 1, 4)):
            outcome = await verdict(made, log, frame)
            assert outcome.right and [it.what for it in outcome.sent].count("memory") == chunks

    trial(export, work)


@pytest.mark.parametrize(("told", "words"), [(other_digest, "digest of what"), (other_frame, "Frame that the model")])
def test_a_lying_operator_is_wrong(export: Export, tmp_path: Path, told: Callable[[bytes], bytes], words: str) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        found = await audit(made.rpc, None, export, log, made.session.address)
        assert [it.frame for it in found.wrong] == [20] and not found.ok
        outcome = await verdict(made, log, 20)
        assert outcome.verdict == "wrong" and words in outcome.text
        assert (await verdict(made, log, 19)).right

    trial(export, work, {20: told})


def test_a_dispute_that_was_interrupted_loads_what_is_missing(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        first = disputed(made, log, 20)
        sent = 0

        def stop(what: str, done: int, left: int) -> None:
            nonlocal sent
            sent = done
            if what == "memory":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await first.run(progress=stop)
        outcome = await disputed(made, log, 20).run()
        assert outcome.right and [it.what for it in outcome.sent].count("memory") == 3 and sent == 3

    trial(export, work)


def test_a_log_without_digests_is_refused_by_name(export: Export, tmp_path: Path) -> None:
    async def work(made: Court) -> None:
        log = made.log(tmp_path / "log")
        path = tmp_path / "log" / "log.json"
        about = json.loads(path.read_text())
        assert read_log(path.parent).records == log.records and about.pop("empty_memory") == log.about.empty_memory
        path.write_text(json.dumps(about))
        with pytest.raises(WmLiveError, match="records are of 228 bytes, expected 196"):
            read_log(path.parent)
        path.write_text(json.dumps(about | {"record_bytes": 196}))
        with pytest.raises(WmLiveError, match="no digests of what the network keeps, expected digests"):
            disputed(made, read_log(path.parent), 20)

    trial(export, work)
