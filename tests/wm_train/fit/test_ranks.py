"""ranks.py: two processes that torchrun starts train what one does, to float tolerance, also if one of them dies."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import small_model, write_dataset
from wm_train.checkpoint import load_checkpoint
from wm_train.config import LossConfig, Mamba2Config, ModelConfig, RunConfig, TrainConfig
from wm_train.errors import WmTrainError

torch = pytest.importorskip("torch")

from wm_train.fit.ranks import ALONE, Agreed, Ranks  # noqa: E402
from wm_train.fit.train import Job, train  # noqa: E402
from wm_train.nets.matmul import use_exact_matmul  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
#: Batch and lanes are odd, so that the ranks' shares differ.
TRAIN = TrainConfig(steps=10, batch=33, lanes=3, chunk=8, learning_rate=0.003, holdout=0.3, ema=0.5)
MODELS: dict[str, ModelConfig] = {
    "mlp": small_model(),
    "mamba2": Mamba2Config(d_model=16, d_state=8, headdim=16, n_layers=2),
}
FORCED = replace(TRAIN, losses=LossConfig(sampling=0.5, horizon=(0.5, 0.25)))
CONFIGS = {
    **{name: RunConfig(model, TRAIN) for name, model in MODELS.items()},
    **{f"{name}, forced": RunConfig(model, FORCED) for name, model in MODELS.items()},
}
#: What a process that torchrun starts does: train each config. In bfloat16 the smallest difference in a weight soon
#: becomes one of 2^-9 in a product, so here products are plain float32 on both sides.
SCRIPT = """
import json
from pathlib import Path
import torch
from wm_train.fit import learners
from wm_train.fit import train as module
from wm_train.config import RunConfig
from wm_train.fit.ranks import joined
from wm_train.fit.train import Job, train

module.REPORT_EVERY, module.SAVE_SECONDS, module.use_fast_matmul = 5, -1.0, torch.set_num_threads
learners.training_dtype = lambda: torch.float32
with joined() as ranks:
    for name, config in json.loads(Path("configs.json").read_text()).items():
        train(Job(Path("dataset"), Path("two", name), RunConfig.from_json(config)))
    assert ranks.size == 2
"""
#: Losses of one process and of two, step by step: relative difference.
TOLERANCE = 1e-4


def reports(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "manifest.json").read_text())["reports"]
    return found


def test_two_processes_give_the_losses_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str) -> None:
    from wm_train.fit import learners
    from wm_train.fit import train as module

    (tmp_path / "dataset").mkdir()
    write_dataset(tmp_path / "dataset", [50, 40, 60, 45])
    (tmp_path / "configs.json").write_text(json.dumps({name: config.to_json() for name, config in CONFIGS.items()}))
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [python, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "script.py"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    monkeypatch.setattr(module, "REPORT_EVERY", 5)
    monkeypatch.setattr(module, "use_fast_matmul", torch.set_num_threads)
    monkeypatch.setattr(learners, "training_dtype", lambda: torch.float32)
    use_exact_matmul()
    for name, config in CONFIGS.items():
        train(Job(tmp_path / "dataset", tmp_path / "one" / name, config))
        one, two = (reports(tmp_path / side / name) for side in ("one", "two"))
        assert [(r["step"], r["epoch"], r["learning_rate"]) for r in one] == [
            (r["step"], r["epoch"], r["learning_rate"]) for r in two
        ]
        for mine, theirs in zip(one, two, strict=True):
            for kind in ("losses", "held_out"):
                assert theirs[kind] == (mine[kind] and pytest.approx(mine[kind], rel=TOLERANCE, abs=1e-6)), name
        first, second = (load_checkpoint(tmp_path / side / name) for side in ("one", "two"))
        for key, array in first.arrays.items():
            assert np.abs(array - second.arrays[key]).max() < 1e-3, key


#: Killed between two steps, as a machine that is lost: torchrun starts both processes anew.
LOST = """
import os, signal
from pathlib import Path
from wm_train.config import load_config
from wm_train.fit import train as module
from wm_train.fit.train import Job, train

module.SAVE_SECONDS = -1.0
lost = os.environ["LOCAL_RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and os.environ["LOSE"]
taken = module._Run._step

def step(run, asked):
    if lost and run.state.step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return taken(run, asked)

module._Run._step = step
train(Job(Path("dataset"), Path("run" + os.environ["LOSE"]), load_config(Path("c.yaml")), resume=True, auto=True))
"""


def test_a_process_that_is_lost_costs_nothing_but_time(tmp_path: Path, python: str) -> None:
    (tmp_path / "dataset").mkdir()
    write_dataset(tmp_path / "dataset", [50, 40, 60, 45])
    model = "{arch: mamba2, d_model: 16, d_state: 8, headdim: 16, n_layers: 1}"
    (tmp_path / "c.yaml").write_text(f"model: {model}\ntrain: {{lanes: 3, chunk: 8, steps: 8, holdout: 0.3}}\n")
    (tmp_path / "script.py").write_text(LOST)
    command = [python, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]
    for lose in ("", "-lost"):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "LOSE": lose}
        done = subprocess.run(
            [*command, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert ("exitcode: -9" in done.stderr or "Signal 9" in done.stderr) == bool(lose), done.stderr[-3000:]
    straight, lost = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "run-lost"))
    assert straight == lost


def test_alone_nothing_is_changed() -> None:
    mine = Agreed({"a": torch.tensor(2.0)}, 7, 1.5, save=True, stop=False)
    assert ALONE.agree(mine) is mine
    lanes = {"h": torch.arange(6.0)}
    assert (ALONE.whole(lanes)["h"] == lanes["h"]).all() and (ALONE.part(lanes)["h"] == lanes["h"]).all()


def test_shares_are_apart_and_whole() -> None:
    shares = [list(range(7)[Ranks(rank, 3).share()]) for rank in range(3)]
    assert sorted(row for share in shares for row in share) == list(range(7))
    assert {len(share) for share in shares} == {2, 3}


@pytest.mark.parametrize(("name", "key"), [("mlp", "batch"), ("mamba2", "lanes")])
def test_a_rank_without_work_is_an_error(tmp_path: Path, name: str, key: str) -> None:
    from wm_train.fit.learners import learner
    from wm_train.games.store import open_split

    write_dataset(tmp_path, [50, 40])
    one: Any = {key: 1}
    config = replace(CONFIGS[name], train=replace(TRAIN, **one))
    encoding = config.model.world.encoding
    games = open_split(tmp_path, encoding, 0.3, seed=0)[0]
    with pytest.raises(WmTrainError, match=f"train.{key} = 1, expected at least one for each of 2 processes"):
        learner(config, games, None, Ranks(0, 2))
