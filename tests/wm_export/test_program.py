"""What the program refuses: every check, with its own error, and nothing changed afterwards."""

import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.wm_export.conftest import Built, recording
from wm_export.accounts import input_bytes, model_account
from wm_export.idl import ERRORS, FIRST_ERROR
from wm_export.layout import MODEL, SCRATCH, SESSION, offsets
from wm_export.metering import runner
from wm_export.svm import STEP, SvmRunner

ERROR_RS = Path(__file__).parents[2] / "onchain" / "program" / "src" / "error.rs"


@pytest.fixture
def program(small: Built) -> SvmRunner:
    """A program whose session stands at frame 0."""
    made = runner(small.export)
    made.load(recording(small.export.net, 1, 1).state)
    return made


def good(program: SvmRunner, frame: int = 0, step: int = 0, inputs: bytes = bytes(12)) -> Instruction:
    return program.instruction(frame, step, inputs)


def with_account(program: SvmRunner, index: int, meta: AccountMeta) -> Instruction:
    plain = good(program)
    metas = list(plain.accounts)
    metas[index] = meta
    return Instruction(plain.program_id, plain.data, metas)


def refused(program: SvmRunner, instruction: Instruction, error: str) -> None:
    """The instruction fails with that error, and session and scratch stay as they were."""
    before = program.data(program.session), program.data(program.scratch)
    result = program.send(instruction)
    names = list(ERRORS)
    code = f"Custom({FIRST_ERROR + names.index(error)})" if error in ERRORS else error
    assert code in result.error, f"{error}: {result.error} {result.logs}"
    assert (program.data(program.session), program.data(program.scratch)) == before


def test_the_good_instruction_passes(program: SvmRunner) -> None:
    assert program.send(good(program)).error == ""


def test_errors_are_those_of_the_program() -> None:
    names = re.findall(r"^    (\w+)(?: = 6000)?,$", ERROR_RS.read_text(), re.M)
    assert names == list(ERRORS)


def test_missing_signature(program: SvmRunner) -> None:
    stranger = AccountMeta(Pubkey.from_bytes(bytes([9]) * 32), False, False)
    refused(program, with_account(program, 0, stranger), "MissingRequiredSignature")


def test_another_authority(program: SvmRunner) -> None:
    other = Keypair()
    program.svm.airdrop(other.pubkey(), 10**9)
    program.payer = other
    refused(program, good(program), "WrongAuthority")


@pytest.mark.parametrize("role", ["session", "scratch", "model"])
def test_account_of_another_program(program: SvmRunner, role: str) -> None:
    address = getattr(program, role)
    program.put(address, program.data(address), owner=Pubkey.from_bytes(bytes([7]) * 32))
    refused(program, good(program), "InvalidAccountOwner")


def _patch(program: SvmRunner, role: str, offset: int, value: bytes) -> None:
    address = getattr(program, role)
    data = bytearray(program.data(address))
    data[offset : offset + len(value)] = value
    program.put(address, bytes(data))


HEADERS = {"session": SESSION, "scratch": SCRATCH, "model": MODEL}


@pytest.mark.parametrize("role", list(HEADERS))
@pytest.mark.parametrize(("field", "value", "error"), [
    ("tag", bytes(8), "WrongTag"),
    ("version", struct.pack("<I", 2), "WrongVersion"),
    ("length", bytes(8), "WrongLength"),
])  # fmt: skip
def test_headers(program: SvmRunner, role: str, field: str, value: bytes, error: str) -> None:
    _patch(program, role, offsets(HEADERS[role])[field], value)
    refused(program, good(program), error)


@pytest.mark.parametrize("role", list(HEADERS))
@pytest.mark.parametrize("change", [lambda data: data[:-8], lambda data: data + bytes(8)])
def test_sizes(program: SvmRunner, role: str, change: Callable[[bytes], bytes]) -> None:
    address = getattr(program, role)
    program.put(address, change(program.data(address)))
    refused(program, good(program), "WrongLength")


@pytest.mark.parametrize("role", ["session", "model"])
def test_another_manifest(program: SvmRunner, role: str) -> None:
    _patch(program, role, offsets(HEADERS[role])["manifest"], bytes([1]) * 32)
    refused(program, good(program), "WrongManifest")


@pytest.mark.parametrize("role", ["model", "scratch"])
def test_session_of_another_account(program: SvmRunner, role: str) -> None:
    _patch(program, "session", offsets(SESSION)[role], bytes([1]) * 32)
    refused(program, good(program), "WrongAccount")


def test_scratch_of_another_session(program: SvmRunner) -> None:
    _patch(program, "scratch", offsets(SCRATCH)["session"], bytes([1]) * 32)
    refused(program, good(program), "WrongAccount")


def test_another_model_of_the_same_manifest(program: SvmRunner, small: Built) -> None:
    forged = Pubkey.from_bytes(bytes([5]) * 32)
    program.put(
        forged, model_account(bytes(len(small.export.blob)), small.export.manifest.hash, program.keys.authority)
    )
    refused(program, with_account(program, 3, AccountMeta(forged, False, False)), "WrongAccount")


@pytest.mark.parametrize(("index", "role"), [(1, "scratch"), (2, "session"), (1, "model"), (3, "session")])
def test_one_kind_of_account_in_place_of_another(program: SvmRunner, index: int, role: str) -> None:
    same = {(1, "scratch"), (2, "session")}
    error = "SameAccount" if (index, role) in same else "WrongLength"
    refused(program, with_account(program, index, AccountMeta(getattr(program, role), False, index != 3)), error)


@pytest.mark.parametrize("role", [1, 2])
def test_read_only_where_it_writes(program: SvmRunner, role: int) -> None:
    address = good(program).accounts[role].pubkey
    refused(program, with_account(program, role, AccountMeta(address, False, False)), "Immutable")


def test_too_few_accounts(program: SvmRunner) -> None:
    plain = good(program)
    refused(program, Instruction(plain.program_id, plain.data, plain.accounts[:3]), "NotEnoughAccountKeys")


@pytest.mark.parametrize("frame", [1, 2**64 - 1])
def test_frame_that_is_not_next(program: SvmRunner, frame: int) -> None:
    refused(program, good(program, frame=frame), "WrongFrame")


def test_frame_that_was_run(program: SvmRunner) -> None:
    assert program.send(good(program)).error == ""
    refused(program, good(program), "WrongFrame")
    assert program.send(good(program, frame=1)).error == ""


@pytest.mark.parametrize("step", [1, 255])
def test_step_that_is_not_next(program: SvmRunner, step: int) -> None:
    refused(program, good(program, step=step), "WrongStep")


@pytest.mark.parametrize("axis", [81, -81, -128, 127])
@pytest.mark.parametrize("at", [0, 4, 6, 10])
def test_input_that_no_controller_sends(program: SvmRunner, axis: int, at: int) -> None:
    inputs = bytearray(12)
    inputs[at : at + 1] = np.array([axis], np.int8).tobytes()
    refused(program, good(program, inputs=bytes(inputs)), "WrongInput")


def test_shoulder_below_zero(program: SvmRunner) -> None:
    refused(program, good(program, inputs=bytes([0, 0, 0, 0, 255, 0] + [0] * 6)), "WrongInput")


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 7, bytes(8), STEP, STEP + bytes(20), STEP + bytes(22), STEP + bytes(1000)]
)
def test_data_of_the_wrong_size(program: SvmRunner, data: bytes) -> None:
    plain = good(program)
    refused(program, Instruction(plain.program_id, data, plain.accounts), "InvalidInstructionData")


def test_buttons_travel_as_bits(program: SvmRunner) -> None:
    following = np.zeros((2, 13), np.int8)
    following[0, 5], following[1, 12], following[1, 0] = 1, 1, -80
    assert input_bytes(following) == bytes([0, 0, 0, 0, 0, 1, 176, 0, 0, 0, 0, 128])
