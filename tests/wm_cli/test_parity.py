"""`wmq parity`: which executors it compares."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.factories import small_mamba2, small_qnet
from wm_cli.verbs.executors import _executors
from wm_export.errors import WmExportError


def test_parity_compares_what_there_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A network that no graph holds is compared without one, unless that is asked for."""
    monkeypatch.setattr("wm_export.solana.toolchain.host_cargo", lambda: None)
    export: Any = SimpleNamespace(net=small_qnet(small_mamba2(n_layers=1)), program=Path("nowhere"))
    assert _executors(export, (), ExitStack()) == {}
    assert "ort is left out: no ONNX form yet for rmsnorm" in capsys.readouterr().err
    with pytest.raises(WmExportError, match="no form yet"):
        _executors(export, ("ort",), ExitStack())
