"""Messages that wait to be sent to one client."""

import asyncio
import json
from typing import Any

#: A client that is this far behind is let go.
MOST_WAITING_BYTES = 256 << 20


class Outbox:
    """Messages as JSON, in order. One that has been too full takes no more."""

    def __init__(self) -> None:
        self._texts: asyncio.Queue[str] = asyncio.Queue()
        self._bytes = 0
        self.full = False

    def put(self, message: dict[str, Any]) -> None:
        """Add a message."""
        text = json.dumps(message)
        self.full = self.full or self._bytes + len(text) > MOST_WAITING_BYTES
        if not self.full:
            self._bytes += len(text)
            self._texts.put_nowait(text)

    async def take(self) -> str:
        """The next message."""
        text = await self._texts.get()
        self._bytes -= len(text)
        return text
