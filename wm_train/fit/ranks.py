"""Processes that train one model together: each computes its share of a batch, and all take the same step.

torchrun starts them and says in the environment who is who. Alone, every function here gives back what it was given.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, distributed, nn

from wm_train.errors import WmTrainError
from wm_train.nets.device import CUDA, present


class Agreed(NamedTuple):
    """What all ranks know of a step.

    losses   parts of the loss, means over the `frames` of all ranks
    seconds  processor seconds of all ranks since the step before
    save     the first rank asked to save; stop: any rank was interrupted
    """

    losses: dict[str, Tensor]
    frames: int
    seconds: float
    save: bool
    stop: bool


@dataclass(frozen=True)
class Ranks:
    """This process among `size` of them."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def share(self) -> slice:
        """Which rows of a batch, or lanes, are this process's."""
        return slice(self.rank, None, self.size)

    def check(self, rows: int, key: str) -> None:
        """WmTrainError unless everybody has work."""
        if rows < self.size:
            raise WmTrainError(f"config: {key} = {rows}, expected at least one for each of {self.size} processes")

    def agree(self, mine: Agreed) -> Agreed:
        """Everybody's part of a step, put together; losses are weighted by frames, so a rank may have any number."""
        if self.size == 1:
            return mine
        parts = torch.stack(list(mine.losses.values())).double()
        numbers = [mine.frames, mine.seconds, self.first and mine.save, mine.stop]
        every = self._sum(torch.cat([parts.new_tensor(numbers), parts * mine.frames]))
        frames, seconds, save, stop = every[:4].tolist()
        losses = dict(zip(mine.losses, (every[4:] / max(frames, 1)).float(), strict=True))
        return Agreed(losses, int(frames), seconds, save > 0, stop > 0)

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Every gradient becomes the sum over ranks; one message for all of them."""
        if self.size == 1:
            return
        every = list(parameters)
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in every])
        for parameter, part in zip(every, self._sum(flat).split([p.numel() for p in every]), strict=True):
            parameter.grad = part.view_as(parameter)

    def whole(self, carried: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The lanes (first axis) of all ranks, in the order in which one process would hold them."""
        return {name: self._lanes(part) for name, part in carried.items()}

    def part(self, carried: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """This process's share of `whole`."""
        return {name: every[self.share()] for name, every in carried.items()}

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.size > 1:
            distributed.barrier()

    def _lanes(self, part: Tensor) -> Tensor:
        if self.size == 1:
            return part
        lanes = int(self._sum(torch.tensor(len(part))))
        every = part.new_zeros(lanes, *part.shape[1:])
        every[self.share()] = part
        return self._sum(every)

    @staticmethod
    def _sum(values: Tensor) -> Tensor:
        distributed.all_reduce(values)
        return values


def _of_this_start(store: distributed.Store) -> distributed.Store:
    """torchrun's store, where addresses are exchanged, without those that processes left there which it has started
    anew since. Machines count their starts each by itself, so only those of one machine can be told apart."""
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if os.environ.get("GROUP_WORLD_SIZE") == "1" else "0"
    return distributed.PrefixStore(f"start {start}", store)


#: A process by itself.
ALONE = Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """The ranks that torchrun started, connected for as long as the context lasts; alone without torchrun."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    ours = not distributed.is_initialized()
    if ours:
        backend = "cpu:gloo,cuda:nccl" if CUDA in present() else "gloo"
        store, rank, size = next(distributed.rendezvous("env://"))
        distributed.init_process_group(backend, store=_of_this_start(store), rank=rank, world_size=size)
        if CUDA in present():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
    finally:
        if ours:
            distributed.destroy_process_group()
