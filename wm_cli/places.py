"""What a session is opened with: RPC nodes, the deployed world, its number, and the window that it starts from."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from solders.pubkey import Pubkey

from wm_cli import output
from wm_cli.opening import built, executor_games, open_export
from wm_cli.put_on_chain import tell_of_deployment
from wm_cli.world_words import log_words, world_words
from wm_live.chain.addresses import DELEGATION_PROGRAM, delegation_record
from wm_live.chain.rpc import Rpc
from wm_live.chain.trust import Trust
from wm_live.chain.wallet import ROLLUPS, cluster_url, load_keypair
from wm_live.deploy.target import target_of
from wm_live.errors import WmLiveError
from wm_live.session.account import session_state
from wm_live.session.committed import Committed, check_log, numbered_sessions, read_session, read_world
from wm_live.session.delegation import read_delegation
from wm_live.session.game import OwnSession, OwnWorld, rollup_identity
from wm_live.session.instructions import DeployedWorld, Session
from wm_live.session.lifecycle import SessionNodes, window_records
from wm_live.session.log import read_log
from wm_live.session.tree import root_of
from wm_train.games.corpus import Corpus
from wm_train.measure.window import Window, window_at
from wm_train.world.definition import Game

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wm_export.solana.export import Export
    from wm_quant.qnet import QNet


T = TypeVar("T")

#: Frames of a real game that must follow the window a session starts from.
GAME_FRAMES = 600


@dataclass(frozen=True)
class Where:
    """The options that every verb of a session has: export, cluster, rollup, wallet, and the session's number.

    yes  the wallet pays without being asked
    """

    export: Path
    cluster: str
    rollup: str | None
    keypair: Path
    number: int
    yes: bool = False

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

    def another(self) -> str:
        """The command that begins another session of the same world, of a number that has no log here."""
        taken = (number for number in itertools.count(self.number + 1) if not Path(f"session-{number}").exists())
        words = world_words(self.export, self.cluster, self.keypair, self.rollup)
        return " ".join(["wmq play", *([words] if words else []), f"--id {next(taken)}"])


@asynccontextmanager
async def places(where: Where) -> AsyncIterator[SessionNodes]:
    """Both nodes, connected."""
    async with Rpc(cluster_url(where.cluster)) as base, Rpc(where.rollup_url) as rollup:
        yield SessionNodes(base, rollup, await rollup_identity(rollup))


def with_world(where: Where, do: Callable[[OwnWorld], Awaitable[T]]) -> T:
    """Connect to both nodes and run `do` with the world that the wallet has deployed."""
    export, wallet = built(where.export), load_keypair(where.keypair)
    world = DeployedWorld(export, target_of(export, wallet).program.pubkey(), wallet.pubkey())

    async def run() -> T:
        async with places(where) as at:
            await tell_of_deployment(at.base, where.export, where.cluster, where.keypair)
            return await do(OwnWorld(at, world, wallet))

    return asyncio.run(run())


def with_game(where: Where, folder: Path | None, do: Callable[[OwnSession], Awaitable[T]]) -> T:
    """The same with the wallet's session that the log in `folder`, or in the usual place, is of."""

    async def run(own: OwnWorld) -> T:
        return await do(await own_session(own, where, folder or where.log))

    return with_world(where, run)


async def own_session(own: OwnWorld, where: Where, folder: Path) -> OwnSession:
    """The wallet's session `where.number`: the one of the log, or the one of the base chain, if there is no log."""
    number = where.number
    if not (folder / "log.json").exists():
        found = await numbered_sessions(own.places.base, own.world, own.wallet.pubkey(), number)
        if len(found) != 1:
            several = f"{len(found) or 'no'} sessions {number} of {own.wallet.pubkey()} are there"
            then = (
                "name the log with --log"
                if found
                else f"next: wmq session open --id {number}, or name the log with --log"
            )
            raise WmLiveError(f"{folder}: no log, and {several}; {then}")
        return await own.found(found[0])
    log = read_log(folder)
    address = address_of(log.about.session)
    check_log(own.world.export, log, address)
    if await own.places.base.account(address, 0, 0) is None:
        gone = f"{folder}: its session {address} is not on {own.places.base.url}: closed, or on another cluster"
        left = f"`wmq verify {log_words(where.export, where.cluster, folder)}` says what is left of it"
        raise WmLiveError(f"{gone}; {left}; for a new one, next: {where.another()}")
    game = await own.found(address)
    if game.session.number != number:
        raise WmLiveError(f"{folder}: the log is of session {game.session.number}, expected {number}; see --id")
    return game


def start_window(net: "QNet", dataset: Path, start: int) -> tuple[Window, Corpus, int]:
    """A window of a real game to start from, and where in its corpus it ends."""
    corpus, t = executor_games(net, dataset, start + 1, GAME_FRAMES, made_up=GAME_FRAMES)
    if len(t) <= start:
        raise WmLiveError(f"{dataset}: start {start}, but only {len(t)} windows have {GAME_FRAMES} frames after them")
    return window_at(corpus, net.world.encoding, t[start : start + 1]), corpus, int(t[start])


def tell_of_start(session: Session, window: Window, start: int) -> None:
    """Remark that a session that is there did not begin with the window that `--start` names."""
    if root_of(window_records(session.world.layout.records, window)) != session.terms.start:
        began = f"session {session.address}: goes on where it is; it did not begin with window {start} of --start"
        output.note(f"{began}, which only says now which game inputs are taken from")


def inputs_after(game: Game, corpus: Corpus, t: int) -> "NDArray[np.int8]":
    """Inputs (T, 2, len(game.controls)) of the game after window `t`, to its end."""
    end = t + 1 + int(np.argmax(np.append(corpus.game[t + 1 :] != corpus.game[t], True)))
    return corpus.inputs[t + 1 : end, :, : len(game.controls)]


def comparable(folder: Path, trust: Trust) -> "Export":
    """An export whose program is compared with one on a chain: built, unless another is trusted by its hash."""
    return built(folder) if trust.program is None else open_export(folder)


async def found_session(base: Rpc, export: "Export", at: Pubkey) -> Committed:
    """Another wallet's session by its address, checked, as is the world it is of; but not its program."""
    account = await base.account(at)
    if account is None:
        raise WmLiveError(f"{base.url}: no session {at} there")
    state = session_state(export.layout, account.data)
    program = account.owner
    if program == DELEGATION_PROGRAM:
        program = read_delegation(await base.account(delegation_record(at)), at).owner
    return await read_session(base, await read_world(base, export, program, state.model), at)


def address_of(text: str) -> Pubkey:
    """An address in base58, or WmLiveError."""
    try:
        return Pubkey.from_string(text)
    except ValueError:
        raise WmLiveError(f"{text!r}: expected an address in base58") from None
