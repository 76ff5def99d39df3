"""A run that SIGKILL ends at a random moment is resumed to the same bytes: in processes of their own, really killed."""

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


def test_killed_runs_end_in_the_same_bytes(tmp_path: Path, python: str) -> None:
    (tmp_path / "dataset").mkdir()
    write_dataset(tmp_path / "dataset", [50, 40, 60, 45])
    for name, text in MODELS.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    script = ROOT / "benchmarks" / "kill_and_resume.py"
    command = f"{script} dataset mlp.yaml mamba2.yaml forced.yaml --qat mlp.yaml --steps 16 --trials 2 --save-seconds 0"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, *command.split()], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.findall(r"^(\w+).yaml, (\w+): 2 of 2$", done.stdout, re.MULTILINE)
    assert said == [("mlp", "float"), ("mamba2", "float"), ("forced", "float"), ("mlp", "qat")]
    assert any(int(step) for step in re.findall(r": (\d+)[,;]", done.stdout)), "none was killed after a step"
