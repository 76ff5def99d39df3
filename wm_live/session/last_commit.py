"""What the base chain had of a session when its player last saw it, kept beside the log: `committed.json`.

Once a session is closed, the chain does not have it any more. The log is then held against this: its own word, which
shows damage, and proves nothing to others; a pin does (judge/pin.py).
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from wm_live.errors import WmLiveError
from wm_live.session.account import SessionState
from wm_train import json_schema as js
from wm_train.files import atomic_write_json
from wm_train.reading import JsonArtifact, read_json

NAME, FORMAT = "committed.json", "wmq-committed-1"
COMMITTED_JSON = JsonArtifact(
    WmLiveError,
    "not what wmq keeps of a session's last commit; next: delete it, the records are checked without it",
    max_bytes=1 << 12,
    format=FORMAT,
    schema=js.record(
        {"format": js.text(), "frames": js.integer(0), "root": js.text(js.SHA256), "ended": js.boolean},
    ),
)


@dataclass(frozen=True)
class LastCommit:
    """Frames that the base chain had, the root over them in hexadecimal, and whether the session had ended."""

    frames: int
    root: str
    ended: bool


def keep_last_commit(folder: Path, state: SessionState) -> None:
    """Keep what the base chain has now, beside the log in `folder`; nothing if it has nothing, or there is no log."""
    if state.begun and (folder / "log.json").exists():
        kept = LastCommit(state.frame_number, state.root.hex(), state.status == "ended")
        atomic_write_json(folder / NAME, {"format": FORMAT} | asdict(kept))


def last_commit(folder: Path) -> LastCommit | None:
    """What is kept beside a log; None if nothing is. WmLiveError for a damaged file."""
    if not (folder / NAME).exists():
        return None
    data = read_json(folder / NAME, COMMITTED_JSON)
    return LastCommit(data["frames"], data["root"], data["ended"])
