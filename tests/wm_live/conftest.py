"""Servers to test on: the base chain as a process of its own, and a whole localnet where the validator is installed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builds import one_file
from wm_export.solana.toolchain import Toolchain
from wm_live.localnet.base_chain.ids import CLOCK
from wm_live.localnet.servers import Installed, Localnet, ServerProcess, _answers, free_ports

#: Fails with error 7 if it can read the clock, which takes a system call that only some clusters have; with 8 if it
#: cannot.
SOURCE = """#![no_std]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {{ loop {{}} }}
extern "C" {{ fn sol_get_sysvar(id: *const u8, to: *mut u8, offset: u64, length: u64) -> u64; }}
static CLOCK: [u8; 32] = {clock};
#[no_mangle]
pub unsafe extern "C" fn entrypoint(_: *const u8) -> u64 {{
    let mut slot = [0u8; 8];
    if sol_get_sysvar(CLOCK.as_ptr(), slot.as_mut_ptr(), 0, 8) == 0 && u64::from_le_bytes(slot) > 0 {{ 7 }} else {{ 8 }}
}}
"""


class BaseChain:
    """A base chain process on a free port. `ledger` outlives it."""

    def __init__(self, folder: Path, slot_ms: float) -> None:
        port = free_ports(2)
        self.url, self.ledger = f"http://127.0.0.1:{port}", folder / "ledger"
        command = [sys.executable, "-m", "wm_live.localnet.base_chain", "--port", str(port), "--slot-ms", str(slot_ms)]
        command += ["--ledger", str(self.ledger)]
        self.server = ServerProcess(
            "base chain", command, [port, port + 1], folder / "base.log", lambda: _answers(self.url, "getHealth")
        )


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, python: str) -> Iterator[BaseChain]:
    """A base chain with the real slot time."""
    chain = BaseChain(tmp_path_factory.mktemp("base"), slot_ms=400)
    chain.server.start()
    yield chain
    chain.server.stop()


@pytest.fixture
def hurried_base(tmp_path: Path, python: str) -> Iterator[BaseChain]:
    """A base chain whose blockhashes live a third of a second."""
    chain = BaseChain(tmp_path, slot_ms=2)
    chain.server.start()
    yield chain
    chain.server.stop()


@pytest.fixture(scope="session")
def clock_program(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real program, which fails with error 7."""
    return one_file(tmp_path_factory.mktemp("sample"), "sample", SOURCE.format(clock=list(bytes(CLOCK))))


@pytest.fixture(scope="session")
def localnet(sbpf: Toolchain, validator: Installed) -> Iterator[Localnet]:
    """A base chain and the real validator, on free ports, for programs that are built here."""
    with Localnet() as net:
        yield net
