"""What the verbs about games do: datasets made faster to read, and runs compared by the games they use."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wm_cli.errors import WmCliError
from wm_cli.stages import origin_of
from wm_train.dataset import META_NAME

if TYPE_CHECKING:
    from wm_train.overlap import Use


def encode(dataset: Path, config: Path | None, workers: int | None, address: str | None) -> dict[str, Any]:
    """`wmq encode`."""
    from dataclasses import asdict

    from wm_cli import console
    from wm_train.config import load_config
    from wm_train.encoded import encode as run

    encoding = load_config(config).model.world.encoding
    with console.progress_bar("encode", None) as (bar, task):
        shown = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
        report = run(dataset, encoding, workers, shown, address)
        bar.update(task, completed=report.games, total=report.games)
    return asdict(report)


def overlap(first: Path, second: Path) -> dict[str, Any]:
    """`wmq overlap`: shared games by what they are to either."""
    from wm_train.overlap import overlap as compare

    a, b = use_of(first), use_of(second)
    found = compare(a, b)
    pairs = [{"a": pair.first, "b": pair.second, "leak": pair.leak, "games": list(pair.games)} for pair in found]
    return {
        "games_a": len(a.roles),
        "games_b": len(b.roles),
        "shared": sum(len(pair.games) for pair in found),
        "ok": not any(pair.leak for pair in found),
        "pairs": pairs,
    }


def use_of(folder: Path) -> "Use":
    """The games of a run, a QNet or a dataset. Raises WmCliError if the folder is none of them."""
    from wm_train.overlap import use_of_dataset, use_of_split

    if (folder / META_NAME).exists():
        from wm_train.dataset import read_meta

        return use_of_dataset(str(folder), read_meta(folder))
    if (folder / "qnet.json").exists():
        from wm_quant.qnet import load_qnet

        origin = origin_of(load_qnet(folder).provenance)
        return use_of_split(str(folder), origin["split"], origin["holdout"])
    if (folder / "run.json").exists():
        from wm_train.checkpoint import load_checkpoint

        run = load_checkpoint(folder)
        return use_of_split(str(folder), run.split, run.config.train.holdout)
    raise WmCliError(f"{folder}: expected a run, a QNet or a dataset folder, got none of them; see wmq overlap --help")
