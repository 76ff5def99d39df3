"""The committed generated crate is what the exporter writes for the preset it is of.

`python -m tests.test_generated` writes it again.
"""

from pathlib import Path

import pytest

from wm_export.blob import pack
from wm_export.manifest import describe
from wm_export.rustgen import generate, plan_of, rustfmt
from wm_quant.presets import preset
from wm_quant.prove import prove

CRATE = Path(__file__).parents[1] / "onchain" / "generated"


def generated() -> dict[str, str]:
    net = preset("mlp")
    blob, plan = pack(net), plan_of(net)
    return generate(net, blob, describe(net, blob, prove(net), plan).hash, plan)


def test_generated_crate_is_up_to_date() -> None:
    if rustfmt("fn  a(){}") == "fn  a(){}":
        pytest.skip("no rustfmt: make toolchain")
    files = generated()
    assert {name: (CRATE / name).read_text() for name in files} == files


if __name__ == "__main__":
    for path, text in generated().items():
        (CRATE / path).write_text(text)
