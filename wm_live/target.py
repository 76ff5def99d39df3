"""Where an export goes when somebody deploys it, and what of it is there already. All of it is read from the chain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_export.solana import Export
from wm_export.svm import RENT_OVERHEAD, RENT_PER_BYTE
from wm_live.addresses import SYSTEM_PROGRAM, model_address, program_keypair
from wm_live.errors import WmLiveError
from wm_live.loader import (
    ProgramData,
    buffer_keypair,
    check_program,
    program_data_address,
    read_buffer,
    read_program_data,
)
from wm_live.model import ModelHead, ModelShape, different_chunks, shape_of
from wm_live.rpc import Rpc

ELF_MAX_BYTES = 10 << 20


@dataclass(frozen=True)
class Target:
    """An export, the program built from it, and the keys and addresses that `authority` deploys it with."""

    export: Export
    elf: bytes
    authority: Keypair
    program: Keypair
    buffer: Keypair
    model: Pubkey
    shape: ModelShape

    @property
    def payer(self) -> Pubkey:
        """The authority's address."""
        return self.authority.pubkey()


@dataclass(frozen=True)
class Found:
    """What is on chain; None for what is not.

    program_lamports  of the program's data
    buffer            the program as far as it is in the buffer
    model_lamports    of the model's address, which may have some before there is a model
    stale             chunks of the model that have to be written: missing, or hashed and found wrong
    """

    balance: int
    program: ProgramData | None
    program_lamports: int
    buffer: bytes | None
    buffer_lamports: int
    model: ModelHead | None
    model_lamports: int
    stale: Sequence[int]


def read_elf(path: Path) -> bytes:
    """A built program; WmLiveError if there is none."""
    try:
        elf = path.read_bytes()
    except OSError as error:
        raise WmLiveError(f"{path}: {error.strerror}; next: wmq build") from None
    if elf[:4] != b"\x7fELF" or len(elf) > ELF_MAX_BYTES:
        raise WmLiveError(f"{path}: expected a built program of at most {ELF_MAX_BYTES:,} bytes; next: wmq build")
    return elf


def target_of(export: Export, authority: Keypair) -> Target:
    """The Target of a built export; WmLiveError if it has not been built."""
    program = program_keypair(authority, export.manifest.hash)
    return Target(
        export,
        read_elf(export.program),
        authority,
        program,
        buffer_keypair(authority, export.manifest.hash),
        model_address(authority.pubkey(), export.manifest.hash, program.pubkey()),
        shape_of(export),
    )


async def fair_rent(rpc: Rpc, size: int) -> int:
    """Lamports that make an account of `size` bytes last; WmLiveError if the node wants more than Solana ever did.

    What a frozen model holds can never be got back, so this is not left to the node.
    """
    lamports, most = await rpc.rent(size), (RENT_OVERHEAD + size) * RENT_PER_BYTE
    if lamports > most:
        raise WmLiveError(
            f"{rpc.url}: asks {lamports:,} lamports of rent for {size:,} bytes, expected at most {most:,}; "
            "is this a Solana node? Next: another --cluster"
        )
    return lamports


async def find(rpc: Rpc, target: Target) -> Found:
    """What is there already; WmLiveError for accounts that are not what they should be."""
    balance = await rpc.balance(target.payer)
    program, program_lamports = await _program(rpc, target.program.pubkey())
    buffer, buffer_lamports = await _buffer(rpc, target)
    model, model_lamports = await _model(rpc, target)
    stale = await _stale(rpc, target, model)
    return Found(balance, program, program_lamports, buffer, buffer_lamports, model, model_lamports, stale)


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


async def _buffer(rpc: Rpc, target: Target) -> tuple[bytes | None, int]:
    address = target.buffer.pubkey()
    account = await rpc.account(address)
    if account is None:
        return None, 0
    authority, elf = read_buffer(account, address)
    if authority != target.payer:
        raise WmLiveError(f"buffer {address}: its authority is {authority}, expected {target.payer}")
    return elf, account.lamports


async def _model(rpc: Rpc, target: Target) -> tuple[ModelHead | None, int]:
    account = await rpc.account(target.model, 0, target.shape.head_bytes)
    if account is None:
        return None, 0
    if account.owner == SYSTEM_PROGRAM and not account.data:
        return None, account.lamports  # anybody can send lamports to an address that is known beforehand
    head = target.shape.read_head(account, target.model, target.program.pubkey())
    if head.authority != target.payer or head.manifest != target.export.manifest.hash:
        raise WmLiveError(
            f"model {target.model}: of manifest {head.manifest.hex()} and authority {head.authority}, "
            f"expected {target.export.manifest.hash.hex()} and {target.payer}"
        )
    return head, account.lamports


async def _stale(rpc: Rpc, target: Target, model: ModelHead | None) -> Sequence[int]:
    if model is None:
        return range(target.shape.chunks)
    if model.missing or model.frozen or model.pieces < target.shape.pieces or model.digest == blob_digest(target):
        return model.missing
    return different_chunks(target.export.blob, await read_blob(rpc, target))


def blob_digest(target: Target) -> bytes:
    """What a model that is the export's hashes to."""
    return bytes.fromhex(target.export.manifest.data["blob"]["digest"])


async def read_blob(rpc: Rpc, target: Target) -> bytes:
    """The blob that is on chain; WmLiveError if it is not as long as the export's."""
    account = await rpc.account(target.model)
    blob = target.shape.blob(account.data) if account else b""
    if account is None or len(account.data) != target.shape.account_bytes:
        raise WmLiveError(
            f"model {target.model}: expected {target.shape.account_bytes:,} bytes, got {len(blob):,} of its blob"
        )
    return blob
