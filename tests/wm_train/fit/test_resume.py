"""A run that SIGKILL or SIGTERM ends at a random moment is resumed to the same bytes: in processes of their own, really
killed."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.factories import write_dataset

pytest.importorskip("torch")
if not hasattr(os, "fork"):
    pytest.skip("needs fork", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[3]
MODELS = {
    "mlp": "model: {hidden: [64, 32], slots: 3, dropout: 0.1}\n"
    "train: {batch: 32, holdout: 0.3, ema: 0.9, augment: [swap, mirror], events: [hits, kos]}\n",
    "mamba2": "model: {arch: mamba2, d_model: 16, d_state: 8, headdim: 16, n_layers: 2}\n"
    "train: {lanes: 2, chunk: 16, holdout: 0.3}\n",
    "forced": "model: {arch: mamba2, d_model: 16, d_state: 8, headdim: 16, n_layers: 2}\n"
    "train: {lanes: 2, chunk: 16, holdout: 0.3, augment: [mirror, swap], events: [landings], event_share: 0.5, "
    "losses: {sampling: 0.5, horizon: [0.5]}}\n",
}


def killed_and_resumed(folder: Path, python: str, options: str) -> str:
    """What the benchmark prints of runs in a folder."""
    (folder / "dataset").mkdir()
    write_dataset(folder / "dataset", [50, 40, 60, 45])
    for name, text in MODELS.items():
        (folder / f"{name}.yaml").write_text(text)
    command = [python, str(ROOT / "benchmarks" / "kill_and_resume.py"), "dataset", *options.split()]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_killed_runs_end_in_the_same_bytes(tmp_path: Path, python: str) -> None:
    options = "mlp.yaml mamba2.yaml forced.yaml --qat mlp.yaml --steps 16 --trials 2 --save-seconds 0"
    out = killed_and_resumed(tmp_path, python, options)
    said = re.findall(r"^(\w+).yaml, (\w+): 2 of 2$", out, re.MULTILINE)
    assert said == [("mlp", "float"), ("mamba2", "float"), ("forced", "float"), ("mlp", "qat")]
    assert any(int(step) for step in re.findall(r": (\d+)[,;]", out)), "none was killed after a step"


def test_runs_that_were_asked_to_end_keep_their_step_and_end_in_the_same_bytes(tmp_path: Path, python: str) -> None:
    out = killed_and_resumed(tmp_path, python, "mamba2.yaml --steps 120 --trials 2 --terminate --seed 3")
    assert out.count("mamba2.yaml, float: 2 of 2") == 1
    kept = re.findall(r"^stopped by SIGTERM; after +[0-9.]+ s; kept step \.: (\d+); resumed: equal$", out, re.MULTILINE)
    assert kept and all(0 < int(step) < 120 for step in kept), out
