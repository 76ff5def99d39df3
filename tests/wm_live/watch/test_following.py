"""A session by its account alone: Frames in order, inputs where they were seen, and the end."""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest

from tests.factories import random_frames, random_inputs, small_model, small_qnet
from tests.records import INPUT_BYTES, frame_bytes, input_bytes
from wm_export.lower.lowering import lower
from wm_export.schema.accounts import SESSION, STATUSES
from wm_export.schema.limits import ACCOUNT_VERSION, LOOKAHEAD
from wm_export.solana.layout import Layout, layout
from wm_live.errors import WmLiveError
from wm_live.session.play import WAITING
from wm_live.watch.following import SessionSource
from wm_live.watch.viewer import FrameMessage


@pytest.fixture(scope="module")
def where() -> Layout:
    return layout(lower(small_qnet(small_model(slots=3))))


def account(where: Layout, number: int, frame: Any, waiting: dict[tuple[int, int], bytes], status: str) -> bytes:
    """A session account; `waiting` holds (frame, player) -> that player's input."""
    data, at = bytearray(where.session_bytes), SESSION.offsets
    data[:8] = SESSION.tag
    struct.pack_into("<I", data, at["version"], ACCOUNT_VERSION)
    struct.pack_into("<Q", data, at["frame_number"], number)
    data[at["root"] : at["root"] + 32] = bytes([number]) * 32
    struct.pack_into("<I", data, at["status"], STATUSES.index(status))
    for (n, player), one in waiting.items():
        word = int.from_bytes(one, "little") | WAITING
        struct.pack_into("<Q", data, where.session["inputs"].offset + 8 * (n % LOOKAHEAD * 2 + player), word)
    raw = frame_bytes(frame)
    data[where.session["frame"].offset : where.session["frame"].offset + len(raw)] = raw
    return bytes(data)


def seen(where: Layout, accounts: Sequence[bytes]) -> list[FrameMessage]:
    async def told() -> AsyncIterator[bytes]:
        for data in accounts:
            yield data

    async def take() -> list[FrameMessage]:
        return [m async for m in SessionSource(where, told).frames()]

    return asyncio.run(take())


def test_a_session_is_seen_frame_by_frame(where: Layout) -> None:
    rng = np.random.default_rng(0)
    frames, inputs = random_frames(rng, 30), random_inputs(rng, 30)
    accounts = []
    for n in range(30):
        ones = [input_bytes(inputs[n])[p * INPUT_BYTES : (p + 1) * INPUT_BYTES] for p in range(2)]
        before = frames[max(n - 1, 0)]
        accounts.append(account(where, n, before, {(n, 0): ones[0]}, "started"))
        if n != 7:  # of frame 7 the second input and the step are told of as one
            accounts.append(account(where, n, before, {(n, 0): ones[0], (n, 1): ones[1]}, "started"))
        accounts.append(account(where, n + 1, frames[n], {}, "started"))
    messages = seen(where, accounts)
    assert [m.n for m in messages] == list(range(30))
    assert np.array_equal([m.frame for m in messages], frames)
    assert [m.n for m in messages if m.inputs is None] == [7]
    assert all(np.array_equal(m.inputs, inputs[m.n]) for m in messages if m.inputs is not None)
    assert [m.digest for m in messages] == [f"{n + 1:02x}" * 32 for n in range(30)]


def test_it_ends_with_the_session(where: Layout) -> None:
    frames = random_frames(np.random.default_rng(0), 3)
    accounts = [
        account(where, n + 1, frames[n], {}, status) for n, status in enumerate(("started", "ended", "started"))
    ]
    assert [m.n for m in seen(where, accounts)] == [0, 1]


def test_what_is_no_session_is_refused(where: Layout) -> None:
    with pytest.raises(WmLiveError, match="not a session"):
        seen(where, [bytes(10)])
