"""What a fraud proof names of a commit: hashes by their definition, kept beside a log, checked when they are read."""

import asyncio
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.factories import small_qnet
from tests.wm_live.courts import AUTHORITY, PLAYER, PROGRAM, VALIDATOR, log_of, played
from wm_export.schema.accounts import SESSION
from wm_export.schema.limits import ACCOUNT_VERSION
from wm_export.schema.types import U32, U64
from wm_export.solana.export import Export, export_solana, open_export
from wm_live.chain.addresses import DELEGATION_PROGRAM
from wm_live.chain.answers import AccountInfo
from wm_live.errors import WmLiveError
from wm_live.judge.audit import Audit, audit_offline
from wm_live.session import commitments
from wm_live.session.commitments import commits_beside, keep_commit, subject_of
from wm_live.session.instructions import DeployedWorld, Session
from wm_live.session.log import Agreed, Log
from wm_live.session.terms import Terms
from wm_live.session.tree import root_of

NET = small_qnet()
SLOTS = NET.world.encoding.slots
FRAMES, LAMPORTS = 20, 7_000_000


class Base:
    """A base chain that has one account. While a session is delegated its owner is the delegation program."""

    url = "http://base"

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.lamports = LAMPORTS

    async def account(self, *_: object) -> AccountInfo | None:
        return None if self.data is None else AccountInfo(self.lamports, DELEGATION_PROGRAM, self.data, False)


class Case:
    """A session of FRAMES frames with its log, and a base chain that has what was committed of it."""

    def __init__(self, folder: Path) -> None:
        export_solana(NET, folder / "export", ())
        self.export: Export = open_export(folder / "export")
        ids, records = played(NET, FRAMES)
        world, me = DeployedWorld(self.export, PROGRAM, AUTHORITY), PLAYER.pubkey()
        self.session = Session(world, me, Terms(7, ids, root_of(records[:SLOTS]), me, VALIDATOR.pubkey()))
        agreed = Agreed(str(me), "7", str(me), str(VALIDATOR.pubkey()))
        self.log: Log = log_of(self.session, ids, records, folder / "log", agreed)
        self.base: Any = Base()

    def commit(self, frames: int, root: bytes | None = None, **changed: bytes) -> None:
        """The base chain has the session at that frame, and the log is told."""
        data = bytearray(self.export.layout.session_bytes)
        root = self.log.tree.root(SLOTS + frames) if root is None else root
        given = {
            "tag": SESSION.tag, "version": U32.pack(ACCOUNT_VERSION), "length": U64.pack(len(data)),
            "root": root, "frame_number": U64.pack(frames),
        }  # fmt: skip
        for name, value in (given | changed).items():
            data[SESSION.place(name)] = value
        self.base.data = bytes(data)
        asyncio.run(keep_commit(self.base, self.session, self.log.folder))

    def rows(self) -> list[dict[str, Any]]:
        """What is kept, as JSON."""
        rows: list[dict[str, Any]] = json.loads((self.log.folder / "commits.json").read_text())["commits"]
        return rows

    def found(self) -> Audit:
        """An audit that asks no node."""
        return audit_offline(self.export, self.log, self.session.address)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_hashes_are_those_of_the_design(case: Case) -> None:
    """Domain and parts one after the other, numbers little-endian; the owner is the world's program."""
    case.commit(FRAMES)
    (row,), data = case.rows(), case.base.data
    data_hash = sha256(b"magicblock.account_data.v1" + data).digest()
    state = b"magicblock.account_state.v1" + LAMPORTS.to_bytes(8, "little") + bytes(PROGRAM) + data_hash
    manifest, leaves = case.export.manifest.hash, (SLOTS + FRAMES).to_bytes(8, "little")
    pointer = b"wmq.log.v1" + bytes(PROGRAM) + bytes(case.session.address) + manifest + leaves + case.log.tree.root()
    assert row == {
        "frames": FRAMES,
        "lamports": LAMPORTS,
        "data": data.hex(),
        "data_hash": data_hash.hex(),
        "account_state_hash": sha256(state).hexdigest(),
        "da_pointer": pointer.hex(),
        "da_pointer_hash": sha256(b"magicblock.da_pointer.v1" + pointer).hexdigest(),
    }


def test_hashes_of_fixed_bytes() -> None:
    """So that a change of the code cannot change both sides of the test above."""
    hashed = commitments._hash("account_data", b"wmq")
    assert hashed.hex() == "c39565c7e937311253dfbb583cb5a5750ff4ff5885876d42bab57fb9aad68bb1"


def test_every_commit_is_kept_once(case: Case) -> None:
    for frames in (5, 10, 10, FRAMES):
        case.commit(frames)
    assert [row["frames"] for row in case.rows()] == [5, 10, FRAMES]
    assert [one.frames for one in commits_beside(case.log.folder, subject_of(case.log.about))] == [5, 10, FRAMES]


def test_as_many_are_kept_as_fit(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commitments, "MOST_COMMITS", 3)
    for frames in range(5):
        case.commit(frames)
    assert [row["frames"] for row in case.rows()] == [2, 3, 4]


def test_an_audit_has_them(case: Case) -> None:
    case.commit(FRAMES)
    found = case.found()
    assert found.ok and found.to_json()["commits"] == case.rows()


def test_a_commit_of_another_past_is_named(case: Case) -> None:
    case.commit(5, root=bytes([1]) * 32)
    case.commit(FRAMES)
    found = case.found()
    assert not found.ok
    (line,) = (line for line in found.lines("") if line.startswith("a commit, as kept beside the log"))
    assert "the committed state is not this log's at frame 5" in line


def test_a_session_that_has_no_frames_is_not_kept(case: Case) -> None:
    case.commit(0, root=bytes(32))
    assert not (case.log.folder / "commits.json").exists()


def test_a_session_that_is_not_there_is_named(case: Case) -> None:
    with pytest.raises(WmLiveError, match="no session"):
        asyncio.run(keep_commit(case.base, case.session, case.log.folder))


@pytest.mark.parametrize(("name", "value", "wrong"), [
    ("lamports", LAMPORTS - 1, "account_state_hash"),
    ("frames", FRAMES - 1, "frames"),
    ("data_hash", "00" * 32, "data_hash"),
    ("account_state_hash", "00" * 32, "account_state_hash"),
    ("da_pointer", "00", "da_pointer"),
    ("da_pointer_hash", "00" * 32, "da_pointer_hash"),
    ("data", "00" * 800, "is no session"),
    ("data", "", "is no session"),
    ("data", "x", "expected"),
])  # fmt: skip
def test_a_damaged_one_is_named(case: Case, name: str, value: object, wrong: str) -> None:
    case.commit(FRAMES)
    (row,) = case.rows()
    path = case.log.folder / "commits.json"
    path.write_text(json.dumps({"format": "wmq-commits-1", "commits": [row | {name: value}]}))
    with pytest.raises(WmLiveError, match=wrong) as raised:
        case.found()
    assert "commits.json" in str(raised.value) and "next: delete it" in str(raised.value)


def test_those_of_another_session_are_refused(case: Case) -> None:
    case.commit(FRAMES)
    other = subject_of(case.log.about)
    with pytest.raises(WmLiveError, match="does not follow from the rest"):
        commits_beside(case.log.folder, type(other)(other.program, VALIDATOR.pubkey(), other.manifest, other.slots))
