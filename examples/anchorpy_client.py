"""Reads a live world with anchorpy: its model and a session from the base chain, its Frames from the rollup.

    python -m venv anchorpy
    anchorpy/bin/pip install --require-hashes --requirement examples/anchorpy_requirements.txt
    anchorpy/bin/python examples/anchorpy_client.py --idl export/programs/program/idl.json --program PROGRAM \
        --session SESSION --base http://127.0.0.1:8899 --rollup http://127.0.0.1:7799 --frames 600

anchorpy needs an older solders than wmq, so it has an environment of its own, and nothing of wmq is imported here. It
reads IDLs as Anchor wrote them up to 0.29: `idl.json` of an export. Each line of what is printed is an object in JSON:
the model, then the session, then each Frame that was seen, as whole numbers in the order of the game's fields.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from anchorpy import Idl, Program, Provider, Wallet
from solana.rpc.async_api import AsyncClient
from solana.rpc.commitment import Processed
from solders.pubkey import Pubkey

#: Seconds between two looks at a session; less than a frame.
LOOK_S = 0.01


def world(idl: Path, program: str, url: str) -> Program:
    """The program on a node, known by its IDL; nothing is signed, so the wallet is nobody's."""
    provider = Provider(AsyncClient(url, commitment=Processed), Wallet.dummy())
    return Program(Idl.from_json(idl.read_text()), Pubkey.from_string(program), provider)


async def read(program: Program, account: str, address: Pubkey) -> Any:
    """An account of the program, decoded."""
    return await program.account[account].fetch(address, Processed)


async def frames(program: Program, session: Pubkey) -> AsyncIterator[tuple[int, list[int]]]:
    """Each Frame that a session shows: its number, and its fields, the first player's before the second's."""
    seen = -1
    while True:
        state = await read(program, "Session", session)
        if state.frame_number != seen:
            seen = state.frame_number
            yield seen, list(state.frame)
        await asyncio.sleep(LOOK_S)


async def follow(arguments: argparse.Namespace) -> None:
    """Print the model, the session, and so many Frames."""
    address = Pubkey.from_string(arguments.session)
    base, rollup = (world(arguments.idl, arguments.program, url) for url in (arguments.base, arguments.rollup))
    session = await read(rollup, "Session", address)
    model = await read(base, "Model", session.model)
    show(model=str(session.model), manifest=bytes(model.manifest).hex(), frozen=model.frozen)
    show(session=arguments.session, id=session.id, status=type(session.status).__name__.lower())
    left = arguments.frames
    async for number, fields in frames(rollup, address):
        show(frame=number, fields=fields)
        left -= 1
        if left <= 0:
            break
    await base.close()
    await rollup.close()


def show(**fields: Any) -> None:
    """A line of JSON, at once."""
    print(json.dumps(fields), flush=True)


def main() -> None:
    """Read the arguments and follow the session."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idl", type=Path, required=True, help="idl.json of the export")
    parser.add_argument("--program", required=True, help="address of the program")
    parser.add_argument("--session", required=True, help="address of the session")
    parser.add_argument("--base", required=True, help="URL of the base chain, where the model is")
    parser.add_argument("--rollup", required=True, help="URL of the node that computes the session")
    parser.add_argument("--frames", type=int, default=60, help="how many Frames to print")
    asyncio.run(follow(parser.parse_args()))


if __name__ == "__main__":
    main()
