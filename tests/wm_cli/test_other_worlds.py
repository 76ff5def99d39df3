"""Logs, sessions and deployments of another export than that at hand, or that are gone: the answer, and what next."""

import asyncio
import hashlib
import re
import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from solders.pubkey import Pubkey

from tests.factories import small_qnet
from tests.verbs import run
from tests.wm_live.courts import PLAYER, VALIDATOR, first_window, log_of, played
from wm_cli import places, put_on_chain
from wm_cli.verbs import playing
from wm_export.schema.sbpf import DEFAULT_ARCH
from wm_export.solana.build_record import keep_record
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.toolchain import BuildInfo
from wm_live.chain.rpc import RpcError
from wm_live.chain.wallet import load_keypair, new_keypair
from wm_live.deploy.target import target_of
from wm_live.errors import WmLiveError
from wm_live.session import game, lifecycle
from wm_live.session.account import SessionState
from wm_live.session.instructions import DeployedWorld, Session
from wm_live.session.log import Agreed, open_log, read_log
from wm_live.session.terms import Terms
from wm_live.session.tree import root_of
from wm_train.files import atomic_write_bytes

NEXT = re.compile(r"next: wmq ([^,\n]*)")
ELF = b"\x7fELF\x02\x01" + bytes(58)


def as_built(folder: Path, cuts: list[str]) -> Export:
    """An export with what stands for its program: no compiler is asked."""
    export_solana(small_qnet(), folder, cuts)
    export = open_export(folder)
    export.program.parent.mkdir()
    atomic_write_bytes(export.program, ELF)
    keep_record(export, BuildInfo(DEFAULT_ARCH, "none", (), hashlib.sha256(ELF).hexdigest(), len(ELF)), ["program.so"])
    return export


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a wallet, two exports, and the log of a session of the second, `other`."""
    monkeypatch.chdir(tmp_path)
    new_keypair(Path("payer.json"))
    as_built(Path("export"), [])
    log_at(as_built(Path("other"), ["2"]), Path("session-1"))
    return tmp_path


def log_at(export: Export, folder: Path) -> Session:
    """The log of a session of this wallet's world."""
    wallet = load_keypair(Path("payer.json"))
    world = DeployedWorld(export, target_of(export, wallet).program.pubkey(), wallet.pubkey())
    ids, records = played(export.net, 4)
    me, slots = wallet.pubkey(), world.slots
    session = Session(world, me, Terms(1, ids, root_of(records[:slots]), me, VALIDATOR.pubkey()))
    log_of(session, ids, records, folder, Agreed(str(me), "1", str(me), str(VALIDATOR.pubkey())))
    return session


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> dict[Pubkey, Any]:
    """Accounts that both nodes have: none yet."""
    accounts: dict[Pubkey, Any] = {}

    async def account(address: Pubkey, *_: int) -> Any:
        return accounts.get(address)

    @asynccontextmanager
    async def nodes(_: places.Where) -> AsyncIterator[Any]:
        node = SimpleNamespace(url="http://127.0.0.1:8899", account=account)
        yield SimpleNamespace(base=node, rollup=node, validator=VALIDATOR.pubkey())

    monkeypatch.setattr(places, "places", nodes)
    return accounts


def answer(command: str) -> str:
    """What a verb says of what is wrong, in one line."""
    result = run(*shlex.split(command))
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit) and not result.stdout, result.output
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    return said


OF_A_LOG = ("verify --offline --log session-1", "verify --log session-1", "verify --pin --log session-1",
            "dispute 1 --dry-run --log session-1")  # fmt: skip
OF_A_SESSION = ("play --id 1", "session show --id 1", "session commit --id 1", "session end --id 1",
                "session close --id 1")  # fmt: skip


@pytest.mark.parametrize("command", [*OF_A_LOG, *OF_A_SESSION])
def test_the_log_of_another_export_names_that_export(folder: Path, chain: dict[Pubkey, Any], command: str) -> None:
    said = answer(command)
    assert "session-1: not of export, its manifest: got" in said
    assert NEXT.findall(said) == [f"{command} other"]


def test_the_command_that_is_named_works(folder: Path) -> None:
    done = run(*shlex.split(NEXT.findall(answer(OF_A_LOG[0]))[0]))
    assert done.exit_code == 0, done.output


def test_where_that_export_is_not_here_the_command_has_a_place_for_it(folder: Path) -> None:
    (folder / "other" / "manifest.json").unlink()
    said = answer(OF_A_LOG[0])
    assert "none here is of that manifest" in said and NEXT.findall(said) == [f"{OF_A_LOG[0]} EXPORT"]


@pytest.mark.parametrize("command", OF_A_LOG)
def test_a_log_that_is_not_there(folder: Path, command: str) -> None:
    said = answer(command.replace("session-1", "session-9"))
    assert "session-9: is not there, expected the log of a session" in said and NEXT.findall(said) == [command]


@pytest.mark.parametrize("verb", ["play", "session show", "session end"])
def test_a_session_that_was_closed(folder: Path, chain: dict[Pubkey, Any], verb: str) -> None:
    said = answer(f"{verb} other --id 1")
    assert "`wmq verify other --log session-1` says what is left of it" in said
    assert NEXT.findall(said) == ["play other --id 2"]
    log_at(open_export(folder / "export"), folder / "session-2")
    assert NEXT.findall(answer(f"{verb} other --id 1 --keypair payer.json")) == ["play other --id 3"]


def test_another_start_of_a_session_that_is_there_is_remarked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = log_at(open_export(Path("export")), Path("session-2"))
    places.tell_of_start(session, first_window(session.world.export.net), 0)
    assert capsys.readouterr().err == ""
    places.tell_of_start(session, first_window(session.world.export.net, seed=1), 5)
    assert "it did not begin with window 5 of --start" in capsys.readouterr().err


def test_a_node_that_goes_in_the_middle_of_a_play(
    folder: Path, chain: dict[Pubkey, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = log_at(open_export(Path("export")), Path("session-2"))

    async def found(*_: object) -> Any:
        return SimpleNamespace(session=session)

    async def opened(*_: object) -> Any:
        return open_log(Path("session-2")), None

    async def killed(*_: object) -> None:
        raise RpcError("ws://127.0.0.1:7800: the node ended the subscription; next: wmq localnet")

    for name, stand_in in (("own_session", found), ("_opened", opened), ("play_frames", killed)):
        monkeypatch.setattr(playing, name, stand_in)
    monkeypatch.setattr(playing, "frame_cu", lambda export: lambda frame: 0)
    said = answer("play --id 2")
    assert "session-2: keeps 4 frames, and the same command goes on with them" in said
    assert NEXT.findall(said) == ["localnet"]


def test_a_session_whose_rollup_was_lost_before_its_first_commit_is_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = log_at(open_export(Path("export")), Path("session-2"))
    frame = np.zeros((2, 1), np.int32)
    on_base = SessionState(bytes(32), session.world.model, session.creator, session.terms, bytes(32), 0, 0, 0, "ended",
                           (), frame, b"")  # fmt: skip

    async def delegated(*_: object) -> bool:
        return False

    async def need_session(*_: object) -> SessionState:
        return on_base

    monkeypatch.setattr(lifecycle, "delegated", delegated)
    monkeypatch.setattr(game, "need_session", need_session)
    own: Any = SimpleNamespace(places=SimpleNamespace(base=None), session=session)
    log = read_log(Path("session-2"))
    assert asyncio.run(game.finish(own, log)) == on_base and not (log.folder / "committed.json").exists()
    on_base = replace(on_base, root=bytes(31) + b"1")
    with pytest.raises(WmLiveError, match="not what the log has"):
        asyncio.run(game.finish(own, log))


def told(command: str) -> list[str]:
    """The commands of the warnings that a verb gives."""
    lines = run(*shlex.split(command)).stderr.splitlines()
    return [found for line in lines if line.startswith("warning: ") for found in NEXT.findall(line)]


def test_a_deployment_of_an_export_that_was_made_anew(folder: Path, chain: dict[Pubkey, Any]) -> None:
    world = log_at(open_export(Path("other")), Path("session-2")).world
    kept = {"payer": str(PLAYER.pubkey()), "program": str(world.program), "model": str(world.model)}
    put_on_chain.keep_deployment("localnet", kept | {"manifest_sha256": world.export.manifest.hash.hex()})
    chain[world.model] = SimpleNamespace(owner=world.program)
    assert told("session show") == [], "that export is here"
    (folder / "other" / "manifest.json").unlink()
    assert told("session show --keypair payer.json") == told("play") == ["deploy"]
    assert told("session show --cluster http://127.0.0.1:1 --rollup http://127.0.0.1:2") == [], "another cluster"
    chain.clear()
    assert told("session show") == [], "that world is gone"
