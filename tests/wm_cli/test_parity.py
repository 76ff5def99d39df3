"""`wmq parity`: which executors it compares."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.factories import small_mamba2, small_qnet
from wm_cli import project
from wm_cli.opening import WALK, walk
from wm_cli.verbs.executors import _executors
from wm_export.errors import WmExportError
from wm_export.onnx.forms import FORMS
from wm_export.parity import Executor, teacher_forced
from wm_quant.interp import Interpreter, State, Trace
from wm_quant.ops.base import Op
from wm_quant.ops.norm import RMSNorm


def test_parity_compares_what_there_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A network that no graph holds is compared without one, unless that is asked for."""
    norm: type[Op] = RMSNorm
    monkeypatch.delitem(FORMS, norm)
    monkeypatch.setattr("wm_export.solana.toolchain.host_cargo", lambda: None)
    export: Any = SimpleNamespace(net=small_qnet(small_mamba2(n_layers=1)), program=Path("nowhere"))
    assert _executors(export, (), ExitStack()) == {}
    assert "ort is left out: no ONNX form yet for rmsnorm" in capsys.readouterr().err
    with pytest.raises(WmExportError, match="no form yet"):
        _executors(export, ("ort",), ExitStack())


class Amnesic(Interpreter):
    """An interpreter whose network has seen nothing, whatever came before."""

    def step(self, state: State, following: Any) -> tuple[Trace, State]:
        return super().step(replace(state, memory=self.empty_memory(len(state.frame))), following)


def test_true_frames_are_compared_with_what_the_network_keeps_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made-up games. A network that forgets is right in the first frame of each stretch only."""
    monkeypatch.chdir(tmp_path)
    net, frames = small_qnet(small_mamba2(n_layers=1)), 2 * WALK + 10
    executors: dict[str, Executor] = {"same": Interpreter(net), "amnesic": Amnesic(net)}
    same, amnesic = teacher_forced(executors, Interpreter(net), walk(net, project.DATASET, frames))
    assert (same.frames, same.mismatches) == (frames, 0)
    assert amnesic.frames - amnesic.mismatches == 2 and amnesic.first is not None and amnesic.first.frame == 2


def test_a_network_without_memory_is_compared_at_as_many_places_as_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (one,) = walk(small_qnet(), project.DATASET, 12)
    assert one.inputs.shape[:2] == (1, 12)
