"""Deploying an export: the transactions that what is on chain still lacks, and sending them.

A Deployment holds the very transactions that will be sent, so what it says of fees, rent and counts is what happens.
Nothing is kept between two runs: a second one reads the chain and prepares what is left.

    buffer  ->  program  ->  model account  ->  chunks of the blob  ->  digest  ->  frozen for ever
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.system_program import (
    AllocateWithSeedParams,
    CreateAccountParams,
    TransferParams,
    allocate_with_seed,
    create_account,
    transfer,
)

from wm_live import loader
from wm_live.addresses import LOADER, model_seed
from wm_live.deployment import Deployment, Holding, Step
from wm_live.errors import WmLiveError
from wm_live.model import blob_chunk, different_chunks
from wm_live.program import instruction
from wm_live.rpc import Rpc
from wm_live.target import Found, Target, blob_digest, fair_rent, find, read_blob
from wm_live.transactions import SIGNATURE_FEE, Sender
from wm_live.upload import IN_FLIGHT, Job, send_all
from wm_live.verify import differing_sections
from wm_quant.cost import TRANSACTION_BUDGET

#: Between two looks at the slot.
POLL_S = 0.02
#: Pieces that one transaction can hash: each takes about 131K compute units.
PIECES_AT_ONCE = 10

#: Gets the name of a step, how many of its transactions are confirmed, and how many there are.
Progress = Callable[[str, int, int], None]


class Planner:
    """Makes the Deployment of a Target from what was found of it."""

    def __init__(self, rpc: Rpc, target: Target, found: Found) -> None:
        self.rpc, self.target, self.found = rpc, target, found
        self._payer, self._program = target.payer, target.program.pubkey()
        self._buffer = target.buffer.pubkey()

    async def plan(self, final: bool) -> Deployment:
        """The Deployment; with `final` the program's upgrade authority is dropped at its end."""
        program = await self._program_steps()
        steps = [*program, *await self._model_steps(), *self._final_steps(final, bool(program))]
        reserve = await self._rent(0)
        holdings = await self._holdings(any(step.name == "buffer" for step in program))
        return Deployment(self.rpc.url, str(self._payer), self.found.balance, reserve, holdings, steps)

    async def _holdings(self, buffered: bool) -> list[Holding]:
        t, f, size = self.target, self.found, len(self.target.elf)
        room, code = max(size, len(f.program.code) if f.program else 0), loader.program_data_address(self._program)
        parts = [
            ("program", self._program, loader.PROGRAM_BYTES, f.program is not None),
            ("program data", code, loader.PROGRAM_DATA_HEADER + room, f.program is not None),
            ("model", t.model, t.shape.account_bytes, f.model is not None),
        ]
        if buffered or f.buffer is not None:
            parts.append(("buffer", self._buffer, loader.BUFFER_HEADER + size, f.buffer is not None))
        return [Holding(name, str(at), count, await self._rent(count), there) for name, at, count, there in parts]

    async def _rent(self, size: int) -> int:
        return await fair_rent(self.rpc, size)

    # --- the program ---

    async def _program_steps(self) -> list[Step]:
        found, elf = self.found.program, self.target.elf
        if found is not None and found.holds(elf):
            return []
        if found is not None and found.authority != self._payer:
            owner = f"its upgrade authority is {found.authority}" if found.authority else "it is final"
            raise WmLiveError(
                f"program {self._program}: other bytes than {self.target.export.program} are deployed, and {owner}; "
                "next: deploy with another keypair, or build what is deployed (wmq deploy verify)"
            )
        rent = await self._rent(loader.BUFFER_HEADER + len(elf))
        steps = await self._buffer_steps(rent)
        locked = self.found.buffer_lamports if not any(s.name == "buffer" for s in steps) else rent
        return [*steps, *(await self._deploy_steps(locked) if found is None else await self._upgrade_steps(locked))]

    async def _buffer_steps(self, rent: int) -> list[Step]:
        t, old = self.target, self.found.buffer
        steps = []
        if old is not None and len(old) != len(t.elf):
            job = Job((loader.close_buffer(self._buffer, self._payer),))
            steps, old = [Step("old buffer", [job], -self.found.buffer_lamports)], None
        if old is None:
            size = loader.BUFFER_HEADER + len(t.elf)
            params = CreateAccountParams(
                from_pubkey=self._payer, to_pubkey=self._buffer, lamports=rent, space=size, owner=LOADER
            )
            make = (create_account(params), loader.initialize_buffer(self._buffer, self._payer))
            steps.append(Step("buffer", [Job(make, (t.buffer,))], rent))
        jobs = self._writes(old if old is not None else bytes(len(t.elf)))
        return [*steps, *([Step("program bytes", jobs, in_flight=IN_FLIGHT)] if jobs else [])]

    def _writes(self, old: bytes) -> list[Job]:
        """What of the program is not in the buffer yet, in the largest chunks that fit."""
        elf, size = self.target.elf, loader.chunk_bytes(self.target.authority)
        starts = [at for at in range(0, len(elf), size) if elf[at : at + size] != old[at : at + size]]
        return [Job((loader.write(self._buffer, self._payer, at, elf[at : at + size]),)) for at in starts]

    async def _deploy_steps(self, locked: int) -> list[Step]:
        size = len(self.target.elf)
        own, data = await self._rent(loader.PROGRAM_BYTES), await self._rent(loader.PROGRAM_DATA_HEADER + size)
        params = CreateAccountParams(
            from_pubkey=self._payer,
            to_pubkey=self._program,
            lamports=own,
            space=loader.PROGRAM_BYTES,
            owner=LOADER,
        )
        deploy = loader.deploy(self._payer, self._program, self._buffer, size)
        job = Job((create_account(params), deploy), (self.target.program,))
        return [Step("deploy", [job], own + data - locked, changes_program=True)]

    async def _upgrade_steps(self, locked: int) -> list[Step]:
        assert self.found.program is not None
        room, size = len(self.found.program.code), len(self.target.elf)
        held, steps = self.found.program_lamports, []
        if size > room:
            more = max(size - room, loader.EXTENSION_MIN)
            room += more
            added = max(0, await self._rent(loader.PROGRAM_DATA_HEADER + room) - held)
            job = Job((loader.extend(self._payer, self._program, more),))
            steps = [Step("more room", [job], added, changes_program=True)]
            held += added
        # What the program's data holds beyond its rent comes back together with the buffer's.
        back = locked + held - await self._rent(loader.PROGRAM_DATA_HEADER + room)
        job = Job((loader.upgrade(self._payer, self._program, self._buffer),))
        return [*steps, Step("upgrade", [job], -back, changes_program=True)]

    def _final_steps(self, final: bool, changed: bool) -> list[Step]:
        kept = changed or (self.found.program is not None and self.found.program.authority == self._payer)
        return [Step("final", [Job((loader.make_final(self._payer, self._program),))])] if final and kept else []

    # --- the model ---

    async def _model_steps(self) -> list[Step]:
        model, found = self.target.shape, self.found
        if found.model is not None and found.model.frozen:
            return []
        steps = [] if found.model is not None else [await self._create_model()]
        if found.stale:
            jobs = [Job((self._chunk(index),)) for index in found.stale]
            steps.append(Step("model bytes", jobs, in_flight=IN_FLIGHT))
        hashed = found.model.pieces if found.model is not None and not found.stale else 0
        count = -(-(model.pieces - hashed) // PIECES_AT_ONCE)
        if count:
            steps.append(Step("digest", [self._hash()] * count))
        return [*steps, Step("freeze", [Job((self._instruction("freeze_model"),))], check=self._check_digest)]

    def _instruction(self, name: str, **args: Any) -> Instruction:
        return instruction(self._program, name, {"authority": self._payer, "model": self.target.model}, **args)

    async def _create_model(self) -> Step:
        """Not by one instruction of the system program: that one refuses an address that was sent lamports."""
        rent = max(0, await self._rent(self.target.shape.account_bytes) - self.found.model_lamports)
        pay = transfer(TransferParams(from_pubkey=self._payer, to_pubkey=self.target.model, lamports=rent))
        space = AllocateWithSeedParams(
            address=self.target.model,
            base=self._payer,
            seed=model_seed(self.target.export.manifest.hash),
            space=self.target.shape.account_bytes,
            owner=self._program,
        )
        return Step("model", [Job((pay, allocate_with_seed(space), self._instruction("create_model")))], rent)

    def _chunk(self, index: int) -> Instruction:
        return self._instruction("write_chunk", index=index, data=blob_chunk(self.target.export.blob, index))

    def _hash(self) -> Job:
        limit = set_compute_unit_limit(TRANSACTION_BUDGET)
        return Job((limit, self._instruction("hash_model", pieces=PIECES_AT_ONCE)))

    async def _check_digest(self) -> None:
        """The program would refuse to freeze another blob; here it is said what is wrong with it."""
        account = await self.rpc.account(self.target.model, 0, self.target.shape.head_bytes)
        if account is None:
            raise WmLiveError(f"model {self.target.model}: gone; is somebody else deploying with this keypair?")
        head = self.target.shape.read_head(account, self.target.model, self._program)
        if head.digest == blob_digest(self.target):
            return
        blob = await read_blob(self.rpc, self.target)
        sections = ", ".join(differing_sections(self.target.export, blob)) or "none"
        raise WmLiveError(
            f"model {self.target.model}: its digest is {head.digest.hex()}, expected {blob_digest(self.target).hex()}; "
            f"{len(different_chunks(self.target.export.blob, blob))} chunks differ, sections: {sections}. "
            "Next: run the same again, which writes them once more"
        )


async def prepare(rpc: Rpc, target: Target, final: bool = False) -> Deployment:
    """What is left to do until `target` is deployed. WmLiveError if it cannot be."""
    return await Planner(rpc, target, await find(rpc, target)).plan(final)


def _unseen(name: str, done: int, total: int) -> None:
    """A Progress that nobody sees."""


async def carry_out(rpc: Rpc, target: Target, deployment: Deployment, progress: Progress = _unseen) -> None:
    """Send it all; WmLiveError before anything is sent if the payer cannot pay for it.

    Interrupted at any point, `prepare` finds what is left.
    """
    deployment.check_balance()
    if not deployment.steps:
        return
    sender = Sender(rpc, target.authority)
    await sender.renew()
    for step in deployment.steps:
        if step.check:
            await step.check()
        report = partial(_report, progress, step)
        report(0)
        slot = await send_all(sender, step.jobs, step.in_flight, report)
        if step.changes_program:
            await _wait_past(rpc, slot)


def _report(progress: Progress, step: Step, done: int) -> None:
    progress(step.name, done, len(step.jobs))


async def _wait_past(rpc: Rpc, slot: int) -> None:
    """A program can be called, and replaced again, from the slot after the one in which it changed."""
    while await rpc.slot() <= slot:
        await asyncio.sleep(POLL_S)


@dataclass(frozen=True)
class Refund:
    """What `abort` gave back, in lamports: of which accounts, and what its transactions cost."""

    returned: dict[str, int]
    fees: int

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return {"returned": self.returned, "fees": self.fees, "total": sum(self.returned.values()) - self.fees}


async def abort(rpc: Rpc, target: Target) -> Refund:
    """Close what an unfinished deployment has left: a model that is not frozen, and the program's buffer.

    A frozen model stays for ever, and so does the program.
    """
    found, payer = await find(rpc, target), target.payer
    jobs: dict[str, Job] = {}
    if found.model is not None and not found.model.frozen:
        accounts = {"authority": payer, "model": target.model}
        jobs["model"] = Job((instruction(target.program.pubkey(), "close_model", accounts),))
    if found.buffer is not None:
        jobs["buffer"] = Job((loader.close_buffer(target.buffer.pubkey(), payer),))
    lamports = {"model": found.model_lamports, "buffer": found.buffer_lamports}
    if jobs:
        sender = Sender(rpc, target.authority)
        await sender.renew()
        await send_all(sender, list(jobs.values()), in_flight=1)
    return Refund({name: lamports[name] for name in jobs}, SIGNATURE_FEE * len(jobs))
