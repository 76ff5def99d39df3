"""What a whole frame costs, metered: `python benchmarks/whole_frames.py EXPERIMENT [TRANSACTIONS] [FRAMES]`.

EXPERIMENT is the name of one, or a config file. Nothing is trained: no cost depends on a network's numbers. Its
program is built in both versions of sBPF, and computes made-up frames one after the other in LiteSVM: both inputs, the
network, laws, sights, the digest of its memory and the session's hash tree. Exit code 1 if a transaction costs one unit
more or less than was predicted.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from wm_cli.experiments import experiments
from wm_export.lower.balance import balanced_cuts
from wm_export.lower.lowering import lower
from wm_export.schema.sbpf import Arch
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.metering import build, predicted, runner
from wm_quant.interp import Interpreter
from wm_quant.presets import untrained
from wm_train.config import load_config
from wm_train.games.corpus import made_up_corpus
from wm_train.measure.window import window_at
from wm_train.shapes import parameter_count


def differing(export: Export, frames: int) -> int:
    """How many of so many frames cost another number of units than predicted."""
    encoding, program, cost = export.net.world.encoding, runner(export), predicted(export)
    corpus = made_up_corpus(frames + encoding.slots, seed=0)
    window = window_at(corpus, encoding, corpus.windows(encoding))
    state = Interpreter(export.net).begin(window).at(slice(0, 1))
    found = 0
    for number, following in enumerate(window.following[:frames]):
        _, state, spent = program.metered_step(state, following[np.newaxis], number)
        found += spent != cost.transactions(number)
    return found


def main(name: str, transactions: int, frames: int) -> int:
    """A line for each version of sBPF; frames that cost something else."""
    net, wrong = untrained(load_config(experiments().get(name, Path(name))).model), 0
    cuts = balanced_cuts(lower(net), transactions) if transactions > 1 else []
    print(f"{name}: {parameter_count(net.model):,} parameters")
    for arch in Arch:
        with tempfile.TemporaryDirectory() as folder:
            export_solana(net, Path(folder), cuts)
            export = open_export(Path(folder))
            build(export, arch)
            cost, other = predicted(export), differing(export, frames)
        each = " + ".join(f"{units:,}" for units in cost.worst)
        print(f"{arch}: {cost.total_cu:,} units a frame, {cost.memory:,} of them the digest; at most {each}")
        print(f"{arch}: {other} of {frames:,} frames cost another number of units than predicted")
        wrong += other
    return wrong


if __name__ == "__main__":
    experiment, *numbers = sys.argv[1:]
    many, length = [*map(int, numbers), *(1, 128)[len(numbers) :]]
    sys.exit(main(experiment, many, length) > 0)
