"""A composed world of small random networks, exported to BOLT; built once a session, and compiled once ever."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from solders.instruction import Instruction

from tests.factories import random_corpus, small_parts
from wm_export.bolt.bolt_export import BoltExport, export_bolt, open_bolt
from wm_export.bolt.slices import Slice
from wm_export.bolt.std_programs import build, programs, world_program
from wm_export.bolt.svm_match import SvmMatch
from wm_export.errors import WmExportError
from wm_quant.convert import from_checkpoint
from wm_quant.qnet import QNet
from wm_train.composed import composed
from wm_train.measure.window import Window, window_at


def composed_net(heads: str = "integrated") -> QNet:
    """Five small networks side by side."""
    return from_checkpoint(composed(small_parts(heads=heads)), "ab" * 32)


def remembering_net() -> QNet:
    """Five small networks that keep something from frame to frame, one of them in turn."""
    parts, key = small_parts(recurrent=True), "movement"
    in_turn = small_parts(recurrent=True, d_state=4, headdim=6, write_every=4, n_layers=2)
    return from_checkpoint(composed(parts | {key: in_turn[key]}), "ab" * 32)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> BoltExport:
    """Not built."""
    folder = tmp_path_factory.mktemp("bolt")
    export_bolt(composed_net(), folder)
    return open_bolt(folder)


@dataclass(frozen=True)
class Played:
    """An export with its programs, and a match of it."""

    export: BoltExport
    match: SvmMatch


def _played(export: BoltExport) -> Played:
    build(export)
    return Played(export, SvmMatch(export.sliced, export.network, programs(export), world_program()))


@pytest.fixture(scope="session")
def played(bolt: Path, exported: BoltExport) -> Played:
    return _played(exported)


@pytest.fixture(scope="session")
def remembering(bolt: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Of networks that keep something from frame to frame."""
    folder = tmp_path_factory.mktemp("remembering")
    export_bolt(remembering_net(), folder)
    return _played(open_bolt(folder))


def beginnings(played: Played, count: int, frames: int) -> tuple[Window, NDArray[np.int8]]:
    """Windows of a made-up game, and inputs (frames, count, 2, controls) after each."""
    encoding = played.export.net.world.encoding
    corpus = random_corpus(lengths=(60,), encoding=encoding)
    t = np.arange(count) * 9 + encoding.slots
    inputs = corpus.inputs[t[None, :] + 1 + np.arange(frames)[:, None]]
    return window_at(corpus, encoding, t), inputs[..., : len(encoding.game.controls)]


def system(match: SvmMatch, key: str) -> Slice:
    return next(one for one in match.sliced.systems if one.key == key)


def refused(match: SvmMatch, *instructions: Instruction) -> str:
    """The error of a transaction."""
    with pytest.raises(WmExportError) as raised:
        match.send(*instructions)
    return str(raised.value)
