"""What `wmq play` and `wmq watch` do."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_cli import console
from wm_cli.measures import held_out_window
from wm_cli.places import Where, address_of, built, found_session, inputs_after, places, start_window, with_game
from wm_cli.sessions import join, opponent_of, seated, state_of
from wm_export.layout import layout, session_vocab
from wm_live import bench, lifecycle
from wm_live.errors import WmLiveError
from wm_live.feed import FrameMessage, Hello, LiveFeed, RolloutFeed
from wm_live.following import SessionSource
from wm_live.game import Game, Recorder, again, open_game, play, session_key, take_up
from wm_live.inputs import Inputs, by_chance, keyboard, replayed
from wm_live.lifecycle import Places, need_session
from wm_live.log import Log
from wm_live.play import Beat, Guest
from wm_live.rpc import Rpc
from wm_live.session import Session
from wm_live.state import SessionState, session_state
from wm_live.wallet import load_keypair
from wm_live.watch import Watch
from wm_train.evaluate import Window
from wm_train.windows import Corpus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wm_export.solana import Export


@dataclass(frozen=True)
class Pace:
    """How `wmq play` plays."""

    dataset: Path
    start: int
    frames: int
    fps: float
    inputs: str
    folder: Path | None
    watch: bool
    port: int
    opponent: str | None = None


def play_session(where: Where, how: Pace) -> dict[str, Any]:
    """`wmq play`: opens the session if there is none, else takes it up, and computes frames."""
    export = built(where.export)
    window, corpus, t = start_window(export, how.dataset, how.start)
    folder = how.folder or where.log
    with ExitStack() as stack:
        inputs = _inputs(how, corpus, t, stack)

        async def do(game: Game) -> dict[str, Any]:
            game = await seated(game, how.opponent)
            log, source = await _opened(game, window, folder, inputs, how.opponent)
            with log:
                return await _played(game, log, source, how, (corpus, t))

        return with_game(where, do)


def play_as_guest(where: Where, how: Pace, address: str) -> dict[str, Any]:
    """`wmq play --guest SESSION`: takes the second seat if it is free, and sends its inputs."""
    export, wallet, at = built(where.export), load_keypair(where.keypair), address_of(address)
    _, corpus, t = start_window(export, how.dataset, how.start)

    async def run(inputs: Inputs) -> dict[str, Any]:
        async with places(where) as nodes:
            found = await found_session(nodes.base, export, at)
            key = session_key(wallet, at, 1)
            if found.state.status == "open":
                await join(nodes.base, wallet, found)
            await lifecycle.until("the first frame", lambda: _has_started(nodes, found.session), timeout_s=3600)
            await Guest(nodes.rollup, found.session, 1, key).run(inputs, how.frames)
            state = await need_session(nodes.rollup, found.session)
            return {"session": address, "player": str(wallet.pubkey()), "frame_number": state.frame_number}

    with ExitStack() as stack:
        return asyncio.run(run(_inputs(how, corpus, t, stack)))


async def _has_started(nodes: Places, session: Session) -> bool:
    state = await lifecycle.read_session(nodes.rollup, session)
    return state is not None and state.status == "started"


def _inputs(how: Pace, corpus: Corpus, t: int, stack: ExitStack) -> Inputs:
    replay = replayed(inputs_after(corpus, t))
    if how.inputs == "keyboard":
        return stack.enter_context(keyboard(replay))
    return replay if how.inputs == "replay" else by_chance(how.start)


async def _opened(game: Game, window: Window, folder: Path, inputs: Inputs, opponent: str | None) -> tuple[Log, Inputs]:
    if not (folder / "log.json").exists():
        if opponent is not None:
            console.err.print(f"waiting for the second player of session {game.session.address}", highlight=False)
        return await open_game(game, window, folder, opponent_of(opponent)), inputs
    log, lost = await take_up(game, folder)
    done = log.frames
    return log, again(lost, lambda frame: inputs(done + frame + len(lost)))


async def _played(game: Game, log: Log, inputs: Inputs, how: Pace, at: tuple[Corpus, int]) -> dict[str, Any]:
    tally, cu = Tally(), frame_cu(game.session.world.export)
    async with AsyncExitStack() as stack:
        shown = await _watched(game, how, at, stack) if how.watch else None
        bar, task = stack.enter_context(console.progress_bar("play", how.frames))

        def beat(beat: Beat, frame: "NDArray[np.int32]") -> None:
            tally.add(beat)
            text = f"play: {tally.fps:.0f} fps, {cu(beat.number):,} units a frame, {tally.late} late"
            bar.update(task, advance=1, description=text)
            if shown is not None:
                root = beat.state.root.hex() if beat.state else None
                shown.put_nowait(FrameMessage(beat.number, frame, beat.inputs, None, cu(beat.number), root, beat.late))

        recorder, said = Recorder(game, log, beat), lambda text: console.err.print(text, highlight=False)
        await play(game, inputs, how.frames, how.fps, recorder, said)
    return await state_of(game) | tally.figures() | {"log": str(log.folder), "cu_per_frame": cu(0)}


def frame_cu(export: "Export") -> Callable[[int], int]:
    """Compute units of a frame by its number; a formula, which tests hold against the metered number."""
    from wm_export.metering import predicted

    cost = predicted(export)
    return lambda number: sum(cost.transactions(number))


async def _watched(
    game: Game, how: Pace, at: tuple[Corpus, int], stack: AsyncExitStack
) -> "asyncio.Queue[FrameMessage]":
    """A page that shows what is put into the queue."""
    queue: asyncio.Queue[FrameMessage] = asyncio.Queue()
    corpus, t = at
    characters = tuple(int(v) for v in corpus.frames[t, :, _character()])
    hello = Hello(
        f"session {game.session.address}",
        int(corpus.stage[t]),
        (characters[0], characters[1]),
        game.session.world.slots,
    )

    class Source:
        async def frames(self) -> AsyncIterator[FrameMessage]:
            while True:
                yield await queue.get()

    page = Watch(LiveFeed(hello, Source()), how.port)
    await page.start()
    stack.push_async_callback(page.stop)
    console.err.print(f"watch it at {page.url}", highlight=False)
    return queue


def _character() -> int:
    from wm_train.frames import STATE_INDEX

    return STATE_INDEX["character"]


class Tally:
    """What a player is told while playing."""

    def __init__(self) -> None:
        self.frames, self.late, self.unseen = 0, 0, 0
        self._start = self._end = time.monotonic()
        self._trips: list[float] = []

    def add(self, beat: Beat) -> None:
        """Count a frame."""
        self.frames += 1
        self.late += beat.late
        self.unseen += beat.state is None
        self._trips.append(1e3 * (beat.seen_s - beat.sent_s))
        self._end = time.monotonic()

    @property
    def fps(self) -> float:
        """Frames a second so far."""
        return self.frames / max(self._end - self._start, 1e-9)

    def figures(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "frames": self.frames,
            "fps": round(self.fps, 3),
            "late_frames": self.late,
            "round_trip_ms": bench.percentiles(self._trips),
        }


# --------------------------------------------------------------------------------------------------------------- watch


def session_feed(address: str, url: str, folder: Path) -> LiveFeed:
    """`wmq watch SESSION`: what a node tells of it."""
    export, at = built(folder), address_of(address)
    where = layout(export.net)

    async def first() -> SessionState:
        async with Rpc(url) as rpc:
            account = await rpc.account(at)
            if account is None:
                raise WmLiveError(f"{url}: no session {address} there; is it delegated to this rollup?")
            return session_state(where, account.data)

    async def changes() -> AsyncIterator[bytes]:
        async with Rpc(url) as rpc:
            async for account in rpc.subscribe_account(at):
                if account is None:
                    return
                yield account.data

    state, slots = asyncio.run(first()), export.net.world.encoding.slots
    characters = tuple(int(v) for v in state.frame[:, _character()])
    stage = state.ids[len(session_vocab(export.net)) - 1]
    return LiveFeed(
        Hello(f"session {address}", stage, (characters[0], characters[1]), slots), SessionSource(where, changes)
    )


def rollout_feed(model: Path, dataset: Path, start: int, frames: int) -> RolloutFeed:
    """`wmq watch --rollout`: a model beside a held-out game."""
    one, corpus, t = held_out_window(model, dataset, start, frames)
    return RolloutFeed(f"{model} from held-out window {start}", one.model, corpus, one.world.encoding, t, frames)
