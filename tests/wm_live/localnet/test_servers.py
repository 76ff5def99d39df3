"""A localnet: what is started answers, what dies is named, and nothing is left behind. The rollup's part needs it
installed (make rollup); the prototype program of its life cycle is not here: sessions test it with the real one."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from solders.pubkey import Pubkey

from wm_live.chain.rpc import Rpc, RpcError
from wm_live.errors import WmLiveError
from wm_live.localnet import servers as module
from wm_live.localnet.base_tools import base_tool
from wm_live.localnet.servers import IDENTITY, LISTENING_PORTS, Installed, Localnet, find_installed, free_ports

#: 127.0.0.1 and the state LISTEN as /proc writes them.
LOOPBACK, LISTEN = "0100007F", "0A"
ROOT = Path(__file__).resolve().parents[3]
#: Far more than anything here takes.
LIMIT_S = 300


def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def call(url: str, method: str, *params: Any) -> Any:
    async def run() -> Any:
        async with Rpc(url) as rpc:
            return await rpc.call(method, params)

    return asyncio.run(run())


# --- with the real validator ---


def test_both_answer(localnet: Localnet) -> None:
    places = localnet.places
    assert call(places.base, "getHealth") == "ok"
    assert call(places.rollup, "getIdentity") == {"identity": str(IDENTITY)}
    assert call(places.base, "getBalance", str(IDENTITY))["value"] > 0
    localnet.check()


def test_rollup_sees_the_base_chain(localnet: Localnet) -> None:
    address = Pubkey.new_unique()
    call(localnet.places.base, "requestAirdrop", str(address), 5_000_000)
    assert call(localnet.places.rollup, "getBalance", str(address))["value"] == 5_000_000
    call(localnet.places.base, "requestAirdrop", str(address), 1)
    eventually(lambda: bool(call(localnet.places.rollup, "getBalance", str(address))["value"] == 5_000_001))


def listening(pid: int) -> set[tuple[str, int]]:
    """(address, port) of every TCP socket on which a process waits for connections."""
    names = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if os.path.lexists(fd)}
    found = set()
    for kind in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            if fields[3] == LISTEN and f"socket:[{fields[9]}]" in names:
                found.add((address, int(port, 16)))
    return found


def test_nothing_listens_beyond_this_machine(localnet: Localnet) -> None:
    for server in (localnet._base, localnet._rollup):
        assert server is not None and server._process is not None
        found = listening(server._process.pid)
        assert {port for _, port in found} >= set(server._ports[:2])
        assert {address for address, _ in found} == {LOOPBACK}


def test_ports_for_servers_are_none_that_connections_take() -> None:
    known = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first_of_connections = int(known.read_text().split()[0]) if known.exists() else 49_152
    for _ in range(20):
        assert LISTENING_PORTS.start <= free_ports(3) <= first_of_connections - 3


@pytest.mark.usefixtures("validator")
def test_killed_servers_come_back() -> None:
    address = Pubkey.new_unique()
    with Localnet() as net:
        call(net.places.base, "requestAirdrop", str(address), 7_000_000)
        net.kill_validator()
        with pytest.raises(RpcError, match="the node has to run"):
            call(net.places.rollup, "getSlot")
        net.restart_validator()
        assert call(net.places.rollup, "getBalance", str(address))["value"] == 7_000_000
        net.kill_base()
        net.restart_base()
        assert call(net.places.base, "getBalance", str(address))["value"] == 7_000_000
        net.check()
        storage = net.storage
    assert not storage.exists()
    for url in (net.places.base, net.places.rollup):
        with pytest.raises(RpcError):
            call(url, "getSlot")


@pytest.mark.usefixtures("validator")
def test_dead_validator_is_named_with_its_log() -> None:
    with Localnet() as net:
        process = net._rollup._process
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.wait()
        with pytest.raises(WmLiveError, match=r"ended with signal 9; the end of .*rollup\.log:\n  .*_validator"):
            net.check()


@pytest.mark.usefixtures("validator")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_everything(tmp_path: Path, number: signal.Signals, python: str) -> None:
    code = "from pathlib import Path; from wm_live.localnet.servers import Localnet, run\n"
    code += f"run(Localnet(storage=Path({str(tmp_path / 'net')!r})), lambda at: print(at.base, at.rollup, flush=True))"
    with subprocess.Popen([python, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base, rollup = process.stdout.readline().split()
        assert call(base, "getHealth") == "ok"
        process.send_signal(number)
        assert process.wait(LIMIT_S) == 0
    for url in (base, rollup):
        with pytest.raises(RpcError):
            call(url, "getSlot")
    assert (tmp_path / "net" / "base" / "ledger.bin").exists()


# --- without it ---


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A validator that ends at once."""
    validator, programs = tmp_path / "validator", tmp_path / "programs"
    validator.write_text("#!/bin/sh\necho no such slot\nexit 3\n")
    validator.chmod(0o755)
    programs.mkdir()
    monkeypatch.setattr(module, "find_installed", lambda: Installed(validator, programs))
    return tmp_path


def test_validator_that_does_not_start(pretended: Path, python: str) -> None:
    net = Localnet(storage=pretended / "net")
    with pytest.raises(WmLiveError, match=r"(?s)validator: ended with exit code 3; .*no such slot"), net:
        pass
    with pytest.raises(RpcError):
        call(net.places.base, "getHealth")


def test_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WMQ_CACHE", str(tmp_path))
    assert find_installed() is None
    with pytest.raises(WmLiveError, match="make rollup"):
        Localnet()


def test_taken_port_is_named(pretended: Path) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        net = Localnet(ports=(port, None), storage=pretended / "net")
        with pytest.raises(WmLiveError, match=f"base chain: port {port} of 127.0.0.1 is taken"):
            net.start()


def test_other_base_chains(pretended: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WmLiveError, match="expected lite, solana-test-validator, surfpool or a URL"):
        Localnet(base="ganache")
    monkeypatch.setenv("PATH", str(pretended))
    with pytest.raises(WmLiveError, match="not on PATH"):
        Localnet(base="surfpool")
    for name in ("surfpool", "solana-test-validator"):
        (pretended / name).write_text("#!/bin/sh\n")
        (pretended / name).chmod(0o755)
        command = base_tool(name).command(8899, IDENTITY, pretended / "state", pretended / "programs")
        assert command[0] == str(pretended / name) and "8899" in command and "127.0.0.1" in command
    assert (pretended / "state" / f"{IDENTITY}.json").exists()


def test_a_base_chain_elsewhere_must_answer(pretended: Path) -> None:
    with (
        pytest.raises(WmLiveError, match="no base chain answers there"),
        Localnet(base=f"http://127.0.0.1:{free_ports(1)}"),
    ):
        pass
