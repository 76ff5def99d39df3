"""python -m wm_live.localnet.base_chain: a base chain as a process of its own. Prints READY once it answers."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from pathlib import Path

from solders.pubkey import Pubkey

from wm_live.errors import WmLiveError
from wm_live.localnet.base_chain.chain import Chain
from wm_live.localnet.base_chain.endpoint import HOST, Endpoint
from wm_live.localnet.base_chain.genesis import Genesis, read_programs, rollup_accounts
from wm_live.localnet.base_chain.ledger import Ledger

LEDGER_NAME = "ledger.bin"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m wm_live.localnet.base_chain", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="for calls; subscriptions are on the next one")
    parser.add_argument("--programs", type=Path, action="append", default=[], help="folder of <address>.so; repeatable")
    parser.add_argument("--validator", type=Pubkey.from_string, help="identity of a rollup's validator")
    parser.add_argument("--ledger", type=Path, help="folder that outlives the process; in memory only if not given")
    parser.add_argument("--slot-ms", type=float, default=400, help="time of one block height")
    return parser.parse_args()


def _chain(arguments: argparse.Namespace) -> Chain:
    accounts = rollup_accounts(arguments.validator) if arguments.validator else {}
    genesis = Genesis(read_programs(arguments.programs), accounts)
    ledger = Ledger(arguments.ledger / LEDGER_NAME, genesis.digest()) if arguments.ledger else None
    return Chain(genesis, ledger, arguments.slot_ms)


async def _serve(chain: Chain, port: int) -> None:
    ready = asyncio.Event()
    server = asyncio.create_task(Endpoint(chain, port).run(ready))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.cancel)
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([server, waiting], return_when=asyncio.FIRST_COMPLETED)
    if ready.is_set():
        print(f"READY http://{HOST}:{port} ws://{HOST}:{port + 1}", flush=True)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await server


def main() -> None:
    """Serve until SIGINT or SIGTERM. Exit code 1 with a reason if it cannot."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    arguments = _arguments()
    try:
        asyncio.run(_serve(_chain(arguments), arguments.port))
    except (WmLiveError, OSError) as error:
        sys.exit(f"base chain: {error}")


main()
