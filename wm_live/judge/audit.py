"""Audit of a session by anybody, from its log and the chain.

Every frame is computed again and compared with the log, and the log's hash tree with the committed root.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from solders.pubkey import Pubkey

from wm_export.schema.accounts import session_ids
from wm_export.solana.export import Export
from wm_live.chain.fees import rent_exempt
from wm_live.chain.rpc import Rpc
from wm_live.session.account import SessionState
from wm_live.session.committed import check_log, read_session, read_world
from wm_live.session.log import Log
from wm_live.session.recompute import WrongFrame, legal_ids, wrong_frames
from wm_live.session.tree import root_of

#: Wrong frames that are printed; one is enough to dispute.
SHOWN = 5


@dataclass(frozen=True)
class Comparison:
    """A log held against a session on a chain, at the session's frame number. text: how they differ, empty if equal."""

    chain: str
    frame_number: int
    root: str
    text: str

    @property
    def ok(self) -> bool:
        """Whether they agree."""
        return not self.text


@dataclass(frozen=True)
class Audit:
    """What was found of a session.

    seconds   it took to compute every frame of the log again
    lamports  of the session account on the base chain
    missing   of rent and deposit; a rollup has the deposit while the session is played
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

    @property
    def ok(self) -> bool:
        """Every frame is the model's, and every chain holds this log."""
        return not self.wrong and all(comparison.ok for comparison in self.comparisons)

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
            "frames_per_second": round(self.frames / self.seconds) if self.seconds else 0,
            "wrong_frames": [{"frame": it.frame, "text": it.text} for it in self.wrong],
            "chains": [
                {"chain": it.chain, "frames": it.frame_number, "root": it.root, "ok": it.ok, "text": it.text}
                for it in self.comparisons
            ],
        }

    def lines(self) -> list[str]:
        """For people."""
        where = f"delegated to {self.validator}" if self.validator else "on the base chain"
        lines = [f"session {self.session}: {self.status}, {where}"]
        if self.missing:
            of = f"{self.lamports:,} of {self.lamports + self.missing:,} lamports of rent and deposit"
            lines.append(f"the account has {of}; the rollup has the rest until the scratch account is closed")
        lines += [
            f"{it.chain}: {it.text or f'holds this log up to frame {it.frame_number:,}'}" for it in self.comparisons
        ]
        lines += [f"frame {it.frame:,} is wrong: {it.text}" for it in self.wrong[:SHOWN]]
        if len(self.wrong) > SHOWN:
            lines.append(f"and {len(self.wrong) - SHOWN:,} more frames are wrong")
        if self.wrong:
            return [*lines, f"next: wmq dispute {self.session} {self.wrong[0].frame}"]
        return [*lines, f"all {self.frames:,} frames of the log are what the model computes"]


async def audit(
    base: Rpc,
    rollup: Rpc | None,
    export: Export,
    log: Log,
    session: Pubkey,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Audit:
    """Compute every frame of the log again, and compare its hash tree with the base chain's and the rollup's, if given.

    progress  called with (frames done, frames in all)

    WmLiveError for what says nothing: a session that is not there, a log or a session of another export.
    """
    world = await read_world(base, export, *check_log(export, log, session))
    committed = await read_session(base, world, session)
    comparisons = [compare("base chain", committed.state, log)]
    if rollup is not None:
        comparisons.append(compare("rollup", (await read_session(rollup, world, session)).state, log))
    started = time.perf_counter()
    wrong = _wrong(export, committed.state.terms.ids, log, progress)
    seconds = time.perf_counter() - started
    return Audit(
        str(session),
        committed.state.status,
        str(committed.delegation.validator) if committed.delegation else "",
        log.frames,
        seconds,
        tuple(wrong),
        tuple(comparisons),
        committed.lamports,
        max(0, rent_exempt(world.layout.session_bytes) + world.deposit - committed.lamports),
    )


def _wrong(export: Export, ids: Sequence[int], log: Log, progress: Callable[[int, int], None]) -> list[WrongFrame]:
    if not legal_ids(export.net, ids):
        return [WrongFrame(0, f"the committed session ids {list(ids)} lie outside their tables")]
    return wrong_frames(export.net, ids, log.records, progress)


def compare(chain: str, state: SessionState, log: Log) -> Comparison:
    """A log against a session, at the session's frame number."""
    return Comparison(chain, state.frame_number, state.root.hex(), _difference(state, log))


def _difference(state: SessionState, log: Log) -> str:
    number, leaves, slots = state.frame_number, state.leaves(log.about.slots), log.about.slots
    if not any(state.root):
        return "nothing has been committed yet"
    if number > log.frames:
        return f"is at frame {number:,}, the log ends at frame {log.frames:,}: a newer log is needed"
    own = log.tree.root(leaves)
    if own != state.root:
        roots = f"root {state.root.hex()}, of the log {own.hex()}"
        return f"the committed state is not this log's at frame {number:,}: {roots}"
    if root_of(log.records[:slots]) != state.terms.start:
        return f"the session was created for another window, with the root {state.terms.start.hex()}"
    if state.terms.ids != session_ids(log.about.ids):
        return f"its session ids are {list(state.terms.ids)}, the log's {list(log.about.ids)}"
    # In the middle of a frame a rollup's Frame may be ahead of the tree; no program commits that.
    last = log.codec.frame_of(log.records[leaves - 1][-log.codec.frame_size :])
    if state.step == 0 and not np.array_equal(state.frame, last):
        return f"its current Frame is not the one that its hash tree ends with at frame {number:,}"
    return ""
