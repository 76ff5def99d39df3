"""The report: one HTML page from what the other verbs have measured, and from the artifacts themselves.

It loads nothing from anywhere, is the same for the same figures and artifacts, and names what is missing together with
the verb that makes it. A figure that was measured on another artifact than the one that is there now is not shown.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wm_cli import project
from wm_cli.errors import WmCliError
from wm_cli.felt_lines import coverage_lines, event_lines
from wm_cli.metric_names import METRICS, ROLLOUT_METRICS, Metric
from wm_cli.opening import held_out_games, open_qnet, origin_of
from wm_cli.page.charts import Series, bars, line_chart
from wm_cli.page.document import TEMPLATES, document
from wm_cli.page.game_view import game_name, game_view, run_rollout
from wm_cli.page.markup import Cell, counted, details, missing, paragraph, section, table, tiles
from wm_cli.tables.plain import plain
from wm_cli.verdicts import BASELINES, compared, verdict
from wm_quant.errors import WmQuantError
from wm_quant.prove import prove
from wm_quant.qnet import QNet
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_bytes
from wm_train.games.corpus import Corpus, is_cut
from wm_train.games.dataset import open_dataset
from wm_train.measure.drift import APART
from wm_train.world.definition import FPS

NAME = "wmq report"
TITLE = f"<title>{NAME}</title>"
Figures = Mapping[str, Any]

#: Column of the metrics table -> (title, kept figures, the artifact they belong to, the verb that makes them).
MODELS = {
    "qnet": ("QNet (INT8)", "evaluate-qnet", project.QNET / "qnet.json", "wmq evaluate"),
    "qat": ("QAT", "evaluate-qat", project.RUN_QAT / "run.json", "wmq evaluate run-qat"),
    "float": ("float", "evaluate-float", project.RUN / "run.json", "wmq evaluate run"),
}
#: The float run quantized without QAT; shown where it has been made, and not asked for.
PTQ = ("float, quantized after", "evaluate-ptq", project.QNET_PTQ / "qnet.json")
#: Whose inputs come late, by its key in figures, as people count players.
PLAYERS_LATE = {"player0": "player 1", "player1": "player 2", "all": "both"}
#: Baseline -> the style of its lines.
BASELINE_STYLES = {"constant_velocity_freeze": "s2", "constant_velocity": "s3", "persistence": "s4"}


@dataclass(frozen=True)
class Project:
    """The project folder as a report sees it: figures by name, artifacts opened when asked for."""

    dataset: Path

    def figures(self, name: str, key: str = "", artifact: Path | None = None) -> Figures | None:
        """Kept figures; None as well if they say of which artifact they are and that one has changed since."""
        kept = project.kept_figures(name)
        of = (kept or {}).get("model", kept) if key == "sha256" else kept
        if kept is None or artifact is None or not artifact.exists():
            return kept
        return kept if (of or {}).get(key, sha256(artifact)) == sha256(artifact) else None

    def of_export(self, name: str) -> Figures | None:
        """Figures of the export that is there now."""
        return self.figures(name, "manifest_sha256", project.EXPORT / "manifest.json")

    @cached_property
    def models(self) -> dict[str, Figures]:
        """Evaluations that are there, by form, the furthest stage first."""
        found = {form: self.figures(name, "sha256", path) for form, (_, name, path, _) in MODELS.items()}
        found["ptq"] = self.figures(PTQ[1], "sha256", PTQ[2])
        return {form: figures for form, figures in found.items() if figures}

    def of_model(self, name: str) -> Figures | None:
        """Figures of the furthest stage that has them, kept as `name`-FORM."""
        every = (self.figures(f"{name}-{form}", "sha256", path) for form, (_, _, path, _) in MODELS.items())
        return next((figures for figures in every if figures), None)

    @cached_property
    def net(self) -> QNet | None:
        """The QNet, if there is one."""
        try:
            return open_qnet(project.QNET)
        except (WmQuantError, WmCliError):
            return None

    @cached_property
    def held_out(self) -> Corpus | None:
        """Games that the QNet's run was not trained on, if they are there."""
        if self.net is None:
            return None
        try:
            return held_out_games(self.net.world, origin_of(self.net.provenance), self.dataset)
        except (WmTrainError, WmCliError):
            return None


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    return hashlib.sha256(project.FILE.read(path)).hexdigest()


def is_report(path: Path) -> bool:
    """Whether a file begins as a report does: made of figures that are kept, it can be made again."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return TITLE.encode() in file.read(1024)


def write_report(out: Path, dataset: Path) -> None:
    """Write the page to `out`, from the project in the working folder and a dataset. Raises OSError."""
    found = Project(dataset)
    parts = (_headline, _accuracy, _horizons, _alone, _speculation, _game, _cost, _parity, _proofs, _provenance)
    atomic_write_bytes(out, _page(_measured_on(), "".join(part(found) for part in parts)).encode())


def _measured_on() -> str:
    """When the newest of the kept figures was measured, as far as the file's time says."""
    times = [path.stat().st_mtime for path in project.FIGURES.glob("*.json")]
    if not times:
        return paragraph("Nothing has been measured yet.", "note")
    newest = datetime.fromtimestamp(max(times), UTC)
    return paragraph(f"Newest figure: {newest:%Y-%m-%d %H:%M} UTC.", "note")


def _page(measured: str, body: str) -> str:
    script = (TEMPLATES / "report.js").read_text() if 'id="game"' in body else ""
    return document(NAME, measured, body, script)


# --------------------------------------------------------------------------------------------------------- headline


def _headline(found: Project) -> str:
    net = found.net
    about = (
        "No QNet yet: `wmq quantize` makes one."
        if net is None
        else (
            f"A world model of encoding {net.world.encoding.name}, {net.world.encoding.slots} frames seen, "
            f"{net.parameters:,} integers."
        )
    )
    entries = [*_accuracy_tiles(found), *_chain_tiles(found)]
    return paragraph(about) + _verdict(found) + (tiles(entries) if entries else "")


def _verdict(found: Project) -> str:
    """What the figures of the furthest stage say in words."""
    if not found.models:
        return ""
    form, figures = next(iter(found.models.items()))
    worse = not all(one.better for one in compared(figures))
    return paragraph(f"{MODELS.get(form, PTQ)[0]}: {verdict(figures)}", "verdict worse" if worse else "verdict")


def _accuracy_tiles(found: Project) -> Iterator[tuple[str, str, str]]:
    """Headline figures of the QNet, each beside the baseline that comes nearest or is better."""
    if not (qnet := found.models.get("qnet")):
        return
    beside = {one.label: f"best baseline, {one.baseline}: {one.best:.4g}" for one in compared(qnet)}
    labels = {metric.key: metric.label for metric in METRICS}
    position, action = (beside[labels[key]] for key in ("position_mae", "action_acc"))
    yield ("Position error, one frame ahead", f"{qnet['position_mae']:.4f}", f"game units; {position}")
    yield ("Action right, all frames", f"{qnet['action_acc']:.1%}", action)
    changes = qnet["action_change_acc"]
    yield ("Action right where it changes", _share(changes), "nothing changes: 0 by definition")
    if qat := found.models.get("qat"):
        equal = _measured(qat) == _measured(qnet)
        yield ("QAT run and QNet", "equal" if equal else "differ", f"every metric, on {qnet['frames']:,} frames")


def _share(value: float | None) -> str:
    return "none changes" if value is None else f"{value:.1%}"


def _chain_tiles(found: Project) -> Iterator[tuple[str, str, str]]:
    if cu := found.of_export("cu"):
        yield (
            "Compute units a frame",
            f"{cu['total_cu']:,}",
            f"{cu['cu_per_mac']:.4f} per MAC; "
            f"{cu['frames_metered'] - cu['frames_different']} of {cu['frames_metered']} metered as predicted",
        )
    if parity := found.of_export("parity"):
        yield (
            "Parity",
            f"{parity['mismatches']} differ",
            f"of {sum(row['frames'] for row in parity['outcomes']):,} "
            f"frames through {', '.join(parity['executors'][1:])}",
        )


def _measured(figures: Figures) -> dict[str, Any]:
    return {key: value for key, value in figures.items() if key != "model"}


# --------------------------------------------------------------------------------------------------------- accuracy


def _accuracy(found: Project) -> str:
    models = found.models
    gaps = "".join(
        missing(f"Figures of the {title} model", verb)
        for form, (title, _, _, verb) in MODELS.items()
        if form not in models
    )
    if not models:
        return section("Accuracy", gaps)
    first = next(iter(models.values()))
    titles = {form: title for form, (title, *_) in MODELS.items()} | {"ptq": PTQ[0]}
    rows = {titles[form]: figures for form, figures in models.items()}
    rows |= {BASELINES[name]: first["baselines"][name] for name in BASELINE_STYLES if name in first["baselines"]}
    text = f"{first['frames']:,} frames of {_games(found, first)}. Baselines know no model. "
    text += "Bold: the best of a row; nothing where all are equal."
    lines = [
        _metric_row(metric.label, metric, {name: row[metric.key] for name, row in rows.items()}) for metric in METRICS
    ]
    ahead = [
        _metric_row(metric.label.format(k), metric, {name: row["rollout"][k][metric.key] for name, row in rows.items()})
        for k in _common_horizons(rows)
        for metric in ROLLOUT_METRICS
        if all(metric.key in row["rollout"][k] for row in rows.values())
    ]
    head = ["metric", *rows]
    return section(
        "Accuracy",
        gaps,
        paragraph(text),
        _different_frames(models),
        _held_out_list(found),
        table("One frame ahead. Positions in game units, velocities in game units a frame.", head, lines),
        table("Rollouts: the world runs on its own frames, with the true controllers.", head, ahead),
        _events(rows),
        _coverage(rows),
    )


def _events(rows: Mapping[str, Figures]) -> str:
    """Events, and the damage of hits, of the evaluations that have them."""
    rows = {name: row for name, row in rows.items() if row.get("events")}
    lines = list(event_lines(rows)) if rows else []
    if not lines:
        return ""
    real = {_words(line.what): line.about["real"] for line in lines if line.what != "hit_damage"}
    counts = ", ".join(f"{count:,} {event}" for event, count in real.items())
    return table(
        f"Events, one frame ahead; the games have {counts} in these frames.",
        ["metric", *rows],
        [
            _metric_row(line.metric.label.format(_words(line.what), line.about.get("within")), line.metric, line.values)
            for line in lines
        ],
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _coverage(rows: Mapping[str, Figures]) -> str:
    """Errors by how often training has seen something, of the evaluations that have them."""
    rows = {name: row for name, row in rows.items() if row.get("coverage")}
    lines = list(coverage_lines(rows)) if rows else []
    if not lines:
        return ""
    counts = {line.what: line.about["player_frames"] for line in lines}
    listed = ", ".join(f"{seen}: {count:,}" for seen, count in counts.items())
    note = f"By how often training has seen who a player is in what the player does; player frames: {listed}."
    cells = [_metric_row(line.metric.label.format(line.what), line.metric, line.values) for line in lines]
    return details(
        "Where training has shown little", paragraph(note) + table("One frame ahead", ["metric", *rows], cells)
    )


def _common_horizons(rows: Mapping[str, Figures]) -> list[str]:
    """Horizons that every row has: they may have been evaluated with different ones."""
    return [k for k in next(iter(rows.values()))["rollout"] if all(k in row["rollout"] for row in rows.values())]


def _games(found: Project, figures: Figures) -> str:
    split = found.net.provenance.get("split", {}) if found.net else {}
    if is_cut(split):
        return "the held-out middle of the only game there is: the run has trained on the rest"
    return f"{counted(figures['games'], 'game')} that the run has not trained on"


def _different_frames(models: Mapping[str, Figures]) -> str:
    counts = {form: figures["frames"] for form, figures in models.items()}
    if len(set(counts.values())) == 1:
        return ""
    text = ", ".join(f"{form} {count:,}" for form, count in counts.items())
    return paragraph(f"Not all were measured on the same frames ({text}); evaluate them again to compare.", "missing")


def _held_out_list(found: Project) -> str:
    games = found.held_out
    if games is None or found.net is None:
        return ""
    rows: list[list[Cell | str]] = []
    for i, name in enumerate(games.names):
        of = np.flatnonzero(games.game == i)
        called = game_name(found.net.world.game, int(games.place[of[0]]), games.frames[of[0]])
        rows.append([called, f"{len(of):,}", Cell(name, "hash")])
    head: list[Cell | str] = ["game", "frames", Cell("match, as split and `wmq overlap` name it", "text")]
    return details("Which games were held out", table("Held-out games", head, rows))


def _metric_row(label: str, metric: Metric, values: Mapping[str, float | None]) -> list[Cell | str]:
    known = [value for value in values.values() if value is not None] or [0.0]
    best = max(known) if metric.more else min(known)
    tied = all(value == best for value in values.values())
    return [label, *(Cell(plain(value), strong=value == best and not tied) for value in values.values())]


def _horizons(found: Project) -> str:
    models, styles = found.models, {"qnet": "s0", "float": "s5"}
    shown = {MODELS[form][0]: (models[form], style) for form, style in styles.items() if form in models}
    if not shown:
        return section("How far a rollout drifts", missing("Rollout figures", "wmq evaluate"))
    first = next(iter(shown.values()))[0]
    known = first["baselines"]
    shown |= {BASELINES[name]: (known[name], style) for name, style in BASELINE_STYLES.items() if name in known}
    common = _common_horizons({name: row for name, (row, _) in shown.items()})
    if not common:
        return section("How far a rollout drifts", missing("Rollout figures of the same horizons", "wmq evaluate"))
    longest = max(common, key=int)
    errors = {name: (row["rollout"][longest]["position_mae"], style) for name, (row, style) in shown.items()}
    frames = [float(i + 1) for i in range(int(longest))]
    alt = "Position error by frames ahead: " + ", ".join(
        f"{n} {e[-1]:.2f} at frame {longest}" for n, (e, _) in errors.items()
    )
    chart = line_chart(
        [Series(name, style, frames, error) for name, (error, style) in errors.items()],
        "frames ahead",
        "error, game units",
        alt,
    )
    rows = [[f"{int(frame)}", *(f"{error[i]:.4f}" for error, _ in errors.values())] for i, frame in enumerate(frames)]
    numbers = table("Position error in game units, mean over rollouts", ["frames ahead", *errors], rows)
    return section(
        "How far a rollout drifts", _far(errors, longest), f"<figure>{chart}</figure>", details("The numbers", numbers)
    )


def _far(errors: Mapping[str, tuple[Sequence[float], str]], longest: str) -> str:
    """How far off the model and the best baseline are after the longest rollout, in words."""
    ends = {name: error[-1] for name, (error, _) in errors.items()}
    model = next(iter(ends))
    baselines = {name: end for name, end in ends.items() if name in BASELINES.values()}
    if not baselines:
        return ""
    best = min(baselines, key=baselines.__getitem__)
    better = ends[model] < baselines[best]
    text = (
        f"After {longest} frames the {model} is {ends[model]:.2f} game units off, the best baseline ({best}) "
        f"{baselines[best]:.2f}: {'better than every baseline' if better else 'no better than that baseline'}."
    )
    return paragraph(text, "verdict" if better else "verdict worse")


def _alone(found: Project) -> str:
    title, figures = "Left alone on true controllers", found.of_model("rollout")
    if figures is None:
        return section(title, missing("Free runs", "wmq rollout --starts 20 --seconds 60"))
    seconds = [ahead / FPS for ahead in figures["frames_ahead"]]
    curves = {
        "median": (figures["position_p50"], "s0"),
        "90th percentile": (figures["position_p90"], "s5"),
        "nothing moves, median": (figures["baselines"]["persistence"]["position_p50"], "s4"),
        "another moment of the games, median": (figures["baselines"]["another_start"]["position_p50"], "s2"),
    }
    alt = "Position error over time: " + ", ".join(f"{n} {v[-1]:.2f} at the end" for n, (v, _) in curves.items())
    chart = line_chart([Series(n, s, seconds, v) for n, (v, s) in curves.items()], "seconds", "error, game units", alt)
    text = (
        f"{figures['starts']} runs of {seconds[-1]:g} seconds of the {figures['model']['form']} model, from seeded "
        f"windows of {counted(figures['games'], 'held-out game')}. Half of the runs have a player {APART:g} game units "
        f"away from the true one after {figures['apart_after']:g} frames. A world that has drifted off can still be a "
        "good one: the table sets what happens in it beside what happens in the games."
    )
    rows: list[list[Cell | str]] = [
        [name.replace("_", " "), *(f"{figures[part][kind][name]:.3f}" for kind in ("predicted", "real"))]
        for part in ("usual", "habits")
        for name in figures[part]["real"]
    ]
    habits = table("Shares of frames, or times a minute, of a player", ["what", "predicted", "real"], rows)
    return section(
        title,
        paragraph(text),
        _still_knows(figures),
        f"<figure>{chart}</figure>",
        habits,
        _laws(figures),
        _on_other_inputs(found),
    )


def _still_knows(figures: Figures) -> str:
    """Whether free runs end nearer to the true game than a moment of the games drawn by chance, in words."""
    end, chance = figures["position_p50"][-1], figures["baselines"]["another_start"]["position_p50"][-1]
    near = end < chance
    text = (
        f"At the end half of the runs are {end:.1f} game units off or more; another moment of the games would be "
        f"{chance:.1f} off. What the world was told at the start {'still' if near else 'no longer'} shows."
    )
    return paragraph(text, "verdict" if near else "verdict worse")


def _laws(figures: Figures) -> str:
    """The laws of the game in free runs, where they were measured."""
    if "laws" not in figures:
        return ""
    kinds = [figures["laws"][kind] for kind in ("predicted", "real")]
    first = [one["first_broken"] for one in kinds]
    rows: list[list[Cell | str]] = [
        ["frames in which no law is broken", *(f"{one['lawful']:.4f}" for one in kinds)],
        ["seconds to the first broken law, median", *("none" if one is None else f"{one:.2f}" for one in first)],
        ["runs without a broken law", *(f"{one['unbroken']:.3f}" for one in kinds)],
    ]
    for name in figures["laws"]["real"]["broken"]:
        rows.append([f"law broken: {name}", *(f"{one['broken'][name]:.4f}" for one in kinds)])
    learned = f"Laws of the game, as {figures['recorded']['games']} recorded games show them"
    return table(learned, ["what", "predicted", "real"], rows)


def _on_other_inputs(found: Project) -> str:
    """What a player's inputs change, where that was measured."""
    figures = (found.of_model("diagnose") or {}).get("interventions")
    if not figures:
        return ""
    kinds = {name: about for name, about in figures.items() if isinstance(about, Mapping)}
    labels = {
        "reacts": "the player differs",
        "action": "the player's action differs",
        "apart": "distance after the last frame, game units",
        "other": "the other player differs",
    }
    rows: list[list[Cell | str]] = [
        [label, *(f"{about[key]:.3f}" for about in kinds.values())] for key, label in labels.items()
    ]
    same = "the same bytes" if figures["same"] else "OTHER bytes"
    caption = f"The same state, other inputs of one player for {figures['frames']} frames; the same inputs gave {same}"
    heads = {"idle": "controller at rest", "another": "inputs of another moment"}
    return table(caption, ["what", *(heads[name] for name in kinds)], rows)


def _speculation(found: Project) -> str:
    title, figures = "Computing ahead of the controllers", found.of_model("speculate")
    if figures is None:
        return section(title, missing("Speculative execution", "wmq speculate"))
    inputs, outcome, delays = figures["inputs"], figures["outcome"], figures["delays"]
    text = (
        "Frames computed as if controllers repeated, and again where they did not. Shares and costs by how many frames "
        f"late inputs come; by inputs over {inputs['frames']:,} frames, by outcome in {outcome['windows']:,} held-out "
        f"windows with the {figures['model']['form']} model."
    )
    rows: list[list[Cell | str]] = [
        [f"{late}, {delay} late", *(f"{value[i]:.3f}" for value in columns)]
        for late, columns in _late(inputs, outcome).items()
        for i, delay in enumerate(delays)
    ]
    head = ["inputs of", "inputs right", "computed again", "frame right", "again, and different"]
    chart = _again(inputs, [float(delay) for delay in delays])
    numbers = table("Shares of frames, and frames computed again per frame", head, rows)
    return section(title, paragraph(text), f"<figure>{chart}</figure>", details("The numbers", numbers))


def _late(inputs: Figures, outcome: Figures) -> dict[str, tuple[list[float], ...]]:
    """Columns by whose inputs are late."""
    return {
        PLAYERS_LATE[late]: (one["right"], one["recomputed"], outcome[late]["right"], outcome[late]["different"])
        for late, one in inputs.items()
        if isinstance(one, Mapping)
    }


def _again(inputs: Figures, delays: list[float]) -> str:
    styles = ("s0", "s1", "s2")
    late = [(PLAYERS_LATE[name], one["recomputed"]) for name, one in inputs.items() if isinstance(one, Mapping)]
    alt = "Frames computed again per frame, by delay: " + ", ".join(f"{n} {v[-1]:.2f} at the longest" for n, v in late)
    lines = [Series(name, style, delays, values) for (name, values), style in zip(late, styles, strict=True)]
    return line_chart(lines, "frames that inputs come late", "computed again, per frame", alt)


def _game(found: Project) -> str:
    title = "The predicted game beside the real one"
    if found.net is None:
        return section(title, missing("A QNet", "wmq quantize"))
    if found.held_out is None:
        return section(title, missing(f"Held-out games in {found.dataset}", "wmq ingest"))
    run = run_rollout(found.net, found.held_out)
    if run is None:
        return section(title, paragraph("No held-out game has a second in a row; ingest longer games.", "missing"))
    return section(title, game_view(run))


# ----------------------------------------------------------------------------------------- cost, parity, proofs, hashes


def _cost(found: Project) -> str:
    cu = found.of_export("cu")
    if cu is None:
        return section("Compute units", missing("Metered compute units", "wmq build, then wmq cu"))
    rows = [
        [
            op["name"],
            Cell(op["kind"], "text"),
            f"{op['macs']:,}" if op["macs"] else "",
            f"{op['cu']:,}",
            _metered(op["cu"], op["cu_metered"]),
        ]
        for op in cu["ops"]
    ]
    rows += [
        [
            f"transaction {step['step']}",
            Cell("all of it", "text"),
            "",
            f"{step['cu_predicted']:,}",
            _metered(step["cu_predicted"], step["cu_metered"]),
        ]
        for step in cu["transactions"]
    ]
    largest = max(step["cu_predicted"] for step in cu["transactions"])
    fits, same = largest <= cu["budget"], not cu["frames_different"]
    said = (
        f"A frame {'fits' if fits else 'does not fit'} its budget, and costs "
        f"{'what was predicted' if same else 'something else than was predicted'}."
    )
    text = (
        f"{cu['total_cu']:,} units a frame in {counted(len(cu['transactions']), 'transaction')}; "
        f"the largest takes {largest / cu['budget']:.1%} "
        f"of the budget of {cu['budget']:,}. {cu['frames_metered']} frames metered, "
        f"{cu['frames_different']} differ from the prediction."
    )
    costly = [(op["name"], op["cu"], f"{op['cu']:,}") for op in cu["ops"] if op["cu"]]
    alt = "Compute units of each op: " + ", ".join(f"{name} {value}" for name, _, value in costly)
    return section(
        "Compute units",
        paragraph(said, "verdict" if fits and same else "verdict worse"),
        paragraph(text),
        f"<figure>{bars(costly, alt)}</figure>",
        table("Predicted and metered", ["op", Cell("kind", "text"), "MACs", "predicted", "metered"], rows),
    )


def _metered(predicted: int, metered: int | None) -> Cell:
    return Cell("") if metered is None else Cell(f"{metered:,}", "" if metered == predicted else "bad")


def _parity(found: Project) -> str:
    figures = found.of_export("parity")
    if figures is None:
        return section("Parity", missing("A comparison of the executors", "wmq parity"))
    rows = [
        [row["executor"], f"{row['frames']:,}", Cell(f"{row['mismatches']:,}", "bad" if row["mismatches"] else "")]
        for row in figures["outcomes"]
    ]
    first = figures["first_difference"]
    text = "Every tensor of the trace and every byte of the next Frame, against the interpreter. "
    text += (
        "All are equal."
        if first is None
        else "First difference: " + ", ".join(f"{k} {v}" for k, v in first.items()) + "."
    )
    return section("Parity", paragraph(text), table("Frames compared", ["executor", "frames", "differ"], rows))


def _proofs(found: Project) -> str:
    if found.net is None:
        return section("Proofs", missing("A QNet", "wmq quantize"))
    rows: list[list[Cell | str]] = [
        [p.op, Cell(p.what, "text"), f"{p.row}", f"{p.value:,}", f"{p.bound:,}", f"{p.value / p.bound:.1%}"]
        for p in prove(found.net)
    ]
    text = "No input whatsoever can carry any value out of its bound. The row named is the one that comes nearest."
    return section(
        "Proofs",
        paragraph(text),
        table("Widest value and its bound", ["op", Cell("what", "text"), "row", "widest", "below", "share"], rows),
    )


def _provenance(found: Project) -> str:
    names = {
        "dataset": found.dataset / "meta.json",
        "float run": project.RUN / "run.json",
        "QAT run": project.RUN_QAT / "run.json",
        "QNet": project.QNET / "qnet.json",
        "manifest": project.EXPORT / "manifest.json",
        "weights": project.PROGRAM / "blob.bin",
        "program": project.PROGRAM / "build" / "program.so",
        "ONNX graph": project.ONNX,
    }
    rows: list[list[Cell | str]] = [
        [name, Cell(path.name, "text"), Cell(sha256(path) if path.exists() else "not there", "hash")]
        for name, path in names.items()
    ]
    notes = [_parent_note(found), _dataset_note(found.dataset), _toolchain_note(found)]
    return section(
        "Where it comes from",
        table("sha256 of every artifact", ["artifact", Cell("file", "text"), Cell("sha256", "text")], rows),
        *(paragraph(note) for note in notes if note),
    )


def _parent_note(found: Project) -> str:
    if found.net is None:
        return ""
    parents = {"float": project.RUN / "run.json", "qat": project.RUN_QAT / "run.json"}
    path = parents.get(str(found.net.provenance.get("form")))
    same = path is not None and path.exists() and sha256(path) == found.net.parent
    return f"The QNet was made from the run `{found.net.parent}`" + (
        f", which is `{path}` here." if same else ", which is not here."
    )


def _dataset_note(dataset: Path) -> str:
    try:
        games = open_dataset(dataset).games
    except WmTrainError:
        return f"There is no dataset in `{dataset}`; `wmq ingest` makes one."
    return f"The dataset has {len(games)} games, {sum(game.frames for game in games):,} frames."


def _toolchain_note(found: Project) -> str:
    figures = found.of_export("build")
    if figures is None:
        return "No figures of a build; `wmq build` makes them."
    tools = f"`{figures['toolchain']}`: {'; '.join(figures['versions'])}"
    return f"The program ({figures['size']:,} bytes) was built by toolchain {tools}."
