"""`wmq parity`: the same frames through every executor, compared to the last bit."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from wm_cli import output, project
from wm_cli.artifacts import BOLT_EXPORT
from wm_cli.number_types import WINDOWS, Whole
from wm_cli.opening import executor_games, open_export, recording, walk
from wm_cli.options import dataset_option, export_argument, json_option, verb
from wm_cli.places import inputs_after
from wm_cli.verbs.making import as_one, built_export, each_program, kept_name
from wm_cli.verbs.matches import BOLT_PARITY_KEYS, compare_matches, print_applies
from wm_cli.verbs.rollup_matches import ROLLUP_MATCH_KEYS, compare_on_rollup, print_rollup_cost

if TYPE_CHECKING:
    from wm_export.parity import Executor, Outcome
    from wm_export.solana.export import Export


@verb(
    "wmq parity\nwmq parity export --frames 2000 --target svm --json",
    prints=(
        "manifest_sha256 frames rollout_frames executors mismatches outcomes executor first_difference "
        f"frame tensor index got expected programs.* {BOLT_PARITY_KEYS} {ROLLUP_MATCH_KEYS}"
    ),
)
@export_argument
@click.option("--frames", type=Whole(1, WINDOWS), default=200, show_default=True, help="Teacher-forced frames.")
@click.option("--rollouts", type=Whole(0, 10_000), default=5, show_default=True, help="Worlds that run by themselves.")
@click.option("--rollout-frames", type=Whole(1, 100_000), default=60, show_default=True, help="Frames of each.")
@click.option(
    "--target",
    "targets",
    type=click.Choice(["ref", "ort", "native", "svm", "er"]),
    multiple=True,
    help="Executor to compare with the interpreter; repeatable. Default: all that this machine can run.",
)
@dataset_option
@json_option
def parity(
    export: Path,
    frames: int,
    rollouts: int,
    rollout_frames: int,
    targets: tuple[str, ...],
    dataset: Path,
    as_json: bool,
) -> None:
    """The same frames through every executor, compared to the last bit. Exit code 1 at any difference.

    ref: integer loops in Python; ort: ONNX Runtime; native: the program's crates on this host;
    svm: the program in LiteSVM; er: the program on a real rollup of its own (make rollup), rollouts only.
    Of an export to BOLT, every system is applied through World, in LiteSVM (svm) or in matches that are delegated to
    a rollup (er), and every component compared.
    """
    if BOLT_EXPORT.lies_at(export):
        if set(targets) not in (set(), {"svm"}, {"er"}):
            raise click.UsageError(f"--target {' '.join(targets)}: an export to BOLT is compared in svm, or in er")
        if "er" in targets:
            _told(compare_on_rollup(export, dataset, max(rollouts, 1), rollout_frames), as_json, print_rollup_cost)
        _told(compare_matches(export, dataset, frames, rollouts, rollout_frames), as_json, print_applies)
    found = each_program(
        export, lambda folder: compare_executors(folder, dataset, frames, rollouts, rollout_frames, targets)
    )
    if as_json:
        output.print_json(as_one(found))
    else:
        for figures in found.values():
            _print(figures)
    sys.exit(1 if any(figures["mismatches"] for figures in found.values()) else 0)


def _told(figures: Mapping[str, Any], as_json: bool, cost: Callable[[Mapping[str, Any]], None]) -> NoReturn:
    """Tell what a comparison of matches found, and end."""
    if as_json:
        output.print_json(figures)
    else:
        cost(figures)
        _print(figures)
    sys.exit(1 if figures["mismatches"] else 0)


def _print(figures: Mapping[str, Any]) -> None:
    for row in figures["outcomes"]:
        output.out.print(f"{row['executor']:12} {row['frames']:6,} frames, {row['mismatches']} differ")
    output.out.print(figures["first_difference"] or "every tensor and every byte of every next Frame is equal")


def compare_executors(
    folder: Path, dataset: Path, frames: int, rollouts: int, length: int, targets: Sequence[str]
) -> dict[str, Any]:
    """Teacher-forced frames and rollouts of each executor against the interpreter; keeps the figures for the report."""
    from wm_export import parity as compare
    from wm_export.solana.toolchain import find_toolchain
    from wm_quant.interp import Interpreter

    wants_program = bool({"svm", "er"} & set(targets)) or (not targets and find_toolchain() is not None)
    local = [target for target in targets if target != "er"]
    export = built_export(folder) if wants_program else open_export(folder)
    reference = Interpreter(export.net)
    running = recording(export.net, dataset, max(rollouts, 1), length if rollouts else 1)
    outcomes = []
    with ExitStack() as stack:
        executors = _executors(export, local, stack) if local or not targets else {}
        per_executor = frames + rollouts * length
        total = per_executor * len(executors) + (rollouts * length if "er" in targets else 0)
        bar, task = stack.enter_context(output.progress_bar("parity", total))
        advance = lambda: bar.advance(task)  # noqa: E731
        if executors:
            outcomes += compare.teacher_forced(executors, reference, walk(export.net, dataset, frames), advance)
        if executors and rollouts:
            alone = {f"{name} rollout": executor for name, executor in executors.items()}
            outcomes += compare.rollouts(alone, reference, running, advance)
        if "er" in targets:
            outcomes.append(rollup_outcome(export, dataset, rollouts, length, advance))
    first = next((o.first for o in outcomes if o.first), None)
    figures = {
        "manifest_sha256": export.manifest.hash.hex(),
        "frames": outcomes[0].frames if executors else 0,
        "rollout_frames": rollouts * length,
        "executors": ["interp", *executors, *(["er"] if "er" in targets else [])],
        "mismatches": sum(o.mismatches for o in outcomes),
        "first_difference": first.to_json() if first else None,
        "outcomes": [o.to_json() for o in outcomes],
    }
    project.keep_figures(kept_name("parity", export), figures)
    return figures


def _executors(export: "Export", targets: Sequence[str], stack: ExitStack) -> "dict[str, Executor]":
    from wm_export.onnx.forms import formless
    from wm_export.onnx.graph import onnx_model
    from wm_export.onnx.runtime import OrtRunner
    from wm_export.solana.metering import runner
    from wm_export.solana.native import NativeRunner
    from wm_export.solana.toolchain import host_cargo
    from wm_quant.interp import RefInterpreter

    can: dict[str, Any] = {
        "ref": lambda: RefInterpreter(export.net),
        "ort": lambda: OrtRunner(onnx_model(export.net).SerializeToString()),
        "native": lambda: stack.enter_context(NativeRunner(export)),
        "svm": lambda: runner(export),
    }
    if not targets and (missing := formless(export.net)):
        output.note(f"ort is left out: no ONNX form yet for {', '.join(missing)}")
    wanted = targets or [
        name
        for name, there in (
            ("ort", not formless(export.net)),
            ("native", host_cargo() is not None),
            ("svm", export.program.exists()),
        )
        if there
    ]
    return {name: can[name]() for name in wanted}


def rollup_outcome(
    export: "Export", dataset: Path, rollouts: int, length: int, advance: Callable[[], None]
) -> "Outcome":
    """Worlds that run by themselves on a real rollup of their own, each in a session of its own."""
    from solders.keypair import Keypair

    from wm_export.parity import Outcome
    from wm_live.bench.rollup_parity import compare
    from wm_live.localnet.own import own_world
    from wm_live.localnet.servers import Localnet
    from wm_train.measure.window import window_at

    encoding, outcome = export.net.world.encoding, Outcome("er rollout")
    corpus, starts = executor_games(export.net, dataset, rollouts, length, made_up=length)

    async def run(localnet: Localnet) -> None:
        async with own_world(localnet, export, Keypair()) as own:
            for number, t in enumerate(starts):
                window = window_at(corpus, encoding, starts[number : number + 1])
                inputs = inputs_after(encoding.game, corpus, int(t))[:length]
                await compare(own.game(number, window), window, inputs, outcome, advance)

    with Localnet() as localnet:
        asyncio.run(run(localnet))
    return outcome
