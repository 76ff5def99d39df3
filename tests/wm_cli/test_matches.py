"""`wmq export --target bolt`, and build and parity of what it writes."""

import re
from pathlib import Path

import pytest

from tests.factories import small_parts, small_qnet, write_dataset
from tests.verbs import figures, run
from wm_quant.convert import from_checkpoint
from wm_quant.qnet import save_qnet
from wm_train.composed import composed


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset, the QNet of a composed world, and one of one network."""
    folder = tmp_path_factory.mktemp("project")
    write_dataset(folder / "dataset", [60, 50])
    save_qnet(folder / "qnet", from_checkpoint(composed(small_parts()), "ab" * 32))
    save_qnet(folder / "whole", small_qnet())
    return folder


@pytest.fixture
def inside(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def test_export_says_what_the_systems_are(inside: Path) -> None:
    told = figures("export", "--target", "bolt", "--overwrite", "--json")
    assert told["target"] == "bolt" and told["out"] == "export" and len(told["network_sha256"]) == 64
    assert [one["turn"] for one in told["systems"]] == list(range(6))
    weights = {one["system"]: one["weights"] for one in told["systems"]}
    assert weights.pop("inputs") is None
    assert all(Path(f"export/bolt/weights/{name}.bin").stat().st_size == it["bytes"] for name, it in weights.items())


@pytest.mark.usefixtures("bolt")
def test_it_is_built_and_compared(inside: Path) -> None:
    figures("export", "--target", "bolt", "--overwrite", "--json")
    told = figures("build", "--json")
    assert told["arch"] == "v0" and told["program"] == "export/bolt/build" and told["size"] > 10**6
    told = figures("parity", "--frames", "5", "--rollouts", "1", "--rollout-frames", "4", "--json")
    assert told["frames"] == 5 and told["rollout_frames"] == 4 and told["mismatches"] == 0
    assert told["frame_cu"] == sum(one["cu"] for one in told["applies"])
    assert all(one["cu"] == one["own_cu"] + one["world_cu"] for one in told["applies"])
    shown = run("parity", "--frames", "2", "--rollouts", "0").output
    assert "damage_and_knockback" in shown and "World and components" in shown


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (
            ("export", "whole", "--target", "bolt", "--out", "x"),
            "expected one of subsystems; make it with",
        ),
        (("export", "--target", "bolt", "--cut", "layer2"), "only with --target solana, got --target bolt"),
        (("parity", "export", "--target", "ort"), "--target ort: an export to BOLT is compared in svm, or in er"),
        (("cu", "export"), "is an export to BOLT, expected an export"),
    ],
)
def test_mistakes_are_answered(inside: Path, command: tuple[str, ...], said: str) -> None:
    run("export", "--target", "bolt", "--overwrite")
    result = run(*command)
    assert result.exit_code in (1, 2) and re.search(said, " ".join(result.output.split())), result.output
