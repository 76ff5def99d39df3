"""A composed world of small random networks, built, on a localnet of its own that has World."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wm_export.bolt.conftest import exported
from wm_export.bolt.bolt_export import BoltExport
from wm_export.bolt.std_programs import build
from wm_live.bolt.own_match import own_localnet
from wm_live.localnet.servers import Installed, Localnet

__all__ = ["exported"]


@pytest.fixture(scope="module")
def bolt_net(bolt: Path, validator: Installed, exported: BoltExport) -> Iterator[Localnet]:
    build(exported)
    with own_localnet(exported) as net:
        yield net
