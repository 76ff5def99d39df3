"""`wmq report`, `demo`, `doctor`: the page, the whole way once, and what is installed."""

import sys
from pathlib import Path

import click

from wm_cli import output, project
from wm_cli.options import dataset_option, json_option, path_option, verb


@verb("wmq report\nwmq report --out report.html")
@path_option("--out", project.REPORT, "HTML file.")
@dataset_option
def report(out: Path, dataset: Path) -> None:
    """One page from what the other verbs have measured: metrics, parity, compute units, and the predicted game."""
    from wm_cli.page.report import write_report

    write_report(out, dataset)
    output.out.print(f"{out}: open it in a browser", highlight=False)


@verb("wmq demo\nwmq demo --replays ~/replays --out demo")
@click.option(
    "--replays",
    type=click.Path(path_type=Path, exists=True),
    help="Your own .slp files instead of the demo's one game.",
)
@path_option("--out", Path("demo"), "Project folder; run again to go on where it stopped.")
@click.option(
    "--max-minutes",
    type=click.FloatRange(0.05),
    default=4.0,
    show_default=True,
    help="Float training; QAT gets half of it.",
)
def demo(replays: Path | None, out: Path, max_minutes: float) -> None:
    """The whole way once: replay, training, QAT, integers, program, LiteSVM, parity, report."""
    from wm_cli.demo.journey import run_demo

    sys.exit(run_demo(replays, out, max_minutes))


@verb(
    "wmq doctor\nwmq doctor --json",
    prints="ok checks name found need fix optional",
)
@json_option
def doctor(as_json: bool) -> None:
    """What is installed, what is missing, and the one command that gets it."""
    from wm_export.doctor import checks
    from wm_export.doctor import report as as_figures

    figures = as_figures(checks())
    if as_json:
        output.print_json(figures)
    else:
        for check in figures["checks"]:
            mark = (
                "[green]ok     [/]"
                if check["ok"]
                else "[yellow]missing[/]"
                if check.get("optional")
                else "[red]missing[/]"
            )
            hint = "" if check["ok"] else f" (need {check['need']}; get it with: {check['fix']})"
            output.out.print(f"{mark} {check['name']}: {check['found']}{hint}", highlight=False)
    sys.exit(0 if figures["ok"] else 1)
