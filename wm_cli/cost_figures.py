"""Figures of a FrameCost: what `wmq cu` prints with --json, and what its tables and its page are made of."""

from collections.abc import Mapping
from typing import Any

from wm_cli.frame_cost import FrameCost
from wm_export.lower.cost import Cost, OpCost
from wm_export.lower.handled import Handled

#: Numbers of an op that add up to those of its layer.
_ADDED = ("macs", "cells", "cu", "kernel_cu", "around_cu", "weight_bytes", "memory_bytes", "work_bytes")


def frame_figures(frame: FrameCost, budget: int) -> dict[str, Any]:
    """Everything that is known of a frame's cost; bytes, compute units, and shares 0..1 of the first frame's units."""
    cost, where = frame.cost, frame.layout
    total = cost.total_cu
    ops = [_op(op, own, frame.metered, total) for op, own in zip(cost.ops, frame.handled, strict=True)]
    cells = [op for op in ops if op["unit"] == "cell"]
    return {
        "model": frame.name,
        "arch": frame.arch,
        "parameters": frame.parameters,
        **compared(cost, budget, frame.metered, frame.spent),
        "around_known": frame.known,
        "ops": ops,
        "layers": _layers(ops, total),
        "cu_per_cell": sum(op["cu"] for op in cells) / sum(op["cells"] for op in cells) if cells else None,
        "accounts": {
            "blob": sum(where.shards),
            "shards": list(where.shards),
            "scratch": where.scratch_bytes,
            "session": where.session_bytes,
        },
    }


def compared(cost: Cost, budget: int, metered: Mapping[str, int], spent: list[list[int]]) -> dict[str, Any]:
    """Predicted beside metered, by transaction."""
    different = sum(frame != cost.transactions(number) for number, frame in enumerate(spent))
    equal = different == 0 and all(metered.get(op.name, op.cu) == op.cu for op in cost.ops)
    steps = [
        {
            "step": i,
            "cu_predicted": cu,
            "cu_worst": worst,
            "cu_metered": spent[0][i] if spent else None,
            "entry_cu": cost.steps[i],
        }
        for i, (cu, worst) in enumerate(zip(cost.transactions(frame=0), cost.worst, strict=True))
    ]
    return {
        "total_cu": cost.total_cu,
        "worst_cu": sum(cost.worst),
        "memory_cu": cost.memory,
        "transactions": steps,
        "cu_per_mac": cost.cu_per_mac,
        "budget": budget,
        "frames_metered": len(spent),
        "frames_different": different,
        "equal": equal,
        "ok": equal and max(cost.worst) <= budget,
    }


def _op(op: OpCost, own: Handled, metered: Mapping[str, int], total: int) -> dict[str, Any]:
    figures = {
        "name": op.name,
        "kind": op.kind,
        "layer": own.layer,
        "macs": op.macs,
        "cells": own.cells,
        "elements": own.elements,
        "cu": op.cu,
        "kernel_cu": op.kernel_cu,
        "around_cu": op.overhead_cu,
        "cu_metered": metered.get(op.name),
        "weight_bytes": own.weights,
        "memory_bytes": own.memory,
        "work_bytes": own.work,
    }
    return figures | per_unit(*own.unit(op.macs), op.cu) | {"share": op.cu / total}


def per_unit(unit: str, count: int, cu: int) -> dict[str, Any]:
    """What a cost is counted by: MAC, cell or element, "" for nothing."""
    return {"unit": unit, "units": count, "cu_per_unit": cu / count if count else None}


def _layers(ops: list[dict[str, Any]], total: int) -> list[dict[str, Any]]:
    """The ops added up by layer, in order."""
    found: dict[str, dict[str, Any]] = {}
    for op in ops:
        layer = found.setdefault(op["layer"], {"name": op["layer"]} | dict.fromkeys(_ADDED, 0))
        for key in _ADDED:
            layer[key] += op[key]
    return [
        layer | per_unit("MAC" if layer["macs"] else "", layer["macs"], layer["cu"]) | {"share": layer["cu"] / total}
        for layer in found.values()
    ]
