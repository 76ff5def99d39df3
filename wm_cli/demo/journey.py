"""`wmq demo`: the pipeline from replay to report, in one folder.

A stage whose output is newer than its inputs is skipped, so the same command goes on after an interruption.
"""

import contextlib
import hashlib
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wm_cli import output, project
from wm_cli.demo.fetch import fetch_demo_replay, replay_cache
from wm_cli.errors import WmCliError
from wm_cli.packaged import start_of
from wm_cli.tables.accuracy import metrics_table
from wm_cli.tables.costs import proof_table
from wm_cli.tables.drifting import law_tables
from wm_cli.verbs import compute_units, data, executors, making, measuring, training
from wm_cli.verdicts import verdict
from wm_export.solana.sources import INSTALL_TOOLCHAIN
from wm_train.artifact import foreign
from wm_train.files import atomic_write_json
from wm_train.writer import one_writer

SETTINGS = Path("demo.json")
#: Most held-out frames that are measured one step ahead.
LIMIT = 20_000
METER_FRAMES = 20
#: Worlds that are left alone, and for how many frames at most.
ALONE = (20, 600)
PARITY = (200, 5, 60)

META, RUN, RUN_QAT = project.DATASET / "meta.json", project.RUN / "run.json", project.RUN_QAT / "run.json"
QNET, QNET_PTQ = project.QNET / "qnet.json", project.QNET_PTQ / "qnet.json"
EXPORT, BUILT = project.EXPORT / "manifest.json", project.PROGRAM / "build" / "build.json"
#: Figures that the summary and the report wait for.
FIGURES = ("evaluate-float", "evaluate-qat", "evaluate-ptq", "evaluate-qnet", "rollout-qnet", "cu", "parity")


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
    """`wmq demo`; gives the exit code: 1 if an integer figure differs from what it must equal.

    replays      the user's own .slp file or folder; None takes the demo's one game, over the network the first time
    out          project folder
    max_minutes  of float training; QAT gets half of it
    """
    source = (replays or fetch_demo_replay(replay_cache())).resolve()
    with one_writer(out.resolve(), "demo"), contextlib.chdir(out):
        _keep_settings(source, max_minutes)
        todo = _stages(source, max_minutes)
        for number, stage in enumerate(todo, 1):
            _run(f"[{number:2}/{len(todo)}] {stage.title}", stage)
        return _summary(out, [stage for stage in todo if stage.lacks])


def _keep_settings(source: Path, max_minutes: float) -> None:
    """Write down what the demo is made from: an input of every stage, so that other settings make everything anew."""
    found = sorted(source.rglob("*.slp")) if source.is_dir() else [source]
    listed = "".join(f"{path.name} {path.stat().st_size}\n" for path in found)
    wanted = {"replays": str(source), "files": hashlib.sha256(listed.encode()).hexdigest(), "max_minutes": max_minutes}
    kept = project.kept(SETTINGS)
    if kept is None and (held := foreign(Path(), ())) is not None:
        raise WmCliError(f"demo: {Path.cwd()} holds {held}, and was not made by a demo; give another folder with --out")
    if kept is not None and kept.get("replays") != wanted["replays"]:
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
    from wm_train.config import RunConfig
    from wm_train.games.corpus import ANY_KIND

    begun = start_of(RunConfig())

    def train(run: Path, qat: bool, share: float, inputs: Sequence[Path]) -> object:
        resume = run / "resume.pt"
        goes_on = resume.exists() and _newer(resume, inputs)
        start = project.RUN if qat else begun
        limit: dict[str, Any] = {"minutes": minutes * share, "only": ANY_KIND}
        return training.train_run(
            project.DATASET, run, None, qat, start, "yes" if goes_on else None, overwrite=not goes_on, **limit
        )

    return [
        # An interrupted ingest writes meta.json too; the kept figures say that it came to its end.
        DemoStage("ingest the replays", _figures("ingest"), (SETTINGS,), lambda: _ingest(source)),
        DemoStage(
            f"train {begun or 'a network'} in float, {minutes:g} min",
            RUN,
            (META,),
            lambda: train(project.RUN, False, 1, (META,)),
        ),
        DemoStage(
            f"train --qat, {minutes / 2:g} min", RUN_QAT, (RUN,), lambda: train(project.RUN_QAT, True, 0.5, (RUN,))
        ),
        _evaluation("float", RUN),
        _evaluation("qat", RUN_QAT),
    ]


def _ingest(source: Path) -> None:
    report = data.read_replays([source], project.DATASET)
    output.out.print(f"{'':8}{report.games} games, {report.frames:,} frames; {len(report.rejected)} left out")
    project.keep_figures("ingest", asdict(report))


def _evaluation(form: str, model: Path) -> DemoStage:
    return DemoStage(
        f"evaluate {form}",
        _figures(f"evaluate-{form}"),
        (model,),
        lambda: measuring.evaluate_models([model.parent], project.DATASET, LIMIT)[0],
    )


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
        _evaluation("qnet", QNET),
        DemoStage(f"leave {ALONE[0]} worlds alone", _figures("rollout-qnet"), (QNET,), _alone),
        DemoStage(
            "quantize the float run: calibrated after training",
            QNET_PTQ,
            (RUN,),
            lambda: making.quantize_run(project.RUN, project.QNET_PTQ, overwrite=True),
        ),
        _evaluation("ptq", QNET_PTQ),
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


def _run(title: str, stage: DemoStage) -> None:
    if stage.lacks:
        output.out.print(f"{title}: left out, needs {stage.lacks}")
        return
    if stage.done:
        output.out.print(f"{title}: there already")
        return
    output.out.print(title)
    began = time.monotonic()
    stage.run()
    if not stage.output.exists():
        raise WmCliError(f"demo: stage {stage.title!r} left no {stage.output}; run again, or take its verb by hand")
    output.out.print(f"{'':8}{time.monotonic() - began:.1f} s")


# ---------------------------------------------------------------------------------------------------------- summary


def _summary(out: Path, left_out: Sequence[DemoStage]) -> int:
    """Print the closing table; gives the exit code."""
    lacking = [stage for stage in left_out if stage.output == _figures("cu")]
    kept = {name: _kept(name) for name in FIGURES if name != "cu" or not lacking}
    models = {name.removeprefix("evaluate-"): figures for name, figures in kept.items() if name.startswith("evaluate-")}
    rows = {form: models[form] for form in ("float", "qat", "qnet", "ptq")} | models["qnet"]["baselines"]
    table = metrics_table(rows, f"{models['qnet']['frames']:,} held-out frames")
    cu = kept.get("cu", {})
    output.print_tables([table, *law_tables(kept["rollout-qnet"]), proof_table(kept["parity"], cu)])
    output.out.print(f"\n{verdict(models['qnet'])}\n")
    for missing in sorted({stage.lacks for stage in left_out}):
        output.out.print(
            f"left out for want of {missing}; get it with `{INSTALL_TOOLCHAIN}`, then run the same command",
        )
    wrong = differences(models["qat"], models["qnet"], kept["parity"], cu)
    for line in wrong:
        output.out.print(line, style="red")
    output.out.print(f"{out / project.REPORT}: open it in a browser", soft_wrap=True)
    output.out.print(f"play it: wmq play --world {shlex.quote(str(out / project.QNET))}", soft_wrap=True)
    return 1 if wrong else 0


def _kept(name: str) -> dict[str, Any]:
    figures = project.kept_figures(name)
    if figures is None:
        raise WmCliError(f"{_figures(name)}: not figures of this wmq; remove it and run the same command")
    return figures


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
