"""Schemas of the figures that verbs keep: what report, demo and studies read of them, in its range."""

import re
from collections.abc import Mapping
from typing import Any

from wm_cli.metric_names import COVERAGE_METRICS, EVENT_METRICS, HIT_METRICS, METRICS, ROLLOUT_METRICS, Metric
from wm_train import json_schema as js

#: Far beyond every figure, and near enough that a chart of it can be drawn.
_LARGEST = 1e12
_LINE, _COUNT, _NUMBER = (
    js.text(re.compile(r"[^\x00-\x1f\x7f-\x9f]{0,200}")),
    js.integer(0, 10**15),
    js.number(-_LARGEST, _LARGEST),
)
_CURVE = js.list_of(_NUMBER, least=1, most=4096)
_NAMED = js.mapping(_NUMBER)
_MODEL = js.record({"form": _LINE}, {"sha256": js.text(js.SHA256)}, more=True)
#: The artifact that figures are of, where they say it.
_OF = {"manifest_sha256": js.text(js.SHA256)}


def _both(*schemas: js.Schema) -> js.Schema:
    """What fits all of these, the first first."""

    def check(value: object, where: str) -> None:
        for schema in schemas:
            schema(value, where)

    return check


def _whole_curves(rollouts: Any, where: str) -> None:
    """A rollout of k frames has k errors."""
    for horizon, figures in rollouts.items():
        if len(figures["position_mae"]) != int(horizon):
            raise js.refused(f"{where}.{horizon}.position_mae", figures["position_mae"], f"a list of {horizon}")


def _as_long(figures: Any, where: str, key: str, curves: Mapping[str, Any]) -> None:
    """Curves have a value for each entry of the list `key`."""
    for name, curve in curves.items():
        if len(curve) != len(figures[key]):
            raise js.refused(f"{where or 'it'}.{name}", curve, f"a list of {len(figures[key])}")


_ROLLOUTS = js.mapping(
    js.record(
        {"position_mae": _CURVE, "position_mae_mean": _NUMBER, "position_mae_last": _NUMBER},
        {metric.key: _NUMBER for metric in ROLLOUT_METRICS},
        more=True,
    ),
    re.compile(r"[1-9]\d{0,3}"),
)


def _numbers(metrics: tuple[Metric, ...]) -> dict[str, js.Schema]:
    return {metric.key: js.nullable(_NUMBER) if metric.rare else _NUMBER for metric in metrics}


#: What a model, or a baseline, is worth on held-out games.
_MEASURED = _numbers(METRICS) | {"frames": _COUNT, "rollout": _both(_ROLLOUTS, _whole_curves)}
_EVENT = js.record(
    {metric.key: js.nullable(_NUMBER) for metric in EVENT_METRICS}
    | dict.fromkeys(("real", "predicted"), _COUNT)
    | {"within": js.integer(0, 3600)},
    more=True,
)
_SEEN = js.record(
    _numbers(COVERAGE_METRICS)
    | {"seen_from": _COUNT, "seen_to": js.nullable(js.integer(1, 10**15)), "player_frames": _COUNT},
    more=True,
)
#: What a player would notice: in evaluations that a wmq has made which measures it.
_FELT = {
    "events": js.mapping(_EVENT),
    "hit_damage": js.record(_numbers(HIT_METRICS), more=True),
    "coverage": js.list_of(_SEEN, most=64),
}
_BASELINE = js.record(_MEASURED, _FELT, more=True)
_BASELINES = js.record(
    {"persistence": _BASELINE}, dict.fromkeys(("constant_velocity", "constant_velocity_freeze"), _BASELINE)
)
#: What a study keeps of a form: what it is of, and figures that can be set beside another's.
STUDIED = js.record(
    {
        "of": js.anything,
        "figures": _both(
            js.record(_MEASURED, more=True),
            js.record({"rollout": js.record({"10": js.anything, "20": js.anything}, more=True)}, more=True),
        ),
    }
)
_EVALUATION = js.record(_MEASURED | {"games": _COUNT, "model": _MODEL, "baselines": _BASELINES}, _FELT, more=True)

_CU = js.record(
    {
        "total_cu": _COUNT,
        "cu_per_mac": _NUMBER,
        "budget": js.integer(1, 10**12),
        "frames_metered": _COUNT,
        "frames_different": _COUNT,
        "equal": js.boolean,
        "ops": js.list_of(
            js.record(
                {"name": _LINE, "kind": _LINE, "macs": _COUNT, "cu": _COUNT, "cu_metered": js.nullable(_COUNT)},
                more=True,
            ),
            most=4096,
        ),
        "transactions": js.list_of(
            js.record({"step": _COUNT, "cu_predicted": _COUNT, "cu_metered": js.nullable(_COUNT)}, more=True),
            least=1,
            most=4096,
        ),
    },
    _OF,
    more=True,
)
_DIFFERENCE = js.record(
    {
        "executor": _LINE,
        "frame": _COUNT,
        "tensor": _LINE,
        "index": _COUNT,
        "got": js.integer(),
        "expected": js.integer(),
    }
)
_COMPARED = {
    "executors": js.list_of(_LINE, least=1, most=64),
    "mismatches": _COUNT,
    "first_difference": js.nullable(_DIFFERENCE),
    "outcomes": js.list_of(js.record({"executor": _LINE, "frames": _COUNT, "mismatches": _COUNT}, more=True), most=64),
}
_PARITY = js.record(_COMPARED, _OF, more=True)
_APPLY = js.record({"system": _LINE, **dict.fromkeys(("cu", "own_cu", "world_cu"), _COUNT)})
_BOLT = js.record(
    _COMPARED
    | dict.fromkeys(("frames", "rollout_frames", "transactions", "frame_cu"), _COUNT)
    | {"applies": js.list_of(_APPLY, least=1, most=64)},
    _OF,
    more=True,
)
_BUILD = js.record({"size": _COUNT, "toolchain": _LINE, "versions": js.list_of(_LINE, most=64)}, _OF, more=True)

_WORLD = js.record(dict.fromkeys(("payer", "program", "model"), _LINE) | _OF)
_DEPLOYED = js.record({"worlds": js.mapping(_WORLD)})

_DRIFT = {"position_p50": _CURVE, "position_p90": _CURVE, "apart_after": _NUMBER}
_KINDS = {kind: _NAMED for kind in ("predicted", "real")}


_LAWFUL = js.record({"lawful": _NUMBER, "broken": _NAMED, "first_broken": js.nullable(_NUMBER), "unbroken": _NUMBER})
_LAWS = {
    "laws": js.record(dict.fromkeys(("predicted", "real"), _LAWFUL)),
    "recorded": js.record({"games": _COUNT}, more=True),
}


def _whole_laws(figures: Any, where: str) -> None:
    """Laws stand beside what they were learned from, and are the same for what was predicted and what is real."""
    if ("laws" in figures) != ("recorded" in figures):
        raise js.refused(where or "it", sorted(figures), "laws and recorded, or neither")
    if "laws" in figures:
        predicted, real = (figures["laws"][kind]["broken"] for kind in ("predicted", "real"))
        if predicted.keys() != real.keys():
            raise js.refused("laws.predicted.broken", predicted, "the names of real")


def _whole_drift(figures: Any, where: str) -> None:
    for one in (figures, *figures["baselines"].values()):
        _as_long(figures, where, "frames_ahead", {key: one[key] for key in ("position_p50", "position_p90")})
    for part in ("usual", "habits"):
        if figures[part]["predicted"].keys() != figures[part]["real"].keys():
            raise js.refused(f"{part}.predicted", figures[part]["predicted"], "the names of real")


_FREE_RUNS = _both(
    js.record(
        {
            "model": _MODEL,
            "games": _COUNT,
            "starts": _COUNT,
            "frames_ahead": js.list_of(js.integer(1, 10**6), least=1, most=4096),
            **_DRIFT,
            "baselines": js.record({name: js.record(_DRIFT) for name in ("persistence", "another_start")}),
            "usual": js.record(_KINDS),
            "habits": js.record(_KINDS),
        },
        _LAWS,
        more=True,
    ),
    _whole_drift,
    _whole_laws,
)

_REACTION = js.record({"runs": _COUNT, **dict.fromkeys(("reacts", "action", "apart", "other"), _NUMBER)})
_INTERVENTIONS = js.record(
    {"starts": _COUNT, "frames": _COUNT, "same": js.boolean, **dict.fromkeys(("idle", "another"), _REACTION)}
)
_DIAGNOSIS = js.record({"model": _MODEL, "interventions": js.nullable(_INTERVENTIONS)}, more=True)

_LATE = ("player0", "player1", "all")
_BY_INPUTS = js.record({"right": _CURVE, "recomputed": _CURVE}, more=True)
_BY_OUTCOME = js.record({"right": _CURVE, "different": _CURVE}, more=True)


def _whole_speculation(figures: Any, where: str) -> None:
    for late in _LATE:
        one, other = figures["inputs"][late], figures["outcome"][late]
        curves = {"right": one["right"], "recomputed": one["recomputed"]}
        _as_long(figures, where, "delays", curves)
        _as_long(figures, where, "delays", {"right": other["right"], "different": other["different"]})


_SPECULATION = _both(
    js.record(
        {
            "model": _MODEL,
            "delays": js.list_of(js.integer(1, 3600), least=1, most=64),
            "inputs": js.record({"games": _COUNT, "frames": _COUNT, **dict.fromkeys(_LATE, _BY_INPUTS)}),
            "outcome": js.record({"games": _COUNT, "windows": _COUNT, **dict.fromkeys(_LATE, _BY_OUTCOME)}),
        },
        more=True,
    ),
    _whole_speculation,
)

_ANY = js.mapping(js.anything)
_BY_VERB: Mapping[str, js.Schema] = {
    "evaluate": _EVALUATION,
    "cu": _CU,
    "parity": _PARITY,
    "bolt": _BOLT,
    "build": _BUILD,
    "deploy": _DEPLOYED,
    "rollout": _FREE_RUNS,
    "diagnose": _DIAGNOSIS,
    "speculate": _SPECULATION,
}


def figures_schema(name: str) -> js.Schema:
    """The schema of the figures kept under a name: VERB, or VERB-WHAT."""
    return _BY_VERB.get(name.partition("-")[0], _ANY)
