"""The committed generated crate is what the exporter writes for the preset it is of.

`python -m tests.contract.test_generated` writes it again.
"""

import re
from pathlib import Path

import pytest

from wm_export.lower.kernels import KERNELS
from wm_export.lower.lowering import lower
from wm_export.solana.blob import pack
from wm_export.solana.rust import generate
from wm_export.solana.rust_text import rustfmt
from wm_quant.presets import preset

CRATE = Path(__file__).parents[2] / "onchain" / "world"


def generated() -> dict[str, str]:
    """Every file of the crate, by its path; with zeros for the manifest's hash, which changes with every source."""
    net = preset("mlp")
    program = lower(net)
    blob = pack(program)
    return generate(net, program, blob, bytes(32))


def committed() -> dict[str, str]:
    """Those that are kept, formatted: all but the assembly, which only programs are built with."""
    found = {name: text for name, text in generated().items() if not name.startswith("asm/")}
    return {name: rustfmt(text) if name.endswith(".rs") else text for name, text in found.items()}


@pytest.mark.usefixtures("rustfmt")
def test_generated_crate_is_up_to_date() -> None:
    files = committed()
    assert {name: (CRATE / name).read_text() for name in files} == files


def test_the_assembly_of_exactly_the_kernels_called_is_written() -> None:
    files = generated()
    calls = re.findall(r"(?<!fn )\b(\w+)\(", files["src/network.rs"] + files["src/rules.rs"])
    called = {name for name in calls if name in KERNELS or name.startswith("matvec_")}
    assert {name for name in files if name.startswith("asm/")} == {f"asm/{name}.s" for name in called}
    assert set(re.findall(r"^    (\w+)\(", files["src/kernels.rs"], re.MULTILINE)) == called
    assert called >= {"matvec_6x8_64", "matvec_6x8_64_relu", "gather_add", "requantize_relu", "argmax"}


if __name__ == "__main__":
    for path, text in committed().items():
        (CRATE / path).write_text(text)
