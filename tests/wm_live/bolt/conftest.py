"""Composed worlds of small random networks, built, each on a localnet of its own that has World."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wm_export.bolt.conftest import exported, remembering_net
from wm_export.bolt.bolt_export import BoltExport, export_bolt, open_bolt
from wm_export.bolt.std_programs import build
from wm_live.bolt.own_match import own_localnet
from wm_live.localnet.servers import Installed, Localnet

__all__ = ["exported"]


@pytest.fixture(scope="module")
def bolt_net(bolt: Path, validator: Installed, exported: BoltExport) -> Iterator[Localnet]:
    build(exported)
    with own_localnet(exported) as net:
        yield net


@pytest.fixture(scope="module")
def remembering_export(bolt: Path, validator: Installed, tmp_path_factory: pytest.TempPathFactory) -> BoltExport:
    """Of networks that keep something from frame to frame."""
    folder = tmp_path_factory.mktemp("remembering")
    export_bolt(remembering_net(), folder)
    export = open_bolt(folder)
    build(export)
    return export


@pytest.fixture(scope="module")
def remembering_bolt_net(remembering_export: BoltExport) -> Iterator[Localnet]:
    with own_localnet(remembering_export) as net:
        yield net
