"""Deployments by the upgradeable loader.

LiteSVM runs with all features of Solana on. One of them closed the upgradeable loader to new programs and was later
withdrawn; real clusters never had it. Such a transaction therefore runs in a second LiteSVM without features, on
copies of its accounts, and what came out is brought back. Without features that one lacks system calls too: it is
given an empty program in the buffer, and the true one, which the first LiteSVM must accept, is put in its place
afterwards. Upgrade, close and the rest run where everything else does.
"""

import struct
from collections.abc import Iterator, Sequence

from solders.account import Account
from solders.litesvm import FeatureSet, LiteSVM
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction
from solders.transaction_metadata import FailedTransactionMetadata

from wm_live.chain.addresses import LOADER, SYSTEM_PROGRAM
from wm_live.errors import WmLiveError
from wm_live.localnet.base_chain.genesis import RENT, place_program
from wm_live.localnet.base_chain.ids import NATIVE_LOADER, SYSVAR_OWNER
from wm_live.localnet.base_chain.wire import read_account

BUFFER_HEADER, PROGRAM_DATA_HEADER = 37, 45
_DEPLOY = (2).to_bytes(4, "little")  # DeployWithMaxDataLen
_CODE_ACCOUNT, _BUFFER_ACCOUNT = 1, 3  # among those of that instruction
_ABSENT = Account(0, b"", SYSTEM_PROGRAM)


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


def plain(svm: LiteSVM) -> LiteSVM:
    """What both have in common: signatures are checked, blockhashes and repetitions are the chain's business."""
    svm = svm.with_sigverify(True).with_blockhash_check(False).with_transaction_history(0)
    svm.set_rent(RENT)
    return svm


def deployments(transaction: VersionedTransaction) -> list[tuple[Pubkey, Pubkey]]:
    """(code account, buffer) of each program that it deploys. Those inside calls of programs are not seen."""
    return list(_deployments(transaction))


def _deployments(transaction: VersionedTransaction) -> Iterator[tuple[Pubkey, Pubkey]]:
    keys = transaction.message.account_keys
    for instruction in transaction.message.instructions:
        if keys[instruction.program_id_index] == LOADER and bytes(instruction.data[:4]) == _DEPLOY:
            accounts = bytes(instruction.accounts)
            if len(accounts) > _BUFFER_ACCOUNT and max(accounts) < len(keys):
                yield keys[accounts[_CODE_ACCOUNT]], keys[accounts[_BUFFER_ACCOUNT]]


def run_deployment(
    svm: LiteSVM, transaction: VersionedTransaction, keep: bool, watched: Sequence[Pubkey] = (), signed: bool = True
) -> tuple[object, list[Account | None]]:
    """Run it on copies of the accounts in `svm`, and bring them back if `keep`.

    Returns LiteSVM's result, and the watched accounts afterwards; signatures are checked if it is `signed`.
    """
    side = plain(LiteSVM.default().with_builtins(FeatureSet.default()).with_sysvars()).with_sigverify(signed)
    side.set_clock(svm.get_clock())
    keys = transaction.message.account_keys
    for key, account in _programs_last(svm, keys):
        if account is not None and not _is_systems(account):
            side.set_account(key, account)
    programs = {code: _hide(side, buffer) for code, buffer in deployments(transaction)}
    result = side.send_transaction(transaction)
    if not isinstance(result, FailedTransactionMetadata):
        for code, elf in programs.items():
            _put_code(side, code, elf)
    if keep:
        _bring_back(side, svm, keys)
    return result, [read_account(side, key) for key in watched]


def _is_systems(account: Account) -> bool:
    return account.owner in (NATIVE_LOADER, SYSVAR_OWNER)


def _hide(side: LiteSVM, buffer: Pubkey) -> bytes:
    """Replace a buffer's program by the empty one, of the same length; returns the program.

    One that does not load stays, for the loader to refuse.
    """
    account = read_account(side, buffer)
    data = bytes(account.data) if account else b""
    elf = data[BUFFER_HEADER:]
    if account is not None and len(elf) >= len(EMPTY_PROGRAM) and _loads(elf):
        empty = data[:BUFFER_HEADER] + EMPTY_PROGRAM.ljust(len(elf), b"\0")
        side.set_account(buffer, Account(account.lamports, empty, account.owner))
    return elf


def _loads(elf: bytes) -> bool:
    try:
        place_program(LiteSVM(), LOADER, elf)
    except WmLiveError:
        return False
    return True


def _put_code(side: LiteSVM, code: Pubkey, elf: bytes) -> None:
    account = read_account(side, code)
    if account is not None:
        data = bytearray(account.data)
        data[PROGRAM_DATA_HEADER : PROGRAM_DATA_HEADER + len(elf)] = elf
        side.set_account(code, Account(account.lamports, bytes(data), account.owner))


def _programs_last(svm: LiteSVM, keys: list[Pubkey]) -> list[tuple[Pubkey, Account | None]]:
    """Accounts to be copied. LiteSVM compiles a program from its code's account as soon as it sees it."""
    found = [(key, read_account(svm, key)) for key in keys]
    return sorted(found, key=lambda pair: bool(pair[1] and pair[1].executable))


def _bring_back(side: LiteSVM, svm: LiteSVM, keys: list[Pubkey]) -> None:
    for key, account in _programs_last(side, keys):
        if account is None:
            svm.set_account(key, _ABSENT)
        elif not _is_systems(account):
            svm.set_account(key, account)
