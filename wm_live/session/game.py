"""A session of the own wallet: opened, played, recorded in a log, resumed and closed.

Addresses and session keys are derived from the wallet and the session's number; only the log has to be kept.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_export.schema.accounts import session_ids
from wm_export.schema.records import Records
from wm_live.chain.rpc import Rpc
from wm_live.errors import WmLiveError
from wm_live.session import lifecycle
from wm_live.session.account import SessionState
from wm_live.session.commitments import keep_commit
from wm_live.session.commits import spread
from wm_live.session.committed import read_session as read_committed
from wm_live.session.committer import Committer
from wm_live.session.inputs import Inputs
from wm_live.session.instructions import DeployedWorld, Seat, Session
from wm_live.session.lifecycle import SessionNodes, need_session, read_session, window_records
from wm_live.session.log import About, Agreed, Log, need_no_log, new_log, open_log
from wm_live.session.play import Beat, Driver
from wm_live.session.recompute import Progress, Replay
from wm_live.session.spending import request
from wm_live.session.terms import Terms
from wm_live.session.tree import root_of
from wm_train.measure.window import Window
from wm_train.world.fields import PLAYERS

#: Validity of a session key, in seconds.
KEY_S = 24 * 3600


def session_key(wallet: Keypair, session: Pubkey, player: int) -> Keypair:
    """The key that signs a player's inputs: derived, so that nothing has to be kept."""
    signature = wallet.sign_message(b"wmq session key %d " % player + bytes(session))
    return Keypair.from_seed(hashlib.sha256(bytes(signature)).digest())


@dataclass
class OwnSession:
    """A session that `wallet` created. keys: session keys of the players that this wallet plays."""

    places: SessionNodes
    session: Session
    wallet: Keypair
    keys: Sequence[Keypair]

    @property
    def party(self) -> Pubkey:
        """The wallet's address."""
        return self.wallet.pubkey()


@dataclass(frozen=True)
class OwnWorld:
    """A deployed world, its nodes, and the wallet that opens sessions of it."""

    places: SessionNodes
    world: DeployedWorld
    wallet: Keypair

    def game(self, number: int, window: Window, opponent: Pubkey | None = None) -> OwnSession:
        """The wallet's session that starts from `window` (batch of one), whether or not it exists.

        opponent  wallet of the second player, zeros for whoever comes first; None if this wallet plays both
        """
        other = self.wallet.pubkey() if opponent is None else opponent
        start = root_of(window_records(self.world.layout.records, window))
        ids = [int(value) for value in window.session[0]]
        return self._own(Terms(number, ids, start, other, self.places.validator))

    async def need_deployed(self) -> None:
        """WmLiveError if the wallet has not deployed this world, or not all of it."""
        base, model = self.places.base, self.world.model
        account = await base.account(model, 0, 0)
        if account is None or account.owner != self.world.program:
            at = f"{base.url}: {self.wallet.pubkey()} has no world of {self.world.export.folder} there"
            raise WmLiveError(f"{at}; next: wmq deploy, with the same cluster and keypair")

    async def found(self, address: Pubkey) -> OwnSession:
        """The wallet's session at an address; WmLiveError if there is none, or it is another wallet's."""
        state = (await read_committed(self.places.base, self.world, address)).state
        if state.creator != self.wallet.pubkey():
            raise WmLiveError(f"session {address}: {state.creator} has made it, not this wallet")
        game = self._own(state.terms)
        game.session.use_nonce(state.nonce)
        alone = state.players[1].wallet == self.wallet.pubkey()
        return game if alone else replace(game, keys=game.keys[:1])

    async def emptied(self, address: Pubkey) -> bool:
        """Whether the session at an address came back without a byte: its validator has committed none."""
        account = await self.places.base.account(address)
        return account is not None and account.owner == self.world.program and not account.data

    def _own(self, terms: Terms) -> OwnSession:
        session = Session(self.world, self.wallet.pubkey(), terms)
        players = PLAYERS if terms.opponent == self.wallet.pubkey() else 1
        keys = [session_key(self.wallet, session.address, player) for player in range(players)]
        return OwnSession(self.places, session, self.wallet, keys)


# ------------------------------------------------------------------------------------------------------------- opening


async def open_game(game: OwnSession, window: Window, folder: Path) -> Log:
    """`bring_up`, and the log of the session; WmLiveError before anything is sent if its folder is not free."""
    need_no_log(folder)
    await bring_up(game, window)
    log = new_log(folder, _about(game))
    for record in window_records(game.session.world.layout.records, window):
        log.append(record)
    log.flush()
    return log


async def bring_up(game: OwnSession, window: Window) -> None:
    """Create the session, which starts from `window` (batch of one), and bring it to its first frame on the rollup.

    Where the wallet does not play both seats this waits until the other has joined.
    """
    if await read_session(game.places.base, game.session) is not None:
        raise WmLiveError(f"session {game.session.number} of {game.party} exists already; name another number")
    seats = [Seat(game.wallet, key) for key in game.keys]
    await lifecycle.create(game.places, game.session, seats[0], int(time.time()) + KEY_S)
    if len(seats) == PLAYERS:
        sender = lifecycle.on_base(game.places, game.session, game.wallet, request())
        await lifecycle.join(sender, game.session, seats[1], int(time.time()) + KEY_S)
    await lifecycle.until("the second player", lambda: _joined(game), timeout_s=3600)
    await lifecycle.delegate(game.places, game.session, game.wallet)
    await lifecycle.prepare(game.places, game.session, game.wallet)
    await lifecycle.seed(
        game.places, game.session, game.wallet, window_records(game.session.world.layout.records, window)
    )


async def take_down(game: OwnSession) -> int:
    """End the session, take it back, and close it; lamports returned."""
    await lifecycle.leave(game.places, game.session, game.wallet)
    return await lifecycle.close(game.places, game.session, game.wallet)


async def _joined(game: OwnSession) -> bool:
    return (await need_session(game.places.base, game.session)).status == "joined"


def _about(game: OwnSession) -> About:
    world, terms = game.session.world, game.session.terms
    manifest = world.export.manifest.hash.hex()
    return About(
        str(world.program),
        str(world.model),
        str(game.session.address),
        manifest,
        session_ids(terms.ids),
        world.slots,
        world.export.net.world.game.name,
        terms.hash.hex(),
        Agreed(str(game.party), str(terms.number), str(terms.opponent), str(terms.validator)),
        world.layout.memory.empty.hex(),
    )


async def take_up(game: OwnSession, folder: Path, progress: Progress = lambda *_: None) -> tuple[Log, list[bytes]]:
    """Resume a session after a pause or a crash: delegate it again, and load its window and what the network keeps from
    the log where necessary.

    progress  of computing the log again, for what the network keeps: (frames done, frames in all)

    Returns the log up to the frame that the rollup has, and the records after it, which the rollup has lost: played
    again with the same inputs they give the same frames.
    """
    log = open_log(folder)
    try:
        return log, await _take_up(game, log, progress)
    except BaseException:
        log.close()
        raise


async def _take_up(game: OwnSession, log: Log, progress: Progress) -> list[bytes]:
    if log.about.session != str(game.session.address):
        raise WmLiveError(f"{log.folder}: the log is of session {log.about.session}, not of {game.session.address}")
    base = await need_session(game.places.base, game.session)
    if base.status == "ended":
        raise WmLiveError(
            f"session {game.session.address} has ended, and can still be disputed; `wmq session close` returns its "
            "rent, and another --id begins a new one"
        )
    if not await lifecycle.delegated(game.places, game.session):
        await lifecycle.delegate(game.places, game.session, game.wallet)
    state = await _started(game, log)
    if state.frame_number < base.frame_number:
        at = f"frame {state.frame_number:,}, the base chain has {base.frame_number:,}"
        raise WmLiveError(f"{game.places.rollup.url}: session {game.session.address} is at {at}; is it its rollup?")
    _complete(game, log, state)
    count = state.frame_number + game.session.world.slots
    if state.status not in ("started", "loading") or count > len(log.records) or log.tree.root(count) != state.root:
        raise WmLiveError(
            f"{log.folder}: the log does not lead to frame {state.frame_number} of session {game.session.address}, "
            f"which is {state.status}; is it another session's, or older?"
        )
    lost = log.records[count:]
    log.truncate(count)
    game.session.use_nonce(state.nonce)
    loaded = await _loaded(game, state)
    if loaded is None:
        await lifecycle.prepare(game.places, game.session, game.wallet, log.tree.peaks())
    await lifecycle.load(game.places, game.session, game.wallet, log, state.frame_number, loaded or 0)
    kept, slots = game.session.world.layout.memory, game.session.world.slots
    if (loaded or 0) < kept.whole(slots) > slots:
        region = replay_of(game.session.world, log).through(log.records, progress)
        await lifecycle.load_memory(game.places, game.session, game.wallet, log, region)
    await _renew_keys(game, state)
    return lost


def _complete(game: OwnSession, log: Log, state: SessionState) -> None:
    """Add the records of frames whose inputs were sent before a crash: computed again here."""
    replay = replay_of(game.session.world, log)
    while log.frames < state.frame_number and (raw := log.intended(log.frames)) is not None:
        log.append(replay.next(log.records, log.codec.inputs_of(raw)))


def replay_of(world: DeployedWorld, log: Log) -> Replay:
    """The session of a log, to be computed again."""
    return Replay(world.export.net, world.layout.memory, log.about.ids)


async def _started(game: OwnSession, log: Log) -> SessionState:
    """The session on the rollup. One that was lost before its first commit is started again."""
    state = await need_session(game.places.rollup, game.session)
    if state.status != "joined":
        return state
    await lifecycle.prepare(game.places, game.session, game.wallet)
    await lifecycle.seed(game.places, game.session, game.wallet, log.records[: game.session.world.slots])
    return await need_session(game.places.rollup, game.session)


async def _loaded(game: OwnSession, state: SessionState) -> int | None:
    """Records that the window before the current frame has; None if it has to be opened."""
    scratch = await game.places.rollup.account(game.session.scratch)
    return None if scratch is None else game.session.world.loaded(scratch.data, state.frame_number)


async def _renew_keys(game: OwnSession, state: SessionState) -> None:
    """Replace session keys that are about to expire, or are not those of this wallet."""
    soon = time.time() + 60
    for player, key in enumerate(game.keys):
        seat = state.players[player]
        if seat.key != key.pubkey() or seat.expires < soon:
            named = game.session.set_key(game.party, player, key.pubkey(), int(time.time()) + KEY_S)
            await lifecycle.on_rollup(game.places, game.session, game.wallet).send([named])


# ------------------------------------------------------------------------------------------------------------- playing


@dataclass
class Recorder:
    """Appends each beat to the log. A frame whose state was not received from the rollup is computed here."""

    game: OwnSession
    log: Log
    on_beat: Callable[[Beat, NDArray[np.int32]], None] = lambda beat, frame: None

    def __post_init__(self) -> None:
        self._replay = replay_of(self.game.session.world, self.log)

    def __call__(self, beat: Beat) -> None:
        """The next beat."""
        record = (
            self._replay.next(self.log.records, beat.inputs) if beat.state is None else self._said(beat, beat.state)
        )
        self.log.append(record)
        self.on_beat(beat, self.log.codec.frame_in(record))

    def _said(self, beat: Beat, state: SessionState) -> bytes:
        """As the rollup has it, be it right or not."""
        return self.log.codec.record_bytes(beat.inputs, state.frame, state.memory)


async def play(
    game: OwnSession, inputs: Inputs, frames: int, fps: float, recorder: Recorder, report: Callable[[str], None]
) -> None:
    """Compute `frames` more frames, committed meanwhile as session/commits.py says; at each the log is on disk."""
    log, places, session = recorder.log, game.places, game.session
    first = log.frames
    committer = Committer(places, session, game.wallet, log, await spread(places, session, frames), report)

    def beat(beat: Beat) -> None:
        recorder(beat)
        committer.look()

    try:
        others = [None] * (PLAYERS - len(game.keys))
        driver = Driver(places.rollup, session, [*game.keys, *others], fps, beat, log.intend)
        await driver.run(lambda frame: inputs(frame - first), frames)
        await committer.finish()
    finally:
        log.flush()
        await committer.stop()


def again(codec: Records, lost: Sequence[bytes], inputs: Inputs) -> Inputs:
    """First the inputs of lost records, then `inputs`."""
    known = [codec.inputs_in(record) for record in lost]
    return lambda frame: known[frame] if frame < len(known) else inputs(frame - len(known))


# ------------------------------------------------------------------------------------------------------------- closing


async def finish(game: OwnSession, log: Log | None = None) -> SessionState:
    """End the session and take it back to the base chain. WmLiveError if what is there is not what the log has.

    A rollup that was lost before its first commit leaves nothing that could be compared.
    """
    if not await lifecycle.delegated(game.places, game.session):
        state = await need_session(game.places.base, game.session)
        if state.status != "ended":
            sender = lifecycle.on_base(game.places, game.session, game.wallet, request())
            await sender.send([game.session.end(game.party)])
        state = replace(state, status="ended")
    else:
        ended = (await need_session(game.places.rollup, game.session)).status == "ended"
        state = await lifecycle.leave(game.places, game.session, game.wallet, end=not ended)
    if log is not None and state.begun:
        _need_equal(log, state)
        await keep_commit(game.places.base, game.session, log.folder)
    return state


def _need_equal(log: Log, state: SessionState) -> None:
    """WmLiveError if a session, which has ended, is not what its log has."""
    if state.frame_number > log.frames:
        raise WmLiveError(
            f"{log.folder}: ends at frame {log.frames:,}, session {log.about.session} at {state.frame_number:,}; "
            "name a newer log with --log, or a folder without one to close it unseen"
        )
    if log.tree.root(state.leaves(log.about.slots)) != state.root:
        raise WmLiveError(f"session {log.about.session}: what was committed is not what the log has; see wmq verify")


async def rollup_identity(rollup: Rpc) -> Pubkey:
    """The validator that a rollup's node says it is."""
    answer = await rollup.call("getIdentity")
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return Pubkey.from_string(answer["identity"])
    raise WmLiveError(f"{rollup.url}: expected the identity of a validator, got {str(answer)[:80]}")
