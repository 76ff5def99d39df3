"""`wmq demo`: the pipeline from replay to report, in one folder."""

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wm_cli import output, project
from wm_cli.demo.demo_stages import (
    META,
    QNET,
    DemoStage,
    carry_out,
    demo_project,
    evaluation,
    figures_at,
    ingesting,
    kept_of,
    tell_left_out,
    train_stage,
)
from wm_cli.demo.fetch import fetch_demo_replay, replay_cache
from wm_cli.experiments import need_config
from wm_cli.packaged import start_of
from wm_cli.tables.accuracy import metrics_table
from wm_cli.tables.costs import proof_table
from wm_cli.tables.drifting import law_tables
from wm_cli.verbs import compute_units, executors, making, measuring
from wm_cli.verdicts import verdict

METER_FRAMES = 20
#: Worlds that are left alone, and for how many frames at most.
ALONE = (20, 600)
PARITY = (200, 5, 60)

RUN, RUN_QAT, QNET_PTQ = project.RUN / "run.json", project.RUN_QAT / "run.json", project.QNET_PTQ / "qnet.json"
EXPORT, BUILT = project.EXPORT / "manifest.json", project.PROGRAM / "build" / "build.json"
#: Figures that the summary and the report wait for.
FIGURES = ("evaluate-float", "evaluate-qat", "evaluate-ptq", "evaluate-qnet", "rollout-qnet", "cu", "parity")


def run_demo(replays: Path | None, out: Path, max_minutes: float, config: Path) -> int:
    """`wmq demo`; gives the exit code: 1 if an integer figure differs from what it must equal.

    replays      the user's own .slp file or folder; None takes the demo's one game, over the network the first time
    out          project folder
    max_minutes  of float training; QAT gets half of it
    config       what is trained: the float run that comes with wmq for it, further, or else from nothing
    """
    need_config(config)
    source, config = (replays or fetch_demo_replay(replay_cache())).resolve(), config.resolve()
    text = hashlib.sha256(project.FILE.read(config)).hexdigest()
    with demo_project(out, source, {"max_minutes": max_minutes, "config": text}):
        todo = _stages(source, max_minutes, config)
        carry_out(todo)
        return _summary(out, [stage for stage in todo if stage.lacks])


def _stages(source: Path, minutes: float, config: Path) -> list[DemoStage]:
    from wm_export.solana.toolchain import find_toolchain, host_cargo

    sbpf = "" if find_toolchain() else "a Rust to sBPF toolchain"
    cargo = "" if host_cargo() else "cargo"
    # Parity takes what there is, and is taken again once there is more.
    targets = [*(["native"] if not cargo else []), *(["svm"] if not sbpf else [])]
    compared = (EXPORT, META) + (() if sbpf else (BUILT,))
    solana = [
        DemoStage("build the Solana program", BUILT, (EXPORT,), lambda: making.build_export(project.EXPORT), sbpf),
        DemoStage(
            "compute units, predicted and metered",
            figures_at("cu"),
            (BUILT, META),
            lambda: compute_units.meter_export(project.EXPORT, project.DATASET, METER_FRAMES, _budget()),
            sbpf,
        ),
        DemoStage(
            f"parity: {', '.join(['ort', *targets])} against the interpreter",
            figures_at("parity"),
            compared,
            lambda: executors.compare_executors(project.EXPORT, project.DATASET, *PARITY, ["ort", *targets]),
            "",
        ),
    ]
    seen = tuple(figures_at(name) for name in FIGURES if name != "cu" or not sbpf)
    report = DemoStage("report", project.REPORT, seen, _report)
    return [*_learning(source, minutes, config), *_integers(), *solana, report]


def _budget() -> int:
    from wm_export.schema.limits import TRANSACTION_BUDGET

    return TRANSACTION_BUDGET


def _learning(source: Path, minutes: float, config: Path) -> list[DemoStage]:
    from wm_train.games.corpus import ANY_KIND

    begun = start_of(config)

    def train(run: Path, qat: bool, share: float, inputs: Sequence[Path]) -> None:
        start, asked = (project.RUN, None) if qat else (begun, None if begun else config)
        train_stage(run, inputs, asked, qat, start, minutes=minutes * share, only=ANY_KIND)

    return [
        ingesting(source),
        DemoStage(
            f"train {config.stem} {'further ' if begun else ''}in float, {minutes:g} min",
            RUN,
            (META,),
            lambda: train(project.RUN, False, 1, (META,)),
        ),
        DemoStage(
            f"train --qat, {minutes / 2:g} min", RUN_QAT, (RUN,), lambda: train(project.RUN_QAT, True, 0.5, (RUN,))
        ),
        evaluation("float", RUN),
        evaluation("qat", RUN_QAT),
    ]


def _alone() -> None:
    """Free runs, no longer than half of the longest held-out game, so that they can begin at different frames of it."""
    starts, frames = ALONE
    longest = measuring.longest_game(project.QNET, project.DATASET)
    measuring.free_runs(project.QNET, project.DATASET, min(frames, longest // 2), starts, 0, lambda: None)


def _integers() -> list[DemoStage]:
    return [
        DemoStage(
            "quantize the QAT run: its integers as they are",
            QNET,
            (RUN_QAT,),
            lambda: making.quantize_run(project.RUN_QAT, project.QNET, overwrite=True),
        ),
        evaluation("qnet", QNET),
        DemoStage(f"leave {ALONE[0]} worlds alone", figures_at("rollout-qnet"), (QNET,), _alone),
        DemoStage(
            "quantize the float run: calibrated after training",
            QNET_PTQ,
            (RUN,),
            lambda: making.quantize_run(project.RUN, project.QNET_PTQ, overwrite=True),
        ),
        evaluation("ptq", QNET_PTQ),
        DemoStage(
            "export to Solana",
            EXPORT,
            (QNET,),
            lambda: making.export_qnets([(project.PROGRAM.name, str(project.QNET))], project.EXPORT, overwrite=True),
        ),
        DemoStage(
            "export to ONNX",
            project.ONNX,
            (QNET,),
            lambda: making.export_onnx(project.QNET, project.ONNX, overwrite=True),
        ),
    ]


def _report() -> None:
    from wm_cli.page.report import write_report

    write_report(project.REPORT, project.DATASET)


# ---------------------------------------------------------------------------------------------------------- summary


def _summary(out: Path, left_out: Sequence[DemoStage]) -> int:
    """Print the closing table; gives the exit code."""
    lacking = [stage for stage in left_out if stage.output == figures_at("cu")]
    kept = {name: kept_of(name) for name in FIGURES if name != "cu" or not lacking}
    models = {name.removeprefix("evaluate-"): figures for name, figures in kept.items() if name.startswith("evaluate-")}
    rows = {form: models[form] for form in ("float", "qat", "qnet", "ptq")} | models["qnet"]["baselines"]
    table = metrics_table(rows, f"{models['qnet']['frames']:,} held-out frames")
    cu = kept.get("cu", {})
    output.print_tables([table, *law_tables(kept["rollout-qnet"]), proof_table(kept["parity"], cu)])
    output.out.print(f"\n{verdict(models['qnet'])}\n")
    tell_left_out(left_out)
    wrong = differences(models["qat"], models["qnet"], kept["parity"], cu)
    for line in wrong:
        output.out.print(line, style="red")
    output.out.print(f"{out / project.REPORT}: open it in a browser", soft_wrap=True)
    output.out.print(f"play it: wmq play --world {shlex.quote(str(out / project.QNET))}", soft_wrap=True)
    return 1 if wrong else 0


def differences(qat: dict[str, Any], qnet: dict[str, Any], parity: dict[str, Any], cu: dict[str, Any]) -> list[str]:
    """What must be equal and is not, one line each. `cu` is empty where no program could be built."""
    found = []
    keys = (qat.keys() | qnet.keys()) - {"model"}
    if unequal := sorted(key for key in keys if qat.get(key) != qnet.get(key)):
        found.append(f"QAT run and QNet differ in {', '.join(unequal)}")
    if parity["mismatches"]:
        found.append(f"parity: {parity['mismatches']} frames differ, first: {parity['first_difference']}")
    if cu and not cu["equal"]:
        found.append("compute units: predicted and metered differ; see `wmq cu`")
    return found
