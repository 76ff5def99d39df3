"""`wmq demo --target bolt`: subsystems trained each alone, composed, and played as components and systems of BOLT."""

import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from wm_cli import output, project
from wm_cli.demo.demo_stages import (
    META,
    QNET,
    SETTINGS,
    DemoStage,
    carry_out,
    demo_project,
    evaluation,
    figures_at,
    ingesting,
    kept_of,
    train_stage,
)
from wm_cli.demo.fetch import fetch_demo_replay, replay_cache
from wm_cli.demo.journey import EXPORT, PARITY, differences
from wm_cli.tables.accuracy import metrics_table
from wm_cli.verbs import composing, making, matches
from wm_cli.verdicts import verdict

COMPOSED, BUILT = project.COMPOSED / "run.json", project.EXPORT / "bolt" / "build" / "build.json"
TOOLS = "bolt-tools"


def run_match_demo(replays: Path | None, out: Path, max_minutes: float) -> int:
    """`wmq demo --target bolt`; arguments and exit code as of journey.run_demo. All subsystems share the minutes."""
    source = (replays or fetch_demo_replay(replay_cache())).resolve()
    with demo_project(out, source, {"target": "bolt", "max_minutes": max_minutes}):
        carry_out([*_tools(), ingesting(source), *_learning(max_minutes), *_integers(), *_programs()])
        return _summary(out)


def _tools() -> list[DemoStage]:
    """What programs of std Rust need: first of all, as all else is in vain without it."""
    from wm_export.bolt.std_programs import world_path, world_program

    return [
        DemoStage(
            "get the compiler for std Rust: scripts/bolt.sh install",
            figures_at(TOOLS),
            (SETTINGS,),
            _install,
        ),
        DemoStage("build BOLT's World, from the crate registry", world_path(), (), world_program),
    ]


def _install() -> None:
    from wm_export.bolt.std_programs import install

    project.keep_figures(TOOLS, {"versions": list(install())})


def _learning(minutes: float) -> Iterator[DemoStage]:
    from wm_train.config import RunConfig
    from wm_train.games.corpus import ANY_KIND

    keys = [part.key for part in RunConfig().model.world.head_set.subsystems]
    for key in keys:
        for qat, share in ((False, 1.0), (True, 0.5)):
            of = minutes * share / len(keys)
            run, start = project.part_of(key, qat), project.part_of(key, qat=False) if qat else None
            inputs = (start / "run.json",) if start else (META,)
            limits = {"minutes": of, "only": ANY_KIND, "subsystem": key}
            yield DemoStage(
                f"train {key}{' --qat' if qat else ' alone'}, {of:.2g} min",
                run / "run.json",
                inputs,
                partial(train_stage, run, inputs, None, qat, start, **limits),
            )
    trained = [project.part_of(key, qat=True) for key in keys]
    yield DemoStage(
        f"compose a world of {len(keys)} subsystems",
        COMPOSED,
        tuple(run / "run.json" for run in trained),
        lambda: composing.compose_runs(trained, project.COMPOSED, overwrite=True),
    )
    yield evaluation("qat", COMPOSED)


def _integers() -> list[DemoStage]:
    return [
        DemoStage(
            "quantize: the integers of QAT as they are",
            QNET,
            (COMPOSED,),
            lambda: making.quantize_run(project.COMPOSED, project.QNET, overwrite=True),
        ),
        evaluation("qnet", QNET),
        DemoStage(
            "export to BOLT: components, systems, weights",
            EXPORT,
            (QNET,),
            lambda: matches.export_matches(project.QNET, project.EXPORT, overwrite=True),
        ),
    ]


def _programs() -> list[DemoStage]:
    return [
        DemoStage("build every component and system", BUILT, (EXPORT,), _build),
        DemoStage(
            "parity: every system applied through World in LiteSVM",
            figures_at("bolt"),
            (BUILT, META),
            lambda: matches.compare_matches(project.EXPORT, project.DATASET, *PARITY),
        ),
    ]


def _build() -> None:
    from wm_export.bolt.std_programs import fetch

    fetch(matches.open_bolt(project.EXPORT).workspace_folder)
    matches.build_matches(project.EXPORT)


def _summary(out: Path) -> int:
    """Print the closing tables; gives the exit code."""
    qat, qnet, parity = (kept_of(name) for name in ("evaluate-qat", "evaluate-qnet", "bolt"))
    frames = f"{qnet['frames']:,} held-out frames"
    rows = {"composed, qat": qat, "composed, qnet": qnet} | qnet["baselines"]
    output.print_tables([metrics_table(rows, frames), matches.applies_table(parity)])
    output.out.print(f"\n{verdict(qnet)}\n")
    compared = parity["frames"] + parity["rollout_frames"]
    wrong = differences(qat, qnet, parity, {})
    for line in wrong:
        output.out.print(line, style="red")
    if not parity["mismatches"]:
        output.out.print(f"every byte of every component is the interpreter's, over {compared:,} frames")
    output.out.print(f"{out / project.EXPORT / 'bolt' / 'workspace'}: the workspace", soft_wrap=True)
    output.out.print(f"play it: wmq play --world {shlex.quote(str(out / project.QNET))}", soft_wrap=True)
    begin = f"cd {shlex.quote(str(out))} && wmq localnet --storage net --bolt {project.EXPORT}"
    output.out.print(f"as a match on a rollup: {begin}; then as docs/bolt.md says", soft_wrap=True)
    return 1 if wrong else 0
