"""checkpoint.py: what was saved comes back whole, and anything else is refused by name."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from tests.factories import random_arrays, random_checkpoint, small_model
from wm_train.checkpoint import load_checkpoint, save_checkpoint
from wm_train.errors import WmTrainError

SAVED = random_checkpoint(small_model("v2.1", "published"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path, SAVED)
    return tmp_path


def rewrite(run: Path, **changes: Any) -> None:
    """Change keys of run.json."""
    path = run / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rewrite_arrays(run: Path, arrays: dict[str, Any]) -> None:
    """Replace the arrays, hash and all."""
    blob = save(arrays)
    (run / "model.safetensors").write_bytes(blob)
    rewrite(run, sha256=hashlib.sha256(blob).hexdigest())


@pytest.mark.parametrize("encoding", ["v1", "v2.2"])
@pytest.mark.parametrize("form", ["float", "qat"])
def test_round_trip(tmp_path: Path, encoding: str, form: str) -> None:
    saved = replace(random_checkpoint(small_model(encoding)), form=form, parent="cd" * 32, thresholds={"hit": -1.5})
    save_checkpoint(tmp_path, saved)
    loaded = load_checkpoint(tmp_path)
    assert replace(loaded, arrays={}) == replace(saved, arrays={})
    assert loaded.arrays.keys() == saved.arrays.keys()
    for name, array in saved.arrays.items():
        assert loaded.arrays[name].dtype == np.float32 and (loaded.arrays[name] == array).all()


def test_saving_twice_gives_the_same_bytes(run: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    again = tmp_path_factory.mktemp("again")
    save_checkpoint(again, load_checkpoint(run))
    for name in ("run.json", "model.safetensors"):
        assert (again / name).read_bytes() == (run / name).read_bytes()


@pytest.mark.parametrize("at", [0, 100, -1])
def test_a_flipped_byte_is_refused(run: Path, at: int) -> None:
    path = run / "model.safetensors"
    blob = bytearray(path.read_bytes())
    blob[at] ^= 1
    path.write_bytes(blob)
    with pytest.raises(WmTrainError, match=r"model\.safetensors: its hash is not the one in run\.json"):
        load_checkpoint(run)


def broken(**changes: Any) -> dict[str, Any]:
    """The arrays with some replaced; None takes one away."""
    arrays = random_arrays(SAVED.config.model) | {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in arrays.items() if value is not None}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (broken(gain=None), "gain is missing"),
        (broken(layer2__bias=None), r"layer2\.bias is missing, expected finite float32 \(32,\)"),
        (broken(layer2__bias=np.full(32, np.nan, np.float32)), r"layer2\.bias is float32 \(32,\), expected finite"),
        (broken(layer2__bias=np.full(32, np.inf, np.float32)), r"layer2\.bias"),
        (broken(layer2__bias=np.zeros(32)), r"layer2\.bias is float64"),
        (broken(layer2__bias=np.zeros(33, np.float32)), r"layer2\.bias is float32 \(33,\)"),
        (broken(embeddings__stage__weight=np.zeros((4, 33), np.float32)), r"embeddings\.stage\.weight"),
    ],
)
def test_a_wrong_array_is_refused_by_name(run: Path, arrays: dict[str, Any], message: str) -> None:
    rewrite_arrays(run, arrays)
    with pytest.raises(WmTrainError, match=message):
        load_checkpoint(run)


@pytest.mark.parametrize("blob", [b"", b"not safetensors at all", b"\xff" * 64])
def test_bytes_that_are_no_safetensors_are_refused(run: Path, blob: bytes) -> None:
    (run / "model.safetensors").write_bytes(blob)
    rewrite(run, sha256=hashlib.sha256(blob).hexdigest())
    with pytest.raises(WmTrainError, match=r"model\.safetensors: "):
        load_checkpoint(run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "wmq-run-3"}, "expected format wmq-run-4"),
        ({"form": "int8"}, "form is 'int8', expected float or qat"),
        ({"split": None}, "split is None, expected an object"),
        ({"figures": []}, "figures is a list of 0, expected an object"),
        ({"scales": None}, "scales is None, expected an object"),
        ({"scales": {"hidden1": 0.5}}, "scales are of hidden1, expected hidden1, hidden2"),
        ({"scales": {"hidden1": 0.5, "hidden2": 0.0}}, r"scales\.hidden2 is 0\.0, expected a number above 0"),
        ({"scales": {"hidden1": 0.5, "hidden2": "a"}}, r"scales\.hidden2 is 'a'"),
        ({"thresholds": None}, "thresholds is None, expected an object"),
        ({"thresholds": {"facing": 0.5}}, "a threshold of facing, expected of none"),
        ({"thresholds": {"facing": 33}}, r"thresholds\.facing is 33, expected a number, -32 to 32"),
        ({"config": {"model": {"depth": 3}}}, "unknown key 'depth'"),
        ({"config": None}, "config: got NoneType"),
    ],
)
def test_a_wrong_key_is_refused(run: Path, changes: dict[str, Any], message: str) -> None:
    rewrite(run, **changes)
    with pytest.raises(WmTrainError, match=message):
        load_checkpoint(run)


@pytest.mark.parametrize("name", ["run.json", "model.safetensors"])
def test_half_a_run_is_no_run(run: Path, name: str) -> None:
    (run / name).unlink()
    with pytest.raises(WmTrainError, match="not a run folder"):
        load_checkpoint(run)


@pytest.mark.parametrize("text", [b"{", b"\xff", b"[]", b"3"])
def test_a_run_json_that_is_none_is_refused(run: Path, text: bytes) -> None:
    (run / "run.json").write_bytes(text)
    with pytest.raises(WmTrainError, match=r"not a run folder|expected format"):
        load_checkpoint(run)


@pytest.mark.parametrize("name", ["run.json", "model.safetensors", "other"])
def test_nothing_is_written_beside_a_link(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "outside")
    with pytest.raises(WmTrainError, match=f"{name}: is a link"):
        save_checkpoint(tmp_path / "run", random_checkpoint(small_model()))
    assert (tmp_path / "outside").read_text() == "mine" and [path.name for path in (tmp_path / "run").iterdir()] == [
        name
    ]
