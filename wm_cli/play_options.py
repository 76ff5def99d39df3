"""How `wmq play` plays: with which inputs, how fast, and on which page it is shown."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wm_cli import output
from wm_cli.places import inputs_after
from wm_live.session.inputs import Inputs, by_chance, keyboard, replayed
from wm_live.watch.server import Watch
from wm_live.watch.viewer import FrameMessage, Hello, LiveFeed, cast_of
from wm_train.games.corpus import Corpus
from wm_train.world.definition import Game

if TYPE_CHECKING:
    from wm_quant.qnet import QNet

#: What a page shows, until None.
Messages = asyncio.Queue[FrameMessage | None]


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


def chosen_inputs(played: Game, how: Pace, corpus: Corpus, t: int, stack: ExitStack) -> Inputs:
    """The inputs that were asked for; those of the game are what follows window `t` of a corpus."""
    replay = replayed(inputs_after(played, corpus, t))
    if how.inputs == "keyboard":
        return stack.enter_context(keyboard(played, replay))
    return replay if how.inputs == "replay" else by_chance(played, how.start)


async def watched(title: str, net: "QNet", how: Pace, at: tuple[Corpus, int], stack: AsyncExitStack) -> Messages:
    """A page that shows what is put into the queue, and says at the end of `stack` that there is no more.

    at  window of a corpus that it was begun from
    """
    queue: Messages = asyncio.Queue()
    (corpus, t), game = at, net.world.game
    place, cast = int(corpus.place[t]), cast_of(game, corpus.frames[t])
    over = "this play is over; wmq play goes on with the session"
    hello = Hello(title, game, place, cast, net.world.encoding.slots, over=over)

    class Source:
        async def frames(self) -> AsyncIterator[FrameMessage]:
            while (message := await queue.get()) is not None:
                yield message

    page = Watch(LiveFeed(hello, Source()), how.port)
    await page.start()

    async def end() -> None:
        queue.put_nowait(None)
        await page.finish()
        await page.stop()

    stack.push_async_callback(end)
    output.note(f"watch it at {page.url}")
    return queue
