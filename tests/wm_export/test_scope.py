"""scope.py: a world that reads what no program can compute is refused, by the name of the flag."""

from pathlib import Path
from typing import Any

import pytest

from tests.factories import small_mamba2, small_model, small_qnet
from wm_export.errors import WmExportError
from wm_export.lower.lowering import LOWERINGS
from wm_export.onnx.forms import FORMS
from wm_export.onnx.graph import export_onnx
from wm_export.scope import check_flags
from wm_export.solana.export import export_solana
from wm_quant.errors import WmQuantError
from wm_quant.ops.base import Op
from wm_quant.ops.norm import RMSNorm
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.world.registry import find_game

REFUSED: list[dict[str, Any]] = [
    {"press_events": "all"},
    {"projectiles": True},
    {"state_flags": True},
    {"animation_index": True},
    {"stale_moves": True},
    {"lookahead": 2},
]


@pytest.mark.parametrize("flags", REFUSED, ids=str)
def test_a_flag_that_no_program_can_feed_is_refused(tmp_path: Path, flags: dict[str, Any]) -> None:
    net = small_qnet(small_model(flags=MeleeFlags(state_age_as_embed=True, **flags)))
    (name, value), *_ = flags.items()
    exported = "state_age_as_embed, geometry, reach, press_events: next"
    for write in (export_solana, export_onnx):
        with pytest.raises(WmExportError, match=rf"\(model.flags: {name}: {value}\).* only {exported} can"):
            write(net, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_each_flag_is_exported_or_refused() -> None:
    exported = MeleeFlags(state_age_as_embed=True, geometry=True, reach=True, press_events="next")
    check_flags(small_qnet(small_model(flags=exported)))
    assert {*find_game().as_ids, *find_game().sights, *(name for flags in REFUSED for name in flags)} == set(
        MeleeFlags.__dataclass_fields__
    )


def test_a_network_without_kernels_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_qnet(small_mamba2(n_layers=1))
    norm: type[Op] = RMSNorm
    monkeypatch.delitem(LOWERINGS, norm)
    monkeypatch.delitem(FORMS, norm)
    for write, missing, so in (
        (export_solana, "no kernel yet for ", "such a network runs in the interpreter only"),
        (export_onnx, "no form yet for ", "next: wmq export --target solana"),
    ):
        with pytest.raises((WmQuantError, WmExportError), match=rf"{missing}.*rmsnorm.*{so}"):
            write(net, tmp_path / "out")
    assert not (tmp_path / "out").exists()
