"""Inputs, Frames and records as bytes."""

import numpy as np

from tests.factories import random_corpus
from tests.records import (
    FRAME_BYTES,
    INPUTS_BYTES,
    RECORD_BYTES,
    SIZES,
    frame_bytes,
    frame_of,
    input_bytes,
    inputs_of,
    split_record,
)


def test_buttons_travel_as_bits() -> None:
    following = np.zeros((2, 13), np.int8)
    following[0, 5], following[1, 12], following[1, 0] = 1, 1, -80
    raw = input_bytes(following)
    assert raw == bytes([0, 0, 0, 0, 0, 1, 176, 0, 0, 0, 0, 128])
    assert (inputs_of(raw) == following).all()


def test_a_record_is_inputs_and_frame() -> None:
    corpus = random_corpus(5, (3,))
    for inputs, frame in zip(corpus.inputs, corpus.frames, strict=True):
        parts = split_record(input_bytes(inputs) + frame_bytes(frame))
        assert (len(parts["inputs"]), len(parts["frame"])) == (INPUTS_BYTES, FRAME_BYTES)
        assert (inputs_of(parts["inputs"]) == inputs).all() and (frame_of(parts["frame"]) == frame).all()


def test_sizes_agree() -> None:
    assert SIZES["PLAYERS"] * SIZES["INPUT_BYTES"] == INPUTS_BYTES and 4 * SIZES["FRAME_FIELDS"] == FRAME_BYTES
    assert RECORD_BYTES == INPUTS_BYTES + FRAME_BYTES
