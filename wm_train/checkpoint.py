"""A trained model on disk: JSON and safetensors, readable without torch.

RUN/run.json             format, form (float | qat), config, split, scales, figures, parent
RUN/model.safetensors    parameters and `gain`, float32
RUN/best/                the same two files as they were at the least held-out loss: a run of its own
RUN/manifest.json        how the run was made; see manifest.py
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from wm_train.config import RunConfig
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_bytes, atomic_write_json
from wm_train.shapes import array_shapes, scale_names

FORMAT = "wmq-run-3"
FORMS = ("float", "qat")


@dataclass(frozen=True)
class Checkpoint:
    """A run's outcome.

    form           float or qat
    scales         what one code of each activation is worth, by name: calibrated (float), or trained with (qat)
    arrays         parameters by dotted name, float32
    split          MD5s of the games that trained, validated, and were left out, and their dataset's fingerprint
    figures        what the loop measured at the end
    """

    config: RunConfig
    form: str
    arrays: Mapping[str, NDArray[np.float32]]
    split: Mapping[str, Any]
    figures: Mapping[str, Any]
    scales: Mapping[str, float]
    parent: str | None = None

    @property
    def origin(self) -> dict[str, Any]:
        """Which games it was trained on."""
        train = self.config.train
        return {"split": dict(self.split), "holdout": train.holdout, "seed": train.seed}


def digest(run: Path) -> str:
    """sha256 of a run folder's run.json, which has that of its arrays: what names the run to those made from it."""
    return hashlib.sha256((run / "run.json").read_bytes()).hexdigest()


def save_checkpoint(run: Path, checkpoint: Checkpoint) -> None:
    """Write a run folder; either file appears whole or not at all, run.json last."""
    blob = save({name: np.ascontiguousarray(value) for name, value in checkpoint.arrays.items()})
    atomic_write_bytes(run / "model.safetensors", blob)
    atomic_write_json(
        run / "run.json",
        {
            "format": FORMAT,
            "form": checkpoint.form,
            "config": checkpoint.config.to_json(),
            "scales": dict(checkpoint.scales),
            "split": dict(checkpoint.split),
            "figures": dict(checkpoint.figures),
            "parent": checkpoint.parent,
            "sha256": hashlib.sha256(blob).hexdigest(),
        },
    )


def load_checkpoint(run: Path) -> Checkpoint:
    """A checked Checkpoint, or WmTrainError saying what is wrong with which file."""
    path = run / "run.json"
    try:
        meta = json.loads(path.read_text())
        blob = (run / "model.safetensors").read_bytes()
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WmTrainError(f"{run}: not a run folder ({error}); make one with `wmq train`") from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT or meta.get("form") not in FORMS:
        raise WmTrainError(
            f"{path}: expected format {FORMAT} and form {' or '.join(FORMS)}; was it written by another wmq?"
        )
    if hashlib.sha256(blob).hexdigest() != meta.get("sha256"):
        raise WmTrainError(f"{run}/model.safetensors: its hash is not the one in run.json; train again or restore it")
    config = RunConfig.from_json(meta.get("config"))
    return Checkpoint(
        config,
        meta["form"],
        _arrays(run, blob, config),
        _mapping(meta, "split"),
        _mapping(meta, "figures"),
        _scales(meta, path, config),
        meta.get("parent"),
    )


def _arrays(run: Path, blob: bytes, config: RunConfig) -> dict[str, NDArray[np.float32]]:
    try:
        arrays = load(blob)
    except (SafetensorError, ValueError) as error:
        raise WmTrainError(f"{run}/model.safetensors: {error}") from None
    for name, shape in array_shapes(config.model).items():
        got = arrays.get(name)
        if got is None or got.shape != shape or got.dtype != np.float32 or not np.isfinite(got).all():
            found = "missing" if got is None else f"{got.dtype} {got.shape}"
            raise WmTrainError(f"{run}/model.safetensors: {name} is {found}, expected finite float32 {shape}")
    return arrays


def _mapping(meta: dict[str, Any], key: str) -> dict[str, Any]:
    value = meta.get(key)
    if not isinstance(value, dict):
        raise WmTrainError(f"run.json: {key} is {type(value).__name__}, expected an object")
    return value


def _scales(meta: dict[str, Any], path: Path, config: RunConfig) -> dict[str, float]:
    scales, names = meta.get("scales"), scale_names(config.model)
    if not (isinstance(scales, dict) and all(isinstance(s, float) and 0 < s < inf for s in scales.values())):
        raise WmTrainError(f"{path}: scales is {scales!r}, expected positive numbers by name")
    if set(scales) != set(names):
        raise WmTrainError(f"{path}: scales are of {', '.join(scales) or 'nothing'}, expected {', '.join(names)}")
    return scales
