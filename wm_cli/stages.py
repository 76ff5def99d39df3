"""What each verb does: open files, call one function, write one artifact, hand back its figures."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_cli import project
from wm_train.errors import WmTrainError

if TYPE_CHECKING:
    from rich.table import Table

    from wm_export.parity import Executor, Recording
    from wm_export.solana import Export
    from wm_quant.qnet import QNet
    from wm_train.config import RunConfig
    from wm_train.evaluate import Model
    from wm_train.windows import Corpus
    from wm_train.world import World

#: Seed of which frames `cu` and `parity` take.
FRAMES_SEED = 1


# ------------------------------------------------------------------------------------------------------------ train


def run_config(config: Path | None, **overrides: Any) -> "RunConfig":
    """A config file's, or the default's, with the overrides that are not None. A time without steps decides alone."""
    from wm_train.config import ENDLESS, load_config

    loaded = load_config(config)
    given = {key: value for key, value in overrides.items() if value is not None}
    if "minutes" in given and "steps" not in given:
        given["steps"] = ENDLESS
    return replace(loaded, train=replace(loaded.train, **given))


def train(
    dataset: Path, out: Path, config: Path | None, qat: bool, start: Path | None, resume: bool, **overrides: Any
) -> dict[str, Any]:
    """`wmq train`; overrides that are None leave the config's value."""
    from wm_cli import console
    from wm_train.shapes import parameter_count
    from wm_train.train import Job, Progress
    from wm_train.train import train as run

    job = Job(dataset, out, run_config(config, **overrides), qat, start, resume)
    seconds = 0.0
    with console.progress_bar("train --qat" if qat else "train", 1) as (bar, task):

        def shown(progress: Progress) -> None:
            nonlocal seconds
            seconds = progress.seconds
            text = f"{'qat' if qat else 'float'} step {progress.step:,}, loss {sum(progress.losses.values()):.4f}"
            bar.update(task, completed=progress.share, description=text)

        checkpoint = run(job, shown)
    parameters = parameter_count(checkpoint.config.model)
    figures = {"run": str(out), "form": checkpoint.form, "parameters": parameters, **checkpoint.figures}
    return figures | {"seconds": round(seconds, 1)}


# ----------------------------------------------------------------------------------------------------- models, games


def opened(model: Path) -> "tuple[World, Model, Mapping[str, Any], dict[str, Any]]":
    """(world, what steps it, {split, holdout, seed}, description) of a run or a QNet folder."""
    if (model / "qnet.json").exists():
        from wm_quant.interp import Interpreter
        from wm_quant.qnet import load_qnet

        net = load_qnet(model)
        about = {
            "arch": net.model.arch,
            "parameters": net.parameters,
            "form": "qnet",
            "trained_as": net.provenance.get("form"),
            "sha256": _of_file(model / "qnet.json")["sha256"],
        }
        return net.world, Interpreter(net).model(), origin_of(net.provenance), about
    from wm_train.checkpoint import digest, load_checkpoint
    from wm_train.predict import checkpoint_model
    from wm_train.shapes import parameter_count

    checkpoint = load_checkpoint(model)
    shape = checkpoint.config.model
    about = {"arch": shape.arch, "parameters": parameter_count(shape), "form": checkpoint.form}
    about["sha256"] = digest(model)
    return shape.world, checkpoint_model(checkpoint), checkpoint.origin, about


def origin_of(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Which games a network was trained on, as far as it says."""
    return {
        "split": provenance.get("split", {}),
        "holdout": provenance.get("holdout", 0.125),
        "seed": provenance.get("seed", 0),
    }


def held_out_games(world: "World", origin: Mapping[str, Any], dataset: Path) -> "Corpus":
    """What of a dataset a model was not trained on."""
    from wm_train.windows import held_out

    return held_out(dataset, world.encoding, origin["split"], origin["holdout"])


def diagnose(model: Path, dataset: Path, limit: int) -> dict[str, Any]:
    """`wmq diagnose`: measures on held-out games, and which gate each of them opens."""
    from wm_train.diagnose import aside_of, head_figures, predicted, verdicts

    world, step, origin, about = opened(model)
    corpus = held_out_games(world, origin, dataset)
    aside = aside_of(dataset, corpus, origin["split"], origin["holdout"])
    seen = predicted(step, world.encoding, corpus, aside, limit)
    return {
        "model": about,
        "games": len(corpus.names),
        "frames": len(seen.t),
        "flags": world.encoding.flags.given,
        "gates": [verdict.to_json() for verdict in verdicts(seen)],
        "heads": list(head_figures(seen, world.encoding)),
    }


# --------------------------------------------------------------------------------------------------- quantize, export


def quantize(run: Path, out: Path) -> dict[str, Any]:
    """`wmq quantize`."""
    from wm_quant.convert import quantize as convert
    from wm_quant.prove import prove
    from wm_quant.qnet import save_qnet

    net = convert(run)
    save_qnet(out, net)
    form = net.provenance["form"]
    return {"qnet": str(out), "parameters": net.parameters, "form": form, "proofs": len(prove(net))}


def export(qnet: Path, target: str, out: Path, cuts: Sequence[int]) -> dict[str, Any]:
    """`wmq export`."""
    from wm_quant.qnet import load_qnet

    net = load_qnet(qnet)
    if target == "onnx":
        from wm_export.onnx_graph import export_onnx

        export_onnx(net, out)
        return {"target": target, "out": str(out), **_of_file(out)}
    from wm_export.solana import export_solana

    manifest = export_solana(net, out, cuts)
    return {
        "target": target,
        "out": str(out),
        "manifest_sha256": manifest.hash.hex(),
        "plan": manifest.data["plan"],
        "accounts": manifest.data["accounts"],
        **_of_file(out / "blob.bin"),
    }


def _of_file(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _built(folder: Path) -> "Export":
    """The export, built first if it is not yet."""
    from wm_export.metering import built
    from wm_export.solana import open_export

    if not built(folder):
        build(folder)
    return open_export(folder)


def build(folder: Path) -> dict[str, Any]:
    """`wmq build`."""
    from wm_cli import console
    from wm_export.metering import build as run
    from wm_export.solana import open_export

    export = open_export(folder)
    with console.err.status("build") as status:
        info, overheads = run(export, lambda text: status.update(f"build: {text}"))
    figures = {
        "manifest_sha256": export.manifest.hash.hex(),
        "program": str(export.program),
        "size": info.size,
        "sha256": info.sha256,
        "toolchain": info.toolchain,
        "versions": list(info.versions),
        "overheads": dict(overheads.ops),
    }
    project.keep_figures("build", figures)
    return figures


# --------------------------------------------------------------------------------------------------------- cu, parity


def need_dataset(dataset: Path) -> None:
    """WmTrainError if a dataset was named and is not there. Without any, what runs in passing runs on made-up games."""
    if dataset != project.DATASET and not dataset.is_dir():
        raise WmTrainError(f"{dataset}: no dataset there; make one with `wmq ingest DIR --out {dataset}`")


def _frames(net: "QNet", dataset: Path, count: int, length: int) -> "Recording":
    """`count` worlds at seeded windows, held-out ones if there are any, and the inputs of the `length` frames after."""
    from wm_export.parity import Recording
    from wm_quant.interp import Interpreter
    from wm_train.evaluate import rollout_starts, window_at
    from wm_train.windows import any_games

    need_dataset(dataset)
    encoding, origin = net.world.encoding, origin_of(net.provenance)
    corpus = any_games(dataset, encoding, origin["split"], origin["holdout"], count + length + encoding.slots)
    t = rollout_starts(corpus, encoding, length, count, FRAMES_SEED)
    if not len(t):
        raise WmTrainError(f"{dataset}: no held-out game has {length} frames after a window; ask for fewer")
    inputs = corpus.inputs[t[None, :] + 1 + np.arange(length)[:, None]]
    return Recording(Interpreter(net).begin(window_at(corpus, encoding, t)), inputs)


def _cost_figures(cost: Any, budget: int, metered: Mapping[str, int], spent: list[list[int]]) -> dict[str, Any]:
    different = sum(frame != cost.transactions(number) for number, frame in enumerate(spent))
    equal = different == 0 and all(metered.get(op.name, op.cu) == op.cu for op in cost.ops)
    steps = [
        {"step": i, "cu_predicted": cu, "cu_metered": spent[0][i] if spent else None}
        for i, cu in enumerate(cost.transactions(frame=0))
    ]
    return {
        "total_cu": cost.total_cu,
        "worst_cu": sum(cost.worst),
        "transactions": steps,
        "ops": [
            {
                "name": op.name,
                "kind": op.kind,
                "macs": op.macs,
                "cells": 0,
                "cu": op.cu,
                "kernel_cu": op.kernel_cu,
                "cu_metered": metered.get(op.name),
            }
            for op in cost.ops
        ],
        "cu_per_mac": cost.cu_per_mac,
        "cu_per_cell": None,
        "budget": budget,
        "frames_metered": len(spent),
        "frames_different": different,
        "equal": equal,
        "ok": equal and max(cost.worst) <= budget,
    }


def cu_of_preset(name: str, budget: int) -> "tuple[dict[str, Any], Table]":
    """`wmq cu --preset`: from the kernels' formulas and the committed constants, nothing built."""
    from wm_cli import console
    from wm_quant.cost import preset_cost

    cost = preset_cost(name)
    return _cost_figures(cost, budget, {}, []), console.cost_table(cost)


def cu(folder: Path, dataset: Path, frames: int, budget: int) -> "tuple[dict[str, Any], Table]":
    """`wmq cu`: predicted, and metered on `frames` held-out frames."""
    from wm_cli import console
    from wm_export.metering import meter_runner, metered_ops, predicted, runner

    export = _built(folder)
    cost, recording, program = predicted(export), _frames(export.net, dataset, frames, 1), runner(export)
    spent = []
    with console.progress_bar("meter", recording.inputs.shape[1]) as (bar, task):
        for i in range(recording.inputs.shape[1]):
            one = slice(i, i + 1)
            spent.append(program.metered_step(recording.state.at(one), recording.inputs[0, one], number=i)[2])
            bar.advance(task)
    meter = meter_runner(export)
    meter.step(recording.state.at(slice(0, 1)), recording.inputs[0, :1])
    metered = metered_ops(meter, export)
    figures = _cost_figures(cost, budget, metered, spent) | {"manifest_sha256": export.manifest.hash.hex()}
    project.keep_figures("cu", figures)
    return figures, console.cost_table(cost, metered)


def _executors(export: "Export", targets: Sequence[str], stack: ExitStack) -> "dict[str, Executor]":
    from wm_export.metering import runner
    from wm_export.native import NativeRunner
    from wm_export.onnx_graph import onnx_model
    from wm_export.ort import OrtRunner
    from wm_export.toolchain import host_cargo
    from wm_quant.ops_ref import RefInterpreter

    can: dict[str, Any] = {
        "ref": lambda: RefInterpreter(export.net),
        "ort": lambda: OrtRunner(onnx_model(export.net).SerializeToString()),
        "native": lambda: stack.enter_context(NativeRunner(export)),
        "svm": lambda: runner(export),
    }
    wanted = targets or [
        name
        for name, there in (("ort", True), ("native", host_cargo() is not None), ("svm", export.program.exists()))
        if there
    ]
    return {name: can[name]() for name in wanted}


def parity(
    folder: Path, dataset: Path, frames: int, rollouts: int, length: int, targets: Sequence[str]
) -> dict[str, Any]:
    """`wmq parity`: teacher-forced frames and rollouts, each executor against the interpreter."""
    from wm_cli import console
    from wm_export import parity as compare
    from wm_export.solana import open_export
    from wm_export.toolchain import find_toolchain
    from wm_quant.interp import Interpreter

    wants_program = bool({"svm", "er"} & set(targets)) or (not targets and find_toolchain() is not None)
    local = [target for target in targets if target != "er"]
    export = _built(folder) if wants_program else open_export(folder)
    reference = Interpreter(export.net)
    single, running = _frames(export.net, dataset, frames, 1), _frames(export.net, dataset, max(rollouts, 1), length)
    outcomes = []
    with ExitStack() as stack:
        executors = _executors(export, local, stack) if local or not targets else {}
        per_executor = single.inputs.shape[1] + rollouts * length
        total = per_executor * len(executors) + (rollouts * length if "er" in targets else 0)
        bar, task = stack.enter_context(console.progress_bar("parity", total))
        advance = lambda: bar.advance(task)  # noqa: E731
        for name, executor in executors.items():
            outcomes.append(compare.teacher_forced(name, executor, reference, single, advance))
            if rollouts:
                outcomes.append(compare.rollouts(f"{name} rollout", executor, reference, running, advance))
        if "er" in targets:
            from wm_cli.live import er_outcome

            outcomes.append(er_outcome(export, dataset, rollouts, length, advance))
    first = next((o.first for o in outcomes if o.first), None)
    figures = {
        "manifest_sha256": export.manifest.hash.hex(),
        "frames": single.inputs.shape[1],
        "rollout_frames": rollouts * length,
        "executors": ["interp", *executors, *(["er"] if "er" in targets else [])],
        "mismatches": sum(o.mismatches for o in outcomes),
        "first_difference": first.to_json() if first else None,
        "outcomes": [o.to_json() for o in outcomes],
    }
    project.keep_figures("parity", figures)
    return figures
