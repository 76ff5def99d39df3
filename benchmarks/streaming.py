"""Training frames a second of a Mamba-2, streamed and windowed: `python benchmarks/streaming.py [SECONDS]`.

Streamed: lanes walk through games, and every frame is predicted once with the state that all frames before it left.
Windowed: each example is a window of its own that begins with nothing, and only its last frame is predicted; so a
window's other frames are computed for that one. Same network, same loss, same optimizer, as many frames through the
network in a step, one thread, made-up games, processor time. Prints both rates and their ratio.
"""

import sys
import time
from collections.abc import Callable
from itertools import count

import torch
from torch import Tensor

from wm_train.config import Mamba2Config, RunConfig, TrainConfig
from wm_train.fit.batches import WindowTensors
from wm_train.fit.learners import StreamLearner, learner
from wm_train.fit.loss import losses
from wm_train.games.corpus import made_up_corpus
from wm_train.games.store import HeldGames
from wm_train.nets.mamba2 import Mamba2
from wm_train.nets.matmul import use_exact_matmul

WINDOW = 10
BAR = 8.0
FRAMES = 20_000
SIZES = {"default size": {}, "small": {"d_model": 64, "d_state": 16, "headdim": 32, "n_layers": 2}}


def windowed(net: Mamba2, tensors: WindowTensors, config: RunConfig, examples: int) -> Callable[[int], Tensor]:
    """Loss of a batch of windows: WINDOW frames each through the blocks, only the last through the heads."""
    order = torch.Generator().manual_seed(0)
    reset = torch.zeros(examples, WINDOW, dtype=torch.bool)

    def loss(step: int) -> Tensor:
        ends = torch.randint(WINDOW - 1, FRAMES - 1, (examples,), generator=order)
        batch = tensors.batch((ends[:, None] + torch.arange(1 - WINDOW, 1)).flatten())
        u = net.entered(*(part.unflatten(0, reset.shape) for part in (batch.dense, batch.ids, batch.session)))
        for block, memory in zip(net.blocks, net.start(examples), strict=True):
            u, _ = block(u, memory, reset)
        last, embedding = slice(WINDOW - 1, None, WINDOW), net.embeddings["action"].weight
        heads = net.heads(net.norm(u[:, -1]))
        return total(losses(net.world, batch.now[last], batch.after[last], heads, config.train.losses, embedding))

    return loss


def total(parts: dict[str, Tensor]) -> Tensor:
    """The sum of a loss's parts."""
    return sum(parts.values(), torch.zeros(()))


def steps_a_second(net: Mamba2, loss: Callable[[int], Tensor], seconds: float) -> float:
    """Optimizer steps in a second of processor time, the first one left out."""
    optimizer = torch.optim.AdamW(net.parameters(), fused=True)
    began = 0.0
    for step in count():
        optimizer.zero_grad(set_to_none=True)
        loss(step).backward()
        optimizer.step()
        if not step:
            began = time.process_time()
        elif (spent := time.process_time() - began) > seconds:
            return step / spent
    raise AssertionError


def main(seconds: float) -> None:
    """Print one line a size."""
    torch.set_num_threads(1)
    use_exact_matmul()
    for name, sizes in SIZES.items():
        config = RunConfig(Mamba2Config(**sizes), TrainConfig())
        games = made_up_corpus(FRAMES, seed=0)
        tensors = WindowTensors(games, config.model.world.encoding, as_codes=False)
        stream = learner(config, HeldGames(games), None)
        assert isinstance(stream, StreamLearner)
        frames = config.train.lanes * config.train.chunk
        examples = frames // WINDOW
        every = frames * steps_a_second(stream.net, lambda step, own=stream: total(own.losses(step)[0]), seconds)
        last = examples * steps_a_second(stream.net, windowed(stream.net, tensors, config, examples), seconds)
        print(f"{name:14} streamed {every:8,.0f} frames a second   windowed ({WINDOW} frames) {last:8,.0f}   "
              f"ratio {every / last:5.2f}, at least {BAR:g} wanted")  # fmt: skip


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0)
