"""What the verbs of a deployed world do: sessions, play, and the bench of a rollup."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_cli import console, project
from wm_cli.stages import FRAMES_SEED, held_out_window, origin_of
from wm_export.layout import layout, session_vocab
from wm_export.parity import Outcome
from wm_live import bench, lifecycle
from wm_live.addresses import DELEGATION_PROGRAM, delegation_record
from wm_live.audit import Audit, audit
from wm_live.committed import Committed, read_session, read_world
from wm_live.dispute import Costs, Dispute
from wm_live.dispute import Outcome as Settled
from wm_live.dlp import read_delegation
from wm_live.er import compare
from wm_live.errors import WmLiveError
from wm_live.feed import FrameMessage, Hello, LiveFeed, RolloutFeed
from wm_live.following import SessionSource
from wm_live.game import (
    KEY_S,
    Game,
    Recorder,
    again,
    bring_up,
    finish,
    game_of,
    open_game,
    play,
    rollup_identity,
    session_key,
    take_down,
    take_up,
)
from wm_live.inputs import Inputs, by_chance, keyboard, replayed
from wm_live.lifecycle import Places, need_session
from wm_live.localnet import Localnet
from wm_live.log import Log, read_log
from wm_live.own import OwnWorld, own_world
from wm_live.play import Beat, Guest
from wm_live.rpc import Rpc
from wm_live.session import DeployedWorld, Session
from wm_live.state import SessionState, session_state
from wm_live.target import target_of
from wm_live.transactions import Sender
from wm_live.wallet import cluster_url, load_keypair
from wm_live.watch import Watch
from wm_train.evaluate import Window, rollout_starts, window_at
from wm_train.windows import Corpus, any_games

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wm_export.solana import Export

T = TypeVar("T")

#: The rollup's node that belongs to a cluster.
ROLLUPS = {"localnet": "http://127.0.0.1:7799", "devnet": "https://devnet.magicblock.app"}
#: Frames of a real game that must follow the window a session starts from.
GAME_FRAMES = 600


@dataclass(frozen=True)
class Where:
    """What every verb of a session is told: export, cluster, rollup, wallet, and the session's number."""

    export: Path
    cluster: str
    rollup: str | None
    keypair: Path
    number: int

    @property
    def rollup_url(self) -> str:
        """The rollup's node; WmLiveError if the cluster has none that we know."""
        url = self.rollup or ROLLUPS.get(self.cluster)
        if url is None:
            raise WmLiveError(
                f"cluster {self.cluster}: its rollup is not known; name the rollup's node with --rollup URL"
            )
        return url

    @property
    def log(self) -> Path:
        """Where the session's log is kept, unless it is named."""
        return Path(f"session-{self.number}")


@asynccontextmanager
async def places(where: Where) -> AsyncIterator[Places]:
    """Both nodes, connected."""
    async with Rpc(cluster_url(where.cluster)) as base, Rpc(where.rollup_url) as rollup:
        yield Places(base, rollup, await rollup_identity(rollup))


def _run(where: Where, do: Callable[["Game"], Awaitable[T]]) -> T:
    """Do something with the wallet's session."""
    export, wallet = _built(where.export), load_keypair(where.keypair)
    world = DeployedWorld(export, target_of(export, wallet).program.pubkey(), wallet.pubkey())

    async def run() -> T:
        async with places(where) as at:
            return await do(game_of(at, world, wallet, where.number))

    return asyncio.run(run())


def _built(folder: Path) -> "Export":
    from wm_export.metering import built
    from wm_export.solana import open_export

    if not built(folder):
        raise WmLiveError(f"{folder}: not built yet; next: wmq build {folder}")
    return open_export(folder)


# ------------------------------------------------------------------------------------------------------------ sessions


def _start(export: "Export", dataset: Path, start: int) -> tuple[Window, Corpus, int]:
    """A window of a real game to start from, and where in its corpus it ends."""
    net = export.net
    origin = origin_of(net.provenance)
    corpus = any_games(
        dataset, net.world.encoding, origin["split"], origin["holdout"], GAME_FRAMES + net.world.encoding.slots
    )
    t = rollout_starts(corpus, net.world.encoding, GAME_FRAMES, start + 1, FRAMES_SEED)
    if len(t) <= start:
        raise WmLiveError(f"{dataset}: start {start}, but only {len(t)} windows have {GAME_FRAMES} frames after them")
    return window_at(corpus, net.world.encoding, t[start : start + 1]), corpus, int(t[start])


def _after(corpus: Corpus, t: int) -> "NDArray[np.int8]":
    """Inputs of the game after window `t`, to its end."""
    end = t + 1 + int(np.argmax(np.append(corpus.game[t + 1 :] != corpus.game[t], True)))
    return corpus.inputs[t + 1 : end]


def open_session(where: Where, dataset: Path, start: int, folder: Path | None, opponent: str | None) -> dict[str, Any]:
    """`wmq session open`."""
    window, _, _ = _start(_built(where.export), dataset, start)

    async def do(game: Game) -> dict[str, Any]:
        begun = time.monotonic()
        game = await _seated(game, opponent)
        (await open_game(game, window, folder or where.log, _opponent(opponent))).close()
        return await _state(game) | {"log": str(folder or where.log), "seconds": round(time.monotonic() - begun, 3)}

    return _run(where, do)


def _opponent(text: str | None) -> Pubkey | None:
    """None if the wallet plays both, nobody's address for whoever comes first."""
    return None if text is None else Pubkey.default() if text == "any" else _address(text)


async def _state(game: Game) -> dict[str, Any]:
    node = game.places.rollup if await lifecycle.delegated(game.places, game.session) else game.places.base
    state = await need_session(node, game.session)
    return {
        "session": str(game.session.address),
        "number": game.session.number,
        "status": state.status,
        "on": "rollup" if node is game.places.rollup else "base chain",
        "frame_number": state.frame_number,
        "root": state.root.hex(),
        "players": [str(player.wallet) for player in state.players],
    }


def join_session(folder: Path, cluster: str, keypair: Path, address: str) -> dict[str, Any]:
    """`wmq session join`."""
    export, wallet, at = _built(folder), load_keypair(keypair), _address(address)

    async def run() -> dict[str, Any]:
        async with Rpc(cluster_url(cluster)) as base:
            found = await _found(base, export, at)
            await _join(base, wallet, found.session, found.state)
            return {"session": address, "player": str(wallet.pubkey()), "start": found.state.start.hex()}

    return asyncio.run(run())


async def _found(base: Rpc, export: "Export", at: Pubkey) -> Committed:
    """Another wallet's session by its address, checked, as is the world it is of."""
    account = await base.account(at)
    if account is None:
        raise WmLiveError(f"{base.url}: no session {at} there")
    state = session_state(layout(export.net), account.data)
    program = account.owner
    if program == DELEGATION_PROGRAM:
        program = read_delegation(await base.account(delegation_record(at)), at).owner
    return await read_session(base, await read_world(base, export, program, state.model), at)


async def _join(base: Rpc, wallet: Keypair, session: Session, state: SessionState) -> None:
    key, expires = session_key(wallet, session.address, 1), int(time.time()) + KEY_S
    await Sender(base, wallet).send([session.join(wallet.pubkey(), state.start, key.pubkey(), expires)])


def show_session(where: Where) -> dict[str, Any]:
    """`wmq session show`."""
    return _run(where, _state)


def commit_session(where: Where) -> dict[str, Any]:
    """`wmq session commit`."""

    async def do(game: Game) -> dict[str, Any]:
        return {"committed": await lifecycle.commit(game.places, game.session, game.wallet)} | await _state(game)

    return _run(where, do)


def close_session(where: Where, folder: Path | None) -> dict[str, Any]:
    """`wmq session close`: ended, taken back, compared with the log if there is one, and its rent returned."""

    async def do(game: Game) -> dict[str, Any]:
        path = folder or where.log
        log = read_log(path) if (path / "log.json").exists() else None
        state = await finish(game, log)
        lamports = await lifecycle.close(game.places, game.session, game.wallet)
        return {
            "frames": state.frame_number,
            "root": state.root.hex(),
            "lamports": lamports,
            "compared": log is not None,
        }

    return _run(where, do)


def _address(text: str) -> Pubkey:
    try:
        return Pubkey.from_string(text)
    except ValueError:
        raise WmLiveError(f"{text!r}: expected an address in base58") from None


# --------------------------------------------------------------------------------------------------------------- watch


def session_feed(address: str, url: str, folder: Path) -> LiveFeed:
    """`wmq watch SESSION`: what a node tells of it."""
    export, at = _built(folder), _address(address)
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
    world, step, corpus, t = held_out_window(model, dataset, start, frames)
    return RolloutFeed(f"{model} from held-out window {start}", step, corpus, world.encoding, t, frames)


# ---------------------------------------------------------------------------------------------------------------- play


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
    export = _built(where.export)
    window, corpus, t = _start(export, how.dataset, how.start)
    folder = how.folder or where.log
    with ExitStack() as stack:
        inputs = _inputs(how, corpus, t, stack)

        async def do(game: Game) -> dict[str, Any]:
            game = await _seated(game, how.opponent)
            log, source = await _opened(game, window, folder, inputs, how.opponent)
            with log:
                return await _played(game, log, source, how, (corpus, t))

        return _run(where, do)


def play_as_guest(where: Where, how: Pace, address: str) -> dict[str, Any]:
    """`wmq play --guest SESSION`: takes the second seat if it is free, and sends its inputs."""
    export, wallet, at = _built(where.export), load_keypair(where.keypair), _address(address)
    _, corpus, t = _start(export, how.dataset, how.start)

    async def run(inputs: Inputs) -> dict[str, Any]:
        async with places(where) as nodes:
            found = await _found(nodes.base, export, at)
            key = session_key(wallet, at, 1)
            if found.state.status == "open":
                await _join(nodes.base, wallet, found.session, found.state)
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
    replay = replayed(_after(corpus, t))
    if how.inputs == "keyboard":
        return stack.enter_context(keyboard(replay))
    return replay if how.inputs == "replay" else by_chance(how.start)


async def _seated(game: Game, opponent: str | None) -> Game:
    """The game, without the second player's key where another wallet sits there, or shall."""
    state = await lifecycle.read_session(game.places.base, game.session)
    alone = opponent is None if state is None else state.players[1].wallet == game.party
    return game if alone else replace(game, keys=game.keys[:1])


async def _opened(game: Game, window: Window, folder: Path, inputs: Inputs, opponent: str | None) -> tuple[Log, Inputs]:
    if not (folder / "log.json").exists():
        if opponent is not None:
            console.err.print(f"waiting for the second player of session {game.session.address}", highlight=False)
        return await open_game(game, window, folder, _opponent(opponent)), inputs
    log, lost = await take_up(game, folder)
    done = log.frames
    return log, again(lost, lambda frame: inputs(done + frame + len(lost)))


async def _played(game: Game, log: Log, inputs: Inputs, how: Pace, at: tuple[Corpus, int]) -> dict[str, Any]:
    tally, cu = Tally(), _frame_cu(game.session.world.export)
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
    return await _state(game) | tally.figures() | {"log": str(log.folder), "cu_per_frame": cu(0)}


def _frame_cu(export: "Export") -> Callable[[int], int]:
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


# --------------------------------------------------------------------------------------------------- verify, dispute


def verify_session(folder: Path, cluster: str, rollup: str | None, log_folder: Path) -> Audit:
    """`wmq verify`: a log against the chain."""
    export = _built(folder)

    async def run(log: Log) -> Audit:
        async with AsyncExitStack() as stack:
            base = await stack.enter_async_context(Rpc(cluster_url(cluster)))
            node = await stack.enter_async_context(Rpc(rollup)) if rollup else None
            bar, task = stack.enter_context(console.progress_bar("verify", max(log.frames, 1)))
            shown = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
            return await audit(base, node, export, log, _address(log.about.session), shown)

    with read_log(log_folder) as log:
        return asyncio.run(run(log))


def dispute_frame(
    folder: Path, cluster: str, keypair: Path, log_folder: Path, frame: int, dry_run: bool, keep: bool
) -> Costs | Settled:
    """`wmq dispute`."""
    export, wallet = _built(folder), load_keypair(keypair)

    async def run(log: Log) -> Costs | Settled:
        async with Rpc(cluster_url(cluster)) as base:
            dispute = Dispute(Sender(base, wallet), export, log, _address(log.about.session), frame)
            if dry_run:
                return await dispute.costs()
            with console.progress_bar("dispute", 1) as (bar, task):

                def shown(what: str, done: int, total: int) -> None:
                    bar.update(task, completed=done, total=total, description=f"dispute: {what}")

                return await dispute.run(keep, shown)

    with read_log(log_folder) as log:
        return asyncio.run(run(log))


# -------------------------------------------------------------------------------------------------------------- parity


def er_outcome(export: "Export", dataset: Path, rollouts: int, length: int, advance: Callable[[], None]) -> Outcome:
    """`wmq parity --target er`: worlds that run by themselves on the real rollup, each in a session of its own."""
    encoding, outcome = export.net.world.encoding, Outcome("er rollout")
    origin = origin_of(export.net.provenance)
    corpus = any_games(dataset, encoding, origin["split"], origin["holdout"], length + encoding.slots)
    starts = rollout_starts(corpus, encoding, length, rollouts, FRAMES_SEED)

    async def run(localnet: Localnet) -> None:
        async with own_world(localnet, export, Keypair()) as own:
            for number, t in enumerate(starts):
                window = window_at(corpus, encoding, starts[number : number + 1])
                await compare(own.game(number), window, corpus.inputs[t + 1 : t + 1 + length], outcome, advance)

    with Localnet() as localnet:
        asyncio.run(run(localnet))
    return outcome


# ----------------------------------------------------------------------------------------------------------- the whole


def live(folder: Path, dataset: Path, frames: int, dispute_frame: int) -> dict[str, Any]:
    """`wmq live`: the whole life of a session on a rollup of its own, checked by a stranger at the end."""
    export = _built(folder)
    window, corpus, t = _start(export, dataset, 0)
    inputs = replayed(_after(corpus, t))

    async def run(localnet: Localnet, log_folder: Path) -> dict[str, Any]:
        figures: dict[str, Any] = {"manifest_sha256": export.manifest.hash.hex(), "steps": len(export.manifest.plan)}
        begun = time.monotonic()
        with console.progress_bar("deploy", 1) as (bar, task):

            def shown(name: str, done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, description=f"deploy: {name}")

            async with own_world(localnet, export, Keypair(), shown) as own:
                figures["deploy_s"] = round(time.monotonic() - begun, 3)
                bar.stop()
                return figures | await _whole_life(own, window, inputs, frames, dispute_frame, log_folder)

    with Localnet() as localnet, TemporaryDirectory(prefix="wmq-live-") as temporary:
        figures = asyncio.run(run(localnet, Path(temporary) / "log"))
    project.keep_figures(f"live-{figures['steps']}", figures)
    return figures


async def _whole_life(
    own: OwnWorld, window: Window, inputs: Inputs, frames: int, dispute_frame: int, folder: Path
) -> dict[str, Any]:
    game, tally = own.game(0), Tally()
    with await open_game(game, window, folder) as log, console.progress_bar("play", frames) as (bar, task):

        def beat(beat: Beat, _: "NDArray[np.int32]") -> None:
            tally.add(beat)
            bar.update(task, advance=1)

        said = lambda text: console.err.print(text, highlight=False)  # noqa: E731
        await play(game, inputs, frames, bench.FPS, Recorder(game, log, beat), said)
    state = await finish(game)
    with read_log(folder) as log:
        found = await audit(own.places.base, None, own.world.export, log, game.session.address)
        sender = Sender(own.places.base, own.wallet)
        judged = await Dispute(sender, own.world.export, log, game.session.address, dispute_frame).run()
    lamports = await lifecycle.close(game.places, game.session, game.wallet)
    checks = {"audit": found.to_json(), "dispute": judged.to_json(), "lamports": lamports, "root": state.root.hex()}
    return tally.figures() | checks | {"ok": found.ok and judged.right and state.frame_number == frames}


# --------------------------------------------------------------------------------------------------------------- bench


def bench_rollup(where: Where, dataset: Path, seconds: float, sessions: int) -> dict[str, Any]:
    """`wmq bench rollup`: sessions of their own, played at the game's pace and then as fast as they are computed."""
    window, corpus, t = _start(_built(where.export), dataset, 0)
    inputs, frames = replayed(_after(corpus, t)), max(1, round(seconds * bench.FPS))

    async def do(first: Game) -> dict[str, Any]:
        games = [_numbered(first, where.number + i) for i in range(sessions)]
        for game in games:
            await bring_up(game, window)
        rollup, all_sessions = first.places.rollup, [game.session for game in games]
        with console.err.status(f"bench: {frames:,} frames at {bench.FPS} fps, then as many without pace"):
            paced = await bench.together(rollup, all_sessions, [game.keys for game in games], inputs, frames, bench.FPS)
            full = await bench.together(rollup, all_sessions, [game.keys for game in games], inputs, frames, 0)
        figures = bench.figures(paced, full, first.session.world.steps)
        for game in games:
            await take_down(game)
        return figures | {"cu_per_frame": _frame_cu(first.session.world.export)(0)}

    return _run(where, do)


def _numbered(game: Game, number: int) -> Game:
    return game_of(game.places, game.session.world, game.wallet, number)
