"""Files that once ended in a traceback, each by what is wrong with it: one line says so, or the report does without."""

import io
import json
import re
import shutil
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.hostile.artifacts import LOADERS
from tests.hostile.fuzz import ERRORS
from wm_export.onnx.graph import FORMAT
from wm_export.schema.types import U64

Change = Callable[[bytes], bytes]
DEEP = "[" * 100_000 + "]" * 100_000
DIGITS = "9" * 5_000
_HOLE = "@@HOLE@@"


def put(token: str, *keys: str | int) -> Change:
    """A JSON text with `token` where `keys` lead to, or instead of all of it."""

    def change(raw: bytes) -> bytes:
        if not keys:
            return token.encode()
        data = holder = json.loads(raw)
        for key in keys[:-1]:
            holder = holder[key]
        holder[keys[-1]] = _HOLE
        return json.dumps(data).replace(f'"{_HOLE}"', token).encode()

    return change


def without(*keys: str | int) -> Change:
    """A JSON text without what `keys` lead to."""

    def change(raw: bytes) -> bytes:
        data = holder = json.loads(raw)
        for key in keys[:-1]:
            holder = holder[key]
        del holder[keys[-1]]
        return json.dumps(data).encode()

    return change


def header(old: str, new: str) -> Change:
    """A .npy file whose header says something else."""

    def change(raw: bytes) -> bytes:
        end = raw.index(b"\n") + 1
        text = raw[10:end].replace(old.encode(), new.encode())
        return raw[:8] + struct.pack("<H", len(text)) + text + raw[end:]

    return change


def state(change: Callable[[dict[str, Any]], object]) -> Change:
    """What training resumes from, changed."""

    def changed(raw: bytes) -> bytes:
        data, out = torch.load(io.BytesIO(raw), weights_only=True), io.BytesIO()
        change(data)
        torch.save(data, out)
        return out.getvalue()

    return changed


NPY, STATE, CONFIG = "named/encoded/*/*.npy", "named/resume.pt", "config.yaml"
GRAPH = "named/world.onnx"
QNET, RUN, OVERHEADS = "named/qnet.json", "named/run.json", "named/programs/first/build/overheads.json"
#: What is wrong -> (loader, file, change, what the line says).
ROWS: dict[str, tuple[str, str, Change, str]] = {
    "a QNet nested without end": ("QNet", QNET, put(DEEP), "nested deeper than 32"),
    "a QNet nested in one key": ("QNet", QNET, put(DEEP, "provenance"), "nested deeper than 32"),
    "a QNet with a number of 5,000 digits": ("QNet", QNET, put(DIGITS, "ops", 0, "size"), "does not fit 64 bits"),
    "an op whose kind is a list": ("QNet", QNET, put("[]", "ops", 0, "kind"), r"ops\[0\]\.kind is a list of 0"),
    "an op whose out is a list": ("QNet", QNET, put("[]", "ops", 0, "out"), r"ops\[0\]\.out is a list of 0"),
    "an op whose source is an object": ("QNet", QNET, put("{}", "ops", 1, "source"), r"ops\[1\]\.source is an object"),
    "a QNet whose provenance is a list": ("QNet", QNET, put("[1]", "provenance"), "provenance is a list of 1"),
    "a QNet whose split is a text": ("QNet", QNET, put('{"split": "a"}', "provenance"), r"provenance\.split is 'a'"),
    "a run nested without end": ("run", RUN, put(DEEP), "nested deeper than 32"),
    "a run with a number of 5,000 digits": ("run", RUN, put(DIGITS, "figures", "steps"), "does not fit 64 bits"),
    "a run whose split is a list": ("run", RUN, put("[]", "split"), "split is a list of 0, expected an object"),
    "a split whose games are lists": ("run", RUN, put("[[]]", "split", "train"), r"split\.train\[0\] is a list of 0"),
    "a split of one text": ("run", RUN, put('"a"', "split", "valid"), r"split\.valid is 'a', expected a list"),
    "a holdout that is a text": ("run", RUN, put('"x"', "config", "train", "holdout"), "expected float"),
    "a config with a number of 400 digits": ("config", CONFIG, put(f"train: {{minutes: {'9' * 400}}}"), "64 bits"),
    "a config with an infinite number": ("config", CONFIG, put("train: {minutes: .inf}"), "not finite"),
    "a config nested without end": ("config", CONFIG, put("{a: " * 15_000), "cannot be read as YAML"),
    "a config that is no YAML": ("config", CONFIG, put("a: [\x00"), "cannot be read as YAML"),
    "a config with a tag": ("config", CONFIG, put("model: !!timestamp 1"), "no alias and no tag"),
    "a sweep whose base is true": ("sweep", "sweep.yaml", put("{base: true, space: {}}"), "expected a mapping"),
    "overheads without an op": ("build", OVERHEADS, put("{}", "ops"), "those of another program"),
    "overheads without steps": ("build", OVERHEADS, without("steps"), "has no steps"),
    "overheads nested without end": ("build", OVERHEADS, put(DEEP), "nested deeper than 32"),
    "overheads that are infinite": ("build", OVERHEADS, put("Infinity", "merge"), "finite"),
    "overheads past every float": ("build", OVERHEADS, put("1e999", "peak"), "is no finite one"),
    "an encoding whose header is no Python": ("encodings", NPY, header("{", "((("), "wmq encode"),
    "an encoding of a million frames": ("encodings", NPY, header("'shape': (", "'shape': (9"), "wmq encode"),
    "a state without parameters": ("resume", STATE, state(lambda data: data.update(net={})), "resumed from"),
    "a state of a shorter list": ("resume", STATE, state(lambda data: data.update(reported=[])), "resumed"),
    "a state of another optimizer": (
        "resume", STATE, state(lambda data: data["optimizer"]["param_groups"][0].pop("betas")), "resumed",
    ),
    "reports without a step": ("resume", "named/manifest.json", put("[{}]", "reports"), r"reports\[0\] has no step"),
    "a meta.json nested without end": ("dataset", "named/meta.json", put(DEEP, "games"), "nested deeper than 32"),
    "a graph whose format is no text": (
        "ONNX graph", GRAPH, lambda raw: raw.replace(FORMAT.encode(), b"\xff" * len(FORMAT)), "--target onnx",
    ),
    "a keypair nested without end": ("keypair", "payer.json", put(DEEP), "expected a JSON array of 64 numbers"),
    "a log nested without end": ("session log", "named/log.json", put(DEEP, "ids"), "expected at most 65536 bytes"),
    "a manifest nested without end": ("export", "named/manifest.json", put(DEEP), "nested deeper than 32"),
}  # fmt: skip
#: What is wrong with kept figures -> (file, change, what the report says is missing).
FIGURES: dict[str, tuple[str, Change, str]] = {
    "an evaluation without baselines": ("evaluate-qnet", put("{}", "baselines"), "wmq evaluate"),
    "an evaluation without a metric": ("evaluate-qnet", without("position_mae"), "wmq evaluate"),
    "an evaluation of texts": ("evaluate-qat", put('"a"', "action_acc"), "wmq evaluate run-qat"),
    "a rollout with too few errors": (
        "evaluate-float",
        put("[1]", "rollout", "10", "position_mae"),
        "wmq evaluate run",
    ),
    "a horizon that is no number": ("evaluate-qnet", put('{"x": {}}', "rollout"), "wmq evaluate"),
    "an error past every chart": ("evaluate-qnet", put("1e300", "rollout", "5", "position_mae", 0), "wmq evaluate"),
    "an error that is none": ("evaluate-qnet", put("NaN", "rollout", "5", "position_mae", 0), "wmq evaluate"),
    "parity whose outcomes are a number": ("parity", put("3", "outcomes"), "wmq parity"),
    "parity without executors": ("parity", put("[]", "executors"), "wmq parity"),
    "units without transactions": ("cu", put("[]", "transactions"), "wmq build, then wmq cu"),
    "a budget of nothing": ("cu", put("0", "budget"), "wmq build, then wmq cu"),
    "a build without a toolchain": ("build", without("toolchain"), "wmq build"),
    "free runs with too few points": ("rollout-qnet", put("[1.0]", "position_p50"), "wmq rollout"),
    "speculation without a player": ("speculate-qnet", without("inputs", "player1"), "wmq speculate"),
    "figures nested without end": ("cu", put(DEEP, "ops"), "wmq build, then wmq cu"),
    "figures that are a list": ("parity", put("[]"), "wmq parity"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The artifact of a loader, as it was made."""

    @cache
    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp("made")
        LOADERS[name].make(folder)
        return folder

    return make


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to change an artifact in."""
    monkeypatch.setenv("WMQ_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "builds").mkdir(parents=True)
    monkeypatch.setattr("wm_train.fit.record.commit", lambda: None)
    return tmp_path / "case"


def _changed(made: Path, case: Path, pattern: str, change: Change) -> None:
    shutil.copytree(made, case)
    path = next(case.glob(pattern))
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("row", ROWS)
def test_one_line_says_what_is_wrong(made: Callable[[str], Path], case: Path, row: str, exact_again: None) -> None:
    name, pattern, change, says = ROWS[row]
    _changed(made(name), case, pattern, change)
    LOADERS[name].sign(case)
    with pytest.raises(ERRORS) as refused:
        LOADERS[name].load(case)
    assert str(refused.value).isprintable() and re.search(says, str(refused.value)), refused.value


@pytest.mark.parametrize("row", FIGURES)
def test_the_report_does_without(made: Callable[[str], Path], case: Path, row: str) -> None:
    name, change, verb = FIGURES[row]
    _changed(made("figures"), case, f"figures/{name}.json", change)
    LOADERS["figures"].load(case)
    text = (case / "report.html").read_text()
    assert "not there yet" in text or "No figures of a build" in text
    assert verb in text


@pytest.mark.parametrize("number", [-1, 1 << 64, 10**400])
def test_a_number_that_has_no_place_in_an_account_is_no_struct_error(number: int) -> None:
    with pytest.raises(ERRORS) as refused:
        U64.pack(number)
    assert str(refused.value).isprintable()
