"""The committed generated crate is what the exporter writes for the preset it is of."""

from pathlib import Path

import pytest

from wm_export.blob import pack
from wm_export.manifest import describe
from wm_export.rustgen import generate, plan_of, rustfmt
from wm_quant.presets import preset
from wm_quant.prove import prove

CRATE = Path(__file__).parents[1] / "onchain" / "generated"


def test_generated_crate_is_up_to_date() -> None:
    if rustfmt("fn  a(){}") == "fn  a(){}":
        pytest.skip("no rustfmt: make toolchain")
    net = preset("mlp")
    blob, plan = pack(net), plan_of(net)
    files = generate(net, blob, describe(net, blob, prove(net), plan).hash, plan)
    assert {name: (CRATE / name).read_text() for name in files} == files
