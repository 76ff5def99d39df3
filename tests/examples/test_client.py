"""examples/client: a client in TypeScript reads a session and writes an input as Python does."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from examples.client.game import game_json
from tests.records import RECORDS, SIZES
from tests.wm_live.worlds import frame, inputs
from wm_export.schema.accounts import PLAYER, SESSION
from wm_export.schema.idl import new_idl
from wm_export.schema.instruction_set import encode
from wm_live.deploy.program import instruction
from wm_train.world.registry import find_game

ANSWERS = Path(__file__).parent / "client_answers.cjs"
#: What one player holds, and what is beyond the ranges of its controls.
PRESSED = [{"stick_x": -80, "stick_y": 17, "shoulder": 40, "A": 1, "D_UP": 1}, {}, {"stick_x": 1000, "B": 5}]
HELD = [*PRESSED[:2], {"stick_x": 80, "B": 1}]
#: What the players of the session do; its numbers are exact in the Frame's unit.
PLAYERS: tuple[dict[str, float], ...] = (
    {"x": -40.5, "percent": 12.25, "action": 44, "facing": 1},
    {"x": 30, "stocks": 3},
)


def session_bytes(now: np.ndarray) -> bytes:
    """A session account that stands before frame 99."""
    raw: bytes = SESSION.head(752, frame_number=99, status="started")
    for section in SESSION.sections:
        if section.name == "players":
            raw += PLAYER.pack({"expires": 0}) * 2
        elif section.name == "frame":
            raw += RECORDS.frame_bytes(now)
        else:
            raw += bytes(section.type.sized(SIZES).size)
    return raw


@pytest.fixture(scope="module")
def keys() -> dict[str, Pubkey]:
    return {name: Keypair().pubkey() for name in ("program", "address", "signer")}


@pytest.fixture(scope="module")
def answer(client: Path, keys: dict[str, Pubkey]) -> dict[str, Any]:
    """What the compiled client makes of a session, of inputs, and of one that is sent."""
    question = {name: str(key) for name, key in keys.items()} | {
        "idl": new_idl(SIZES),
        "game": game_json(find_game()),
        "session": session_bytes(frame(*PLAYERS)).hex(),
        "pressed": PRESSED,
    }
    command = ["node", str(ANSWERS), str(client)]
    done = subprocess.run(command, input=json.dumps(question), text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_it_reads_the_frame_of_a_session(answer: dict[str, Any]) -> None:
    session = answer["session"]
    assert (session["frameNumber"], session["status"]) == (99, "started")
    for given, player in zip(PLAYERS, session["players"], strict=True):
        assert player == {field.name: given.get(field.name, 0) for field in find_game().state}


def test_it_packs_inputs(answer: dict[str, Any]) -> None:
    packed = [RECORDS.parts(RECORDS.input_bytes(inputs(one, {})))[0].hex() for one in HELD]
    assert answer["inputs"] == packed


def test_it_sends_an_input(answer: dict[str, Any], keys: dict[str, Pubkey]) -> None:
    raw = bytes.fromhex(answer["inputs"][0])
    assert answer["data"] == encode("submit_input", player=1, frame=2**40 + 1, input=raw).hex()
    accounts = {"signer": keys["signer"], "session": keys["address"]}
    own = instruction(keys["program"], "submit_input", accounts, player=1, frame=0, input=raw)
    assert answer["program"] == str(own.program_id)
    assert answer["accounts"] == [[str(one.pubkey), one.is_signer, one.is_writable] for one in own.accounts]
