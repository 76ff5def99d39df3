"""`wmq bits`: what INT4 weights cost each layer, and a choice of layers that fits a budget."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wm_cli.stages import held_out_games

if TYPE_CHECKING:
    from wm_quant.qnet import QNet
    from wm_quant.sensitivity import Figures
    from wm_train.checkpoint import Checkpoint


def _measure(checkpoint: "Checkpoint", dataset: Path, limit: int) -> "Callable[[QNet], Figures]":
    """Figures of a QNet on the games that the run was not trained on."""
    from wm_quant.interp import Interpreter
    from wm_quant.sensitivity import Figures
    from wm_train.evaluate import evaluate

    world = checkpoint.config.model.world
    corpus = held_out_games(world, checkpoint.origin, dataset)

    def measure(net: "QNet") -> Figures:
        return Figures.of(evaluate(Interpreter(net).model(), corpus, world.encoding, limit=limit))

    return measure


def bits(run: Path, dataset: Path, limit: int, budget: int | None, out: Path | None) -> dict[str, Any]:
    """The table; with a budget also the choice, measured, and written to `out` as a config."""
    from wm_cli import console
    from wm_quant.bits import around_cu
    from wm_quant.sensitivity import kernel_cu, quantized, sensitivities, wide_bits
    from wm_train.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(run)
    measure, wide = _measure(checkpoint, dataset, limit), quantized(checkpoint, wide_bits(checkpoint))
    layers = sum(op.kind == "matvec" for op in wide.ops)
    with console.progress_bar("bits", layers + 1 + (budget is not None)) as (bar, task):

        def counted(net: "QNet") -> "Figures":
            figures = measure(net)
            bar.advance(task)
            return figures

        base = counted(wide)
        table = list(sensitivities(checkpoint, base, counted))
        figures = {
            "run": str(run),
            "kernel_cu": kernel_cu(wide),
            "around_cu": around_cu(wide),
            "base": asdict(base),
            "layers": [_flat(asdict(layer)) for layer in table],
        }
        if budget is None:
            return figures
        return figures | _choice(checkpoint, table, budget, counted, out)


def _flat(layer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in layer.items() if key != "figures"} | layer["figures"]


def _choice(
    checkpoint: "Checkpoint", table: list[Any], budget: int, measure: "Callable[[QNet], Figures]", out: Path | None
) -> dict[str, Any]:
    from wm_quant.bits import around_cu, choose
    from wm_quant.sensitivity import kernel_cu, quantized, wide_bits

    kept = wide_bits(checkpoint)
    wide = quantized(checkpoint, kept)
    chosen = kept | choose(table, kernel_cu(wide) + around_cu(wide), budget)
    net = quantized(checkpoint, chosen)
    frame_cu = kernel_cu(net) + around_cu(net)
    if out is not None:
        _write(out, checkpoint, chosen)
    choice = {"bits": chosen, "frame_cu": frame_cu, **asdict(measure(net))}
    return {"budget": budget, "ok": frame_cu <= budget, "choice": choice, "out": str(out) if out else None}


def _write(out: Path, checkpoint: "Checkpoint", chosen: dict[str, int]) -> None:
    """A config with the run's model and these bits."""
    import yaml

    from wm_train.config import RunConfig
    from wm_train.files import atomic_write_bytes

    config = RunConfig(model=replace(checkpoint.config.model, bits=chosen)).to_json()
    # Through JSON, as YAML has no tuples; and with all bits, so that the file says what was chosen where it is 8 too.
    model = json.loads(json.dumps(config["model"]))
    model["bits"] = dict.fromkeys(checkpoint.config.model.layers, 8) | chosen
    atomic_write_bytes(out, yaml.safe_dump(dict(model=model), sort_keys=False).encode())
