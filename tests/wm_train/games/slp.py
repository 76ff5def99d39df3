"""Replays made of a real one by changing bytes: what no public replay shows in so small a file."""

import struct
from collections.abc import Callable, Iterator

#: Codes of events, and where their values lie behind the code.
START, PRE, POST, FRAME_START = 0x36, 0x37, 0x38, 0x3A
STAGE = 0x13
BLOCK = 5
PLAYER, PLAYER_BYTES = 0x65, 0x24
PORT, FRAME = 5, 1
STICK_X, POST_ACTION = 0x19, 0x08


class Slp:
    """A replay's bytes, to be changed in place."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        table_end = 16 + data[16]  # a table of event sizes comes first: (code, size in two bytes) each
        self._sizes = {data[i]: 1 + data[i + 1] * 256 + data[i + 2] for i in range(17, table_end, 3)}
        self._events, self._end = table_end, 15 + int.from_bytes(data[11:15], "big")

    def events(self, code: int) -> Iterator[int]:
        """Where each event of a kind begins."""
        at = self._events
        while at < self._end:
            if self.data[at] == code:
                yield at
            at += self._sizes[self.data[at]]

    def start(self, offset: int, form: str, value: float) -> "Slp":
        """Change a value of what the game was started with; `offset` counts from the event's code."""
        struct.pack_into(form, self.data, next(self.events(START)) + offset, value)
        return self

    def player(self, port: int, offset: int, form: str, value: float) -> "Slp":
        """Change a value of a player's part of it."""
        return self.start(PLAYER + PLAYER_BYTES * port + offset, form, value)

    def each(self, code: int, port: int, offset: int, form: str, value: Callable[[int], float]) -> "Slp":
        """Change a value of each frame's event of a port; `value` is given the number of the event."""
        mine = [at for at in self.events(code) if self.data[at + PORT] == port]
        for number, at in enumerate(mine):
            struct.pack_into(form, self.data, at + offset, value(number))
        return self

    def cut(self, frames: int) -> "Slp":
        """Leave out the end of the game and its last frames, six events each: a recorder stopped early."""
        first = sorted(at for code in self._sizes for at in self.events(code))[-1 - 6 * frames]
        raw = bytes(self.data[15:first])
        self.data = bytearray(self.data[:11] + len(raw).to_bytes(4, "big") + raw + self.data[self._end :])
        self._end = 15 + len(raw)
        return self

    @property
    def bytes(self) -> bytes:
        return bytes(self.data)
