"""Audit of a session by anybody, from its log and the chain.

Every frame is computed again and compared with the log, and the log's hash tree with the committed root. A session that
is closed has left no root but in pins; then, or without asking any node, the log is held against what it says itself,
and what could not be checked is named.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from solders.pubkey import Pubkey

from wm_export.lower.memory import Memory
from wm_export.schema.accounts import session_ids
from wm_export.solana.export import Export
from wm_live.chain.fees import rent_exempt
from wm_live.chain.rpc import Rpc
from wm_live.judge.pin import pins_of
from wm_live.session.account import SessionState
from wm_live.session.commitments import Commit, commits_beside, subject_of
from wm_live.session.committed import check_log, read_session, read_world
from wm_live.session.last_commit import last_commit
from wm_live.session.log import Log
from wm_live.session.recompute import Progress, Replay, WrongFrame, legal_ids, wrong_frames
from wm_live.session.tree import Hash, root_of
from wm_quant.qnet import QNet

#: Wrong frames that are printed; one is enough to dispute.
SHOWN = 5
#: Status of a session that its node does not have, and of one that no node was asked for.
GONE, UNASKED = "gone", "not asked for"


@dataclass(frozen=True)
class Comparison:
    """A log held against a root that was committed, at its frame number. text: how they differ, empty if equal.

    chain  what has the root: a chain with the session, a pin, or the log's own folder
    own    it is the log's own word
    """

    chain: str
    frame_number: int
    root: str
    text: str
    own: bool = False

    @property
    def ok(self) -> bool:
        """Whether they agree."""
        return not self.text


@dataclass(frozen=True)
class Audit:
    """What was found of a session.

    status    of the session, GONE or UNASKED
    seconds   it took to compute every frame of the log again
    lamports  of the session account on the base chain
    missing   of rent and deposit; a rollup has the deposit while the session is played
    unproved  what nobody but the log says, in words
    commits   that are kept beside the log
    """

    session: str
    status: str
    validator: str
    frames: int
    seconds: float
    wrong: tuple[WrongFrame, ...]
    comparisons: tuple[Comparison, ...]
    lamports: int = 0
    missing: int = 0
    unproved: tuple[str, ...] = ()
    commits: tuple[Commit, ...] = ()

    @property
    def ok(self) -> bool:
        """Every frame is the model's, and every root is this log's; one of a chain, unless none was asked."""
        proved = self.status == UNASKED or any(not it.own for it in self.comparisons)
        return not self.wrong and proved and all(comparison.ok for comparison in self.comparisons)

    @property
    def uncommitted(self) -> int:
        """The last so many frames of the log are under no root of the base chain that is this log's."""
        roots = (it.frame_number for it in self.comparisons if it.ok and not it.own and it.chain != ROLLUP)
        return max(0, self.frames - max(roots, default=0))

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "ok": self.ok,
            "session": self.session,
            "status": self.status,
            "validator": self.validator,
            "lamports": self.lamports,
            "missing_lamports": self.missing,
            "frames": self.frames,
            "uncommitted": self.uncommitted,
            "frames_per_second": round(self.frames / self.seconds) if self.seconds else 0,
            "wrong_frames": [{"frame": it.frame, "text": it.text} for it in self.wrong],
            "chains": [
                {"chain": it.chain, "frames": it.frame_number, "root": it.root, "ok": it.ok, "text": it.text}
                for it in self.comparisons
            ],
            "unproved": list(self.unproved),
            "commits": [one.to_json() for one in self.commits],
        }

    def lines(self, options: str) -> list[str]:
        """For people. options: of the commands that it names."""
        lines = [self._where()]
        if self.missing:
            of = f"{self.lamports:,} of {self.lamports + self.missing:,} lamports of rent and deposit"
            lines.append(f"the account has {of}; the rollup has the rest until the scratch account is closed")
        lines += [
            f"{it.chain}: {it.text or f'holds this log up to frame {it.frame_number:,}'}" for it in self.comparisons
        ]
        lines += self._uncovered()
        lines += [f"frame {it.frame:,} is wrong: {it.text}" for it in self.wrong[:SHOWN]]
        if len(self.wrong) > SHOWN:
            lines.append(f"and {len(self.wrong) - SHOWN:,} more frames are wrong")
        if not self.wrong:
            lines.append(f"all {self.frames:,} frames of the log are what the model computes")
        lines += self._disputed(options)
        lines += [f"not proved: {it}" for it in self.unproved]
        if self.status == GONE and not any(not it.own for it in self.comparisons):
            lines.append(f"next: wmq verify {options} --offline, which checks the log by itself")
        return lines

    def _where(self) -> str:
        if self.status == UNASKED:
            return f"session {self.session}: no node was asked"
        if self.status == GONE:
            return f"session {self.session}: not on the base chain; closed, never created, or on another cluster"
        where = f"delegated to {self.validator}" if self.validator else "on the base chain"
        return f"session {self.session}: {self.status}, {where}"

    def _disputed(self, options: str) -> list[str]:
        """The command that has the first wrong frame judged."""
        if not self.wrong or self.wrong[0].frame >= self.frames - self.uncommitted:
            return []
        return [f"next: wmq dispute {self.wrong[0].frame} {options}"]

    def _uncovered(self) -> list[str]:
        """What of a session that is there, and is this log's, is not committed."""
        if self.status in (GONE, UNASKED) or not self.uncommitted or not all(it.ok for it in self.comparisons):
            return []
        if not self.validator:
            return [f"the last {self.uncommitted:,} frames of the log are in no session, and can never be disputed"]
        later = "before they are committed, or the session has ended"
        return [f"the last {self.uncommitted:,} frames of the log are not committed: nobody can dispute them {later}"]


BASE_CHAIN, ROLLUP = "base chain", "rollup"


async def audit(
    base: Rpc, rollup: Rpc | None, export: Export, log: Log, session: Pubkey, progress: Progress = lambda *_: None
) -> Audit:
    """Compute every frame of the log again, and compare its hash tree with the base chain's and the rollup's, if given.

    Of a session that is not there with those of its pins. WmLiveError for what says nothing: a log or a session of
    another export.
    """
    world = await read_world(base, export, *check_log(export, log, session))
    account = await base.account(session, 0, 0)
    if account is None or not account.lamports:
        pins = await pins_of(base, world.program, session)
        held = [_held(f"pin {pin.address}", pin.leaves, pin.root, log) for pin in pins]
        return _by_itself(export, log, GONE, held, progress)
    committed = await read_session(base, world, session)
    comparisons = [compare(BASE_CHAIN, committed.state, log)]
    if rollup is not None:
        comparisons.append(compare(ROLLUP, (await read_session(rollup, world, session)).state, log))
    commits = commits_beside(log.folder, subject_of(log.about))
    wrong, seconds = computed(export.net, export.layout.memory, committed.state.terms.ids, log, progress)
    return Audit(
        str(session),
        committed.state.status,
        str(committed.delegation.validator) if committed.delegation else "",
        log.frames,
        seconds,
        tuple(wrong),
        (*comparisons, *_other_commits(commits, log)),
        committed.lamports,
        max(0, rent_exempt(world.layout.session_bytes) + world.deposit - committed.lamports),
        commits=commits,
    )


def audit_offline(export: Export, log: Log, session: Pubkey, progress: Progress = lambda *_: None) -> Audit:
    """The same without asking any node: the log against the model, and against what it says itself."""
    check_log(export, log, session)
    return _by_itself(export, log, UNASKED, [], progress)


def _by_itself(export: Export, log: Log, status: str, held: Sequence[Comparison], progress: Progress) -> Audit:
    """An Audit without a session: `held`, and the last commit that is kept beside the log."""
    comparisons, kept = list(held), last_commit(log.folder)
    if kept is not None:
        leaves, root = kept.frames + log.about.slots, bytes.fromhex(kept.root)
        when = "the end" if kept.ended else "the last commit"
        comparisons.append(_held(f"{when}, as the log has it", leaves, root, log, own=True))
    unproved = []
    if log.about.agreed is None:
        unproved.append("session ids and first window are those that were agreed on")
    elif log.agreed_address() != log.about.session:
        other = "is not made from what the log says was agreed, its ids and its first window"
        comparisons.append(Comparison("the session's address", 0, "", other, own=True))
    commits = commits_beside(log.folder, subject_of(log.about))
    comparisons += _other_commits(commits, log)
    wrong, seconds = computed(export.net, export.layout.memory, log.about.ids, log, progress)
    if not held:
        unproved.append("this is what was played: no root of a chain was compared")
    return Audit(
        log.about.session,
        status,
        "",
        log.frames,
        seconds,
        tuple(wrong),
        tuple(comparisons),
        unproved=tuple(unproved),
        commits=commits,
    )


def _other_commits(commits: Sequence[Commit], log: Log) -> list[Comparison]:
    """Those of the commits beside a log that are not of the log's past."""
    all_of_them = (_held("a commit, as kept beside the log", one.leaves, one.root, log, own=True) for one in commits)
    return [it for it in all_of_them if not it.ok]


def _held(what: str, leaves: int, root: Hash, log: Log, own: bool = False) -> Comparison:
    """A log against a root over so many leaves."""
    number = max(0, leaves - log.about.slots)
    return Comparison(what, number, root.hex(), _other_past(number, leaves, root, log), own)


def computed(
    net: QNet, kept: Memory, ids: Sequence[int], log: Log, progress: Progress
) -> tuple[list[WrongFrame], float]:
    """(wrong frames of a log, seconds that it took); `kept` as of Replay."""
    started = time.perf_counter()
    return _wrong(net, kept, ids, log, progress), time.perf_counter() - started


def _wrong(net: QNet, kept: Memory, ids: Sequence[int], log: Log, progress: Progress) -> list[WrongFrame]:
    if not legal_ids(net, ids):
        return [WrongFrame(0, f"the session ids {list(ids)} lie outside their tables")]
    return wrong_frames(Replay(net, kept, ids), log.records, progress)


def compare(chain: str, state: SessionState, log: Log) -> Comparison:
    """A log against a session, at the session's frame number."""
    return Comparison(chain, state.frame_number, state.root.hex(), _difference(state, log))


def _difference(state: SessionState, log: Log) -> str:
    number, leaves, slots = state.frame_number, state.leaves(log.about.slots), log.about.slots
    if not state.begun:
        return "nothing has been committed yet"
    if other := _other_past(number, leaves, state.root, log):
        return other
    if root_of(log.records[:slots]) != state.terms.start:
        return f"the session was created for another window, with the root {state.terms.start.hex()}"
    if state.terms.ids != session_ids(log.about.ids):
        return f"its session ids are {list(state.terms.ids)}, the log's {list(log.about.ids)}"
    # In the middle of a frame a rollup's Frame may be ahead of the tree; no program commits that.
    last = log.records[leaves - 1]
    if state.step == 0 and not np.array_equal(state.frame, log.codec.frame_in(last)):
        return f"its current Frame is not the one that its hash tree ends with at frame {number:,}"
    if state.memory != log.codec.memory_in(last):
        return f"its digest of the memory is not the one that its hash tree ends with at frame {number:,}"
    return ""


def _other_past(number: int, leaves: int, root: Hash, log: Log) -> str:
    """How a log differs from a root over so many leaves, at frame `number`; empty if it leads there."""
    if leaves > len(log.records):
        return f"is at frame {number:,}, the log ends at frame {log.frames:,}: a newer log is needed"
    own = log.tree.root(leaves)
    if own != root:
        return f"the committed state is not this log's at frame {number:,}: root {root.hex()}, of the log {own.hex()}"
    return ""
