"""A localnet: a base chain and the MagicBlock validator as processes on this machine."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from solders.pubkey import Pubkey

from wm_export.solana.sources import INSTALL_ROLLUP
from wm_live import bounded_json
from wm_live.chain.rpc import websocket_url
from wm_live.errors import WmLiveError
from wm_live.localnet.base_chain.genesis import FEES_VAULT
from wm_live.localnet.base_tools import BaseTool, base_tool
from wm_train.writer import Writer

HOST = "127.0.0.1"
BASE_PORT, ROLLUP_PORT = 8899, 7799
#: Ports for servers: below those that Linux (32768 and up) and macOS (49152 and up) give to outgoing connections.
LISTENING_PORTS = range(10_000, 32_000)
#: The validator's own default identity. Its key is public: good for a network that nobody else can reach.
IDENTITY = Pubkey.from_string("mAGicPQYBMvcYveUZA5F5UNNwyHvfYh5xkLS2Fr1mev")

#: A base chain runs everything in its ledger again before it answers: 10 s for an upload of 8 MB.
READY_S, STOP_S, POLL_S = 300, 10, 0.05
LOG_LINES = 15
#: Bytes of the validator's account database; its own default is soon full of weights.
DATABASE_BYTES = 1 << 30
REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installed:
    """What `make rollup` put into the cache. programs: a folder of <address>.so."""

    validator: Path
    programs: Path


def rollup_home() -> Path:
    """Where scripts/rollup.sh installs: ${WMQ_CACHE:-~/.cache/wmq}/rollup."""
    return Path(os.environ.get("WMQ_CACHE") or Path.home() / ".cache" / "wmq") / "rollup"


def find_installed() -> Installed | None:
    """The validator and its programs, None if `make rollup` has not been run (to its end)."""
    home = rollup_home()
    found = Installed(home / "bin" / "validator", home / "programs")
    return found if found.validator.exists() and len(list(found.programs.glob("*.so"))) > 1 else None


@dataclass(frozen=True)
class LocalnetPlaces:
    """URLs of a localnet. The WebSocket port is the one after the RPC port."""

    base: str
    base_websocket: str
    rollup: str
    rollup_websocket: str
    identity: Pubkey
    storage: Path


class ServerProcess:
    """A server process and its log file. `answers` polls whether it is ready."""

    def __init__(
        self, name: str, command: list[str], ports: list[int], log: Path, answers: Callable[[], bool], **env: str
    ) -> None:
        self.name, self.log, self._answers, self._ports = name, log, answers, ports
        self._command, self._env = command, {**os.environ, **env}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; WmLiveError with the end of its log if it does not."""
        for port in self._ports:
            self._need_free(port)
        with open(self.log, "ab") as log:
            # A group of its own: Ctrl-C at the terminal is for us, who stop both in their order.
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._env, start_new_session=True
            )
        deadline = time.monotonic() + READY_S
        while not self._answers():
            self.check()
            if time.monotonic() > deadline:
                self.stop()
                raise WmLiveError(f"{self.name}: no answer within {READY_S} s; {self._tail()}")
            time.sleep(POLL_S)

    def check(self) -> None:
        """WmLiveError with the end of its log if it has ended by itself."""
        if self._process is not None and (status := self._process.poll()) is not None:
            raise WmLiveError(f"{self.name}: ended with {_reason(status)}; {self._tail()}")

    def stop(self) -> None:
        """Terminate the process; kill it if that takes longer than 10 s."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            try:
                self._process.wait(STOP_S)
            finally:  # a second Ctrl-C must not leave it behind
                self.kill()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _need_free(self, port: int) -> None:
        try:
            with contextlib.ExitStack() as held:
                _bind(held, port)
        except OSError as error:
            raise WmLiveError(f"{self.name}: port {port} of {HOST} is taken ({error.strerror}); name another") from None

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        return "\n  ".join([f"the end of {self.log}:", *lines])


def _reason(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit code {status}"


class Localnet:
    """Both servers; use it with `with`. Everything listens on 127.0.0.1 only.

    base      "lite" (LiteSVM in a process of its own), "solana-test-validator" or "surfpool" where those are installed,
              or the URL of a base chain that runs already
    storage   folder of state and logs; a temporary one, removed at the end, if not given. The base chain's ledger in it
              is taken up again; the rollup always begins anew and clones what it needs
    ports     calls of base chain and rollup; each also takes the next port, and the rollup one more. Free ones for None
    slot_ms   time of one block height on "lite"
    programs  folders of <address>.so, programs that "lite" begins with beside those of the platform
    """

    def __init__(
        self,
        base: str = "lite",
        storage: Path | None = None,
        ports: tuple[int | None, int | None] = (None, None),
        slot_ms: float = 400,
        programs: Sequence[Path] = (),
    ) -> None:
        installed = find_installed()
        if installed is None:
            raise WmLiveError(f"localnet: no validator in {rollup_home()}; next: {INSTALL_ROLLUP}")
        self._installed, self._slot_ms, self._programs = installed, slot_ms, (installed.programs, *programs)
        self._tool: BaseTool | None = None if base == "lite" or "://" in base else base_tool(base)
        self._temporary = None if storage else tempfile.TemporaryDirectory(prefix="wmq-localnet-")
        self.storage = storage or Path(self._temporary.name if self._temporary else "")
        self._writer: Writer | None = None
        base_port, rollup_port = (port or free_ports(3) for port in ports)
        self.places = _places(base, base_port, rollup_port, self.storage)
        self._metrics_port = rollup_port + 2
        self._base = self._base_server(base_port) if "://" not in base else None
        self._rollup = self._rollup_server(rollup_port)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start both and wait until they answer; WmLiveError says which did not, and why."""
        self._writer = Writer(self.storage, "localnet")
        if self._base:
            self._base.start()
            if self._tool:
                asyncio.run(self._tool.prepare(self.places.base, IDENTITY, self._installed.programs))
        elif not _answers(self.places.base, "getHealth"):
            raise WmLiveError(f"{self.places.base}: no base chain answers there")
        self.restart_validator()

    def stop(self) -> None:
        """Stop both, the rollup first, and remove a temporary storage. May be called again."""
        with contextlib.ExitStack() as last_to_first:
            if self._temporary:
                last_to_first.callback(self._temporary.cleanup)
            if self._writer:
                last_to_first.callback(self._writer.release)
            if self._base:
                last_to_first.callback(self._base.stop)
            last_to_first.callback(self._rollup.stop)

    def check(self) -> None:
        """WmLiveError with the end of its log if one of the two has ended by itself."""
        for server in (self._base, self._rollup):
            if server:
                server.check()

    def kill_base(self) -> None:
        """Kill the base chain, as a crash would; its ledger stays."""
        self._started_base().kill()

    def restart_base(self) -> None:
        """Start the base chain again on what its ledger holds."""
        self._started_base().start()

    def kill_validator(self) -> None:
        """Kill the rollup's validator, as a crash would: what it had not committed is lost."""
        self._rollup.kill()

    def restart_validator(self) -> None:
        """Start the rollup's validator with nothing but the base chain (after stopping one that runs)."""
        self._rollup.stop()
        # It would send the old one's intents again.
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.storage / "rollup")
        (self.storage / "rollup").mkdir()
        self._rollup.start()

    def _started_base(self) -> ServerProcess:
        if self._base is None:
            raise WmLiveError(f"{self.places.base} was not started here; it cannot be killed or started again")
        return self._base

    def _base_server(self, port: int) -> ServerProcess:
        if self._tool:
            command = self._tool.command(port, IDENTITY, self.storage / "base", self._installed.programs)
        else:
            command = [sys.executable, "-m", "wm_live.localnet.base_chain", "--port", str(port)]
            command += ["--validator", str(IDENTITY)]
            command += [word for folder in self._programs for word in ("--programs", str(folder))]
            command += ["--slot-ms", str(self._slot_ms)]
            command += ["--ledger", str(self.storage / "base")]
        path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
        log = self.storage / "base.log"
        ports = [port, port + 1]
        return ServerProcess(
            "base chain", command, ports, log, lambda: _answers(self.places.base, "getHealth"), PYTHONPATH=path
        )

    def _rollup_server(self, port: int) -> ServerProcess:
        command = [str(self._installed.validator), "--no-tui", "--lifecycle", "ephemeral"]
        command += ["--remotes", self.places.base, "--remotes", self.places.base_websocket]
        command += ["--storage", str(self.storage / "rollup"), "--listen", f"{HOST}:{port}"]
        return ServerProcess(
            "validator",
            command,
            [port, port + 1, self._metrics_port],
            self.storage / "rollup.log",
            lambda: _clones(self.places.rollup),
            MBV_METRICS__ADDRESS=f"{HOST}:{self._metrics_port}",
            MBV_ACCOUNTSDB__DATABASE_SIZE=str(DATABASE_BYTES),
            RUST_LOG=os.environ.get("RUST_LOG", "info"),
            NO_COLOR="1",
        )


def _places(base: str, base_port: int, rollup_port: int, storage: Path) -> LocalnetPlaces:
    url = base if "://" in base else f"http://{HOST}:{base_port}"
    rollup = f"http://{HOST}:{rollup_port}"
    return LocalnetPlaces(url, websocket_url(url), rollup, websocket_url(rollup), IDENTITY, storage)


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody has taken.

    None of them is one that a system hands to connections by itself: a server that is started, or started again, a
    while after this would sooner or later find its port held by somebody's connection.
    """
    for _ in range(100):
        first = random.choice(LISTENING_PORTS)
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for port in range(first, first + count):
                _bind(held, port)
            return first
    raise WmLiveError(f"localnet: no {count} free ports in a row on {HOST}")


def _bind(held: contextlib.ExitStack, port: int) -> None:
    taken = held.enter_context(socket.socket())
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: one that was killed left traces
    taken.bind((HOST, port))


def _answers(url: str, method: str) -> bool:
    """Does a node at `url` give this call a result?"""
    return "result" in _ask(url, method)


def _clones(url: str) -> bool:
    """Does the rollup at `url` show an account of the base chain? It answers calls some time before it can."""
    result = _ask(url, "getAccountInfo", str(FEES_VAULT), {"encoding": "base64"}).get("result")
    return isinstance(result, dict) and result.get("value") is not None


def _ask(url: str, method: str, *params: Any) -> dict[str, Any]:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=2) as response:
            answer: Any = bounded_json.parse(response.read(1 << 16))
    except (OSError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def run(net: Localnet, ready: Callable[[LocalnetPlaces], None]) -> None:
    """Start a localnet, pass its URLs to `ready`, and keep it until SIGINT, SIGTERM or SIGHUP; then stop it.

    WmLiveError if one of its servers does not start or ends by itself. Only for the main thread.
    """
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with contextlib.suppress(KeyboardInterrupt), net:
            ready(net.places)
            while True:
                net.check()
                time.sleep(POLL_S)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
