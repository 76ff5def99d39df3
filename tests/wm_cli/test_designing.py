"""`wmq design`, and `wmq cu` of what is not built."""

import json
from pathlib import Path

import pytest

from tests.factories import random_checkpoint, small_model, small_qnet, write_dataset
from tests.verbs import figures, run
from wm_cli.verbs import designing
from wm_export.lower.design import priced
from wm_quant.qnet import save_qnet
from wm_train.checkpoint import save_checkpoint
from wm_train.config import Mamba2Config, load_config, need_category_loss
from wm_train.fit import sweep as sweeping
from wm_train.fit.sweep import Trial, ranked

FEW = ("--set", "n_layers=1", "--set", "d_state=16", "--set", "middle=8")


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder without anything."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "more", [("--arch", "mlp", "--set", "slots=3", "--set", "narrow=2"), FEW, (*FEW, "--transactions", "2")]
)
def test_the_config_that_is_written_costs_what_it_says(more: tuple[str, ...]) -> None:
    found = figures("design", "--budget", "400K", "--out", "mine.yaml", *more)
    best, text = found["candidates"][0], Path("mine.yaml").read_text()
    config = load_config(Path("mine.yaml"))
    need_category_loss(config)
    own = priced(config.model, found["transactions"])
    assert list(own.transactions) == best["worst_cu"] and max(best["worst_cu"]) <= 400_000
    assert all(f"{units:,}" in text for units in own.transactions) and f"{best['kernel_cu']:,} in kernels" in text
    assert own.parameters == best["parameters"] and f"{own.parameters:,} parameters" in text
    assert ("estimate" in text) == (best["around_known"] == "estimate")
    assert ", ".join(best["cuts"]) in text and ("--transactions" in text) == (len(best["worst_cu"]) > 1)
    if len(best["worst_cu"]) == 1:
        assert figures("cu", "mine.yaml", "--budget", "400K")["worst_cu"] == best["worst_cu"][0]
        assert run("cu", "mine.yaml", "--budget", str(best["worst_cu"][0] - 1)).exit_code == 1


def test_designs_are_shown_and_limited() -> None:
    assert "estimate" in (shown := run("design", "--budget", "0.4M", *FEW)).stdout and shown.exit_code == 0
    most = figures("design", "--budget", "400K", *FEW)["candidates"][0]["parameters"]
    nothing = run("design", "--budget", "400K", *FEW, "--min-parameters", str(most + 1))
    assert nothing.exit_code == 1 and "nothing fits" in nothing.stdout
    assert len(figures("design", "--budget", "400K", *FEW, "--top", "1")["candidates"]) == 1


def test_the_base_gives_what_a_design_does_not_vary() -> None:
    Path("base.yaml").write_text("{model: {arch: mamba2, flags: {geometry: true}}, train: {minutes: 3}}")
    figures("design", "--budget", "400K", *FEW, "--config", "base.yaml", "--out", "mine.yaml")
    config = load_config(Path("mine.yaml"))
    assert config.train.minutes == 3 and config.model.flags.given == {"geometry": True}


def test_interrupted_it_shows_what_it_has_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from wm_export.lower import design

    def broken_off(*arguments: object) -> object:
        yield priced(Mamba2Config(d_model=64, d_state=16, n_layers=1))
        raise KeyboardInterrupt

    monkeypatch.setattr(design, "search", broken_off)
    result = run("design", "--json", "--out", "mine.yaml")
    found = json.loads(result.stdout)
    assert result.exit_code == 130 and not found["whole"] and len(found["candidates"]) == 1
    assert load_config(Path("mine.yaml")).model.arch == "mamba2"


def test_short_trainings_decide_the_order(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(empty / "dataset", [30])

    def trained(sweep: sweeping.Sweep, *rest: object) -> sweeping.Swept:
        models = sweep.space["model"]["grid"]
        assert [sweep.config({"model": model}).model.arch for model in models] == ["mamba2"] * len(models)
        return ranked(sweep, [Trial({"model": model}, float(-i), "") for i, model in enumerate(models)])

    monkeypatch.setattr(sweeping, "run", trained)
    asked = ("design", "--budget", "400K", *FEW, "--top", "3")
    plain = [one["parameters"] for one in figures(*asked)["candidates"]]
    found = figures(*asked, "--dataset", "dataset", "--minutes", "1")
    assert [one["parameters"] for one in found["candidates"]] == plain[::-1] and found["metric"] == designing.METRIC


def test_interrupted_trainings_leave_the_order_of_parameters(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(empty / "dataset", [30])

    def interrupted(*arguments: object) -> sweeping.Swept:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweeping, "run", interrupted)
    asked = ("design", "--budget", "400K", *FEW, "--top", "2", "--dataset", "dataset", "--minutes", "1")
    found = figures(*asked, "--out", "mine.yaml", code=130)
    assert [one["value"] for one in found["candidates"]] == [None, None] and not found["whole"]
    assert load_config(Path("mine.yaml")).model.arch == "mamba2"


#: One combination, whose widest shapes have more bytes of weights than an account.
WIDE = ("slots=10", "narrow=2", "ends=8", "middle=8")


@pytest.mark.parametrize(("arguments", "code", "text"), [
    (["--set", "depth=3"], 2, "expected KEY=VALUE, of"),
    (["--set", "slots=3"], 2, "a mamba2 has"),
    (["--set", "d_state=x"], 2, "expected numbers"),
    (["--set", "headdim=0"], 2, "expected numbers from 1"),
    (["--arch", "mlp", "--set", "narrow=0"], 2, "expected numbers from 1"),
    (["--set", "n_layers=99"], 1, "model.n_layers = 99, expected 1 to 64"),
    (["--set", "middle=3", "--set", "n_layers=1"], 1, "expected 8, 4, 5, 10 or 16"),
    (["--budget", "1.4G"], 2, "expected one as 1400000, 400K or 1.4M"),
    (["--budget", "0.0001K"], 2, "no whole number"),
    (["--dataset", "nowhere"], 2, "--minutes"),
    (["--dataset", "nowhere", "--minutes", "1"], 1, "nowhere"),
    (["--config", "mlp-v22"], 1, "give --arch mlp"),
])  # fmt: skip
def test_mistakes(arguments: list[str], code: int, text: str) -> None:
    result = run("design", *arguments)
    assert result.exit_code == code and text in result.output and "Traceback" not in result.output


def test_weights_that_no_account_holds_are_too_wide() -> None:
    """A table of ids beyond an account's bytes is no end of the search."""
    found = figures("design", "--arch", "mlp", "--config", "mlp-v22", *(f"--set={one}" for one in WIDE))
    assert found["candidates"] and all(len(one["shards"]) for one in found["candidates"])


def test_the_cost_of_every_stage_of_a_model(empty: Path) -> None:
    save_qnet(empty / "qnet", small_qnet(small_model()))
    (empty / "run").mkdir()
    save_checkpoint(empty / "run", random_checkpoint(small_model()))
    of_qnet, of_run = figures("cu", "qnet"), figures("cu", "run")
    assert of_qnet | {"model": ""} == of_run | {"model": ""} and of_qnet["around_known"] == "estimate"
    assert figures("cu", "mlp-v22") | {"model": ""} == figures("cu", "--preset", "mlp") | {"model": ""}
    assert figures("cu", "mlp-v22")["around_known"] == "committed"
    unknown = run("cu", "moon")
    assert unknown.exit_code == 1 and "mamba2-1.2m" in unknown.output and "mlp-int4" in unknown.output


def test_figures_add_up() -> None:
    found = figures("cu", "mamba2-0.4m")
    for key in ("macs", "cu", "weight_bytes", "memory_bytes"):
        assert sum(op[key] for op in found["ops"]) == sum(layer[key] for layer in found["layers"])
    assert all(op["cu"] == op["kernel_cu"] + op["around_cu"] for op in found["ops"])
    assert {op["unit"] for op in found["ops"]} == {"", "MAC", "cell", "element"} and found["cu_per_cell"] > 4
    assert "estimate" in run("cu", "mamba2-0.4m").stdout and "estimate" not in run("cu", "--preset", "mlp").stdout


def test_two_models_side_by_side() -> None:
    models = figures("cu", "mamba2-0.4m", "mlp-int4")["models"]
    assert [one["model"] for one in models] == ["mamba2-0.4m", "mlp-int4"]
    shown = run("cu", "mamba2-0.4m", "mlp-int4").stdout
    assert f"{models[1]['total_cu'] - models[0]['total_cu']:+,}" in shown and "blocks.1.ssm" in shown
    assert run("cu", "--preset", "mlp", "mlp-v22", "mlp-int4").exit_code == 2
