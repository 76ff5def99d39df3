"""What a world costs to keep, before anything is trained, built or sent."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import small_mamba2, small_model, small_qnet
from tests.verbs import figures, run
from wm_export.lower.lowering import lower
from wm_export.lower.unmetered import program_bytes
from wm_export.solana.blob import pack
from wm_export.solana.layout import layout
from wm_live.chain.fees import rent_exempt
from wm_live.chain.upgradeable import PROGRAM_BYTES, PROGRAM_DATA_HEADER
from wm_live.deploy.rent import NEVER, rent_of_shape
from wm_live.deploy.target import ELF_MAX_BYTES
from wm_quant.presets import preset, untrained
from wm_train.config import MLPConfig

SMALL = "model: {slots: 5, hidden: [256, 128]}\n"


def test_sizes_are_those_of_the_packed_weights() -> None:
    net = small_qnet()
    program = lower(net)
    blob = pack(program)
    found = rent_of_shape(net, 1_000)
    (weights,) = (part for part in found.parts if part.name == "weights")
    assert (weights.bytes,) == layout(program, blob.sizes).model_bytes and weights.rent == rent_exempt(weights.bytes)
    assert found.sections == {name: one.width * one.count for name, one in blob.sections.items()}
    assert list(found.sections.values()) == sorted(found.sections.values(), reverse=True)


def test_what_is_kept_is_program_and_weights() -> None:
    found = rent_of_shape(preset("mlp"), ELF_MAX_BYTES)
    program = rent_exempt(PROGRAM_BYTES) + rent_exempt(PROGRAM_DATA_HEADER + ELF_MAX_BYTES)
    weights = [part.rent for part in found.parts if part.name == "weights"]
    assert found.kept == program + sum(weights)
    assert {part.name for part in found.parts if part.back == NEVER} == {"program", "weights"}


def test_smaller_shapes_take_what_they_would_take() -> None:
    model = MLPConfig(slots=6, hidden=(128, 64))
    found = rent_of_shape(untrained(model))
    rents = [one.rent for one in found.smaller]
    assert rents and rents == sorted(rents, reverse=True) and rents[0] < found.kept
    halves = {one.how: one.rent for one in found.smaller}
    assert (
        halves["slots: 3, hidden: [64, 32]"] == rent_of_shape(untrained(replace(model, slots=3, hidden=(64, 32)))).kept
    )


def test_the_smallest_shape_has_nothing_to_halve_to() -> None:
    found = rent_of_shape(untrained(small_model(slots=1)))
    assert "slots: 1" not in {one.how for one in found.smaller}


def test_lines_are_narrow_and_name_every_part() -> None:
    found = rent_of_shape(preset("mlp"))
    assert max(map(len, found.lines())) <= 80
    text = "\n".join(found.lines())
    assert all(part.name in text for part in found.parts) and all(one.how in text for one in found.smaller)


def test_a_network_with_a_memory_has_a_price() -> None:
    found = rent_of_shape(untrained(small_mamba2()))
    assert found.kept > 0 and not found.smaller
    assert rent_of_shape(untrained(small_mamba2(n_layers=4))).kept > found.kept


# --- the verb ---


def test_a_config_has_a_price(tmp_path: Path) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(SMALL)
    found = figures("deploy", "rent", "--config", str(config))
    net = untrained(MLPConfig(slots=5, hidden=(256, 128)))
    assert (found["parameters"], found["program_bytes"], found["built"]) == (423_904, program_bytes(lower(net)), False)
    assert found["kept"] == rent_of_shape(net).kept
    assert "17.29" in run("deploy", "rent", "--config", str(config)).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--config", "memory.yaml", "--preset", "mlp"], 2, "one of the two"),
        (["nowhere"], 1, "nowhere"),
    ],
)
def test_what_has_no_price(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("memory.yaml").write_text("model: {arch: mamba2}\n")
    refused = run("deploy", "rent", *arguments)
    assert refused.exit_code == code and text in refused.output
