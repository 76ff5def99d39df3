"""What the program and its clients must agree on; what it refuses is in tests/security."""

import re
from pathlib import Path

import numpy as np

from wm_export.accounts import input_bytes, inputs_of
from wm_export.idl import ERRORS

ERROR_RS = Path(__file__).parents[2] / "onchain" / "program" / "src" / "error.rs"


def test_errors_are_those_of_the_program() -> None:
    names = re.findall(r"^    (\w+)(?: = 6000)?,$", ERROR_RS.read_text(), re.M)
    assert names == list(ERRORS)


def test_buttons_travel_as_bits() -> None:
    following = np.zeros((2, 13), np.int8)
    following[0, 5], following[1, 12], following[1, 0] = 1, 1, -80
    raw = input_bytes(following)
    assert raw == bytes([0, 0, 0, 0, 0, 1, 176, 0, 0, 0, 0, 128])
    assert (inputs_of(raw) == following).all()
