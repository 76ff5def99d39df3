"""`wmq compose` and `wmq subsystems`: from runs of subsystems to a world, and what became of each of them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.factories import random_checkpoint, small_parts, write_dataset
from tests.verbs import figures, run
from wm_cli.tables.subsystem_shares import share_tables
from wm_cli.verbs.composing import opened
from wm_train.checkpoint import save_checkpoint
from wm_train.config import MLPConfig

pytest.importorskip("torch")

KEYS = ["hit_detection", "damage_and_knockback", "movement", "action_transitions", "shield_and_grab"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset, QAT runs of all subsystems, one whole run, and the composed world with its QNet."""
    folder = tmp_path_factory.mktemp("project")
    write_dataset(folder / "dataset", [36, 30])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for key, checkpoint in small_parts().items():
            (folder / "parts" / f"{key}-qat").mkdir(parents=True)
            save_checkpoint(folder / "parts" / f"{key}-qat", checkpoint)
        Path("whole").mkdir()
        save_checkpoint(Path("whole"), random_checkpoint(MLPConfig(slots=2, hidden=(64, 32))))
        assert run("compose").exit_code == 0 and run("quantize", "composed").exit_code == 0
    return folder


@pytest.fixture
def inside(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def test_verbs_take_the_composed_world_as_any_other(inside: Path) -> None:
    costs = [figures("cu", name, "--json") for name in ("composed", "qnet")]
    assert costs[0]["arch"] == "composed" and costs[0]["total_cu"] == costs[1]["total_cu"]
    assert {"movement.heads", "shield_and_grab.put1"} <= {op["name"] for op in costs[0]["ops"]}


def test_compose_says_what_it_is_made_of(inside: Path, tmp_path: Path) -> None:
    parts = [f"parts/{key}-qat" for key in reversed(KEYS)]
    said = figures("compose", *parts, "--out", str(tmp_path / "again"), "--json")
    assert [row["subsystem"] for row in said["subsystems"]] == KEYS and said["form"] == "qat"
    assert said["parameters"] == sum(row["parameters"] for row in said["subsystems"])
    assert all(re.fullmatch("[0-9a-f]{64}", row["parent"]) for row in said["subsystems"])


def test_subsystems_are_held_against_one_network(inside: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = figures("subsystems", "--whole", "whole", "--limit", "9", "--page", str(page), "--json")
    assert [row["subsystem"] for row in told["subsystems"]] == KEYS
    for row in told["subsystems"]:
        _check(row)
    # Nothing is taken of others: the same alone and together.
    first = told["subsystems"][0]
    assert first["alone"] == first["together"]
    assert set(told["worlds"]) == {"composed", "whole"}
    assert "Right, where it changes" in page.read_text() and "knockback_x" in page.read_text()
    titles = [table.title for table in share_tables(told)]
    assert titles == ["Right one frame ahead, of all frames", "Right one frame ahead, where it changes", "Worlds"]


def _check(row: Mapping[str, Any]) -> None:
    assert row["cu"] > 1000 and row["parameters"] > 1000
    for kind in ("whole", "alone", "together"):
        assert all(0 <= row[kind][share] <= 100 for share in ("every", "changes"))
        mean = sum(one[kind]["every"] for one in row["fields"]) / len(row["fields"])
        assert row[kind]["every"] == pytest.approx(mean)
    near = all(row["alone"][share] >= row["whole"][share] - 1 for share in ("every", "changes"))
    assert row["decomposes"] is near


def test_runs_need_no_composing_to_be_measured(inside: Path) -> None:
    apart, joined = opened([Path(f"parts/{key}-qat") for key in KEYS]), opened([Path("composed")])
    assert apart.config == joined.config and apart.scales == joined.scales
    assert all((apart.arrays[name] == values).all() for name, values in joined.arrays.items())


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("subsystems", "whole"), "is a run of one network, expected a composed one; next: wmq compose"),
        (("compose", "whole", "--out", "x"), "predicts integrated, expected one subsystem"),
        (("compose", "parts/movement-qat", "--out", "x"), "no run of hit_detection, damage_and_knockback, "),
        (("compose",), "composed: is not empty"),
        (("evaluate", "parts/movement-qat"), "one subsystem is no world by itself; make one of all with `wmq compose`"),
        (("train", "--subsystem", "physics"), "got subsystem 'physics', expected one of hit_detection, "),
        (("train", "--qat", "--start", "composed"), "is composed of subsystems, expected a run of one network"),
        (("train", "--qat", "--start", "whole", "--subsystem", "movement"), "a run starts from a float run|predicts"),
    ],
)
def test_mistakes_are_answered(inside: Path, command: tuple[str, ...], said: str) -> None:
    result = run(*command)
    assert result.exit_code in (1, 2) and re.search(said, " ".join(result.output.split())), result.output


def test_a_part_is_trained_and_said_to_be_old(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dataset").symlink_to(made / "dataset")
    for words in ([], ["--qat"], ["--seed", "1", "--overwrite"]):
        said = run("train", "--subsystem", "movement", "--steps", "1", *words).output
        assert "next: wmq compose, once there is a run of each subsystem" in " ".join(said.split())
    again = "its float run was trained anew since; next: wmq train --subsystem movement --qat --overwrite"
    assert again in " ".join(run("compose", "parts/movement-qat", "--out", "x").output.split())
