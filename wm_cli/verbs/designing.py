"""`wmq design`: shapes of networks that fit a budget of compute units, and a config that trains one of them."""

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wm_cli import output
from wm_cli.artifacts import DATASET, need
from wm_cli.errors import INTERRUPTED, WmCliError
from wm_cli.number_types import UNITS, Units, Whole, minutes_type
from wm_cli.options import budget_option, config_option, json_option, overwrite_option, verb
from wm_cli.verbs.training import plain_tree, run_config
from wm_cli.writing import place_of

if TYPE_CHECKING:
    from wm_export.lower.design import Candidate, Limits
    from wm_train.config import RunConfig
    from wm_train.fit.sweep import Trial

#: Architecture -> the experiment whose training a design takes over.
BASES = {"mamba2": "mamba2-1.2m", "mlp": "mlp-v22"}
#: What short trainings are ranked by: losses of other heads cannot be compared.
METRIC = "rollout.10.position_mae_mean"


_NUMBER = re.compile(r"[1-9][0-9]{0,4}")


class _Axis(click.ParamType):
    """KEY=VALUE[,VALUE]: the values that a design tries for one of its axes. Gives (key, values)."""

    name = "axis"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The pair, or a usage error that lists the axes."""
        from wm_export.lower.design import AXES

        key, _, words = str(value).partition("=")
        known = sorted({"heads", *(name for axes in AXES.values() for name in axes)})
        if key not in known or not words:
            self.fail(f"{value!r}: expected KEY=VALUE, of {', '.join(known)}", param, ctx)
        values = tuple(words.split(","))
        if key != "heads" and not all(_NUMBER.fullmatch(word) for word in values):
            self.fail(f"{value!r}: expected numbers from 1 to 99999 with commas between", param, ctx)
        return key, values if key == "heads" else tuple(map(int, values))


@verb(
    "wmq design --budget 1.4M --out mine.yaml\nwmq train --config mine.yaml\n"
    "wmq design --budget 400K --arch mlp --set ends=16,8\n"
    "wmq design --transactions 4 --min-parameters 4000000 --set n_layers=4 --set d_state=64 --json\n"
    "wmq design --budget 1M --dataset dataset --minutes 2 --out best.yaml",
    prints=(
        "arch budget transactions tried whole candidates parameters cu worst_cu kernel_cu memory_cu "
        "around_cu around_known parameters_per_cu state "
        "shards scratch session cuts model.* bits.* flags.* metric value error out"
    ),
)
@budget_option
@click.option("--arch", type=click.Choice(list(BASES)), default="mamba2", show_default=True)
@click.option("--transactions", type=Whole(1, 16), default=1, show_default=True, help="Transactions of a frame.")
@click.option("--min-parameters", type=Units(0, UNITS), default=0, help="Leave out what has fewer.")
@click.option(
    "--set",
    "given",
    type=_Axis(),
    multiple=True,
    metavar="KEY=VALUE[,VALUE]",
    help="Try these values of an axis only: heads, ends, middle (bits); n_layers, d_state, headdim; slots, "
    "narrow (how many times the second hidden layer's width the first has). Repeatable.",
)
@config_option
@click.option("--top", type=Whole(1, 1000), default=12, show_default=True, help="Rows to show, and to try.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the first of them as a config.")
@click.option("--dataset", type=click.Path(path_type=Path), help="Train each of --top for --minutes, and rank by that.")
@click.option("--minutes", type=minutes_type, help="Of each short training, of processor time.")
@click.option("--ray", "address", default="local", show_default=True, help="`local`, or host:port of a Ray cluster.")
@overwrite_option
@json_option
def design(
    budget: int,
    arch: str,
    transactions: int,
    min_parameters: int,
    given: Sequence[tuple[str, tuple[Any, ...]]],
    config: Path | None,
    top: int,
    out: Path | None,
    dataset: Path | None,
    minutes: float | None,
    address: str,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find the shapes of networks that fit a budget of compute units, and write a config that trains one.

    Of each combination of layers, state, bits and heads the widest that fits; those that no other beats are shown, most
    parameters first. Kernels are counted exactly, from the shape; the compiled code around them is an estimate until
    `wmq build`. --config gives encoding, flags and training. Exit code 1 if nothing fits; Ctrl-C ends the search, and
    shows and writes what it has found.
    """
    from wm_cli.tables.designs import design_table
    from wm_export.lower.design import Limits
    from wm_train.fit.sweep import Trial

    if (dataset is None) != (minutes is None):
        raise click.UsageError("short trainings need both: --dataset DIR --minutes M")
    if dataset is not None:
        need(dataset, DATASET, option="--dataset")
    base = _base(arch, config)
    limits = Limits(budget, transactions)
    with place_of(out, "design", overwrite) if out else nullcontext():
        fitting, tried = _searched(base, dict(given), limits)
        best = [one for one in fitting if one.parameters >= min_parameters][:top]
        rows = [_figures(one) for one in best]
        if dataset and best:
            trials = _trained(base, best, dataset, minutes or 0, address)
            tried["whole"] &= bool(trials)
            found = trials or [Trial({}, None, "not trained")] * len(rows)
            rows = [row | {"value": trial.value, "error": trial.error} for row, trial in zip(rows, found, strict=True)]
            order = sorted(range(len(rows)), key=lambda i: (rows[i]["value"] is None, rows[i]["value"] or 0.0))
            best, rows = [best[i] for i in order], [rows[i] for i in order]
        if out and best:
            _write(out, base, best[0], limits)
    figures = {"arch": arch, "budget": budget, "transactions": transactions, **tried, "candidates": rows}
    figures |= {"metric": METRIC if dataset else None, "out": str(out) if out and best else None}
    output.show(as_json, figures, design_table(figures))
    if not as_json:
        _tell(figures)
    sys.exit(INTERRUPTED if not tried["whole"] else 0 if best else 1)


def _tell(figures: Mapping[str, Any]) -> None:
    """What was tried, and what comes next, in words."""
    if not figures["candidates"]:
        output.out.print(
            "nothing fits: a larger --budget, more --transactions or fewer --min-parameters", soft_wrap=True
        )
        return
    output.out.print(
        f"{figures['tried']} combinations tried, the widest of each that fits; kernels are exact, what is around them "
        "is an estimate until `wmq build`. Fewer bits cost accuracy, which no budget tells: `wmq bits`, --dataset",
        soft_wrap=True,
    )
    if figures["out"]:
        name = shlex.quote(figures["out"])
        output.out.print(f"{name}: the first of them; next: wmq train --config {name}", soft_wrap=True)


def _base(arch: str, config: Path | None) -> "RunConfig":
    """The config that a design goes out from; of the default one without the flags that no program can compute."""
    from wm_cli.experiments import experiments
    from wm_export.scope import exportable

    if config is None:
        base = run_config(experiments()[BASES[arch]])
        return replace(base, model=exportable(base.model))
    base = run_config(config)
    if base.model.arch != arch:
        raise WmCliError(f"{config}: is a {base.model.arch}; expected a {arch}, or give --arch {base.model.arch}")
    return base


def _searched(
    base: "RunConfig", given: Mapping[str, Sequence[Any]], limits: "Limits"
) -> "tuple[list[Candidate], dict[str, Any]]":
    """(the frontier, how many combinations were tried and whether those are all)."""
    from wm_export.lower.design import AXES, frontier, search, variants

    arch = base.model.arch
    if foreign := given.keys() - {"heads", *AXES[arch]}:
        raise click.UsageError(f"--set {', '.join(sorted(foreign))}: a {arch} has {', '.join(['heads', *AXES[arch]])}")
    tried = variants(arch, given.get("heads", _heads(base)), given)
    found: list[Candidate] = []
    done = 0
    with output.progress_bar("design", len(tried)) as (bar, task):

        def moved() -> None:
            nonlocal done
            done += 1
            bar.update(task, completed=done, description=f"design, {len(found)} fit")

        try:
            for one in search(base.model, tried, limits, moved):
                found.append(one)
        except KeyboardInterrupt:
            output.note(f"interrupted; what follows is of {done} of {len(tried)} combinations")
    return frontier(found), {"tried": done, "whole": done == len(tried)}


def _heads(base: "RunConfig") -> tuple[str, ...]:
    """The heads of the base, and those that say the same but choose in two steps."""
    own, sets = base.model.world.head_set, base.model.world.game.head_sets
    alike = (name for name, other in sets.items() if other.in_steps and other.says == own.says)
    return tuple(dict.fromkeys([base.model.heads, *alike]))


def _config(base: "RunConfig", one: "Candidate") -> "RunConfig":
    """The base with a candidate's model; with a loss for the category, where its heads choose one first."""
    from wm_train.config import CATEGORY_WEIGHT

    losses, chooses = base.train.losses, any(head.within for head in one.model.world.heads)
    if chooses and not losses.category:
        losses = replace(losses, category=CATEGORY_WEIGHT)
    return replace(base, model=one.model, train=replace(base.train, losses=losses))


def _trained(
    base: "RunConfig", best: "Sequence[Candidate]", dataset: Path, minutes: float, address: str
) -> "list[Trial]":
    """A short training of each candidate; those whose heads choose a category first teach all of them to. None of them
    where Ctrl-C ended them."""
    from wm_train.fit.sweep import Sweep, run

    configs = [_config(base, one) for one in best]
    asked = max(configs, key=lambda config: config.train.losses.category)
    models = [plain_tree(config.to_json()["model"]) for config in configs]
    sweep = Sweep(asked, {"model": {"grid": models}}, METRIC, minutes=minutes)
    try:
        with output.progress_bar("train", len(best)) as (bar, task):
            swept = run(sweep, dataset, address, lambda done: bar.update(task, completed=done))
    except KeyboardInterrupt:
        output.note("interrupted; no training was kept, and what follows is in the order of parameters")
        return []
    return sorted(swept.trials, key=lambda trial: models.index(trial.values["model"]))


def _figures(one: "Candidate") -> dict[str, Any]:
    """A candidate, for --json: bytes, compute units of the first and of the most expensive frame."""
    cost, where = one.cost, one.accounts
    model = plain_tree(asdict(one.model))
    return {
        "model": {key: value for key, value in model.items() if key not in ("bits", "flags")},
        "bits": model["bits"],
        "flags": dict(one.model.flags.given),
        "parameters": one.parameters,
        "cu": cost.total_cu,
        "worst_cu": list(one.transactions),
        "kernel_cu": one.kernel_cu,
        "memory_cu": cost.memory,
        "around_cu": one.around_cu,
        "around_known": "committed" if one.committed else "estimate",
        "parameters_per_cu": one.parameters / one.cu,
        "state": one.state,
        "shards": list(where.shards),
        "scratch": where.scratch_bytes,
        "session": where.session_bytes,
        "cuts": list(one.cuts),
    }


def _write(path: Path, base: "RunConfig", one: "Candidate", limits: "Limits") -> None:
    """The config of a candidate, beneath what it is predicted to cost and how that was computed."""
    import yaml

    from wm_train.config import TrainConfig
    from wm_train.files import atomic_write_bytes

    config, usual = plain_tree(_config(base, one).to_json()), plain_tree(asdict(TrainConfig()))
    model = config["model"] | {"flags": plain_tree(dict(one.model.flags.given))}
    train = {key: value for key, value in config["train"].items() if value != usual.get(key)}
    if "losses" in train:
        train["losses"] = {k: v for k, v in train["losses"].items() if v != usual["losses"].get(k)}
    body = {"model": model} | ({"train": train} if train else {})
    text = "".join(f"# {line}\n" for line in _said(one, limits)) + yaml.safe_dump(body, sort_keys=False)
    atomic_write_bytes(path, text.encode())


def _said(one: "Candidate", limits: "Limits") -> list[str]:
    """The header of a config."""
    each = ", ".join(f"{units:,}" for units in one.transactions)
    around = "committed from a metered build" if one.committed else "an estimate, until `wmq build` meters it"
    lines = [
        f"Made by `wmq design`: a frame in {limits.transactions} transaction(s) of at most {limits.budget:,} compute "
        "units.",
        f"{one.parameters:,} parameters. Predicted, of the most expensive frame: {each} compute units.",
        f"Of these {one.kernel_cu:,} in kernels, exact: the shape was lowered, and each kernel counted by its formula.",
        f"{one.cost.memory:,} for the digest of what it keeps, exact too: half a unit a byte that may change.",
        f"{one.around_cu:,} around them and in the hash tree: {around}.",
        f"Weights {sum(one.accounts.shards):,} bytes in {len(one.accounts.shards)} account(s); scratch account "
        f"{one.accounts.scratch_bytes:,} bytes.",
    ]
    if one.cuts:
        lines.append(f"Cut at {', '.join(one.cuts)}: wmq export --target solana --transactions {limits.transactions}")
    return lines
