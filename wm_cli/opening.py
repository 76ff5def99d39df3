"""Artifacts that verbs read, opened; and the games that models are measured on or begin from."""

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_cli import project
from wm_cli.artifacts import BOLT_EXPORT, DATASET, QNET, RUN, need, need_export
from wm_cli.errors import WmCliError
from wm_cli.staleness import tell_of_export, tell_of_qnet, tell_of_run
from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, any_games, held_out
from wm_train.games.store import Games, open_held_out
from wm_train.measure.starts import rollout_starts
from wm_train.measure.window import window_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wm_export.bolt.bolt_export import BoltExport
    from wm_export.parity import Recording
    from wm_export.solana.export import Export
    from wm_quant.qnet import QNet
    from wm_train.checkpoint import Checkpoint
    from wm_train.config import ModelConfig
    from wm_train.measure.window import Window
    from wm_train.measure.worlds import Model
    from wm_train.world.step import World

#: Seed of the windows that `cu` and `parity` take, and that sessions start from.
FRAMES_SEED = 1
#: Frames of a stretch that a network with a memory is compared over, about: several turns of heads in turn.
WALK = 50


@dataclass(frozen=True)
class OpenedModel:
    """A model that can be measured.

    shape   of its network
    model   what steps it
    origin  which games it was trained on: split, holdout, seed
    about   what figures say of it: arch, parameters, form, sha256
    """

    path: Path
    shape: "ModelConfig"
    model: "Model"
    origin: Mapping[str, Any]
    about: dict[str, Any]

    @property
    def world(self) -> "World":
        """Its encoding and heads."""
        return self.shape.world

    @property
    def name(self) -> str:
        """Form, as figures are kept by: a float run's QNet is `ptq`."""
        return "ptq" if self.about.get("trained_as") == "float" else str(self.about["form"])

    def held_out(self, dataset: Path) -> Corpus:
        """Games of a dataset that the model was not trained on, MEASURED_GAMES at most."""
        return held_out_games(self.world, self.origin, dataset)


def open_model(path: Path, option: str = "", device: str = "cpu") -> OpenedModel:
    """A run or a QNet folder; `option` is what names it, if it is no argument. WmCliError if it is neither.

    device  config.DEVICES, where a run's network computes; a QNet is interpreted in numpy
    """
    need(path, QNET, RUN, option=option)
    return _open_qnet(path) if (path / "qnet.json").exists() else _open_run(path, device)


def _open_qnet(path: Path) -> OpenedModel:
    from wm_quant.interp import Interpreter

    net = open_qnet(path)
    about = {
        "arch": net.model.arch,
        "parameters": net.parameters,
        "form": "qnet",
        "trained_as": net.provenance.get("form"),
        "sha256": file_figures(path / "qnet.json")["sha256"],
    }
    return OpenedModel(path, net.model, Interpreter(net).model(), origin_of(net.provenance), about)


def _open_run(path: Path, device: str) -> OpenedModel:
    from wm_train.checkpoint import digest
    from wm_train.nets.predict import checkpoint_model
    from wm_train.shapes import parameter_count

    checkpoint = open_run(path)
    shape = checkpoint.config.model
    about = {"arch": shape.arch, "parameters": parameter_count(shape), "form": checkpoint.form, "sha256": digest(path)}
    return OpenedModel(path, shape, checkpoint_model(checkpoint, device), checkpoint.origin, about)


def open_run(path: Path) -> "Checkpoint":
    """A run folder. WmCliError if it is none, WmTrainError if it is damaged."""
    from wm_train.checkpoint import load_checkpoint

    need(path, RUN)
    checkpoint = load_checkpoint(path)
    if checkpoint.form == "qat":
        tell_of_run(path, checkpoint.parent)
    return checkpoint


def open_qnet(path: Path) -> "QNet":
    """A QNet folder. WmCliError if it is none, WmQuantError if it is damaged."""
    from wm_quant.qnet import load_qnet

    need(path, QNET)
    net = load_qnet(path)
    tell_of_qnet(path, net.parent, str(net.provenance.get("form")))
    return net


def open_export(folder: Path) -> "Export":
    """An export, or a program of one. WmCliError if it is none, WmExportError if it is damaged."""
    from wm_export.solana.export import open_export as opened

    need_export(folder)
    export = opened(folder)
    tell_of_export(export)
    return export


def open_bolt(folder: Path) -> "BoltExport":
    """An export to BOLT. WmCliError if it is none, WmExportError if it is damaged."""
    from wm_export.bolt.bolt_export import open_bolt as opened

    need(folder, BOLT_EXPORT)
    return opened(folder)


def built(folder: Path) -> "Export":
    """An export that has been built; WmCliError if it has not: the live verbs build nothing."""
    from wm_export.solana.build_record import built as is_built

    export = open_export(folder)
    if not is_built(export):
        raise WmCliError(f"{folder}: not built yet; next: wmq build {shlex.quote(str(folder))}")
    return export


def file_figures(path: Path) -> dict[str, Any]:
    """Size in bytes and sha256 of a file."""
    data = project.FILE.read(path)
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def origin_of(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Which games a network was trained on, as far as its provenance says."""
    return {
        "split": provenance.get("split", {}),
        "holdout": provenance.get("holdout", 0.125),
        "seed": provenance.get("seed", 0),
    }


def held_out_games(world: "World", origin: Mapping[str, Any], dataset: Path) -> Corpus:
    """Games of a dataset that a model of this origin was not trained on, MEASURED_GAMES at most. WmCliError if there is
    no dataset."""
    need(dataset, DATASET, option="--dataset")
    return held_out(dataset, world.encoding, origin["split"], origin["holdout"])


def open_games(world: "World", origin: Mapping[str, Any], dataset: Path, most: int) -> Games:
    """The same, `most` at most, nothing loaded yet."""
    need(dataset, DATASET, option="--dataset")
    return open_held_out(dataset, world.encoding, origin["split"], origin["holdout"], most)


def held_out_window(
    model: Path, dataset: Path, start: int, frames: int, device: str = "cpu"
) -> tuple[OpenedModel, Corpus, int]:
    """A model, and the end of held-out window number `start` with `frames` frames of the same game after it."""
    one = open_model(model, device=device)
    corpus = one.held_out(dataset)
    t = corpus.windows(one.world.encoding)
    t = t[t + frames < len(corpus.game)]
    t = t[corpus.game[t] == corpus.game[t + frames]]
    if start >= len(t):
        raise WmTrainError(
            f"rollout: start {start}, but only {len(t)} held-out windows have {frames} frames after them"
        )
    return one, corpus, int(t[start])


def need_dataset(dataset: Path) -> None:
    """WmCliError if a dataset was named and is not there. Where none was named, executors run on made-up games."""
    if dataset != project.DATASET:
        need(dataset, DATASET, option="--dataset")


def executor_games(
    net: "QNet", dataset: Path, starts: int, length: int, made_up: int
) -> "tuple[Corpus, NDArray[np.int64]]":
    """Games for executors, and the ends (T,) of `starts` seeded windows with `length` frames after each.

    Held-out games of the dataset if there are any; without a dataset a made-up one of `made_up` frames and a window.
    """
    need_dataset(dataset)
    encoding, origin = net.world.encoding, origin_of(net.provenance)
    corpus = any_games(dataset, encoding, origin["split"], origin["holdout"], made_up + encoding.slots)
    return corpus, rollout_starts(corpus, encoding, length, starts, FRAMES_SEED)


def recording(net: "QNet", dataset: Path, starts: int, length: int) -> "Recording":
    """`starts` worlds at seeded windows, and the inputs of the `length` frames after each."""
    from wm_export.parity import Recording
    from wm_quant.interp import Interpreter

    windows, inputs = executor_windows(net, dataset, starts, length)
    return Recording(Interpreter(net).begin(windows), inputs)


def _seeded(net: "QNet", dataset: Path, starts: int, length: int) -> "tuple[Corpus, NDArray[np.int64]]":
    """`executor_games`, WmTrainError where there is no window."""
    corpus, t = executor_games(net, dataset, starts, length, made_up=starts + length)
    if not len(t):
        raise WmTrainError(f"{dataset}: no held-out game has {length} frames after a window; ask for fewer")
    return corpus, t


def walk(net: "QNet", dataset: Path, frames: int) -> "Iterator[Recording]":
    """Worlds at true frames, `frames` or a few more in all: of a network with a memory, stretches of about WALK frames
    of games, side by side, one frame of each at a time; else all at once."""
    from wm_export.parity import Recording
    from wm_quant.interp import Interpreter

    starts = max(1, round(frames / WALK)) if net.memories else frames
    length, encoding = -(-frames // starts), net.world.encoding
    corpus, t = _seeded(net, dataset, starts, length)
    interpreter = Interpreter(net)
    for at in (t + frame for frame in range(length)):
        inputs = corpus.inputs[at[None] + 1][..., : len(net.world.game.controls)]
        yield Recording(interpreter.begin(window_at(corpus, encoding, at)), inputs)


def executor_windows(net: "QNet", dataset: Path, starts: int, length: int) -> "tuple[Window, NDArray[np.int8]]":
    """`starts` seeded windows, and the inputs (length, starts, 2, len(game.controls)) of the frames after each."""
    corpus, t = _seeded(net, dataset, starts, length)
    inputs: NDArray[np.int8] = corpus.inputs[t[None, :] + 1 + np.arange(length)[:, None]]
    return window_at(corpus, net.world.encoding, t), inputs[..., : len(net.world.game.controls)]
