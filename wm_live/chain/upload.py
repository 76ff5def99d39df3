"""Sending many transactions with a bounded number of them in flight."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from solders.instruction import Instruction
from solders.keypair import Keypair

from wm_live.chain.transactions import Sender

#: Enough to hide the time of one confirmation on a public cluster, few enough for its limits.
IN_FLIGHT = 48


@dataclass(frozen=True)
class PlannedTransaction:
    """A transaction that is not sent yet: its instructions, and the signers beside the payer."""

    instructions: tuple[Instruction, ...]
    signers: tuple[Keypair, ...] = ()


async def send_all(
    sender: Sender,
    jobs: Sequence[PlannedTransaction],
    in_flight: int = IN_FLIGHT,
    landed: Callable[[int], None] = lambda done: None,
) -> int:
    """Send every job and wait until all are confirmed; returns the last slot.

    landed  gets the number of transactions confirmed so far

    With one in flight they land in their order, each tried out before it is sent; with several only the first is, and
    the others are to be like it. The first that fails ends all: what is confirmed stays, and the error is raised
    (TransactionError, RpcError).
    """
    waiting, done, last = iter(jobs), 0, 0

    async def work(waiting: Iterator[PlannedTransaction]) -> None:
        nonlocal done, last
        for job in waiting:
            confirmed = await sender.send(job.instructions, *job.signers, preflight=in_flight == 1 or job is jobs[0])
            done, last = done + 1, max(last, confirmed.slot)
            landed(done)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(in_flight, len(jobs))):
                group.create_task(work(waiting))
    except ExceptionGroup as errors:
        raise _first(errors) from None
    return last


def _first(errors: BaseException) -> BaseException:
    return _first(errors.exceptions[0]) if isinstance(errors, BaseExceptionGroup) else errors
