"""Every verb that makes a wallet pay, where it begins, and what it says before it pays."""

import asyncio
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey

import wm_cli.output
import wm_cli.pins
import wm_cli.places
from tests.wm_live.chains import SOL, write_keypair
from tests.wm_live.courts import (
    AUTHORITY,
    PLAYER,
    PROGRAM,
    STRANGER,
    VALIDATOR,
    as_committed,
    delegation_program,
    first_window,
    lie,
    log_of,
    played,
)
from tests.wm_live.lying.clock import Clock
from tests.wm_live.lying.lies import THEIRS, Lies
from tests.wm_live.lying.nodes import Network, Scene, Stage
from wm_cli.places import Where
from wm_cli.play_options import Pace
from wm_cli.verbs import judging, live, playing, publishing, sessions
from wm_export.schema.accounts import SESSION
from wm_export.solana.account_codec import model_accounts
from wm_export.solana.export import Export
from wm_live.chain.addresses import DELEGATION_PROGRAM, SYSTEM_PROGRAM
from wm_live.chain.guard import Budget
from wm_live.chain.trust import Trust
from wm_live.deploy.target import target_of
from wm_live.localnet.base_chain.genesis import RENT, rollup_accounts
from wm_live.session import lifecycle
from wm_live.session.instructions import DeployedWorld, Session
from wm_live.session.terms import Terms
from wm_live.session.tree import root_of

BASE, ROLLUP = "http://base.test", "http://rollup.test"
FRAMES = 4
SOL_TEXT = re.compile(
    r"(?:takes at most|never more than) ([\d.,]+) SOL(?: from \S+ for each commit, of (\d+) commits at most)?"
)


def announced_in(text: str) -> int:
    """Lamports that a text says may be taken."""
    return sum(
        round(float(amount.rstrip(".,").replace(",", "")) * SOL) * int(times or 1)
        for amount, times in SOL_TEXT.findall(text)
    )


@dataclass(frozen=True)
class Case:
    """A verb, run by a wallet where a scene begins.

    lasting   it deploys a program, which a chain does not forget
    share     of the lies that others get: less for what takes long
    run       the verb, on a network, in a folder of its own, with a generator for what it is asked for
    prepare   what the rollup has
    """

    name: str
    scene: str
    wallet: Keypair
    run: Callable[["Theatre", Network, Path, np.random.Generator], Any]
    prepare: Callable[["Theatre", Network], None] = lambda theatre, network: None
    lasting: bool = False
    share: float = 1.0


@dataclass
class Said:
    """What a run has said, and how it has ended: None for well."""

    notes: list[str] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def announced(self) -> int:
        """Lamports."""
        return announced_in("\n".join(self.notes))


class Theatre:
    """Scenes, each made once by verbs that are told the truth. drain: a hostile program."""

    def __init__(self, export: Export, tiny: Export, drain: bytes, folder: Path, clock: Clock) -> None:
        self.export, self.tiny, self.drain, self.folder, self.clock = export, tiny, drain, folder, clock
        self.ids, self.records = played(export.net, FRAMES, {1: lie(0, 0, 1)})
        self.slots = export.net.world.encoding.slots
        self.window = first_window(export.net)
        self.keys = {
            key.pubkey(): write_keypair(folder / f"{name}.json", key)
            for name, key in (("player", PLAYER), ("stranger", STRANGER))
        }
        self.scenes: dict[str, Scene] = {}
        self.hosted: dict[Pubkey, bytes] = {}
        self.scratch: set[Pubkey] = set()
        self.session: Session
        self._stages: dict[tuple[str, bool], tuple[Stage, Stage]] = {}
        self._make_disputed()
        self._make_own()
        self._make_deployments()

    # --- scenes ---

    def _genesis(self, export: Export, program: Pubkey, authority: Pubkey) -> Scene:
        world = DeployedWorld(export, program, authority)
        models = model_accounts(export.lowered, export.shards, export.manifest.hash, bytes(authority))
        accounts = self._purses() | rollup_accounts(VALIDATOR.pubkey())
        for address, data in zip((world.model, *world.more_models), models, strict=True):
            accounts[address] = Account(RENT.minimum_balance(len(data)), data, program)
        programs = {program: export.program.read_bytes(), DELEGATION_PROGRAM: delegation_program()}
        return Scene(programs, accounts, {PROGRAM: self.drain} if program == PROGRAM else {})

    def _purses(self) -> dict[Pubkey, Account]:
        return {key: Account(100 * SOL, b"", SYSTEM_PROGRAM) for key in self.keys}

    def _make_disputed(self) -> None:
        begin = self._genesis(self.export, PROGRAM, AUTHORITY)
        world, me = DeployedWorld(self.export, PROGRAM, AUTHORITY), PLAYER.pubkey()
        start = root_of(self.records[: self.slots])
        anybody = Session(world, me, Terms(8, self.ids, start, Pubkey.default(), VALIDATOR.pubkey()))
        self.session = Session(world, me, Terms(7, self.ids, start, me, VALIDATOR.pubkey()))
        self.open = anybody.address

        async def make(network: Network) -> None:
            places = lifecycle.SessionNodes(network.node(BASE), network.node(ROLLUP), VALIDATOR.pubkey())
            seat = lifecycle.Seat(PLAYER, PLAYER)
            await lifecycle.create(places, anybody, seat)
            await lifecycle.create(places, self.session, seat)
            sender = lifecycle.on_base(places, self.session, PLAYER, Budget(0, 5))
            await lifecycle.join(sender, self.session, seat)
            await lifecycle.delegate(places, self.session, PLAYER)

        with self._honest(begin, PROGRAM) as network:
            asyncio.run(make(network))
            there = network.shown.chain.account(self.session.address)
            assert there is not None
            data = as_committed(bytes(there.data), self.export.layout, self.records, self.slots)
            network.put(self.session.address, data, DELEGATION_PROGRAM)
            self._keep("disputed", begin, network)
            self.log = log_of(self.session, self.ids, self.records, self.folder / "log").folder
            self.pin = str(judging.pin_session(*self.as_(STRANGER), self.log, Trust(), True).address)
            self._keep("pinned", begin, network)

    def _make_own(self) -> None:
        program = target_of(self.export, PLAYER).program.pubkey()
        begin = self._genesis(self.export, program, PLAYER.pubkey())
        with self._honest(begin, program) as network:
            self._keep("own", begin, network)
            sessions.open_session(self.where(), Path(), 0, self.folder / "own", None)
            self._keep("opened", begin, network)
            self.hosted, self.scratch = dict(network.hosted), set(network.scratch)
            (self.own,) = self.hosted
            network.put(self.own, b"", program)
            self._keep("emptied", begin, network)

    def _make_deployments(self) -> None:
        begin = Scene({}, self._purses())
        with self._honest(begin, PROGRAM) as network:
            self._keep("nothing", begin, network)
            target = target_of(self.tiny, PLAYER)
            for name in ("program bytes", "model bytes"):
                asyncio.run(self._nearly(network, target, name))
                self._keep(f"nearly {name}", begin, network)

    async def _nearly(self, network: Network, target: Any, last: str) -> None:
        """Deploy up to the last few transactions of a step."""
        from wm_live.deploy.deploying import carry_out, prepare

        node = network.node(BASE)
        plan = await prepare(node, target)
        names = [step.name for step in plan.steps]
        at = names.index(last)
        kept = [*plan.steps[:at], replace(plan.steps[at], jobs=plan.steps[at].jobs[:-4])]
        await carry_out(node, target, replace(plan, steps=kept))

    def _keep(self, name: str, begin: Scene, network: Network) -> None:
        self.scenes[name] = Scene(begin.programs, network.shown.now(), begin.hostile)

    @contextmanager
    def _honest(self, begin: Scene, program: Pubkey) -> Iterator[Network]:
        stage, truth = Stage(begin.programs, begin.accounts), Lies(np.random.default_rng(0))
        start = self.records[: self.slots]
        network = Network(self.clock, stage, stage, (truth, truth), program, self.export.layout, start)
        with self.connected(network):
            yield network

    # --- runs ---

    def run(self, case: Case, seed: int | None) -> tuple[Said, int]:
        """(what a run has said, lamports that it has cost); told the truth without a seed."""
        rng = np.random.default_rng(seed)
        lies = (Lies.of(2 * seed), Lies.of(2 * seed + 1)) if seed is not None else (Lies(rng), Lies(rng))
        hostile = seed is not None and bool(rng.random() < 0.5) and bool(self.scenes[case.scene].hostile)
        shown, true = self._stage(case, hostile)
        program = next(iter(self.scenes[case.scene].programs), PROGRAM)
        network = Network(self.clock, shown, true, lies, program, self.export.layout, self.records[: self.slots])
        case.prepare(self, network)
        before, folder = network.balance(case.wallet.pubkey()), self.folder / f"{case.name}-{seed}"
        folder.mkdir()
        with self.connected(network) as said:
            try:
                case.run(self, network, folder, rng)
            except BaseException as error:
                said.error = error
        lost = before - network.settle(case.wallet.pubkey(), greedy=seed is not None and bool(rng.random() < 0.5))
        return said, lost

    def _stage(self, case: Case, hostile: bool) -> tuple[Stage, Stage]:
        name = case.scene
        if (name, hostile) not in self._stages or case.lasting:
            scene = self.scenes[name]
            true = Stage({**scene.programs, **(scene.hostile if hostile else {})}, scene.accounts)
            # What is held back has not expired when it lands.
            true.chain.is_fresh = lambda blockhash: True  # type: ignore[method-assign]
            self._stages[name, hostile] = Stage(scene.programs, scene.accounts), true
        shown, true = self._stages[name, hostile]
        shown.reset()
        true.reset()
        return shown, true

    @contextmanager
    def connected(self, network: Network) -> Iterator[Said]:
        """Verbs are connected to the network; what they say meanwhile."""
        said = Said()
        with pytest.MonkeyPatch.context() as patch:
            for module in (wm_cli.places, wm_cli.pins, judging, sessions, publishing):
                patch.setattr(module, "Rpc", network.node)
            for module, name in _OPENED:
                patch.setattr(module, name, lambda *_: self.export)
            for module in (sessions, playing, live):
                patch.setattr(module, "start_window", lambda *_: (self.window, None, 0))
            patch.setattr(playing, "chosen_inputs", lambda *_: self._inputs)
            patch.setattr(live, "inputs_after", lambda *_: np.stack([self._inputs(0)] * 20))
            for module in (playing, live):
                patch.setattr(module, "frame_cu", lambda _: lambda frame: 1)
            patch.setattr(wm_cli.output, "note", said.notes.append)
            patch.setattr(lifecycle, "POLL_S", 2.0)
            patch.setenv("RANK", "1")  # no bars
            yield said

    def _inputs(self, frame: int) -> Any:
        records = self.export.layout.records
        return records.inputs_of(bytes(records.inputs_size))

    def as_(self, wallet: Keypair) -> tuple[Path, str, Path]:
        return self.export.folder, BASE, self.keys[wallet.pubkey()]

    def own_log(self, folder: Path, rng: np.random.Generator) -> Path:
        """The log of the player's own session; or a folder without one."""
        if rng.random() < 0.3:
            return folder / "none"
        return Path(shutil.copytree(self.folder / "own", folder / "log"))

    def any_log(self, network: Network, folder: Path, rng: np.random.Generator) -> Path:
        """The log of the disputed session, which lies where nodes do."""
        copy = Path(shutil.copytree(self.log, folder / "log"))
        if network.lies[0].told and rng.random() < 0.4:
            damage(copy, rng)
        return copy

    def where(self) -> Where:
        """The player's own session."""
        return Where(self.export.folder, BASE, ROLLUP, self.keys[PLAYER.pubkey()], 0, yes=True)


def damage(log: Path, rng: np.random.Generator) -> None:
    """Another program, session or hash in a log; or records that were not played, or are missing."""
    if rng.random() < 0.5:
        path = log / "log.json"
        about = json.loads(path.read_text())
        name = list(about)[rng.integers(len(about))]
        others = [str(THEIRS), str(PROGRAM), about["session"], about["model"], 0, 1 << 62, "[/red]\x1b[2J", None, []]
        path.write_text(json.dumps(about | {name: others[rng.integers(len(others))]}))
        return
    path = log / "records.bin"
    raw = bytearray(path.read_bytes())
    if rng.random() < 0.3:
        raw = raw[: int(rng.integers(len(raw)))]
    for _ in range(rng.integers(1, 5) if raw else 0):
        raw[rng.integers(len(raw))] ^= 1 << rng.integers(8)
    path.write_bytes(bytes(raw))


_OPENED: Sequence[tuple[ModuleType, str]] = (
    (wm_cli.places, "built"),
    (wm_cli.pins, "comparable"),
    (judging, "comparable"),
    (sessions, "built"),
    (sessions, "comparable"),
    (playing, "built"),
    (playing, "comparable"),
    (live, "built"),
)


# ------------------------------------------------------------------------------------------------------------ the verbs


def _deploy(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    where = theatre.tiny, BASE, theatre.keys[PLAYER.pubkey()]
    shown = lambda plan: wm_cli.output.note("\n".join(plan.lines()))  # noqa: E731
    publishing.run_deploy(*where, False, bool(rng.integers(2)), shown, lambda *_: None)


def _abort(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    publishing.run_abort(theatre.tiny, BASE, theatre.keys[PLAYER.pubkey()], True)


def _fund(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    publishing.run_fund(BASE, theatre.keys[PLAYER.pubkey()], 101.0)


def _open(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    sessions.open_session(theatre.where(), Path(), 0, folder / "log", None)


def _play(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    playing.play_session(theatre.where(), _pace(folder / "log"))


def _pace(folder: Path) -> Pace:
    return Pace(Path(), 0, 12, 0.0, "replay", folder, False, 0)


def _bench(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    live.measure_rollup(theatre.where(), Path(), 0.1, 2)


def _commit(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    sessions.commit_session(theatre.where(), theatre.own_log(folder, rng))


def _end(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    sessions.end_session(theatre.where(), theatre.own_log(folder, rng))


def _close(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    sessions.close_session(theatre.where(), theatre.own_log(folder, rng))


def _close_emptied(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    sessions.close_session(theatre.where(), Path(shutil.copytree(theatre.folder / "own", folder / "log")))


def _join(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    sessions.join_session(*theatre.as_(STRANGER), str(theatre.open), Trust(), True)


def _guest(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    where = replace(theatre.where(), keypair=theatre.keys[STRANGER.pubkey()])
    playing.play_as_guest(where, _pace(folder / "log"), str(theatre.open), Trust())


def _dispute(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    log = theatre.any_log(network, folder, rng)
    judging.dispute_frame(*theatre.as_(STRANGER), log, int(rng.integers(FRAMES)), False, False, Trust(), True)


def _pin(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    judging.pin_session(*theatre.as_(STRANGER), theatre.any_log(network, folder, rng), Trust(), True)


def _unpin(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    judging.close_own_pin(*theatre.as_(STRANGER), theatre.pin, Trust(), True)


def _watch(theatre: Theatre, network: Network, folder: Path, rng: np.random.Generator) -> None:
    """Until somebody ends it; meanwhile the operator commits."""
    wm_cli.pins.announce_pins(BASE, theatre.keys[STRANGER.pubkey()], True)
    follow = wm_cli.pins.follow(*theatre.as_(STRANGER), str(theatre.session.address), Trust())

    async def run() -> None:
        task = asyncio.ensure_future(follow)
        for _ in range(40):
            await asyncio.wait([task], timeout=1.5)
            there = network.shown.chain.account(theatre.session.address)
            assert there is not None
            data = bytearray(there.data)
            SESSION.write(data, "root", rng.bytes(32))
            network.put(theatre.session.address, bytes(data), DELEGATION_PROGRAM)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    asyncio.run(run())


def _hosts_own(theatre: Theatre, network: Network) -> None:
    network.hosted, network.scratch = dict(theatre.hosted), set(theatre.scratch)


def _hosts_open(theatre: Theatre, network: Network) -> None:
    there = network.shown.chain.account(theatre.open)
    assert there is not None
    start = theatre.records[: theatre.slots]
    network.hosted[theatre.open] = as_committed(bytes(there.data), theatre.export.layout, start, theatre.slots)
    network.plays_itself = True


CASES = (
    Case("deploy", "nothing", PLAYER, _deploy, lasting=True, share=0.1),
    Case("deploy, the program nearly there", "nearly program bytes", PLAYER, _deploy, lasting=True, share=0.2),
    Case("deploy, the model nearly there", "nearly model bytes", PLAYER, _deploy, lasting=True, share=0.5),
    Case("deploy abort", "nearly model bytes", PLAYER, _abort),
    Case("fund", "nothing", PLAYER, _fund),
    Case("session open", "own", PLAYER, _open),
    Case("play", "own", PLAYER, _play),
    Case("bench rollup", "own", PLAYER, _bench),
    Case("session commit", "opened", PLAYER, _commit, _hosts_own),
    Case("session end", "opened", PLAYER, _end, _hosts_own),
    Case("session close", "opened", PLAYER, _close, _hosts_own),
    Case("session close, emptied", "emptied", PLAYER, _close_emptied),
    Case("session join", "disputed", STRANGER, _join),
    Case("play --guest", "disputed", STRANGER, _guest, _hosts_open),
    Case("dispute", "disputed", STRANGER, _dispute),
    Case("verify --pin", "disputed", STRANGER, _pin),
    Case("watch --pin", "disputed", STRANGER, _watch),
    Case("unpin", "pinned", STRANGER, _unpin),
)
