"""Which frames are committed while a session is played, and what the base chain has of it.

A delegation has SPONSORED_COMMITS commits, and how long a session gets nobody knows beforehand. So the distances grow
with the session, in however many calls it is played: a commit is due when as many frames are new as the base chain has
already. Then it has half of the session at least, whenever one was due, and each commit lasts twice as long as the one
before. Within one call they are no closer than half of those that are left, spread evenly over it, and never closer
than a second of the game.
"""

from dataclasses import dataclass, field

from wm_live.chain.addresses import delegation_metadata
from wm_live.session.delegation import commits_of
from wm_live.session.instructions import SPONSORED_COMMITS, Session
from wm_live.session.lifecycle import SessionNodes, delegated, need_session

#: Commits that are left for whoever asks for one (`wmq session commit`).
KEPT_COMMITS = 2
#: Of a delegation, those that are made while it is played.
COMMITS = SPONSORED_COMMITS - KEPT_COMMITS


@dataclass
class Spread:
    """When commits are due in one call of play.

    committed  frames that the base chain has
    made       commits of this delegation so far
    frames     that are to be played
    closest    frames between two commits at least
    """

    committed: int
    made: int
    frames: int
    closest: int
    left: int = field(init=False)
    due: int = field(init=False)

    def __post_init__(self) -> None:
        self.left = max(0, COMMITS - self.made)
        self._every = max(self.closest, -(-self.frames // max(1, -(-self.left // 2))))
        self.due = self.committed + max(self._every, self.committed)

    def is_due(self, frame: int) -> bool:
        """Whether a session that is at this frame is to be committed."""
        return bool(self.left) and frame >= self.due

    def landed(self, frame: int) -> None:
        """A commit of the session at this frame is on the base chain."""
        # One that came a little late counts as of when it was due: else the last of a call would fall behind its end.
        at = self.due if self.due <= frame < self.due + self._every else frame
        self.due, self.left = at + max(self._every, at), self.left - 1

    def failed(self, frame: int) -> None:
        """One was not taken: it is tried again later."""
        self.due = frame + self._every

    def none_left(self) -> None:
        """No more are sponsored."""
        self.left = 0


@dataclass(frozen=True)
class Coverage:
    """How much of a session the base chain has.

    frames     that were computed
    committed  of these, the first so many are on the base chain
    left       commits that the delegation still has; 0 where the session is not delegated
    delegated  whether the rollup has the session
    """

    frames: int
    committed: int
    left: int
    delegated: bool

    @property
    def uncommitted(self) -> int:
        """The last so many frames, which are not on the base chain."""
        return max(0, self.frames - self.committed)

    def text(self) -> str:
        """One line."""
        if not self.uncommitted:
            return f"the base chain has all {self.frames:,} frames" if self.frames else "no frames yet"
        has = f"the base chain has {self.committed:,} of {self.frames:,} frames"
        if not self.delegated:
            return f"{has}: the last {self.uncommitted:,} are in the log alone, and can never be disputed"
        later = f"{has}: the last {self.uncommitted:,} are on the rollup only, and cannot be disputed before"
        if self.left:
            return f"{later} `wmq session commit` ({self.left} left) or `wmq session end`"
        return f"{later} `wmq session end`: no commits are left"

    def to_json(self) -> dict[str, int]:
        """For `--json`."""
        return {"committed": self.committed, "uncommitted": self.uncommitted, "commits_left": self.left}


async def commits_made(places: SessionNodes, session: Session) -> int:
    """Commits of the session's delegation so far, as the base chain counts them."""
    at = delegation_metadata(session.address)
    return commits_of(await places.base.account(at), session.address)


async def coverage(places: SessionNodes, session: Session, frames: int) -> Coverage:
    """What the base chain has of the session, of which so many frames were computed."""
    committed = (await need_session(places.base, session)).frame_number
    if not await delegated(places, session):
        return Coverage(frames, committed, 0, delegated=False)
    left = max(0, SPONSORED_COMMITS - await commits_made(places, session))
    return Coverage(frames, committed, left, delegated=True)


async def spread(places: SessionNodes, session: Session, frames: int) -> Spread:
    """The Spread of a delegated session that is played for so many frames now."""
    committed = (await need_session(places.base, session)).frame_number
    return Spread(committed, await commits_made(places, session), frames, session.world.fps)
