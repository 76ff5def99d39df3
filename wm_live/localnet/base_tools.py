"""Other base chains: solana-test-validator and surfpool, where they are installed.

Both get the programs that `make rollup` installed and the accounts that a rollup needs, so neither has to reach devnet.
Neither tool is in any package registry: their command lines follow their manuals and are not run by the tests, which
check only what would be started.
"""

import base64
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solders.account import Account
from solders.pubkey import Pubkey

from wm_live.chain.rpc import Rpc
from wm_live.errors import WmLiveError
from wm_live.localnet.base_chain.genesis import read_programs, rollup_accounts
from wm_train.files import atomic_write_json

HOST = "127.0.0.1"
NAMES = ("solana-test-validator", "surfpool")


@dataclass(frozen=True)
class BaseTool:
    """A tool that is on PATH, and its own way of getting programs and accounts."""

    name: str
    path: str

    def command(self, port: int, validator: Pubkey, storage: Path, programs: Path) -> list[str]:
        """What to start: calls on `port`, subscriptions on the next, state in `storage`."""
        if self.name == "surfpool":
            ports = ["--host", HOST, "--port", str(port), "--ws-port", str(port + 1)]
            return [self.path, "start", "--no-tui", "--no-deploy", "--no-studio", "--offline", *ports]
        command = [self.path, "--quiet", "--bind-address", HOST, "--rpc-port", str(port)]
        command += ["--faucet-port", str(port + 2), "--ledger", str(storage / "ledger")]
        for address in read_programs([programs]):
            command += ["--bpf-program", str(address), str(programs / f"{address}.so")]
        for address, account in rollup_accounts(validator).items():
            command += ["--account", str(address), str(_dump(storage, address, account))]
        return command

    async def prepare(self, url: str, validator: Pubkey, programs: Path) -> None:
        """What is left to do once it answers: surfpool gets programs and accounts by RPC calls of its own."""
        if self.name != "surfpool":
            return
        async with Rpc(url) as rpc:
            for address, elf in read_programs([programs]).items():
                await rpc.call("surfnet_writeProgram", [str(address), elf.hex(), 0])
            for address, account in rollup_accounts(validator).items():
                fields = {"lamports": account.lamports, "data": bytes(account.data).hex(), "owner": str(account.owner)}
                await rpc.call("surfnet_setAccount", [str(address), fields])


def base_tool(name: str) -> BaseTool:
    """A tool by its name; WmLiveError if it is unknown or not on PATH."""
    if name not in NAMES:
        raise WmLiveError(f"base chain {name!r}: expected lite, {', '.join(NAMES)} or a URL")
    path = shutil.which(name)
    if path is None:
        raise WmLiveError(f"base chain {name}: not on PATH. Install it, or leave --base-chain at lite")
    return BaseTool(name, path)


def _dump(folder: Path, address: Pubkey, account: Account) -> Path:
    """An account as the file that `--account` reads."""
    fields: dict[str, Any] = {
        "lamports": account.lamports,
        "data": [base64.b64encode(bytes(account.data)).decode(), "base64"],
        "owner": str(account.owner),
        "executable": account.executable,
        "rentEpoch": 0,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{address}.json"
    atomic_write_json(path, {"pubkey": str(address), "account": fields})
    return path
