"""Exports to test on: a small random world, and one of the default size; each is built once a session."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.factories import random_corpus, random_inputs, small_model, small_qnet
from wm_export.parity import Recording
from wm_export.schema.sbpf import DEFAULT_ARCH, Arch
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.metering import build
from wm_export.solana.toolchain import Toolchain
from wm_quant.interp import Interpreter
from wm_quant.qnet import QNet
from wm_train.config import MLPConfig
from wm_train.measure.window import window_at
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.world.flags import NO_FLAGS


@dataclass(frozen=True)
class Built:
    """An export with its programs, if this machine can build them."""

    export: Export
    reference: Interpreter


def _export(net: QNet, folder: Path) -> Export:
    export_solana(net, folder)
    return open_export(folder)


def _built(export: Export, arch: Arch = DEFAULT_ARCH) -> Built:
    build(export, arch)
    return Built(export, Interpreter(export.net))


@pytest.fixture(scope="session")
def small_export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """A small world, not built."""
    return _export(small_qnet(), tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def small(sbpf: Toolchain, cargo: Path, small_export: Export) -> Built:
    """A small world in one transaction."""
    return _built(small_export)


AGE_AS_ID = MeleeFlags(state_age_as_embed=True, reach=True, press_events="next")
SIGHTS = MeleeFlags(geometry=True, reach=True)
KINDS = [
    ("v1", "published", NO_FLAGS),
    ("v2", "gated", NO_FLAGS),
    ("v2.1", "two_level", NO_FLAGS),
    ("v2.1", "lawful_grouped", SIGHTS),
    ("v2.2", "integrated", AGE_AS_ID),
]


@pytest.fixture(scope="session", params=KINDS)
def other_kind(
    sbpf: Toolchain, cargo: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Built:
    """Small worlds of the other encodings, whose networks do not read the inputs of the frame to be predicted, of
    the other heads, and of the flags that an export takes."""
    encoding, heads, flags = request.param
    return _built(_export(small_qnet(small_model(encoding, heads, flags=flags)), tmp_path_factory.mktemp("other")))


@pytest.fixture(scope="session", params=[4, 5, 10, 16])
def other_bits(
    sbpf: Toolchain, cargo: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Built:
    """Small worlds with weights of other bits in two layers and INT8 in the one between."""
    net = small_qnet(small_model(bits=dict.fromkeys(("layer1", "heads"), request.param)))
    return _built(_export(net, tmp_path_factory.mktemp("bits")))


@pytest.fixture(scope="session")
def default_size(sbpf: Toolchain, cargo: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A world of the default size, of random weights."""
    return _built(_export(small_qnet(MLPConfig()), tmp_path_factory.mktemp("default")))


@pytest.fixture(scope="session")
def other_version(sbpf: Toolchain, cargo: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The same world in the version of sBPF that is to be asked for."""
    export = _export(small_qnet(MLPConfig()), tmp_path_factory.mktemp("version"))
    return _built(export, next(arch for arch in Arch if arch != DEFAULT_ARCH))


def recording(net: QNet, worlds: int, frames: int, seed: int = 0) -> Recording:
    """Random worlds of a network, and random inputs."""
    rng = np.random.default_rng(seed)
    corpus = random_corpus(seed, lengths=(worlds + net.world.encoding.slots + 1,))
    window = window_at(corpus, net.world.encoding, corpus.windows(net.world.encoding)[:worlds])
    return Recording(Interpreter(net).begin(window), random_inputs(rng, frames, worlds))
