"""Transactions of the upgradeable loader and of the system program, as the tools of Solana send them."""

import asyncio
import struct
from collections.abc import Sequence

from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, TransferParams, create_account, transfer
from solders.sysvar import CLOCK, RENT
from solders.transaction import Transaction

from wm_live.chain.addresses import LOADER, SYSTEM_PROGRAM
from wm_live.chain.fees import rent_exempt
from wm_live.chain.rpc import Rpc

CHUNK = 900
BUFFER_HEADER, PROGRAM_DATA_HEADER, PROGRAM_BYTES = 37, 45, 36


def _empty_program() -> bytes:
    """The smallest ELF file that the loader takes: one section of code, `return 0`."""
    code = bytes([0xB7]) + bytes(7) + bytes([0x95]) + bytes(7)
    names = b"\0.text\0.shstrtab\0".ljust(24, b"\0")  # the table behind it is aligned
    at_names, at_table = 64 + len(code), 64 + len(code) + len(names)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 247, 1, 64, 0, at_table, 0, 64, 56, 0, 64, 3, 2)
    section = struct.Struct("<IIQQQQIIQQ")
    table = section.pack(*[0] * 10) + section.pack(1, 1, 6, 64, 64, len(code), 0, 0, 8, 0)
    return head + code + names + table + section.pack(7, 3, 0, 0, at_names, len(names), 0, 0, 1, 0)


EMPTY_PROGRAM = _empty_program()


async def signed(rpc: Rpc, signers: Sequence[Keypair], *instructions: Instruction) -> bytes:
    """A transaction with a fresh blockhash, paid by the first signer."""
    fresh = (await rpc.latest_blockhash()).hash
    message = Message.new_with_blockhash(list(instructions), signers[0].pubkey(), fresh)
    return bytes(Transaction(list(signers), message, fresh))


async def funded(rpc: Rpc, lamports: int = 10**11) -> Keypair:
    """A new key with lamports."""
    key = Keypair()
    await rpc.confirm([await rpc.airdrop(key.pubkey(), lamports)])
    return key


def paying(payer: Keypair, to: Pubkey, lamports: int) -> Instruction:
    return transfer(TransferParams(from_pubkey=payer.pubkey(), to_pubkey=to, lamports=lamports))


def creating(payer: Keypair, new: Keypair, lamports: int, size: int) -> Instruction:
    """An account of the loader."""
    return create_account(
        CreateAccountParams(
            from_pubkey=payer.pubkey(), to_pubkey=new.pubkey(), lamports=lamports, space=size, owner=LOADER
        )
    )


def code_address(program: Pubkey) -> Pubkey:
    """Where the loader keeps a program's code."""
    return Pubkey.find_program_address([bytes(program)], LOADER)[0]


async def uploaded(rpc: Rpc, payer: Keypair, elf: bytes) -> Keypair:
    """A buffer that holds a program; its writes are all in flight at once."""
    buffer, size = Keypair(), BUFFER_HEADER + len(elf)
    metas = [AccountMeta(buffer.pubkey(), False, True), AccountMeta(payer.pubkey(), False, False)]
    create = creating(payer, buffer, rent_exempt(size), size)
    await rpc.send(await signed(rpc, [payer, buffer], create, Instruction(LOADER, struct.pack("<I", 0), metas)))
    sent = await asyncio.gather(
        *(_write(rpc, payer, buffer.pubkey(), at, elf[at : at + CHUNK]) for at in range(0, len(elf), CHUNK))
    )
    assert all(status is not None and status.error is None for status in await rpc.confirm(sent))
    return buffer


async def _write(rpc: Rpc, payer: Keypair, buffer: Pubkey, at: int, part: bytes) -> str:
    metas = [AccountMeta(buffer, False, True), AccountMeta(payer.pubkey(), True, False)]
    data = struct.pack("<IIQ", 1, at, len(part)) + part
    return await rpc.send(await signed(rpc, [payer], Instruction(LOADER, data, metas)), skip_preflight=True)


async def deployed(rpc: Rpc, payer: Keypair, elf: bytes) -> Pubkey:
    """A program of a new address, with room to grow to twice its size."""
    buffer, program = await uploaded(rpc, payer, elf), Keypair()
    metas = [
        AccountMeta(payer.pubkey(), True, True),
        AccountMeta(code_address(program.pubkey()), False, True),
        AccountMeta(program.pubkey(), False, True),
        AccountMeta(buffer.pubkey(), False, True),
        AccountMeta(RENT, False, False),
        AccountMeta(CLOCK, False, False),
        AccountMeta(SYSTEM_PROGRAM, False, False),
        AccountMeta(payer.pubkey(), True, False),
    ]
    create = creating(payer, program, rent_exempt(PROGRAM_BYTES), PROGRAM_BYTES)
    deploy = Instruction(LOADER, struct.pack("<IQ", 2, 2 * len(elf)), metas)
    (status,) = await rpc.confirm([await rpc.send(await signed(rpc, [payer, program], create, deploy))])
    assert status is not None and status.error is None
    return program.pubkey()


async def upgraded(rpc: Rpc, payer: Keypair, program: Pubkey, elf: bytes) -> None:
    """The same program with other code."""
    buffer = await uploaded(rpc, payer, elf)
    metas = [
        AccountMeta(code_address(program), False, True),
        AccountMeta(program, False, True),
        AccountMeta(buffer.pubkey(), False, True),
        AccountMeta(payer.pubkey(), False, True),
        AccountMeta(RENT, False, False),
        AccountMeta(CLOCK, False, False),
        AccountMeta(payer.pubkey(), True, False),
    ]
    await rpc.send(await signed(rpc, [payer], Instruction(LOADER, struct.pack("<I", 3), metas)))
