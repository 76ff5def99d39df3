"""evaluate with several models, rollout, speculate and study: the verbs on made-up games."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.factories import set_characters, write_dataset
from tests.verbs import figures, run
from wm_cli import project
from wm_cli.frame_cost import of_model
from wm_cli.verbs import character_study
from wm_cli.verbs.character_study import ARMS, characters
from wm_cli.verbs.measuring import differences
from wm_train.checkpoint import Checkpoint, load_checkpoint
from wm_train.nets import predict
from wm_train.nets.rivals import RIVALS

CONFIG = "model: {hidden: [32, 16], slots: 3}\ntrain: {steps: 3, batch: 32, holdout: 0.4}\n"
DEEPER = "model: {hidden: [32, 16], slots: 5}\ntrain: {steps: 3, batch: 32, holdout: 0.4, seed: 1}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with a dataset, a float run, its QNet, a QAT run and its QNet."""
    made = tmp_path_factory.mktemp("project")
    write_dataset(made / "dataset", [150, 140, 130, 120, 110, 100, 95, 90])
    set_characters(made / "dataset", [(9, 2), (9, 9), (2, 9), (2, 20), (20, 20), (2, 2), (2, 20), (1, 2)])
    (made / "small.yaml").write_text(CONFIG)
    (made / "deeper.yaml").write_text(DEEPER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for command in (
            "train --config small.yaml --out run",
            "train --config small.yaml --qat --out run-qat",
            "quantize",
            "quantize run --out qnet-ptq",
            "train --config deeper.yaml --out other",
        ):
            assert run(*command.split()).exit_code == 0
    return made


@pytest.fixture(autouse=True)
def here(folder: Path, monkeypatch: pytest.MonkeyPatch, exact_again: None) -> None:
    """Work in the project folder."""
    monkeypatch.chdir(folder)


def test_models_stand_side_by_side() -> None:
    models = ["run", "qnet-ptq", "run-qat", "qnet"]
    few = ("--limit", "40")
    got = figures("evaluate", *models, *few)
    assert [one["path"] for one in got["models"]] == models
    assert [one["model"]["form"] for one in got["models"]] == ["float", "qnet", "qat", "qnet"]
    for one in got["models"]:
        assert {k: v for k, v in one.items() if k != "path"} == figures("evaluate", one["path"], *few)
    assert [(row["from"], row["to"]) for row in got["differences"]] == [("run", to) for to in models[1:]]
    qat, qnet = ({k: v for k, v in row.items() if k != "to"} for row in got["differences"][1:])
    assert qat == qnet
    table = run("evaluate", *models, *few).stdout
    assert all(name in table for name in (*models, "k10_percent", "persis-"))
    costs = [one["model"]["compute_units"] for one in got["models"]]
    assert costs == [of_model(Path(model)).cost.total_cu for model in models]
    assert all(
        f"{units:,} compute units (`wmq cu {model}`)" in table for units, model in zip(costs, models, strict=True)
    )
    kept = {name: project.kept_figures(f"evaluate-{name}") for name in ("float", "ptq", "qat", "qnet")}
    assert all(kept.values())


def test_what_a_player_would_notice_is_in_every_table() -> None:
    got = figures("evaluate", "run")
    assert list(got["events"]) == ["hits", "grabs", "landings", "take_offs", "kos"]
    assert sum(row["player_frames"] for row in got["coverage"]) == 2 * got["frames"]
    assert 0 <= got["rollout"]["10"]["lawful"] <= 1
    assert got["baselines"]["persistence"]["events"]["hits"]["predicted"] == 0
    table = run("evaluate", "run").stdout
    for word in ("landings f1_within 2", "hit_damage mae", "K10 lawful", "never", "position_mae"):
        assert word in table, word
    assert figures("evaluate", "run", "--limit", "5")["events"]["hits"]["recall_within"] is None
    assert run("evaluate", "run", "--limit", "5").exit_code == 0


def test_laws_of_one_world_and_of_many() -> None:
    many = figures("rollout", "qnet", "--starts", "5", "--frames", "40")
    one = figures("rollout", "qnet", "--frames", "40")
    for got in (many, one):
        assert set(got["laws"]) == {"predicted", "real"} and got["recorded"]["games"] == 8
        assert set(got["laws"]["real"]["broken"]) == {"ground", "action", "dead", "percent"}
    assert set(many["habits"]["real"]) >= {"hits_a_minute", "kos_a_minute", "stocks_a_minute"}
    broken = {frame for frames in one["breaches"].values() for frame in frames}
    assert len(broken) == round(40 * (1 - one["laws"]["predicted"]["lawful"]))
    assert "lawful frames" in run("rollout", "qnet", "--frames", "40").stdout


def test_a_world_is_asked_whether_it_listens() -> None:
    got = figures("diagnose", "qnet")
    assert got["interventions"]["same"] and got["interventions"]["idle"]["runs"] > 0
    assert got["events"] == figures("evaluate", "qnet")["events"]
    assert "same on the same inputs" in run("diagnose", "qnet").stdout
    assert (project.kept_figures("diagnose-qnet") or {})["interventions"] == got["interventions"]


def test_models_of_other_splits_and_windows_see_the_same_frames() -> None:
    got = figures("evaluate", "run", "other")["models"]
    trained = [set(load_checkpoint(Path(name)).split["train"]) for name in ("run", "other")]
    assert got[0]["games"] == got[1]["games"] == 8 - len(trained[0] | trained[1]) > 0
    assert trained[0] != trained[1] and got[0]["frames"] == got[1]["frames"]
    assert got[0]["baselines"] == got[1]["baselines"]


def test_as_many_held_out_games_are_measured_as_were_asked_for() -> None:
    some, every = figures("evaluate", "run", "--games", "2"), figures("evaluate", "run")
    assert some["games"] == 2 < every["games"] and some["frames"] < every["frames"]
    assert "[default: 256" in run("evaluate", "--help").stdout


def test_differences_are_points_and_percents_against_the_first() -> None:
    def metrics(change: float, k10: float, k20: float) -> dict[str, Any]:
        ahead = {"10": {"position_mae_mean": k10}, "20": {"position_mae_mean": k20}}
        return {"action_acc": 0.9, "action_change_acc": change, "position_mae": 0.2, "rollout": ahead}

    first = metrics(0.5, 2.0, 4.0)
    tried = [(0.4975, 2.03, 4.07), (0.496, 2.0, 4.0), (0.5, 2.05, 4.0), (0.5, 2.0, 4.1), (0.6, 1.0, 1.0)]
    rows = differences([Path("a")] * 6, [first, *(metrics(*one) for one in tried)])
    assert [row["within"] for row in rows] == [True, False, False, False, True]
    assert rows[0]["action_change_points"] == pytest.approx(-0.25) and rows[0]["k10_percent"] == pytest.approx(1.5)
    assert rows[0]["k20_percent"] == pytest.approx(1.75) and rows[0]["position_percent"] == 0


def test_a_further_horizon_is_in_table_and_figures() -> None:
    assert len(figures("evaluate", "run", "--horizon", "30")["rollout"]["30"]["position_mae"]) == 30
    assert "K30 position_mae_mean" in run("evaluate", "run", "--horizon", "30").stdout


def test_many_worlds_can_be_left_alone() -> None:
    got = figures("rollout", "qnet", "--starts", "5", "--seconds", "1")
    assert got["frames"] == 60 and got["starts"] == 5 and got["model"]["form"] == "qnet"
    text = run("rollout", "qnet", "--starts", "5", "--frames", "40").stdout
    assert "position_p90" in text and "stocks_a_minute" in text
    assert (project.kept_figures("rollout-qnet") or {})["frames"] == 40


def test_one_world_runs_for_seconds_too() -> None:
    assert len(figures("rollout", "--seconds", "1", "--start", "2")["position_error"]) == 60
    assert "frame 60" in run("rollout", "--seconds", "1").stdout


def test_speculation_is_by_inputs_and_by_outcome() -> None:
    got = figures("speculate", "run", "--windows", "20")
    assert got["delays"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert got["inputs"]["games"] == 8 and got["inputs"]["frames"] == 935 and got["outcome"]["windows"] == 20
    assert got["inputs"]["all"]["recomputed"][0] == pytest.approx(1, abs=0.1)  # made-up inputs never repeat
    text = run("speculate", "run", "--windows", "20").stdout
    assert "player0" in text and "8 frames" in text


def test_a_character_is_studied_by_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    got = figures("study", "character", "--character", "9", "--config", "small.yaml", "--steps", "2")
    (one,) = got["characters"]
    assert one["character"] == 9 and one["test_games"] in (1, 2)
    assert one["train_games"] == {"unseen": 5, "seen": 5}
    assert one["with_character"] == {"unseen": 0, "seen": 3 - one["test_games"]}
    splits = [load_checkpoint(Path("study") / f"character-9-{arm}").split for arm in ARMS]
    assert splits[0]["valid"] == splits[1]["valid"] and not set(splits[0]["valid"]) & set(splits[1]["train"])
    assert set(one["arms"]) == {"unseen", "seen"} and set(one["arms"]["seen"]["own"]) < set(one["arms"]["seen"])
    # Again: both runs are finished and taken as they are.
    stamp = Path("study/character-9-seen/run.json").stat().st_mtime_ns
    text = run("study", "character", "--character", "9", "--config", "small.yaml", "--steps", "2").stdout
    assert "own position_mae" in text and "with_character" in text
    assert Path("study/character-9-seen/run.json").stat().st_mtime_ns == stamp
    monkeypatch.setattr(character_study, "MIN_GAMES", 3)
    assert characters(Path("dataset"), "all") == [9, 20]


def test_a_characters_own_figures_are_of_its_players() -> None:
    from wm_train.games.corpus import load_corpus, usable_games
    from wm_train.world.encoding import Encoding

    encoding = Encoding("v2.2", 3)
    corpus = load_corpus(Path("dataset"), usable_games(Path("dataset"), encoding), encoding)
    got = character_study._players(Path("dataset"), corpus, 9)
    assert got.shape == (len(corpus.game), 2)
    assert [got[corpus.game == g].mean(0).tolist() for g in range(8)][:3] == [[1, 0], [1, 1], [0, 1]]


@pytest.mark.parametrize(("arguments", "code", "text"), [
    (["rollout", "--frames", "9", "--seconds", "1"], 2, "together"),
    (["rollout", "--start", "0", "--starts", "4"], 2, "together"),
    (["rollout", "--starts", "2", "--frames", "900"], 1, "longer games"),
    (["evaluate", "--horizon", "0"], 2, "Invalid value"),
    (["evaluate", "--horizon", "900"], 1, "longer games"),
    (["evaluate", "run", "nowhere"], 1, "expected a QNet or a run"),
    (["study", "character", "--character", "25"], 1, "1, 2, 9, 20"),
    (["study", "character", "--character", "falco"], 1, "1, 2, 9, 20"),
    (["study", "character", "--character", "all"], 1, "ingest more games"),
    (["study", "character"], 2, "Missing option"),
])  # fmt: skip
def test_mistakes_end_in_one_line(arguments: list[str], code: int, text: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code and text in result.output and "Traceback" not in result.output


@pytest.mark.usefixtures("several_runs")
def test_what_int8_costs_is_studied_by_one_command() -> None:
    Path("remembers.yaml").write_text(
        "model: {arch: mamba2, d_model: 8, d_state: 4, headdim: 16, n_layers: 1}\ntrain: {steps: 2, lanes: 2, chunk: 8}"
    )
    asked = ("study", "qat", "--config", "small.yaml", "--config", "remembers.yaml", "--seeds", "0,1", "--out", "int8")
    got = figures(*asked, "--limit", "10")
    assert [(run["config"], run["seed"]) for run in got["runs"]] == [
        (name, seed) for name in ("small", "remembers") for seed in (0, 1)
    ]
    for config in got["configs"]:
        mine = [run["forms"] for run in got["runs"] if run["config"] == config["config"]]
        for form in ("float", "ptq", "qat"):
            mean = sum(forms[form]["position_mae"] for forms in mine) / 2
            assert config["means"][form]["position_mae"] == pytest.approx(mean)
        lost = 100 * (config["means"]["qat"]["action_change_acc"] - config["means"]["float"]["action_change_acc"])
        assert [row["to"] for row in config["lost"]] == ["ptq", "qat"]
        assert config["lost"][1]["action_change_points"] == pytest.approx(lost)
    stamp = Path("int8/small-0/run.json").stat().st_mtime_ns
    assert figures(*asked, "--limit", "10") == got and Path("int8/small-0/run.json").stat().st_mtime_ns == stamp


@pytest.mark.usefixtures("several_runs")
def test_the_grid_is_set_beside_torchaos_own_ways_by_one_command() -> None:
    asked = ("study", "rivals", "run", "--out", "rivals", "--steps", "2", "--limit", "10")
    got = figures(*asked)
    assert list(got["forms"]) == ["float", "wmq_ptq", "wmq_qat", *RIVALS]
    assert got["forms"]["torchao_int4_weight_only"]["why"] == "ImportError: Requires mslk >= 1.0.0"
    measured = {form: one for form, one in got["forms"].items() if "why" not in one}
    assert len(measured) == len(RIVALS) + 2
    assert all(one["frames"] == 10 for one in measured.values())
    assert [row["to"] for row in got["lost"]] == list(measured)[1:]
    assert load_checkpoint(Path("rivals/run-torchao_qat")).form == "float"
    assert load_checkpoint(Path("rivals/run-wmq_qat")).form == "qat"
    stamp = Path("rivals/run-torchao_qat/run.json").stat().st_mtime_ns
    assert figures(*asked) == got and Path("rivals/run-torchao_qat/run.json").stat().st_mtime_ns == stamp
    assert "Requires mslk" in run(*asked).stdout


@pytest.mark.usefixtures("several_runs")
def test_figures_of_a_study_are_taken_only_for_what_they_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("study", "qat", "--config", "small.yaml", "--seeds", "0", "--out", "kept", "--limit")
    got, real, measured = figures(*asked, "20"), predict.held_out_figures, []

    def spied(checkpoint: Checkpoint, *rest: Any) -> Any:
        measured.append(checkpoint.form)
        return real(checkpoint, *rest)

    monkeypatch.setattr(predict, "held_out_figures", spied)

    def again(limit: str = "20") -> Any:
        measured.clear()
        return figures(*asked, limit)

    assert again() == got and measured == []
    assert again("10")["runs"][0]["forms"]["qat"]["frames"] == 10 and measured == ["float", "qat", "qat"]
    assert again() == got and len(measured) == 3
    kept = Path("kept/small-0/qat.json")
    for broken in ("", "{", "[]", "null", "{}", kept.read_text().replace('"figures"', '"numbers"')):
        kept.write_text(broken)
        assert again() == got and measured == ["qat"], broken
    kept.write_bytes(b"\xff")
    assert again() == got and measured == ["qat"]
    run_json = Path("kept/small-0/run.json")
    found = run_json.read_text()
    run_json.write_text(json.dumps(json.loads(found) | {"figures": {"steps": 1}}))
    assert again()["runs"][0]["forms"]["qat"]["steps"] == 1 and measured == ["qat"]
    run_json.write_text(found)
    floating = Path("kept/small-0/float/run.json")
    floating.write_text(json.dumps(json.loads(floating.read_text()) | {"figures": {"steps": 1}}))
    changed = run(*asked, "20")
    assert changed.exit_code == 1 and "small-0: was trained from another float run" in " ".join(changed.output.split())


def test_a_study_that_was_interrupted_is_of_its_games(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path / "dataset", [150, 140, 130, 120])
    asked = ("study", "qat", "--config", "small.yaml", "--seeds", "0", "--out", str(tmp_path / "study"), "--dataset")
    assert run(*asked, str(tmp_path / "dataset")).exit_code == 0
    run_json = tmp_path / "study" / "small-0" / "run.json"
    run_json.unlink()  # as if it had been killed between its two parts
    write_dataset(tmp_path / "dataset", [150, 140, 130, 120, 110])
    changed = run(*asked, str(tmp_path / "dataset"))
    assert changed.exit_code == 1 and "small-0/float: was trained on other games" in "".join(
        changed.output.replace("\n", " ").split("  ")
    )
    assert not run_json.exists()


@pytest.mark.parametrize(
    ("asked", "finished", "steps", "key"),
    [
        (("character", "--character", "9"), "character-9-unseen", 5, "train.steps = 3, expected 5"),
        (("qat", "--seeds", "0"), "small-0", 4, "train.steps = 1, expected 2"),
        (("qat", "--seeds", "0"), "small-0/float", 5, "train.steps = 2, expected 3"),
    ],
)
@pytest.mark.usefixtures("several_runs")
def test_a_study_takes_no_run_of_another_config_or_other_games(
    tmp_path: Path, asked: tuple[str, ...], finished: str, steps: int, key: str
) -> None:
    study = ("study", *asked, "--out", str(tmp_path / "study"), "--config")
    assert run(*study, "small.yaml").exit_code == 0
    outcome = tmp_path / "study" / finished / "run.json"
    if finished.endswith("float"):
        (outcome.parent.parent / "run.json").unlink()
    before = outcome.read_bytes()
    (tmp_path / "small.yaml").write_text(CONFIG.replace("steps: 3", f"steps: {steps}"))
    changed = run(*study, str(tmp_path / "small.yaml"))
    assert changed.exit_code == 1 and f"{finished}: was trained with {key}; give another --out" in changed.output
    write_dataset(tmp_path / "dataset", [150, 140, 130, 120])
    set_characters(tmp_path / "dataset", [(9, 2), (9, 9), (2, 9), (2, 20)])
    changed = run(*study, "small.yaml", "--dataset", str(tmp_path / "dataset"))
    assert changed.exit_code == 1 and ": was trained on other games than those of" in changed.output
    assert outcome.read_bytes() == before
