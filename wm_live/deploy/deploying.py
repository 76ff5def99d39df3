"""Deploying an export: the transactions that what is on chain still lacks, and sending them.

A Deployment holds the very transactions that will be sent, so what it says of fees, rent and counts is what happens.
Nothing is kept between two runs: a second one reads the chain and prepares what is left.

    buffer  ->  program  ->  model account  ->  chunks of the blob  ->  digest  ->  frozen for ever

A blob of several shards has a model account for each; all are hashed before the first is frozen.
"""

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

from wm_export.schema.limits import TRANSACTION_BUDGET
from wm_export.schema.sbpf import version_of
from wm_live.chain import upgradeable as loader
from wm_live.chain.addresses import LOADER
from wm_live.chain.fees import SIGNATURE_FEE, rent_exempt
from wm_live.chain.guard import SPARE_SIGNATURES, Budget, GuardedSender
from wm_live.chain.rpc import Rpc
from wm_live.chain.upload import IN_FLIGHT, PlannedTransaction, send_all
from wm_live.deploy.deployed import differing_sections
from wm_live.deploy.deployment import Deployment, Holding, Step
from wm_live.deploy.model_account import blob_chunk, different_chunks
from wm_live.deploy.program import instruction
from wm_live.deploy.rent import rent_of_export
from wm_live.deploy.target import DeployTarget, Found, FoundShard, ShardTarget, find, read_blob
from wm_live.deploy.versions import Versions, read_versions
from wm_live.errors import WmLiveError

#: Pieces that one transaction can hash: each takes about 131K compute units.
PIECES_AT_ONCE = 10

#: Gets the name of a step, how many of its transactions are confirmed, and how many there are.
Progress = Callable[[str, int, int], None]


class Planner:
    """Makes the Deployment of a DeployTarget from what was found of it."""

    def __init__(self, rpc: Rpc, target: DeployTarget, found: Found, versions: Versions) -> None:
        self.rpc, self.target, self.found, self.versions = rpc, target, found, versions
        self._payer, self._program = target.payer, target.program.pubkey()
        self._buffer = target.buffer.pubkey()

    def plan(self, final: bool) -> Deployment:
        """The Deployment; with `final` the program's upgrade authority is dropped at its end."""
        program = self._program_steps()
        steps = [*program, *self._model_steps(), *self._final_steps(final, bool(program))]
        reserve = rent_exempt(0)
        holdings = self._holdings(any(step.name == "buffer" for step in program))
        return Deployment(
            self.rpc.url,
            str(self._payer),
            self.found.balance,
            reserve,
            holdings,
            steps,
            self._program,
            self.versions,
            version_of(self.target.elf),
            partial(rent_of_export, self.target.export, len(self.target.elf)),
        )

    def _holdings(self, buffered: bool) -> list[Holding]:
        t, f, size = self.target, self.found, len(self.target.elf)
        room, code = max(size, len(f.program.code) if f.program else 0), loader.program_data_address(self._program)
        parts = [
            ("program", self._program, loader.PROGRAM_BYTES, f.program is not None),
            ("program data", code, loader.PROGRAM_DATA_HEADER + room, f.program is not None),
            *(
                (shard.named("model"), shard.address, shard.shape.account_bytes, there.head is not None)
                for shard, there in zip(t.shards, f.shards, strict=True)
            ),
        ]
        if buffered or f.buffer is not None:
            parts.append(("buffer", self._buffer, loader.BUFFER_HEADER + size, f.buffer is not None))
        return [Holding(name, str(at), count, rent_exempt(count), there) for name, at, count, there in parts]

    # --- the program ---

    def _program_steps(self) -> list[Step]:
        found, elf = self.found.program, self.target.elf
        if found is not None and found.holds(elf):
            return []
        if found is not None and found.authority != self._payer:
            owner = f"its upgrade authority is {found.authority}" if found.authority else "it is final"
            raise WmLiveError(
                f"program {self._program}: other bytes than {self.target.export.program} are deployed, and {owner}; "
                "next: deploy with another keypair, or build what is deployed (wmq deploy verify)"
            )
        rent = rent_exempt(loader.BUFFER_HEADER + len(elf))
        steps = self._buffer_steps(rent)
        locked = self.found.buffer_lamports if not any(s.name == "buffer" for s in steps) else rent
        return [*steps, *(self._deploy_steps(locked) if found is None else self._upgrade_steps(locked))]

    def _buffer_steps(self, rent: int) -> list[Step]:
        t, old = self.target, self.found.buffer
        steps = []
        if old is not None and len(old) != len(t.elf):
            job = PlannedTransaction((loader.close_buffer(self._buffer, self._payer),))
            steps, old = [Step("old buffer", [job], -self.found.buffer_lamports)], None
        if old is None:
            size = loader.BUFFER_HEADER + len(t.elf)
            params = CreateAccountParams(
                from_pubkey=self._payer, to_pubkey=self._buffer, lamports=rent, space=size, owner=LOADER
            )
            make = (create_account(params), loader.initialize_buffer(self._buffer, self._payer))
            steps.append(Step("buffer", [PlannedTransaction(make, (t.buffer,))], rent))
        jobs = self._writes(old if old is not None else bytes(len(t.elf)))
        return [*steps, *([Step("program bytes", jobs, in_flight=IN_FLIGHT)] if jobs else [])]

    def _writes(self, old: bytes) -> list[PlannedTransaction]:
        """What of the program is not in the buffer yet, in the largest chunks that fit."""
        elf, size = self.target.elf, loader.chunk_bytes(self.target.authority)
        starts = [at for at in range(0, len(elf), size) if elf[at : at + size] != old[at : at + size]]
        return [
            PlannedTransaction((loader.write(self._buffer, self._payer, at, elf[at : at + size]),)) for at in starts
        ]

    def _deploy_steps(self, locked: int) -> list[Step]:
        size = len(self.target.elf)
        own, data = rent_exempt(loader.PROGRAM_BYTES), rent_exempt(loader.PROGRAM_DATA_HEADER + size)
        params = CreateAccountParams(
            from_pubkey=self._payer,
            to_pubkey=self._program,
            lamports=own,
            space=loader.PROGRAM_BYTES,
            owner=LOADER,
        )
        deploy = loader.deploy(self._payer, self._program, self._buffer, size)
        job = PlannedTransaction((create_account(params), deploy), (self.target.program,))
        return [Step("deploy", [job], own + data - locked, changes_program=True)]

    def _upgrade_steps(self, locked: int) -> list[Step]:
        assert self.found.program is not None
        room, size = len(self.found.program.code), len(self.target.elf)
        held, steps = self.found.program_lamports, []
        if size > room:
            more = max(size - room, loader.EXTENSION_MIN)
            room += more
            added = max(0, rent_exempt(loader.PROGRAM_DATA_HEADER + room) - held)
            job = PlannedTransaction((loader.extend(self._payer, self._program, more),))
            steps = [Step("more room", [job], added, changes_program=True)]
            held += added
        # What the program's data holds beyond its rent comes back together with the buffer's.
        back = locked + held - rent_exempt(loader.PROGRAM_DATA_HEADER + room)
        job = PlannedTransaction((loader.upgrade(self._payer, self._program, self._buffer),))
        return [*steps, Step("upgrade", [job], -back, changes_program=True)]

    def _final_steps(self, final: bool, changed: bool) -> list[Step]:
        kept = changed or (self.found.program is not None and self.found.program.authority == self._payer)
        return (
            [Step("final", [PlannedTransaction((loader.make_final(self._payer, self._program),))])]
            if final and kept
            else []
        )

    # --- the model ---

    def _model_steps(self) -> list[Step]:
        """Every shard is whole and hashed before the first is frozen: until then all rent can be had back."""
        left = [both for both in zip(self.target.shards, self.found.shards, strict=True) if not both[1].frozen]
        steps = [step for shard, found in left for step in self._upload_steps(shard, found)]
        return [*steps, *(self._freeze(shard) for shard, _ in left)]

    def _upload_steps(self, shard: ShardTarget, found: FoundShard) -> list[Step]:
        steps = [] if found.head is not None else [self._create_model(shard, found.lamports)]
        if found.stale:
            jobs = [PlannedTransaction((self._chunk(shard, index),)) for index in found.stale]
            steps.append(Step(shard.named("model bytes"), jobs, in_flight=IN_FLIGHT))
        hashed = found.head.pieces if found.head is not None and not found.stale else 0
        count = -(-(shard.shape.pieces - hashed) // PIECES_AT_ONCE)
        if count:
            steps.append(Step(shard.named("digest"), [self._hash(shard)] * count))
        return steps

    def _freeze(self, shard: ShardTarget) -> Step:
        job = PlannedTransaction((self._instruction(shard, "freeze_model"),))
        return Step(shard.named("freeze"), [job], check=partial(self._check_digest, shard))

    def _instruction(self, shard: ShardTarget, name: str, **args: Any) -> Instruction:
        return instruction(self._program, name, {"authority": self._payer, "model": shard.address}, **args)

    def _create_model(self, shard: ShardTarget, lamports: int) -> Step:
        """Not by one instruction of the system program: that one refuses an address that was sent lamports."""
        rent = max(0, rent_exempt(shard.shape.account_bytes) - lamports)
        pay = transfer(TransferParams(from_pubkey=self._payer, to_pubkey=shard.address, lamports=rent))
        space = AllocateWithSeedParams(
            address=shard.address,
            base=self._payer,
            seed=shard.seed,
            space=shard.shape.account_bytes,
            owner=self._program,
        )
        job = PlannedTransaction((pay, allocate_with_seed(space), self._instruction(shard, "create_model")))
        return Step(shard.named("model"), [job], rent)

    def _chunk(self, shard: ShardTarget, index: int) -> Instruction:
        return self._instruction(shard, "write_chunk", index=index, data=blob_chunk(shard.blob, index))

    def _hash(self, shard: ShardTarget) -> PlannedTransaction:
        limit = set_compute_unit_limit(TRANSACTION_BUDGET)
        return PlannedTransaction((limit, self._instruction(shard, "hash_model", pieces=PIECES_AT_ONCE)))

    async def _check_digest(self, shard: ShardTarget) -> None:
        """The program refuses to freeze a wrong blob; this check names the sections that differ."""
        account = await self.rpc.account(shard.address, 0, shard.shape.head_bytes)
        if account is None:
            raise WmLiveError(f"model {shard.address}: gone; is somebody else deploying with this keypair?")
        head = shard.shape.read_head(account, shard.address, self._program)
        if head.digest == shard.digest:
            return
        blob, shards = await read_blob(self.rpc, shard), list(self.target.export.shards)
        shards[shard.shape.shard] = blob
        sections = ", ".join(differing_sections(self.target.export, b"".join(shards))) or "none"
        raise WmLiveError(
            f"model {shard.address}: its digest is {head.digest.hex()}, expected {shard.digest.hex()}; "
            f"{len(different_chunks(shard.blob, blob))} chunks differ, sections: {sections}. "
            "Next: run the same again, which writes them once more"
        )


async def prepare(rpc: Rpc, target: DeployTarget, final: bool = False) -> Deployment:
    """What is left to do until `target` is deployed. WmLiveError if it cannot be."""
    return Planner(rpc, target, await find(rpc, target), await read_versions(rpc)).plan(final)


def _unseen(name: str, done: int, total: int) -> None:
    """A Progress that nobody sees."""


async def carry_out(rpc: Rpc, target: DeployTarget, deployment: Deployment, progress: Progress = _unseen) -> None:
    """Send every step; WmLiveError before anything is sent if the cluster does not take the program, or the payer
    cannot pay for all of them.

    Interrupted at any point, `prepare` finds what is left.
    """
    deployment.check_version()
    deployment.check_balance()
    if not deployment.steps:
        return
    sender = GuardedSender(rpc, target.authority, deployment.budget(), {deployment.program})
    await sender.renew()
    for step in deployment.steps:
        if step.check:
            await step.check()
        report = partial(_report, progress, step)
        report(0)
        slot = await send_all(sender, step.jobs, step.in_flight, report)
        if step.changes_program:
            # A program can be called, and replaced again, from the slot after the one in which it changed.
            await sender.wait_past(slot)


def _report(progress: Progress, step: Step, done: int) -> None:
    progress(step.name, done, len(step.jobs))


@dataclass(frozen=True)
class Refund:
    """What `abort` gave back, in lamports: of which accounts, and what its transactions cost."""

    returned: dict[str, int]
    fees: int

    def to_json(self) -> dict[str, Any]:
        """For --json."""
        return {"returned": self.returned, "fees": self.fees, "total": sum(self.returned.values()) - self.fees}


def refund_budget(target: DeployTarget) -> Budget:
    """What `abort` takes at most: fees, of closing a model for each shard, and the buffer."""
    return Budget(0, len(target.shards) + 1 + SPARE_SIGNATURES)


async def abort(rpc: Rpc, target: DeployTarget) -> Refund:
    """Close what an unfinished deployment has left: a model that is not frozen, and the program's buffer.

    A frozen model stays for ever, and so does the program.
    """
    found, payer = await find(rpc, target), target.payer
    jobs: dict[str, PlannedTransaction] = {}
    lamports = {"buffer": found.buffer_lamports}
    for shard, there in zip(target.shards, found.shards, strict=True):
        name, accounts = shard.named("model"), {"authority": payer, "model": shard.address}
        if there.head is not None and not there.frozen:
            jobs[name] = PlannedTransaction((instruction(target.program.pubkey(), "close_model", accounts),))
            lamports[name] = there.lamports
    if found.buffer is not None:
        jobs["buffer"] = PlannedTransaction((loader.close_buffer(target.buffer.pubkey(), payer),))
    if jobs:
        sender = GuardedSender(rpc, target.authority, refund_budget(target), {target.program.pubkey()})
        await sender.renew()
        await send_all(sender, list(jobs.values()), in_flight=1)
    return Refund({name: lamports[name] for name in jobs}, SIGNATURE_FEE * len(jobs))
