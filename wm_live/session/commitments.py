"""What a fraud proof names of a commit, kept beside the log of a session: `commits.json`.

MagicBlock's design of fraud proofs (DLP v2, MIMD-0024) has an operator post a commitment, which anybody may challenge
within a window. It names what was committed, and by which data that can be computed again, by hashes:

    data_hash           sha256("magicblock.account_data.v1" | account data)
    account_state_hash  sha256("magicblock.account_state.v1" | lamports u64 | owner 32 | data_hash 32)
    da_pointer_hash     sha256("magicblock.da_pointer.v1" | pointer)

The owner is the one that the account has on the rollup, the world's program. What a pointer looks like is left open;
that of a session is

    "wmq.log.v1" | program 32 | session 32 | manifest 32 | leaves u64 | root 32        numbers little-endian

It names the records of a log by their hash tree: who has a log knows whether it is the one that is meant, wherever it
was published, and a replay takes nothing beside the log and the export that the manifest names.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solders.pubkey import Pubkey

from wm_export.schema.accounts import SESSION
from wm_export.schema.limits import SESSION_MAX, TREE_LEVELS
from wm_export.schema.types import U64
from wm_live.chain.rpc import Rpc
from wm_live.errors import WmLiveError
from wm_live.session.account import session_state
from wm_live.session.instructions import Session
from wm_live.session.last_commit import keep_last_commit
from wm_live.session.log import COMMITS, About
from wm_live.session.tree import Hash
from wm_train import json_schema as js
from wm_train.files import atomic_write_json
from wm_train.reading import JsonArtifact, read_json

FORMAT = "wmq-commits-1"
POINTER = b"wmq.log.v1"
#: Commits that are kept; the oldest go first.
MOST_COMMITS = 256
_HEX = js.text(re.compile("([0-9a-f]{2})*"), most=2 * SESSION_MAX)
COMMITS_JSON = JsonArtifact(
    WmLiveError,
    "not the commits that wmq keeps of a session; next: delete it, the records are checked without it",
    max_bytes=MOST_COMMITS * (2 * SESSION_MAX + 1024),
    format=FORMAT,
    schema=js.record(
        {
            "format": js.text(),
            "commits": js.list_of(
                js.record(
                    {"frames": js.integer(0), "lamports": js.integer(0), "data": _HEX, "da_pointer": _HEX}
                    | {name: js.text(js.SHA256) for name in ("data_hash", "account_state_hash", "da_pointer_hash")}
                ),
                most=MOST_COMMITS,
            ),
        }
    ),
)


@dataclass(frozen=True)
class Subject:
    """Whose commits they are. slots: records of the window that the session started from."""

    program: Pubkey
    session: Pubkey
    manifest: bytes
    slots: int


def subject_of(about: About) -> Subject:
    """The session of a log. WmLiveError if the log does not say which."""
    try:
        program, session = map(Pubkey.from_string, (about.program, about.session))
        return Subject(program, session, bytes.fromhex(about.manifest_sha256), about.slots)
    except ValueError as error:
        raise WmLiveError(f"log of session {about.session!r} of program {about.program!r}: {error}") from None


@dataclass(frozen=True)
class Commit:
    """A session account as it was committed."""

    subject: Subject
    lamports: int
    data: bytes

    @property
    def frames(self) -> int:
        """Frames that had been computed."""
        return int(SESSION.read(self.data, "frame_number"))

    @property
    def leaves(self) -> int:
        """Leaves of its hash tree."""
        return self.frames + self.subject.slots

    @property
    def root(self) -> Hash:
        """Root of its hash tree."""
        return bytes(SESSION.read(self.data, "root"))

    @property
    def da_pointer(self) -> bytes:
        """By which data the commit can be computed again."""
        of = self.subject
        return POINTER + bytes(of.program) + bytes(of.session) + of.manifest + U64.pack(self.leaves) + self.root

    def to_json(self) -> dict[str, Any]:
        """As a fraud proof names it, hashes in hexadecimal, and what they are of."""
        data_hash = _hash("account_data", self.data)
        state_hash = _hash("account_state", U64.pack(self.lamports), bytes(self.subject.program), data_hash)
        return {
            "frames": self.frames,
            "lamports": self.lamports,
            "data": self.data.hex(),
            "data_hash": data_hash.hex(),
            "account_state_hash": state_hash.hex(),
            "da_pointer": self.da_pointer.hex(),
            "da_pointer_hash": _hash("da_pointer", self.da_pointer).hex(),
        }


def _hash(domain: str, *parts: bytes) -> Hash:
    return hashlib.sha256(f"magicblock.{domain}.v1".encode() + b"".join(parts)).digest()


async def keep_commit(base: Rpc, session: Session, folder: Path) -> None:
    """Keep what the base chain has of a session now beside the log in `folder`, if there is a log and it has begun."""
    account = await base.account(session.address)
    if account is None or not account.lamports:
        raise WmLiveError(f"{base.url}: no session {session.address}; was it created there, and not closed?")
    state = session_state(session.world.layout, account.data)
    keep_last_commit(folder, state)
    if state.begun and (folder / "log.json").exists():
        world = session.world
        of = Subject(world.program, session.address, world.export.manifest.hash, world.slots)
        _keep(folder, Commit(of, account.lamports, account.data))


def _keep(folder: Path, commit: Commit) -> None:
    known = [one for one in commits_beside(folder, commit.subject) if one != commit]
    rows = [one.to_json() for one in (*known, commit)][-MOST_COMMITS:]
    atomic_write_json(folder / COMMITS, {"format": FORMAT, "commits": rows})


def commits_beside(folder: Path, subject: Subject) -> tuple[Commit, ...]:
    """The commits that are kept beside a log, oldest first. WmLiveError for a damaged file, or another session's."""
    path = folder / COMMITS
    if not path.exists():
        return ()
    rows = read_json(path, COMMITS_JSON)["commits"]
    return tuple(_commit(path, subject, row) for row in rows)


def _commit(path: Path, subject: Subject, row: dict[str, Any]) -> Commit:
    data = bytes.fromhex(row["data"])
    commit = Commit(subject, row["lamports"], data)
    if not SESSION.is_one(data) or commit.frames >= 1 << TREE_LEVELS:
        raise COMMITS_JSON.refuse(path, f"the account at frame {row['frames']} is no session")
    if row != (expected := commit.to_json()):
        wrong = next(name for name in expected if row[name] != expected[name])
        raise COMMITS_JSON.refuse(path, f"{wrong} of the commit at frame {row['frames']} does not follow from the rest")
    return commit
