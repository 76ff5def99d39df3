"""The keys and addresses that an export is deployed to, and what of it is on chain already."""

from collections.abc import Sequence
from dataclasses import dataclass

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_export.errors import WmExportError
from wm_export.schema.sbpf import Arch, arch_of
from wm_export.solana.build_record import BUILT, check_built
from wm_export.solana.export import Export
from wm_live.chain.addresses import SYSTEM_PROGRAM, model_address, model_seed, program_keypair
from wm_live.chain.rpc import Rpc
from wm_live.chain.upgradeable import (
    ProgramData,
    buffer_keypair,
    check_program,
    program_data_address,
    read_buffer,
    read_program_data,
)
from wm_live.deploy.model_account import ModelHead, ModelShape, different_chunks, shapes_of
from wm_live.errors import WmLiveError

ELF_MAX_BYTES = 10 << 20


@dataclass(frozen=True)
class ShardTarget:
    """A shard of an export's weights, and the model account that it is deployed to."""

    address: Pubkey
    seed: str
    blob: bytes
    digest: bytes
    shape: ModelShape

    def named(self, what: str) -> str:
        """A name of something of this account: with its number, from the second on."""
        return f"{what} {self.shape.shard}" if self.shape.shard else what


@dataclass(frozen=True)
class DeployTarget:
    """An export, the program built from it, and the keys and addresses that `authority` deploys it with."""

    export: Export
    elf: bytes
    authority: Keypair
    program: Keypair
    buffer: Keypair
    shards: Sequence[ShardTarget]

    @property
    def model(self) -> Pubkey:
        """The model account, the first if there are several."""
        return self.shards[0].address

    @property
    def payer(self) -> Pubkey:
        """The authority's address."""
        return self.authority.pubkey()


@dataclass(frozen=True)
class FoundShard:
    """What there is of a model account.

    head      None if there is none
    lamports  of its address, which may have some before there is a model
    stale     chunks that have to be written: missing, or hashed and found wrong
    """

    head: ModelHead | None
    lamports: int
    stale: Sequence[int]

    @property
    def frozen(self) -> bool:
        """Nobody changes it any more."""
        return self.head is not None and self.head.frozen


@dataclass(frozen=True)
class Found:
    """What is on chain; None for what is not.

    program_lamports  of the program's data
    buffer            the program as far as it is in the buffer
    shards            the model account of each shard
    """

    balance: int
    program: ProgramData | None
    program_lamports: int
    buffer: bytes | None
    buffer_lamports: int
    shards: Sequence[FoundShard]


def built_elf(export: Export) -> bytes:
    """The program that `wmq build` made of an export; WmLiveError if there is none, or another."""
    path = export.program
    try:
        check_built(export, path.name)
        elf = BUILT.read(path)
    except WmExportError as error:
        raise WmLiveError(str(error)) from None
    if arch_of(elf) is None or len(elf) > ELF_MAX_BYTES:
        known = f"in sBPF {' or '.join(Arch)}, of at most {ELF_MAX_BYTES:,} bytes"
        raise WmLiveError(f"{path}: expected a built program {known}; next: wmq build")
    return elf


def model_of(export: Export, authority: Keypair) -> Pubkey:
    """The model account, the first if there are several, that `authority` deploys an export to."""
    manifest_hash = export.manifest.hash
    return model_address(authority.pubkey(), manifest_hash, program_keypair(authority, manifest_hash).pubkey())


def target_of(export: Export, authority: Keypair) -> DeployTarget:
    """The DeployTarget of a built export; WmLiveError if it has not been built."""
    manifest = export.manifest
    program = program_keypair(authority, manifest.hash)
    shards = [
        ShardTarget(
            model_address(authority.pubkey(), manifest.hash, program.pubkey(), shape.shard),
            model_seed(manifest.hash, shape.shard),
            export.shards[shape.shard],
            manifest.digests[shape.shard],
            shape,
        )
        for shape in shapes_of(export)
    ]
    return DeployTarget(
        export,
        built_elf(export),
        authority,
        program,
        buffer_keypair(authority, manifest.hash),
        shards,
    )


async def find(rpc: Rpc, target: DeployTarget) -> Found:
    """What is there already; WmLiveError for accounts that are not what they should be."""
    balance = await rpc.balance(target.payer)
    program, program_lamports = await _program(rpc, target.program.pubkey())
    buffer, buffer_lamports = await _buffer(rpc, target)
    shards = [await _shard(rpc, target, shard) for shard in target.shards]
    return Found(balance, program, program_lamports, buffer, buffer_lamports, shards)


async def _program(rpc: Rpc, address: Pubkey) -> tuple[ProgramData | None, int]:
    account = await rpc.account(address)
    if account is None:
        return None, 0
    check_program(account, address)
    data_address = program_data_address(address)
    data = await rpc.account(data_address)
    if data is None:
        raise WmLiveError(f"program {address}: closed for ever by its authority; deploy it with another keypair")
    return read_program_data(data, data_address), data.lamports


async def _buffer(rpc: Rpc, target: DeployTarget) -> tuple[bytes | None, int]:
    address = target.buffer.pubkey()
    account = await rpc.account(address)
    if account is None:
        return None, 0
    authority, elf = read_buffer(account, address)
    if authority != target.payer:
        raise WmLiveError(f"buffer {address}: its authority is {authority}, expected {target.payer}")
    return elf, account.lamports


async def _shard(rpc: Rpc, target: DeployTarget, shard: ShardTarget) -> FoundShard:
    head, lamports = await _model(rpc, target, shard)
    return FoundShard(head, lamports, await _stale(rpc, shard, head))


async def _model(rpc: Rpc, target: DeployTarget, shard: ShardTarget) -> tuple[ModelHead | None, int]:
    account = await rpc.account(shard.address, 0, shard.shape.head_bytes)
    if account is None:
        return None, 0
    if account.owner == SYSTEM_PROGRAM and not account.data:
        return None, account.lamports  # anybody can send lamports to an address that is known beforehand
    head = shard.shape.read_head(account, shard.address, target.program.pubkey())
    if head.authority != target.payer or head.manifest != target.export.manifest.hash:
        raise WmLiveError(
            f"model {shard.address}: of manifest {head.manifest.hex()} and authority {head.authority}, "
            f"expected {target.export.manifest.hash.hex()} and {target.payer}"
        )
    return head, account.lamports


async def _stale(rpc: Rpc, shard: ShardTarget, model: ModelHead | None) -> Sequence[int]:
    if model is None:
        return range(shard.shape.chunks)
    if model.missing or model.frozen or model.pieces < shard.shape.pieces or model.digest == shard.digest:
        return model.missing
    return different_chunks(shard.blob, await read_blob(rpc, shard))


async def read_blob(rpc: Rpc, shard: ShardTarget) -> bytes:
    """The shard that is on chain; WmLiveError if it is not as long as the export's."""
    account = await rpc.account(shard.address)
    blob = shard.shape.blob(account.data) if account else b""
    if account is None or len(account.data) != shard.shape.account_bytes:
        raise WmLiveError(
            f"model {shard.address}: expected {shard.shape.account_bytes:,} bytes, got {len(blob):,} of its blob"
        )
    return blob
