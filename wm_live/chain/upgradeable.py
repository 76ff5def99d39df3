"""Programs on a chain: the upgradeable loader's instructions, and its accounts read back.

    buffer        1 u32 | authority: option u8, 32 bytes | program
    program       2 u32 | address of its data, 32 bytes
    program data  3 u32 | slot u64 | upgrade authority: option u8, 32 bytes | program, then zeros

All little-endian. What an account holds is checked before it is believed: it comes from a node.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_live.chain.addresses import LOADER, SYSTEM_PROGRAM
from wm_live.chain.answers import AccountInfo
from wm_live.chain.transactions import PACKET_BYTES, signed
from wm_live.errors import WmLiveError

BUFFER_HEADER, PROGRAM_BYTES, PROGRAM_DATA_HEADER = 37, 36, 45
CLOCK = Pubkey.from_string("SysvarC1ock11111111111111111111111111111111")
RENT = Pubkey.from_string("SysvarRent111111111111111111111111111111111")

_INITIALIZE, _WRITE, _DEPLOY, _UPGRADE, _SET_AUTHORITY, _CLOSE, _EXTEND = range(7)
_BUFFER, _PROGRAM, _PROGRAM_DATA = 1, 2, 3
#: The loader extends a program by no less than this.
EXTENSION_MIN = 10_240


@dataclass(frozen=True)
class ProgramData:
    """A deployed program. authority: who may replace it, None if nobody ever can. code: the ELF file, then zeros."""

    slot: int
    authority: Pubkey | None
    code: bytes

    def holds(self, elf: bytes) -> bool:
        """Whether exactly this program is deployed."""
        return self.code[: len(elf)] == elf and not any(self.code[len(elf) :])


def buffer_keypair(authority: Keypair, manifest_hash: bytes) -> Keypair:
    """The keypair of the buffer through which `authority` deploys the program of a manifest; as program_keypair."""
    signature = authority.sign_message(b"wmq buffer " + manifest_hash)
    return Keypair.from_seed(hashlib.sha256(bytes(signature)).digest())


def program_data_address(program: Pubkey) -> Pubkey:
    """Where a program's code lies."""
    return Pubkey.find_program_address([bytes(program)], LOADER)[0]


# --- instructions ---


def _instruction(number: int, rest: bytes, accounts: Sequence[tuple[Pubkey, str]]) -> Instruction:
    metas = [AccountMeta(address, "s" in role, "w" in role) for address, role in accounts]
    return Instruction(LOADER, struct.pack("<I", number) + rest, metas)


def initialize_buffer(buffer: Pubkey, authority: Pubkey) -> Instruction:
    """Makes a zeroed account of the loader a buffer that `authority` may write."""
    return _instruction(_INITIALIZE, b"", [(buffer, "w"), (authority, "")])


def write(buffer: Pubkey, authority: Pubkey, offset: int, data: bytes) -> Instruction:
    """Writes `data` at `offset` of the buffer's program."""
    head = struct.pack("<IQ", offset, len(data))
    return _instruction(_WRITE, head + data, [(buffer, "w"), (authority, "s")])


def deploy(authority: Pubkey, program: Pubkey, buffer: Pubkey, size: int) -> Instruction:
    """Deploys what the buffer holds, with room for `size` bytes; the buffer's lamports go back to `authority`."""
    accounts = [(authority, "sw"), (program_data_address(program), "w"), (program, "w"), (buffer, "w"), (RENT, "")]
    accounts += [(CLOCK, ""), (SYSTEM_PROGRAM, ""), (authority, "s")]
    return _instruction(_DEPLOY, struct.pack("<Q", size), accounts)


def upgrade(authority: Pubkey, program: Pubkey, buffer: Pubkey) -> Instruction:
    """Replaces the program by what the buffer holds; the buffer's lamports go back to `authority`."""
    accounts = [(program_data_address(program), "w"), (program, "w"), (buffer, "w"), (authority, "w"), (RENT, "")]
    return _instruction(_UPGRADE, b"", [*accounts, (CLOCK, ""), (authority, "s")])


def extend(authority: Pubkey, program: Pubkey, more: int) -> Instruction:
    """Makes room for `more` bytes of program; `authority` pays the rent."""
    accounts = [(program_data_address(program), "w"), (program, "w"), (SYSTEM_PROGRAM, ""), (authority, "sw")]
    return _instruction(_EXTEND, struct.pack("<I", more), accounts)


def make_final(authority: Pubkey, program: Pubkey) -> Instruction:
    """Drops the upgrade authority: the program can never be changed again."""
    return _instruction(_SET_AUTHORITY, b"", [(program_data_address(program), "w"), (authority, "s")])


def close_buffer(buffer: Pubkey, authority: Pubkey) -> Instruction:
    """Closes a buffer; its lamports go to `authority`."""
    return _instruction(_CLOSE, b"", [(buffer, "w"), (authority, "w"), (authority, "s")])


def chunk_bytes(authority: Keypair) -> int:
    """Bytes of program that one transaction with a `write` can carry."""
    probe = write(Pubkey.default(), authority.pubkey(), 0, bytes(PACKET_BYTES // 2))
    rest = len(bytes(signed([probe], [authority], Hash.default()))) - PACKET_BYTES // 2
    return PACKET_BYTES - rest


# --- accounts ---


def read_buffer(account: AccountInfo, address: Pubkey) -> tuple[Pubkey | None, bytes]:
    """(authority, program) of a buffer; WmLiveError if it is none."""
    raw = _owned(account, address, _BUFFER, BUFFER_HEADER, "a buffer")
    return _option(raw[4:BUFFER_HEADER], address), raw[BUFFER_HEADER:]


def check_program(account: AccountInfo, address: Pubkey) -> None:
    """WmLiveError unless it is a program whose code lies where the loader puts it."""
    raw = _owned(account, address, _PROGRAM, PROGRAM_BYTES, "a program")
    if not account.executable or raw[4:PROGRAM_BYTES] != bytes(program_data_address(address)):
        raise WmLiveError(f"account {address}: expected an executable program with its own code; another node may help")


def read_program_data(account: AccountInfo, address: Pubkey) -> ProgramData:
    """A program's code and authority; WmLiveError if the account is none."""
    raw = _owned(account, address, _PROGRAM_DATA, PROGRAM_DATA_HEADER, "a program's data")
    slot = struct.unpack_from("<Q", raw, 4)[0]
    return ProgramData(slot, _option(raw[12:PROGRAM_DATA_HEADER], address), raw[PROGRAM_DATA_HEADER:])


def _owned(account: AccountInfo, address: Pubkey, tag: int, least: int, what: str) -> bytes:
    raw = account.data
    if account.owner != LOADER or len(raw) < least or raw[:4] != struct.pack("<I", tag):
        raise WmLiveError(
            f"account {address}: expected {what} of {LOADER}, got {len(raw)} bytes of {account.owner} "
            f"that begin with {raw[:4].hex() or 'nothing'}"
        )
    return raw


def _option(raw: bytes, address: Pubkey) -> Pubkey | None:
    if raw[0] > 1:
        raise WmLiveError(f"account {address}: expected an authority or none, got the mark {raw[0]}")
    return Pubkey(raw[1:33]) if raw[0] else None
