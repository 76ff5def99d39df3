"""No number of a command line, a config or a sweep is infinite, NaN or endless: such a one is refused in one line."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tests.factories import write_dataset
from tests.verbs import run
from wm_cli.documents.guide_tables import leaves
from wm_cli.number_types import Real, Whole
from wm_train.config import LossConfig, Mamba2Config, MLPConfig, RunConfig, TrainConfig
from wm_train.errors import WmTrainError
from wm_train.fit.sweep import load_sweep
from wm_train.ranges import Range

#: What no option and no key takes: as typed, and as YAML has it.
TYPED = ["inf", "-inf", "nan", "1e400", str(10**30), str(-(10**30)), "9" * 5000]
IN_YAML = [".inf", "-.inf", ".nan", "1.0e+400", str(10**30), str(-(10**30)), "9" * 5000]
VALUES = [float("inf"), float("-inf"), float("nan"), 10**30, -(10**30), 10**400]
#: Texts that hold numbers.
LISTED = {"study qat": "--seeds", "study character": "--character"}
KEYS = [
    *((part, cls, item) for part, cls in (("model", MLPConfig), ("model", Mamba2Config), ("train", TrainConfig))
      for item in dataclasses.fields(cls)),
    *(("train.losses", LossConfig, item) for item in dataclasses.fields(LossConfig)),
]  # fmt: skip


def numbers() -> Iterator[tuple[str, click.Parameter]]:
    """Every option and argument that is a number, with the verb that has it."""
    for name, command in leaves():
        for param in command.params:
            typed = isinstance(param.type, click.types.IntParamType | click.types.FloatParamType)
            if typed or LISTED.get(name) in param.opts:
                yield name, param


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with a dataset."""
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "dataset", [40, 30, 35])
    return tmp_path


def in_one_line(text: str) -> str:
    """The one line of an error; what click puts above a usage error aside."""
    said = text.strip().splitlines()
    assert said[-1].startswith("Error: ") and sum(line.startswith("Error: ") for line in said) == 1
    assert all(line.startswith(("Usage: ", "Try ")) or not line for line in said[:-1]), text
    return said[-1]


def test_every_number_has_two_ends() -> None:
    for name, param in numbers():
        assert isinstance(param.type, Whole | Real) or param.opts[0] in LISTED.values(), f"{name} {param.opts}"
        if isinstance(param.type, Whole | Real):
            assert param.type.min is not None and param.type.max is not None and param.type.max < 1 << 64


@pytest.mark.parametrize("value", TYPED, ids=lambda value: value[:8])
def test_no_option_takes_it(folder: Path, value: str) -> None:
    (folder / "c.yaml").write_text("model: {hidden: [16, 9], slots: 2}\n")
    needed = {"study qat": ["--config", "c.yaml"], "study character": ["--steps", "1"]}
    for name, param in numbers():
        given = [param.opts[0], value] if isinstance(param, click.Option) else ["--", value]
        result = run(*name.split(), *needed.get(name, []), *given)
        assert result.exit_code in (1, 2), f"{name} {given}: {result.output}"
        assert param.opts[-1].strip("-").lower() in in_one_line(result.output).lower()
    assert {path.name for path in folder.iterdir()} == {"dataset", "c.yaml"}


@pytest.mark.parametrize(
    "text", ["1." + "9" * 5000, "9" * 5000, str(10**30), "1.", ".5", "1e3", "inf", "\N{ARABIC-INDIC DIGIT ONE}"]
)
def test_no_cut_takes_it(text: str) -> None:
    from tests.factories import small_qnet
    from wm_export.errors import WmExportError
    from wm_export.lower.lowering import lower

    with pytest.raises(WmExportError, match="cut"):
        lower(small_qnet(), (text,))


def _nested(part: str, key: str, value: Any) -> dict[str, Any]:
    data: dict[str, Any] = {key: value}
    for name in reversed(part.split(".")):
        data = {name: data}
    return data


@pytest.mark.parametrize(("part", "cls", "item"), KEYS, ids=lambda value: getattr(value, "name", str(value)))
def test_no_key_of_a_config_takes_it(part: str, cls: Any, item: "dataclasses.Field[Any]") -> None:
    default = getattr(cls(), item.name)
    words = isinstance(default, tuple) and "str" in str(item.type)
    number = type(default) in (int, float) or (isinstance(default, tuple) and not words)
    assert number == isinstance(item.metadata.get("within"), Range) or item.name == "losses"
    for value in VALUES:
        every = [value, [value], [value, value], {"layer1": value}, {"lookahead": value}, {"focal": value}]
        for one in every if not isinstance(default, float | int) else [value]:
            data = _nested(part, item.name, one)
            if cls is Mamba2Config:
                data["model"] |= {"arch": data["model"].get("arch", "mamba2")}
            with pytest.raises(WmTrainError, match=f"{part}|flags: lookahead") as refused:
                RunConfig.from_json(data)
            assert "\n" not in str(refused.value)


@pytest.mark.parametrize("value", IN_YAML, ids=lambda value: value[:8])
def test_no_config_file_takes_it_and_a_finished_run_stays(folder: Path, value: str) -> None:
    small = {"model": {"hidden": [16, 9], "slots": 2}, "train": {"steps": 2, "batch": 8, "holdout": 0.4}}
    Path("c.yaml").write_text(yaml.safe_dump(small))
    assert run("train", "--config", "c.yaml", "--out", "kept").exit_code == 0
    before = {path: path.read_bytes() for path in Path("kept").rglob("*") if path.is_file()}
    for key in ("seed", "minutes", "steps", "learning_rate", "threads", "batch"):
        text = f"model: {{hidden: [16, 9], slots: 2}}\ntrain: {{steps: 2, holdout: 0.4, {key}: {value}}}\n"
        Path("bad.yaml").write_text(text.replace("steps: 2, ", "") if key == "steps" else text)
        for verb in (["train", "--out", "kept"], ["encode"], ["study", "character", "--character", "all"]):
            result = run(*verb, "--config", "bad.yaml")
            assert result.exit_code == 1 and "bad.yaml" in in_one_line(result.output)
    assert {path: path.read_bytes() for path in Path("kept").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("key", ["trials", "minutes", "steps", "seed"])
def test_no_sweep_takes_it(tmp_path: Path, key: str) -> None:
    path = tmp_path / "sweep.yaml"
    for value in [*IN_YAML, "-1", str(2**62)]:
        space = "base: {}\nspace: {train.batch: {choice: [64]}}\n"
        path.write_text(f"{space}{key}: {value}\n" + ("steps: 1\n" if key in ("trials", "seed") else ""))
        with pytest.raises(WmTrainError, match=r"sweep|YAML|expected int") as refused:
            load_sweep(path)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("seed", [-(2**63), -1, 2**63 - 1])
def test_any_seed_of_64_bits_trains(folder: Path, seed: int) -> None:
    Path("c.yaml").write_text("model: {hidden: [16, 9], slots: 2}\ntrain: {steps: 2, batch: 8, holdout: 0.4}\n")
    assert run("train", "--config", "c.yaml", "--seed", str(seed)).exit_code == 0
