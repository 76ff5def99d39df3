"""Commits are spread over a session however it is played, and what the base chain does not have is told."""

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.records import RECORD_BYTES
from wm_live.chain.addresses import DELEGATION_PROGRAM
from wm_live.chain.answers import AccountInfo
from wm_live.chain.transactions import TransactionError
from wm_live.errors import WmLiveError
from wm_live.session import committer as module
from wm_live.session.account import SessionState
from wm_live.session.commits import COMMITS, Coverage, Spread
from wm_live.session.committer import COMMIT_LIMIT, NO_BASE_CHAIN, Committer
from wm_live.session.delegation import METADATA_TAG, commits_of
from wm_live.session.last_commit import LastCommit, keep_last_commit, last_commit
from wm_live.session.log import About, Log, new_log

FPS = 60
NOBODY = Pubkey.default()


def committed(calls: Iterable[int]) -> tuple[list[int], int]:
    """(frames at which a session is committed that is played in these calls, each so many frames, frames in all)."""
    commits: list[int] = []
    frame = 0
    for frames in calls:
        spread = Spread(commits[-1] if commits else 0, len(commits), frames, FPS)
        for _ in range(frames):
            frame += 1
            if spread.is_due(frame):
                commits.append(frame)
                spread.landed(frame)
    return commits, frame


def test_one_call_has_a_few_and_one_at_its_end() -> None:
    assert committed([3600]) == ([900, 1800, 3600], 3600)


def test_a_session_played_in_several_calls_has_commits_left() -> None:
    """1,500 and 900 frames have used up all of them once, and left 697 that nobody could dispute."""
    assert committed([1500, 900])[0] == [375, 750, 1500]
    assert committed([600] * 30)[0] == [150, 300, 600, 1200, 2400, 4800, 9600]


@pytest.mark.parametrize(
    "calls", [[1] * 7_000, [60] * 120, [600] * 60, [3600] * 30, [100, 36_000], [7, 300, 2, 90_000]]
)
def test_half_of_a_session_is_committed_as_long_as_commits_last(calls: list[int]) -> None:
    commits, frames = committed(calls)
    assert len(commits) <= COMMITS
    assert all(after - before >= min(before, FPS) for before, after in pairwise(commits))
    first = commits[0]
    assert first <= max(FPS, calls[0] // 4 + 1, max(calls) // 4 + 1)
    if len(commits) < COMMITS:
        assert 2 * commits[-1] >= frames - max(calls) // 4


def test_a_short_beginning_does_not_use_up_a_long_session_s_commits() -> None:
    commits, frames = committed([60, 36_000])
    assert len(commits) < COMMITS and 2 * commits[-1] > frames


def test_one_that_comes_a_little_late_counts_as_of_when_it_was_due() -> None:
    spread = Spread(0, 0, 600, FPS)
    spread.landed(155)
    assert spread.due == 300
    spread.landed(500)
    assert spread.due == 1000


def test_one_that_failed_is_tried_again_and_is_not_counted() -> None:
    spread = Spread(0, 0, 600, FPS)
    spread.failed(150)
    assert (spread.due, spread.left) == (300, COMMITS)


@pytest.mark.parametrize("made", [COMMITS, COMMITS + 1, 1 << 40])
def test_none_are_due_where_none_are_left(made: int) -> None:
    assert not Spread(0, made, 600, FPS).is_due(1 << 60)


# --- what is said ---


@pytest.mark.parametrize(
    ("covered", "text"),
    [
        (Coverage(0, 0, 10, True), "no frames yet"),
        (Coverage(2400, 2400, 3, True), "the base chain has all 2,400 frames"),
        (
            Coverage(2400, 1703, 2, True),
            "the base chain has 1,703 of 2,400 frames: the last 697 are on the rollup only, and cannot be disputed "
            "before `wmq session commit` (2 left) or `wmq session end`",
        ),
        (
            Coverage(2400, 1703, 0, True),
            "the base chain has 1,703 of 2,400 frames: the last 697 are on the rollup only, and cannot be disputed "
            "before `wmq session end`: no commits are left",
        ),
        (
            Coverage(2400, 1703, 0, False),
            "the base chain has 1,703 of 2,400 frames: the last 697 are in the log alone, and can never be disputed",
        ),
    ],
)
def test_what_the_base_chain_does_not_have_is_said(covered: Coverage, text: str) -> None:
    assert covered.text() == text
    assert covered.to_json()["uncommitted"] == covered.frames - covered.committed


# --- how often a delegation was committed ---


def metadata(data: bytes, owner: Pubkey = DELEGATION_PROGRAM) -> AccountInfo:
    return AccountInfo(1, owner, data, False)


def test_commits_are_counted_by_the_delegation_program() -> None:
    data = METADATA_TAG.to_bytes(8, "little") + (7).to_bytes(8, "little") + bytes(60)
    assert commits_of(metadata(data), NOBODY) == 7
    for wrong in (None, metadata(data, NOBODY), metadata(data[:15]), metadata(bytes(8) + data[8:])):
        with pytest.raises(WmLiveError, match="delegation metadata of"):
            commits_of(wrong, NOBODY)


# --- one call of play, without a chain ---


class Chain:
    """Stands for both: takes commits, or refuses them with these numbers, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, log: Log, refusals: Iterable[int] = ()) -> None:
        self.log, self.refusals, self.frames = log, list(refusals), 0
        self.tried: list[int] = []
        self.held = asyncio.Event()
        self.held.set()
        monkeypatch.setattr(module.lifecycle, "commit", self.commit)
        monkeypatch.setattr(module, "need_session", self.need_session)
        monkeypatch.setattr(module, "keep_commit", self.keep_commit)

    async def commit(self, *_: object) -> int:
        frame = self.log.frames
        self.tried.append(frame)
        await self.held.wait()
        if self.refusals and (number := self.refusals.pop(0)):
            raise TransactionError("refused", None, number)
        self.frames = frame
        return frame

    async def need_session(self, *_: object) -> Any:
        return SimpleNamespace(begun=True, frame_number=self.frames, root=bytes([1]) * 32, status="started")

    async def keep_commit(self, *_: object) -> None:
        keep_last_commit(self.log.folder, await self.need_session())


def log_in(folder: Path) -> Log:
    log = new_log(folder, About("program", "model", "session", "ab" * 32, (1, 2, 3), 1))
    log.append(bytes(RECORD_BYTES))
    return log


async def frames_of(committer: Committer, log: Log, count: int) -> None:
    for _ in range(count):
        log.append(bytes(RECORD_BYTES))
        committer.look()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def called(
    monkeypatch: pytest.MonkeyPatch, folder: Path, refusals: Iterable[int] = (), made: int = 0
) -> tuple[Chain, list[str]]:
    """240 frames in one call."""
    said: list[str] = []

    async def run() -> Chain:
        with log_in(folder) as log:
            chain = Chain(monkeypatch, log, refusals)
            places: Any = SimpleNamespace(base=None)
            committer = Committer(places, places, Keypair(), log, Spread(0, made, 240, FPS), said.append)
            await frames_of(committer, log, 240)
            await committer.finish()
            await committer.stop()
            return chain

    return asyncio.run(run()), said


def test_a_call_commits_when_it_is_due_and_at_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, said = called(monkeypatch, tmp_path)
    assert chain.tried == [60, 120, 240]
    assert said == [f"committed at frame {frame}" for frame in chain.tried]
    assert last_commit(tmp_path) == LastCommit(240, "01" * 32, False)


def test_a_refusal_is_told_and_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, said = called(monkeypatch, tmp_path, [NO_BASE_CHAIN, 5])
    assert chain.tried == [60, 120, 180]
    assert said[0] == "not committed: the rollup does not reach the base chain"
    assert said[1].startswith("not committed: ") and said[2] == "committed at frame 180"


def test_where_none_are_left_it_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, said = called(monkeypatch, tmp_path, [0, COMMIT_LIMIT])
    assert chain.tried == [60, 120]
    assert said[1] == "no commits are left: frames after 60 reach the base chain with `wmq session end`"


def test_none_are_tried_where_none_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert called(monkeypatch, tmp_path, made=COMMITS)[1] == []


def test_one_on_its_way_is_waited_for_and_no_other_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        said: list[str] = []
        with log_in(tmp_path) as log:
            chain = Chain(monkeypatch, log)
            chain.held.clear()
            places: Any = SimpleNamespace(base=None)
            committer = Committer(places, places, Keypair(), log, Spread(0, 0, 200, FPS), said.append)
            await frames_of(committer, log, 200)
            assert chain.tried == [60] and said == []
            asyncio.get_running_loop().call_soon(chain.held.set)
            await committer.finish()
            await committer.stop()
            assert said[0] == "committed at frame 60"

    asyncio.run(run())


def test_a_fault_of_it_ends_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say: not swallowed, and no other is begun meanwhile."""

    def full(*_: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(Chain, "keep_commit", full)
    with pytest.raises(OSError, match="full"):
        called(monkeypatch, tmp_path)


# --- kept beside the log ---


def state(frames: int, root: bytes, status: str) -> SessionState:
    kept: Any = SimpleNamespace(begun=any(root), frame_number=frames, root=root, status=status)
    return kept


def test_the_last_commit_is_kept_beside_a_log(tmp_path: Path) -> None:
    keep_last_commit(tmp_path, state(5, b"\1" * 32, "ended"))
    assert last_commit(tmp_path) is None and not list(tmp_path.iterdir())
    log_in(tmp_path).close()
    keep_last_commit(tmp_path, state(5, bytes(32), "started"))
    assert last_commit(tmp_path) is None
    keep_last_commit(tmp_path, state(5, b"\1" * 32, "ended"))
    assert last_commit(tmp_path) == LastCommit(5, "01" * 32, True)


@pytest.mark.parametrize("text", ["", "{}", '{"format": "wmq-committed-1", "frames": -1, "root": "", "ended": 1}'])
def test_a_damaged_one_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "committed.json").write_text(text)
    with pytest.raises(WmLiveError, match=r"committed\.json: .*; not what wmq keeps"):
        last_commit(tmp_path)
