"""Which game a recording is of, told by the game itself: the same for every recording of it, whatever the file.

A file's MD5 tells files apart, not games: both players of a match may have recorded it, one of them for longer, and a
recording may have been written anew. So what must not count twice, or train and be held out at once, goes by this.
"""

import hashlib
from typing import TYPE_CHECKING

from wm_train.games.recordings import Recording
from wm_train.world.definition import Game
from wm_train.world.fields import PLAYERS

if TYPE_CHECKING:
    import pyarrow as pa

#: Frames that tell a game apart: ten seconds. A recording may be cut short after them.
FIRST_FRAMES = 600


def match_of(recording: Recording, played: Game) -> str:
    """32 hex digits: of the name that the recording has for the match, if it has one; else of both players' first
    frames, in the columns that recordings of every version have, and of what chance began with."""
    digest = hashlib.sha256(f"{played.name}\n{recording.match}\n{recording.seed}\n".encode())
    if not recording.match:
        for name in first_columns(played):
            digest.update(name.encode() + _bytes(recording.table, name))
    return digest.hexdigest()[:32]


def first_columns(played: Game) -> tuple[str, ...]:
    """Columns of both players that recordings of every version have, by their names in a dataset."""
    fields = (*played.state, *played.controls)
    oldest = min(field.since for field in fields)
    names = sorted({field.column for field in fields if field.since == oldest and field.column})
    return tuple(f"p{player}_{name}" for player in range(PLAYERS) for name in names)


def _bytes(table: "pa.Table", name: str) -> bytes:
    values = table.column(name).slice(0, FIRST_FRAMES).combine_chunks().to_numpy(zero_copy_only=False)
    return bytes(values.tobytes())
