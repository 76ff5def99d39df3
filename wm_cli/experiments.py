"""`wmq sweep` and `wmq compare`: many runs at once, and two of them side by side."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wm_cli.errors import WmCliError

if TYPE_CHECKING:
    from rich.table import Table


def sweep(path: Path, dataset: Path, out: Path, address: str) -> dict[str, Any]:
    """`wmq sweep`: every trial's value, best first; the best config is written to `out` as an experiment."""
    import yaml

    from wm_cli import console
    from wm_cli.stages import need_dataset
    from wm_train.files import atomic_write_bytes
    from wm_train.sweep import load_sweep, run

    asked = load_sweep(path)
    need_dataset(dataset)
    with console.progress_bar("sweep", None) as (bar, task):
        swept = run(asked, dataset, address, lambda done: bar.update(task, completed=done))
    if swept.best is None:
        raise WmCliError(f"{path}: no trial came to its end; the first says: {swept.trials[0].error}")
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_bytes(out, yaml.safe_dump(_plain(swept.best.to_json()), sort_keys=False).encode())
    trials = [asdict(trial) for trial in swept.trials]
    return {"metric": swept.metric, "mode": swept.mode, "trials": trials, "best": str(out)}


def _plain(tree: Any) -> Any:
    """Tuples as lists, which YAML knows."""
    if isinstance(tree, dict):
        return {key: _plain(value) for key, value in tree.items()}
    return list(tree) if isinstance(tree, tuple) else tree


def sweep_table(figures: dict[str, Any]) -> "Table":
    """Trials, best first."""
    from rich.table import Table

    keys = list(figures["trials"][0]["values"])
    table = Table(*keys, figures["metric"], title=f"{figures['metric']}, {figures['mode']} first", title_justify="left")
    for trial in figures["trials"]:
        value = trial["error"] if trial["value"] is None else f"{trial['value']:.4f}"
        table.add_row(*(f"{trial['values'][key]:.4g}" if isinstance(trial["values"][key], float)
                        else str(trial["values"][key]) for key in keys), value)  # fmt: skip
    return table


def compare(first: Path, second: Path, dataset: Path, tolerance: float, limit: int) -> dict[str, Any]:
    """`wmq compare`: configs, games, and, where those are the same, metrics on the held-out ones."""
    from wm_train.checkpoint import load_checkpoint
    from wm_train.compare import config_differences, game_differences, metric_differences
    from wm_train.predict import held_out_figures

    runs = [load_checkpoint(folder) for folder in (first, second)]
    config = config_differences(runs[0].config, runs[1].config)
    games = game_differences(runs[0].split, runs[1].split)
    same_games = not any(only for use in games.values() for only in use.values())
    measured = partial(held_out_figures, dataset=dataset, limit=limit)
    metrics = metric_differences(measured(runs[0]), measured(runs[1]), tolerance) if same_games else []
    return {
        "same_config": not config,
        "same_games": same_games,
        "same_form": runs[0].form == runs[1].form,
        "config": config,
        "games": games,
        "metrics": metrics,
        "tolerance": tolerance,
        "ok": not config and same_games and runs[0].form == runs[1].form and all(row["ok"] for row in metrics),
    }


def compare_table(figures: dict[str, Any]) -> "Table":
    """What differs: config keys, games, and every metric."""
    from rich.table import Table

    table = Table("", "first", "second", "difference", title="Two runs", title_justify="left")
    for row in figures["config"]:
        table.add_row(f"config {row['key']}", str(row["first"]), str(row["second"]), "differs")
    for use, only in figures["games"].items():
        if any(only.values()):
            table.add_row(f"games only here: {use}", str(len(only["first"])), str(len(only["second"])), "differs")
    for row in figures["metrics"]:
        mark = "" if row["ok"] else " !"
        table.add_row(row["metric"], f"{row['first']:.4f}", f"{row['second']:.4f}", f"{row['difference']:.2%}{mark}")
    return table
