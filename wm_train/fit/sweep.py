"""Many short runs over a space of configs, spread by Ray Tune: which one is best?

A sweep is a YAML file:

    base: mlp-v22.yaml                # an experiment beside it, or model: and train: themselves
    space:                            # what varies, by dotted key
      train.learning_rate: {loguniform: [0.001, 0.01]}
      train.batch: {choice: [256, 512]}
      model.slots: {grid: [5, 10]}    # every value, in each trial
      model: {grid: [...]}            # whole models, instead of keys of them
    metric: held_out                  # or one that `wmq evaluate` prints, as rollout.10.position_mae_mean
    trials: 8                         # draws from the space; a grid multiplies them
    minutes: 2                        # of each trial, or `steps`
    seed: 0                           # of the draws
"""

import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from wm_train.config import RunConfig, load_config
from wm_train.errors import WmTrainError
from wm_train.fit.train import Job, train
from wm_train.games.cluster import connected
from wm_train.measure.compare import flat
from wm_train.nets.predict import held_out_figures
from wm_train.ranges import ENDLESS, MINUTES, Range
from wm_train.reading import read_yaml

HELD_OUT = "held_out"
#: The key of an axis whose values are whole models.
MODEL = "model"
#: Ray Tune writes no logs of its own, and nothing on standard output.
_ENVIRONMENT = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0"}
_KINDS = ("grid", "choice", "loguniform")
#: Numbers that the keys of a sweep may have.
_WITHIN = {
    "trials": Range(1, 100_000),
    "minutes": MINUTES,
    "steps": Range(0, ENDLESS),
    "seed": Range(0, (1 << 32) - 1),
}


@dataclass(frozen=True)
class Sweep:
    """What to try. `space` is {dotted key: {grid | choice | loguniform: values}}; see the module."""

    base: RunConfig
    space: Mapping[str, Mapping[str, list[Any]]]
    metric: str = HELD_OUT
    trials: int = 1
    minutes: float = 0.0
    steps: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for key, within in _WITHIN.items():
            if (got := getattr(self, key)) not in within:
                raise WmTrainError(f"sweep: {key} = {got!r}, expected {within}")
        if not self.space or not (self.minutes or self.steps):
            raise WmTrainError("sweep: expected a space, and minutes or steps above 0")
        for key, how in self.space.items():
            _check_axis(key, how)
            for value in next(iter(how.values())):
                self.config({key: value})

    @property
    def mode(self) -> str:
        """Whether the metric is to be large (accuracies) or small (the rest)."""
        return "max" if "_acc" in self.metric.rpartition(".")[2] else "min"

    def config(self, values: Mapping[str, Any]) -> RunConfig:
        """The base with these values, by dotted key."""
        data = self.base.to_json()
        for key, value in values.items():
            if key == MODEL:
                data[MODEL] = value
                continue
            section, _, name = key.partition(".")
            if not isinstance(data.get(section), dict) or name not in data[section]:
                raise WmTrainError(f"sweep: unknown key {key!r} in space, expected model, model.NAME or train.NAME")
            data[section][name] = list(value) if isinstance(value, tuple) else value
        data["train"] |= {"minutes": float(self.minutes), "steps": self.steps or ENDLESS}
        return RunConfig.from_json(data)


@dataclass(frozen=True)
class Trial:
    """One config that was tried. `value` is None where it failed, and `error` says why."""

    values: dict[str, Any]
    value: float | None
    error: str = ""


@dataclass(frozen=True)
class Swept:
    """Trials, best first, and the best one's config."""

    metric: str
    mode: str
    trials: list[Trial] = field(default_factory=list)
    best: RunConfig | None = None


def load_sweep(path: Path) -> Sweep:
    """A checked Sweep from a YAML file, or WmTrainError."""
    data = read_yaml(path, WmTrainError)
    types = {item.name: str if item.name == "metric" else (float if item.name == "minutes" else int)
             for item in dataclasses.fields(Sweep) if item.name not in ("base", "space")}  # fmt: skip
    if not isinstance(data, dict) or not isinstance(data.get("space"), dict) or "base" not in data:
        raise WmTrainError(f"{path}: expected a mapping with base and space")
    for key, value in data.items():
        if key not in ("base", "space", *types):
            raise WmTrainError(f"{path}: unknown key {key!r}, expected one of base, space, {', '.join(types)}")
        wanted = (int, float) if types.get(key) is float else types.get(key, object)
        if key in types and (isinstance(value, bool) or not isinstance(value, wanted)):
            raise WmTrainError(f"{path}: {key} = {value!r}, expected {types[key].__name__}")
    base = data["base"]
    config = load_config(path.parent / base) if isinstance(base, str) else RunConfig.from_json(base)
    return Sweep(**data | {"base": config})


def _check_axis(key: str, how: object) -> None:
    values = next(iter(how.values())) if isinstance(how, dict) and len(how) == 1 else None
    if not (isinstance(how, dict) and set(how) <= set(_KINDS) and isinstance(values, list) and values):
        raise WmTrainError(f"sweep: {key} = {how!r}, expected one of {', '.join(_KINDS)} with a list of values")
    if "loguniform" in how:
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        if not (numbers and len(values) == 2 and 0 < values[0] < values[1]):
            raise WmTrainError(f"sweep: {key}: loguniform = {values!r}, expected two numbers, 0 < least < most")


def measure(sweep: Sweep, dataset: Path, values: Mapping[str, Any]) -> float:
    """Train one config in a folder that does not last; the sweep's metric of it."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = train(Job(dataset, Path(folder, "run"), sweep.config(values)))
    if sweep.metric == HELD_OUT:
        found = checkpoint.figures[HELD_OUT]
    else:
        found = dict(flat(held_out_figures(checkpoint, dataset))).get(sweep.metric)
    if not isinstance(found, float) or not isfinite(found):
        raise WmTrainError(f"sweep: metric {sweep.metric} is {found!r}, expected held_out or a number of wmq evaluate")
    return found


def run(sweep: Sweep, dataset: Path, address: str, progress: Callable[[int], None] = lambda done: None) -> Swept:
    """Run every trial on a Ray cluster (`local`, or host:port), each on as many cores as it has threads.

    The machines must see `dataset` under the same absolute path. `progress(done)` is called as trials end.
    """
    os.environ |= _ENVIRONMENT
    with connected(address), tempfile.TemporaryDirectory() as folder:
        try:
            trials = _trials(sweep, dataset.resolve(), Path(folder), progress)
        except ModuleNotFoundError as error:
            raise WmTrainError(f'sweep needs {error.name}; get it with: pip install "wmq[ray]"') from None
    return ranked(sweep, trials)


def ranked(sweep: Sweep, trials: list[Trial]) -> Swept:
    """Best first, what failed last."""
    sign = -1 if sweep.mode == "max" else 1
    trials = sorted(trials, key=lambda trial: (trial.value is None, sign * (trial.value or 0.0)))
    won = trials[0].value is not None
    return Swept(sweep.metric, sweep.mode, trials, sweep.config(trials[0].values) if won else None)


def _trials(sweep: Sweep, dataset: Path, folder: Path, progress: Callable[[int], None]) -> list[Trial]:
    """In Ray: draw, run and gather."""
    from ray import tune
    from ray.tune.search.basic_variant import BasicVariantGenerator

    made = {"grid": tune.grid_search, "choice": tune.choice, "loguniform": lambda ends: tune.loguniform(*ends)}
    space = {key: made[kind](values) for key, how in sweep.space.items() for kind, values in how.items()}

    def one(values: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"value": measure(sweep, dataset, values), "error": ""}
        except WmTrainError as error:
            return {"value": None, "error": str(error)}

    class Count(tune.Callback):
        def __init__(self, told: Callable[[int], None]) -> None:
            self.told, self.done = told, 0

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune writes its callbacks down; a progress bar cannot be

        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            self.done += 1
            self.told(self.done)

    tuner = tune.Tuner(
        tune.with_resources(one, {"cpu": sweep.base.train.threads}),
        param_space=space,
        tune_config=tune.TuneConfig(
            num_samples=sweep.trials, search_alg=BasicVariantGenerator(random_state=sweep.seed)
        ),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0, callbacks=[Count(progress)]),
    )
    results = tuner.fit()
    return [
        Trial(dict(got.config or {}), (got.metrics or {}).get("value"), _why(got))
        for got in (results[i] for i in range(len(results)))
    ]


def _why(got: Any) -> str:
    if got.error is not None:
        return f"{got.error!s:.300}"
    return str((got.metrics or {}).get("error", ""))
