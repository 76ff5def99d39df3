"""A composed world of small random networks, exported to BOLT; built once a session, and compiled once ever."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.factories import small_parts
from wm_export.bolt.bolt_export import BoltExport, export_bolt, open_bolt
from wm_export.bolt.std_programs import build, programs, world_program
from wm_export.bolt.svm_match import SvmMatch
from wm_quant.convert import from_checkpoint
from wm_quant.qnet import QNet
from wm_train.composed import composed


def composed_net(heads: str = "integrated") -> QNet:
    """Five small networks side by side."""
    return from_checkpoint(composed(small_parts(heads=heads)), "ab" * 32)


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


@pytest.fixture(scope="session")
def played(bolt: Path, exported: BoltExport) -> Played:
    build(exported)
    return Played(exported, SvmMatch(exported.sliced, exported.network, programs(exported), world_program()))
