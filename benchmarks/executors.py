"""Frames a second of every executor on one export: `python benchmarks/executors.py EXPORT [FRAMES]`.

Made-up frames, one thread. Prints the best of three runs of each, and how many times as fast as the game that is.
"""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from wm_export.onnx.graph import onnx_model
from wm_export.onnx.runtime import OrtRunner
from wm_export.parity import Executor, Recording
from wm_export.solana.export import open_export
from wm_export.solana.metering import runner
from wm_export.solana.native import NativeRunner
from wm_quant.interp import Interpreter
from wm_train.games.corpus import made_up_corpus
from wm_train.measure.window import window_at

FPS = 60
RUNS = 3


def _batched(executor: Executor, recording: Recording) -> None:
    executor.step(recording.state, recording.inputs[0])


def _one_by_one(executor: Executor, recording: Recording) -> None:
    for i in range(recording.inputs.shape[1]):
        executor.step(recording.state.at(slice(i, i + 1)), recording.inputs[0, i : i + 1])


def _best(run: Callable[[], None]) -> float:
    seconds = []
    for _ in range(RUNS):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def main(folder: Path, frames: int) -> None:
    """Print one line an executor."""
    export = open_export(folder)
    encoding = export.net.world.encoding
    corpus = made_up_corpus(frames + encoding.slots, seed=0)
    window = window_at(corpus, encoding, corpus.windows(encoding)[:frames])
    interpreter = Interpreter(export.net)
    recording = Recording(interpreter.begin(window), window.following[None])
    with ExitStack() as stack:
        graph = OrtRunner(onnx_model(export.net).SerializeToString())
        runs: dict[str, tuple[Callable[[Executor, Recording], None], Executor]] = {
            "interpreter, teacher-forced": (_batched, interpreter),
            "interpreter, frame by frame": (_one_by_one, interpreter),
            "ONNX Runtime, teacher-forced": (_batched, graph),
            "ONNX Runtime, frame by frame": (_one_by_one, graph),
            "native, frame by frame": (_one_by_one, stack.enter_context(NativeRunner(export))),
            "LiteSVM, frame by frame": (_one_by_one, runner(export)),
        }
        for name, (how, executor) in runs.items():
            rate = frames / _best(lambda how=how, executor=executor: how(executor, recording))  # type: ignore[misc]
            print(f"{name:30} {rate:10,.0f} frames a second   {rate / FPS:6.1f} times the game")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 256)
