"""A trained model on disk: JSON and safetensors, readable without torch.

RUN/run.json             format, form (float | qat), config, split, scales, thresholds, figures, parent, weights
RUN/model.safetensors    parameters and `gain`, float32
RUN/best/                the same two files as they were at the least held-out loss: a run of its own
RUN/manifest.json        how the run was made; see manifest.py
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from wm_train import json_schema as js
from wm_train.artifact import check_folder
from wm_train.config import ComposedConfig, ModelConfig, RunConfig
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_files, json_bytes
from wm_train.naming import NAME
from wm_train.reading import Artifact, JsonArtifact, one_line, parse_arrays, read_json
from wm_train.shapes import array_shapes, parameter_count, scale_names
from wm_train.world.fields import PLAYERS

FORMAT = "wmq-run-4"
FORMS = ("float", "qat")
#: A threshold is between the negative of this and this: beyond, an event happens never, or always.
THRESHOLD_MAX = 32.0
#: The biases of a network's heads among its parameters.
HEADS_BIAS = "heads.bias"
_AGAIN = "not a run folder of this wmq; make one with `wmq train`"

_GAMES = js.list_of(js.text(js.MD5))
#: Matches of the games that trained, validated and were left out, the kinds that were taken, and the fingerprint of
#: their dataset.
SPLIT = js.record(
    {},
    {
        **dict.fromkeys(("train", "valid", "skipped"), _GAMES),
        "only": js.list_of(js.text(NAME)),
        "fingerprint": js.text(js.SHA256),
    },
)
#: What the loop measured at the end.
FIGURES = js.record({}, {"steps": js.integer(0), "held_out": js.nullable(js.number())})
RUN_JSON = JsonArtifact(
    WmTrainError,
    _AGAIN,
    max_bytes=1 << 28,
    format=FORMAT,
    schema=js.record(
        {
            "format": js.text(),
            "form": js.one_of(*FORMS),
            "config": js.anything,
            "scales": js.mapping(js.positive),
            "thresholds": js.mapping(js.number(-THRESHOLD_MAX, THRESHOLD_MAX)),
            "split": SPLIT,
            "figures": FIGURES,
            "parent": js.nullable(js.text(js.SHA256)),
            "sha256": js.text(js.SHA256),
        },
        {"weights": js.text(js.SHA256)},
    ),
)
ARRAYS = Artifact(WmTrainError, _AGAIN, max_bytes=1 << 30)
#: float32, and a MiB for the names and `gain`.
MOST_PARAMETERS = (ARRAYS.max_bytes - (1 << 20)) // 4


@dataclass(frozen=True)
class Checkpoint:
    """A run's outcome.

    form           float or qat
    scales         what one code of each activation is worth, by name: calibrated (float), or trained with (qat)
    arrays         parameters by dotted name, float32
    split          matches of the games that trained, validated, and were left out, the kinds of games that were taken,
                   and their dataset's fingerprint
    figures        what the loop measured at the end
    parent         digest of the run that it began from
    weights        sha256 of the file whose weights it began with in place of the parent's (fit/weights.py)
    thresholds     event head -> above which value the event happens (fit/thresholds.py); 0 for those that are not here
    """

    config: RunConfig
    form: str
    arrays: Mapping[str, NDArray[np.float32]]
    split: Mapping[str, Any]
    figures: Mapping[str, Any]
    scales: Mapping[str, float]
    parent: str | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    weights: str | None = None

    @property
    def origin(self) -> dict[str, Any]:
        """Which games it was trained on."""
        train = self.config.train
        return {"split": dict(self.split), "holdout": train.holdout, "seed": train.seed}

    @property
    def parts(self) -> dict[str, "Checkpoint"]:
        """Of a composed network: that of each subsystem, by its key, in the order of the rules; else none."""
        model = self.config.model
        if not isinstance(model, ComposedConfig):
            return {}
        return {key: self._part(key, part) for key, part in model.parts.items()}

    def _part(self, key: str, model: ModelConfig) -> "Checkpoint":
        def own(values: Mapping[str, Any]) -> dict[str, Any]:
            return {name[len(key) + 1 :]: value for name, value in values.items() if name.startswith(f"{key}.")}

        said = {name: cut for name, cut in self.thresholds.items() if name in model.world.head_set.happenings}
        return replace(
            self, config=replace(self.config, model=model), arrays=own(self.arrays), scales=own(self.scales),
            thresholds=said,
        )  # fmt: skip

    @property
    def deciding(self) -> dict[str, NDArray[np.float32]]:
        """`arrays` with each threshold taken from its heads' biases: what happens above 0, whoever computes it.

        Training goes on from `arrays`, where an event's head is the logit of its probability."""
        if self.parts:
            return {f"{key}.{name}": one for key, part in self.parts.items() for name, one in part.deciding.items()}
        world, bias = self.config.model.world, self.arrays[HEADS_BIAS].copy()
        for name, threshold in self.thresholds.items():
            for player in range(PLAYERS):
                bias[world.span(player, name)] -= np.float32(threshold)
        return {**self.arrays, HEADS_BIAS: bias}


def need_storable(model: ModelConfig) -> None:
    """WmTrainError where a network has more parameters than a run folder holds."""
    if (count := parameter_count(model)) > MOST_PARAMETERS:
        wide = "hidden or slots" if model.arch == "mlp" else "d_model, expand or n_layers"
        raise WmTrainError(f"config: model has {count:,} parameters, expected at most {MOST_PARAMETERS:,}; "
                           f"make model.{wide} smaller")  # fmt: skip


def digest(run: Path) -> str:
    """sha256 of a run folder's run.json, which has that of its arrays: what names the run to those made from it."""
    return hashlib.sha256(RUN_JSON.read(run / "run.json")).hexdigest()


def save_checkpoint(run: Path, checkpoint: Checkpoint, beside: Mapping[Path, bytes] = MappingProxyType({})) -> None:
    """Write a run folder, and what goes before it; each file appears whole or not at all, run.json last.

    Raises WmTrainError for a link in it, OSError.
    """
    check_folder(run, WmTrainError)
    blob = save({name: np.ascontiguousarray(value) for name, value in checkpoint.arrays.items()})
    meta = {
        "format": FORMAT,
        "form": checkpoint.form,
        "config": checkpoint.config.to_json(),
        "scales": dict(checkpoint.scales),
        "thresholds": dict(checkpoint.thresholds),
        "split": dict(checkpoint.split),
        "figures": dict(checkpoint.figures),
        "parent": checkpoint.parent,
        **({"weights": checkpoint.weights} if checkpoint.weights else {}),
        "sha256": hashlib.sha256(blob).hexdigest(),
    }
    atomic_write_files({**beside, run / "model.safetensors": blob, run / "run.json": json_bytes(meta)})


def load_checkpoint(run: Path) -> Checkpoint:
    """A checked Checkpoint, or WmTrainError saying what is wrong with which file."""
    check_folder(run, WmTrainError)
    path = run / "run.json"
    meta, blob = read_json(path, RUN_JSON), ARRAYS.read(run / "model.safetensors")
    if hashlib.sha256(blob).hexdigest() != meta["sha256"]:
        raise WmTrainError(f"{run}/model.safetensors: its hash is not the one in run.json; train again or restore it")
    config = RunConfig.from_json(meta["config"])
    _check_scales(meta["scales"], path, config)
    _check_thresholds(meta["thresholds"], path, config)
    return Checkpoint(
        config=config,
        form=meta["form"],
        arrays=_arrays(run, blob, config),
        split=meta["split"],
        figures=meta["figures"],
        scales=meta["scales"],
        parent=meta["parent"],
        thresholds=meta["thresholds"],
        weights=meta.get("weights"),
    )


def _arrays(run: Path, blob: bytes, config: RunConfig) -> dict[str, NDArray[np.float32]]:
    arrays = parse_arrays(blob, run / "model.safetensors", ARRAYS)
    for name, shape in array_shapes(config.model).items():
        got = arrays.get(name)
        if got is None or got.shape != shape or got.dtype != np.float32 or not np.isfinite(got).all():
            found = "missing" if got is None else f"{got.dtype} {got.shape}"
            raise WmTrainError(f"{run}/model.safetensors: {name} is {found}, expected finite float32 {shape}")
    return arrays


def _check_scales(scales: Mapping[str, float], path: Path, config: RunConfig) -> None:
    if set(scales) != set(names := scale_names(config.model)):
        got = one_line(", ".join(scales)) or "nothing"
        raise WmTrainError(f"{path}: scales are of {got}, expected {', '.join(names)}")


def _check_thresholds(thresholds: Mapping[str, float], path: Path, config: RunConfig) -> None:
    known = config.model.world.head_set.happenings
    if unknown := sorted(set(thresholds).difference(known)):
        raise WmTrainError(f"{path}: a threshold of {one_line(unknown[0])}, expected of {', '.join(known) or 'none'}")
