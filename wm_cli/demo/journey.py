"""`wmq demo`: the pipeline from replay to report, in one folder.

A stage whose output is newer than its inputs is skipped, so the same command goes on after an interruption.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wm_cli import output, project
from wm_cli.demo.fetch import fetch_demo_replay, replay_cache
from wm_cli.errors import WmCliError
from wm_cli.tables.accuracy import metrics_table
from wm_cli.tables.costs import proof_table
from wm_cli.verbs import compute_units, data, executors, making, measuring, training
from wm_export.solana.sources import INSTALL_TOOLCHAIN
from wm_train.files import atomic_write_json

SETTINGS = Path("demo.json")
#: Most held-out frames that are measured one step ahead.
LIMIT = 20_000
METER_FRAMES = 20
PARITY = (200, 5, 60)
INTERRUPTED = 130

META, RUN, RUN_QAT = project.DATASET / "meta.json", project.RUN / "run.json", project.RUN_QAT / "run.json"
QNET, QNET_PTQ = project.QNET / "qnet.json", project.QNET_PTQ / "qnet.json"
EXPORT, BUILT = project.EXPORT / "manifest.json", project.PROGRAM / "build" / "build.json"
#: Figures that the summary and the report wait for.
FIGURES = ("evaluate-float", "evaluate-qat", "evaluate-ptq", "evaluate-qnet", "cu", "parity")


@dataclass(frozen=True)
class DemoStage:
    """One step of the demo: `run` makes `output` from `inputs`. `lacks` says what this machine has not got for it."""

    title: str
    output: Path
    inputs: tuple[Path, ...]
    run: Callable[[], object]
    lacks: str = ""

    @property
    def done(self) -> bool:
        """Whether the output is there and no input is newer."""
        return self.output.exists() and _newer(self.output, self.inputs)


def _newer(path: Path, inputs: Sequence[Path]) -> bool:
    made = path.stat().st_mtime_ns
    return all(source.exists() and source.stat().st_mtime_ns <= made for source in inputs)


def _figures(name: str) -> Path:
    return project.FIGURES / f"{name}.json"


def run_demo(replays: Path | None, out: Path, max_minutes: float) -> int:
    """`wmq demo`; gives the exit code: 1 if an integer figure differs from what it must equal, 130 if interrupted.

    replays      the user's own .slp file or folder; None takes the demo's one game, over the network the first time
    out          project folder
    max_minutes  of float training; QAT gets half of it
    """
    source = (replays or fetch_demo_replay(replay_cache())).resolve()
    out.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(out):
        try:
            _keep_settings(source, max_minutes)
            todo = _stages(source, max_minutes)
            for number, stage in enumerate(todo, 1):
                _run(f"[{number:2}/{len(todo)}] {stage.title}", stage)
        except KeyboardInterrupt:
            output.err.print("stopped; the same command goes on from here")
            return INTERRUPTED
        return _summary(out, [stage for stage in todo if stage.lacks])


def _keep_settings(source: Path, max_minutes: float) -> None:
    """Write down what the demo is made from: an input of every stage, so that other settings make everything anew."""
    found = sorted(source.rglob("*.slp")) if source.is_dir() else [source]
    listed = "".join(f"{path.name} {path.stat().st_size}\n" for path in found)
    wanted = {"replays": str(source), "files": hashlib.sha256(listed.encode()).hexdigest(), "max_minutes": max_minutes}
    try:
        kept = json.loads(SETTINGS.read_text())
    except (OSError, ValueError):
        kept = None
    if isinstance(kept, dict) and kept.get("replays") != wanted["replays"]:
        raise WmCliError(
            f"demo: {SETTINGS.resolve().parent} was made from {kept.get('replays')}, now it is {source}; "
            "give another folder with --out"
        )
    if kept != wanted:
        atomic_write_json(SETTINGS, wanted)


def _stages(source: Path, minutes: float) -> list[DemoStage]:
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
            _figures("cu"),
            (BUILT, META),
            lambda: compute_units.meter_export(project.EXPORT, project.DATASET, METER_FRAMES, _budget()),
            sbpf,
        ),
        DemoStage(
            f"parity: {', '.join(['ort', *targets])} against the interpreter",
            _figures("parity"),
            compared,
            lambda: executors.compare_executors(project.EXPORT, project.DATASET, *PARITY, ["ort", *targets]),
            "",
        ),
    ]
    seen = tuple(_figures(name) for name in FIGURES if name != "cu" or not sbpf)
    report = DemoStage("report", project.REPORT, seen, _report)
    return [*_learning(source, minutes), *_integers(), *solana, report]


def _budget() -> int:
    from wm_export.schema.limits import TRANSACTION_BUDGET

    return TRANSACTION_BUDGET


def _learning(source: Path, minutes: float) -> list[DemoStage]:
    def train(run: Path, qat: bool, share: float, inputs: Sequence[Path]) -> object:
        resume = run / "resume.pt"
        goes_on = resume.exists() and _newer(resume, inputs)
        start = project.RUN if qat else None
        return training.train_run(project.DATASET, run, None, qat, start, goes_on, minutes=minutes * share)

    return [
        # An interrupted ingest writes meta.json too; the kept figures say that it came to its end.
        DemoStage("ingest the replays", _figures("ingest"), (SETTINGS,), lambda: _ingest(source)),
        DemoStage(f"train float, {minutes:g} min", RUN, (META,), lambda: train(project.RUN, False, 1, (META,))),
        DemoStage(
            f"train --qat, {minutes / 2:g} min", RUN_QAT, (RUN,), lambda: train(project.RUN_QAT, True, 0.5, (RUN,))
        ),
        _evaluation("float", RUN),
        _evaluation("qat", RUN_QAT),
    ]


def _ingest(source: Path) -> None:
    report = data.read_replays([source], project.DATASET)
    output.out.print(
        f"{'':8}{report.games} games, {report.frames:,} frames; {len(report.rejected)} left out", highlight=False
    )
    project.keep_figures("ingest", asdict(report))


def _evaluation(form: str, model: Path) -> DemoStage:
    return DemoStage(
        f"evaluate {form}",
        _figures(f"evaluate-{form}"),
        (model,),
        lambda: measuring.evaluate_models([model.parent], project.DATASET, LIMIT)[0],
    )


def _integers() -> list[DemoStage]:
    return [
        DemoStage(
            "quantize the QAT run: its integers as they are",
            QNET,
            (RUN_QAT,),
            lambda: making.quantize_run(project.RUN_QAT, project.QNET),
        ),
        _evaluation("qnet", QNET),
        DemoStage(
            "quantize the float run: calibrated after training",
            QNET_PTQ,
            (RUN,),
            lambda: making.quantize_run(project.RUN, project.QNET_PTQ),
        ),
        _evaluation("ptq", QNET_PTQ),
        DemoStage(
            "export to Solana",
            EXPORT,
            (QNET,),
            lambda: making.export_qnets([(project.PROGRAM.name, str(project.QNET))], project.EXPORT),
        ),
        DemoStage("export to ONNX", project.ONNX, (QNET,), lambda: making.export_onnx(project.QNET, project.ONNX)),
    ]


def _report() -> None:
    from wm_cli.page.report import write_report

    write_report(project.REPORT, project.DATASET)


def _run(title: str, stage: DemoStage) -> None:
    if stage.lacks:
        output.out.print(f"{title}: left out, needs {stage.lacks}", markup=False, highlight=False)
        return
    if stage.done:
        output.out.print(f"{title}: there already", markup=False, highlight=False)
        return
    output.out.print(title, markup=False, highlight=False)
    began = time.monotonic()
    stage.run()
    if not stage.output.exists():
        raise WmCliError(f"demo: stage {stage.title!r} left no {stage.output}; run again, or take its verb by hand")
    output.out.print(f"{'':8}{time.monotonic() - began:.1f} s", highlight=False)


# ---------------------------------------------------------------------------------------------------------- summary


def _summary(out: Path, left_out: Sequence[DemoStage]) -> int:
    """Print the closing table; gives the exit code."""
    kept = {name: project.kept_figures(name) or {} for name in FIGURES}
    models = {name.removeprefix("evaluate-"): figures for name, figures in kept.items() if name.startswith("evaluate-")}
    rows = {form: models[form] for form in ("float", "qat", "qnet", "ptq")} | models["qnet"]["baselines"]
    table = metrics_table(rows, f"{models['qnet']['frames']:,} held-out frames")
    cu = {} if any(stage.output == _figures("cu") for stage in left_out) else kept["cu"]
    output.out.print("", table, "", proof_table(kept["parity"], cu), "", sep="\n")
    for missing in sorted({stage.lacks for stage in left_out}):
        output.out.print(
            f"left out for want of {missing}; get it with `{INSTALL_TOOLCHAIN}`, then run the same command",
            highlight=False,
        )
    wrong = differences(models["qat"], models["qnet"], kept["parity"], cu)
    for line in wrong:
        output.out.print(line, style="red", highlight=False)
    output.out.print(f"{out / project.REPORT}: open it in a browser", highlight=False, soft_wrap=True)
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
