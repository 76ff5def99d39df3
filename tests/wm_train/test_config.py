"""config.py: checked when built, and what is not known is an error that names its key."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wm_train.config import LossConfig, MLPConfig, RunConfig, TrainConfig, load_config, need_category_loss
from wm_train.errors import WmTrainError
from wm_train.shapes import parameter_count

EXPERIMENTS = sorted((Path(__file__).resolve().parents[2] / "experiments").glob("*.yaml"))


def test_json_round_trip() -> None:
    config = RunConfig(MLPConfig("v2.1", 4, "published", (64, 32), 0.1), TrainConfig(steps=7, seed=3, holdout=0.25))
    config = replace(
        config, train=replace(config.train, losses=LossConfig(category=2.0, value="huber", horizon=(0.5, 2.0)))
    )
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert RunConfig.from_json({}) == RunConfig()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"modle": {}}, "config: unknown key 'modle', expected one of model, train"),
        ({"model": {"widths": [8, 8]}}, "model: unknown key 'widths'"),
        ({"train": {"lr": 0.1}}, "train: unknown key 'lr'"),
        ({"train": {"steps": "many"}}, r"train\.steps = 'many', expected int"),
        ({"train": {"steps": 1.5}}, r"train\.steps = 1\.5, expected int"),
        ({"train": {"steps": True}}, r"train\.steps = True, expected int"),
        ({"train": {"learning_rate": True}}, r"train\.learning_rate = True, expected float"),
        ({"train": {"seed": None}}, r"train\.seed = None"),
        ({"model": {"hidden": [64.0, 32]}}, r"model\.hidden = \[64\.0, 32\], expected list of int"),
        ({"model": {"hidden": 64}}, r"model\.hidden = 64"),
        ({"model": {"encoding": 2.2}}, r"model\.encoding = 2\.2, expected str"),
        ({"model": [1]}, "model: got list, expected a mapping"),
        ({"train": None}, "train: got NoneType"),
        (None, "config: got NoneType"),
        ({"model": {"hidden": [64]}}, r"model\.hidden"),
        ({"model": {"hidden": [64, 4]}}, r"model\.hidden"),
        ({"model": {"hidden": [64, 5000]}}, r"model\.hidden"),
        ({"model": {"bits": {"layer9": 4}}}, r"model\.bits = 'layer9', expected a layer: layer1, layer2, heads"),
        ({"model": {"bits": {"layer1": 6}}}, r"model\.bits\.layer1 = 6, expected 8, 4, 5, 10 or 16"),
        ({"model": {"bits": {"layer1": True}}}, r"model\.bits\.layer1 = True"),
        ({"model": {"bits": {"layer1": [4]}}}, r"model\.bits\.layer1 = \[4\]"),
        ({"model": {"bits": 4}}, r"model\.bits = 4, expected dict"),
        ({"model": {"dropout": 1.0}}, r"model\.dropout"),
        ({"model": {"dropout": -0.1}}, r"model\.dropout"),
        ({"model": {"encoding": "v9"}}, "encoding: got 'v9'"),
        ({"model": {"heads": "none"}}, "heads: got 'none'"),
        ({"model": {"slots": 0}}, r"model\.slots = 0, expected 1 to 64"),
        ({"train": {"steps": 0}}, r"train\.steps = 0, expected 1 to 1,000,000,000"),
        ({"train": {"batch": 0}}, r"train\.batch"),
        ({"train": {"threads": 0}}, r"train\.threads"),
        ({"train": {"minutes": -1}}, r"train\.minutes"),
        ({"train": {"hold_character": -2}}, r"train\.hold_character"),
        ({"train": {"hold_seen": True}}, r"train\.hold_seen"),
        ({"train": {"learning_rate": 0}}, r"train\.learning_rate"),
        ({"train": {"learning_rate": float("nan")}}, r"train\.learning_rate"),
        ({"train": {"augment": "mirror"}}, r"train\.augment = 'mirror', expected list of str"),
        ({"train": {"augment": ["turn"]}}, r"train\.augment = \['turn'\], expected each once: mirror, swap"),
        ({"train": {"augment": ["swap", "swap"]}}, r"train\.augment = \['swap', 'swap'\], expected each once"),
        ({"model": {"arch": "mamba2", "dropout": 1.0}}, r"model\.dropout = 1\.0, expected 0 or more, below 1"),
        ({"train": {"best": "hit"}}, r"train\.best = 'hit', expected list of str"),
        ({"train": {"events": "hits"}}, r"train\.events = 'hits', expected list of str"),
        ({"train": {"event_share": 0}}, r"train\.event_share = 0\.0, expected above 0, below 1"),
        ({"train": {"event_share": 1}}, r"train\.event_share = 1\.0"),
        ({"train": {"losses": {"actoin": 1}}}, r"train\.losses: unknown key 'actoin'"),
        ({"train": {"losses": [1]}}, r"train\.losses: got list, expected a mapping"),
        ({"train": {"losses": {"focal": "no"}}}, r"train\.losses\.focal = 'no', expected float"),
        ({"train": {"losses": {"action": -1}}}, r"train\.losses\.action"),
        ({"train": {"losses": {"change_weight": 0}}}, r"train\.losses\.change_weight"),
        ({"train": {"losses": {"focal": 11}}}, r"train\.losses\.focal"),
        ({"train": {"losses": {"value": "l2"}}}, r"train\.losses\.value = 'l2', expected l1 or"),
        ({"train": {"losses": {"scale": 0}}}, r"train\.losses\.scale"),
        ({"train": {"losses": {"alpha": 3}}}, r"train\.losses\.alpha"),
        ({"train": {"losses": {"sampling": 0.6}}}, r"train\.losses\.sampling = 0\.6, expected 0 to 0\.5"),
        ({"train": {"losses": {"sampling": -0.1}}}, r"train\.losses\.sampling"),
        ({"train": {"losses": {"sampling": float("nan")}}}, r"train\.losses\.sampling = nan"),
        ({"train": {"losses": {"horizon": 0.5}}}, r"train\.losses\.horizon = 0\.5, expected list of float"),
        (
            {"train": {"losses": {"horizon": [0.5, "1"]}}},
            r"train\.losses\.horizon = \[0\.5, '1'\], expected list of float",
        ),
        ({"train": {"losses": {"horizon": [True]}}}, r"train\.losses\.horizon = \[True\]"),
        (
            {"train": {"losses": {"horizon": [-1]}}},
            r"train\.losses\.horizon = \(-1\.0,\), expected 0 or more, below 1,000",
        ),
        ({"train": {"losses": {"horizon": [0.5, float("inf")]}}}, r"train\.losses\.horizon"),
        ({"train": {"losses": {"horizon": [float("nan")]}}}, r"train\.losses\.horizon"),
        ({"train": {"losses": {"horizon": [1] * 33}}}, r"train\.losses\.horizon"),
        (
            {"model": {"arch": "mamba2"}, "train": {"chunk": 2, "losses": {"horizon": [1, 1]}}},
            r"train\.losses\.horizon = \(1\.0, 1\.0\), expected fewer weights than train\.chunk, which is 2",
        ),
        ({"train": {"holdout": 1}}, r"train\.holdout"),
        ({"train": {"holdout": 0.0}}, r"train\.holdout"),
    ],
)
def test_an_error_names_its_key(data: Any, message: str) -> None:
    with pytest.raises(WmTrainError, match=message):
        RunConfig.from_json(data)


@pytest.mark.parametrize("arch", ["mlp", "mamba2"])
def test_heads_that_choose_a_category_need_its_loss(arch: str) -> None:
    def config(heads: str, category: float) -> RunConfig:
        return RunConfig.from_json(
            {"model": {"arch": arch, "heads": heads}, "train": {"losses": {"category": category}}}
        )

    with pytest.raises(WmTrainError, match=r"category = 0\.0, expected above 0: .*write losses: {category: 2\.0}"):
        need_category_loss(config("two_level", 0.0))
    for heads, category in (("two_level", 0.5), ("integrated", 0.0), ("gated", 0.0), ("published", 0.0)):
        need_category_loss(config(heads, category))


def test_bits_are_kept_as_named_in_the_order_of_the_layers() -> None:
    config = RunConfig.from_json({"model": {"bits": {"heads": 4, "layer1": 8}}})
    assert list(config.model.bits.items()) == [("layer1", 8), ("heads", 4)]
    assert config.to_json()["model"]["bits"] == {"layer1": 8, "heads": 4}
    assert RunConfig.from_json(config.to_json()) == config


def test_an_int_may_stand_for_a_float_and_a_list_for_a_tuple() -> None:
    config = RunConfig.from_json({"model": {"hidden": [64, 32]}, "train": {"minutes": 5}})
    assert isinstance(config.model, MLPConfig) and config.model.hidden == (64, 32)
    assert config.train.minutes == 5.0
    assert isinstance(config.train.minutes, float)


def test_what_is_off_is_not_written_down_and_what_is_on_is() -> None:
    assert "augment" not in RunConfig().to_json()["train"] and "game" not in RunConfig().to_json()["model"]
    assert "dropout" not in RunConfig.from_json({"model": {"arch": "mamba2"}}).to_json()["model"]
    assert RunConfig.from_json({"model": {"arch": "mamba2", "dropout": 0.1}}).to_json()["model"]["dropout"] == 0.1
    assert not {"events", "event_share", "best"} & set(RunConfig().to_json()["train"])
    shown = RunConfig.from_json({"train": {"events": ["kos"], "event_share": 0.5}})
    assert RunConfig.from_json(json.loads(json.dumps(shown.to_json()))) == shown != RunConfig()
    for names in (["mirror"], ["swap"], ["swap", "mirror"]):
        config = RunConfig.from_json({"train": {"augment": names}})
        assert config.to_json()["train"]["augment"] == config.train.augment == tuple(names)
        assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_weights_of_a_horizon_are_floats_and_as_many_as_a_chunk_has_frames_behind_its_first() -> None:
    losses = {"losses": {"horizon": [1, 0.5]}}
    config = RunConfig.from_json({"model": {"arch": "mamba2"}, "train": {"chunk": 3, **losses}})
    assert config.train.losses.horizon == (1.0, 0.5) and isinstance(config.train.losses.horizon[0], float)
    assert RunConfig.from_json({"train": {"chunk": 1, **losses}}).train.losses == config.train.losses


def test_yaml(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("model: {hidden: [64, 32]}\ntrain:\n  steps: 12\n")
    assert load_config(path) == RunConfig(MLPConfig(hidden=(64, 32)), TrainConfig(steps=12))
    path.write_text("")
    assert load_config(path) == load_config(None) == RunConfig()


@pytest.mark.parametrize(
    ("text", "steps"), [("{minutes: 5}", 10**9), ("{minutes: 5, steps: 12}", 12), ("{minutes: 0}", TrainConfig().steps)]
)
def test_a_time_without_steps_decides_alone(text: str, steps: int, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"train: {text}")
    assert load_config(path).train.steps == steps


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1e-3", 1e-3), ("1E-03", 1e-3), ("+1e-3", 1e-3), ("2.5e-3", 2.5e-3), (".5e-2", 5e-3), ("0.001", 1e-3)],
)
def test_numbers_are_those_of_yaml_1_2(text: str, rate: float, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"train: {{learning_rate: {text}, steps: 1_000}}")
    assert load_config(path).train == TrainConfig(learning_rate=rate, steps=1000)


@pytest.mark.parametrize("text", ["1:30", "010", "1e", "0x10"])
def test_what_only_yaml_1_1_calls_a_number_is_none(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"train: {{steps: {text}}}")
    with pytest.raises(WmTrainError, match=rf"train\.steps = '{text}', expected int"):
        load_config(path)


def test_a_key_stands_once(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("train:\n  steps: 5\n  seed: 1\n  steps: 6\n")
    with pytest.raises(WmTrainError, match=r"line 4: the key 'steps' stands twice; mend the file$"):
        load_config(path)


@pytest.mark.parametrize("text", [b"model: [", b"\xff\xfe\x00", b"!!python/object:os.system {}"])
def test_what_is_not_plain_yaml_is_an_error(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(text)
    with pytest.raises(WmTrainError, match="cannot be read as YAML"):
        load_config(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WmTrainError, match=r"none\.yaml: cannot be read"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml")), ids=lambda p: p.stem
)
def test_experiments_can_be_trained(path: Path) -> None:
    config = load_config(path)
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    named = {
        "mlp-v22": 1_364_320,
        "melee-1.2m": 1.2e6,
        "melee-mlp": 1_364_320,
        "melee-small": 0.56e6,
        "melee-start": 0.56e6,
        "mamba2-0.4m": 0.4e6,
        "mamba2-1.2m": 1.2e6,
        "subsystem": 94408,
        "tick": 0.34e6,
        "tx": 1.2e6,
        "realtime": 1.75e6,
        "full": 4.35e6,
    }
    assert parameter_count(config.model) == pytest.approx(named[path.stem], rel=0.04)
