"""What a wallet signs, and what that can cost it: said before, held against every message, counted at each signature.

A node, a program and a log may lie, alone or together. So what bounds a wallet's loss is not what they say but what the
signed message is:

* It calls no programs but the system program, the compute budget (a limit, never a price), the upgradeable loader, and
  those that the verb names: the program at an address that follows from the wallet's own key (only that key can have
  deployed it), or, for a purse (purse.py), one whose code was checked.
* The lamports that it names are added up when it is signed, not when it is said to have landed: a node may hold back a
  transaction and ask for another. What would go beyond the Budget is not signed.

What a program takes by itself, beyond what the message names, an honest node tells in a simulation. Every transaction
is simulated, unsigned, before it is signed; one that would take more than was announced is refused. Two kinds are not:

* the many alike of an upload: only the first of each is simulated; they call the loader and the own program, and name
  no lamports,
* those of a rollup (RollupSender), 60 a second: a key that holds nothing pays for them, whatever chain a lying rollup's
  blockhash is of; the few that the wallet has to pay for are counted.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from solders.compute_budget import ID as COMPUTE_BUDGET
from solders.hash import Hash
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import Transaction

from wm_live.chain.addresses import LOADER, SYSTEM_PROGRAM
from wm_live.chain.answers import Blockhash
from wm_live.chain.fees import RENT_PER_BYTE, SIGNATURE_FEE, rent_exempt
from wm_live.chain.rpc import Rpc
from wm_live.chain.transactions import ROLLUP_BYTES, Confirmed, Sender, TransactionError
from wm_live.chain.upgradeable import PROGRAM_DATA_HEADER
from wm_live.errors import WmLiveError

#: Instructions of the system program that wmq sends.
_CREATE_ACCOUNT, _TRANSFER, _ALLOCATE_WITH_SEED = 0, 2, 9
#: Of the loader, those that make the payer pay rent.
_DEPLOY, _EXTEND = 2, 6
#: The one of the compute budget that costs nothing.
_UNIT_LIMIT = 2
#: Signatures beyond those that are planned, for transactions that expire on the way.
SPARE_SIGNATURES = 4


class NotAnnouncedError(WmLiveError):
    """A transaction that would take more than was announced, or that does what no transaction of wmq does."""


@dataclass(frozen=True)
class Outlay:
    """Lamports that a message takes from its signers, fees aside.

    made   for accounts that it makes, by address: made once, an account cannot be made again
    moved  in any other way
    """

    made: dict[Pubkey, int]
    moved: int


@dataclass
class Budget:
    """What a verb has announced.

    lamports    that its transactions may take beyond fees: rent, mostly
    signatures  that it may pay for
    """

    lamports: int
    signatures: int
    _moved: int = 0
    _signed: int = 0
    _made: dict[Pubkey, int] = field(default_factory=dict)

    @property
    def at_most(self) -> int:
        """Lamports, fees included."""
        return self.lamports + SIGNATURE_FEE * self.signatures

    @property
    def left(self) -> int:
        """Of `at_most`: what has not been signed away yet."""
        return self.at_most - self._moved - sum(self._made.values()) - SIGNATURE_FEE * self._signed

    def take(self, outlay: Outlay, signatures: int) -> None:
        """Count a message that is about to be signed; NotAnnouncedError if it is too much."""
        made = self._made | outlay.made
        named = self._moved + outlay.moved + sum(made.values())
        if named > self.lamports or self._signed + signatures > self.signatures:
            raise NotAnnouncedError(
                f"not signed: {named:,} lamports and {self._signed + signatures:,} signatures in all, announced were "
                f"{self.lamports:,} and {self.signatures:,}; does the node lose transactions? Next: run the same again"
            )
        self._made, self._moved, self._signed = made, self._moved + outlay.moved, self._signed + signatures

    @classmethod
    def of(cls, messages: Iterable[Message], programs: Collection[Pubkey]) -> Self:
        """What these messages take, if each may have to be signed twice."""
        lamports = signatures = 0
        for message in messages:
            outlay = understood(message, programs)
            lamports += outlay.moved + sum(outlay.made.values())
            signatures += message.header.num_required_signatures
        return cls(lamports, 2 * signatures + SPARE_SIGNATURES)


def message_of(instructions: Sequence[Instruction], payer: Pubkey) -> Message:
    """The message of a transaction, with no blockhash yet."""
    return Message.new_with_blockhash(list(instructions), payer, Hash.default())


def understood(message: Message, programs: Collection[Pubkey]) -> Outlay:
    """The Outlay of a message that calls `programs` and what every message may call; NotAnnouncedError for others."""
    made: dict[Pubkey, int] = {}
    given: Counter[Pubkey] = Counter()
    allocated: set[Pubkey] = set()
    for instruction in message.instructions:
        program, data = message.account_keys[instruction.program_id_index], bytes(instruction.data)
        accounts = [message.account_keys[index] for index in bytes(instruction.accounts)]
        if program == SYSTEM_PROGRAM:
            kind, to, lamports = _of_system(data, accounts)
            if kind == _TRANSFER:
                given[to] += lamports
            elif kind == _CREATE_ACCOUNT:
                made[to] = lamports
            else:
                allocated.add(to)
        elif program == LOADER:
            made |= _of_loader(data, accounts)
        elif program == COMPUTE_BUDGET:
            _need(data[:1] == bytes([_UNIT_LIMIT]), "a price for compute units")
        else:
            _need(program in programs, f"a call of program {program}, which was not checked")
    # An account cannot be allocated again, and with that fails all of the message.
    made |= {to: given.pop(to) for to in allocated & given.keys()}
    return Outlay(made, given.total())


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise NotAnnouncedError(f"not signed: {what}")


def _of_system(data: bytes, accounts: Sequence[Pubkey]) -> tuple[int, Pubkey, int]:
    """(kind, account that is made, given to or allocated, lamports)."""
    kind = int.from_bytes(data[:4], "little")
    _need(kind in (_CREATE_ACCOUNT, _TRANSFER, _ALLOCATE_WITH_SEED), f"instruction {kind} of the system program")
    if kind == _ALLOCATE_WITH_SEED:
        return kind, accounts[0], 0
    return kind, accounts[1], int.from_bytes(data[4:12], "little")


def _of_loader(data: bytes, accounts: Sequence[Pubkey]) -> dict[Pubkey, int]:
    """Rent that the loader takes from the payer, by the account it is for."""
    kind = int.from_bytes(data[:4], "little")
    if kind == _DEPLOY:
        return {accounts[1]: rent_exempt(PROGRAM_DATA_HEADER + int.from_bytes(data[4:12], "little"))}
    if kind == _EXTEND:
        return {accounts[0]: RENT_PER_BYTE * int.from_bytes(data[4:8], "little")}
    return {}


class GuardedSender(Sender):
    """A Sender on a base chain whose messages are understood, simulated, and within a Budget.

    programs  that may be called, beside those of every transaction
    """

    def __init__(self, rpc: Rpc, payer: Keypair, budget: Budget, programs: Collection[Pubkey] = ()) -> None:
        super().__init__(rpc, payer)
        self.budget, self.programs = budget, programs

    async def send(self, instructions: Sequence[Instruction], *others: Keypair, preflight: bool = True) -> Confirmed:
        """As Sender.send; with `preflight` simulated first. NotAnnouncedError if it takes too much."""
        if preflight:
            await self._simulate(message_of(instructions, self.payer.pubkey()), [self.payer, *others])
        return await super().send(instructions, *others, preflight=preflight)

    async def _sign(
        self, instructions: Sequence[Instruction], signers: Sequence[Keypair]
    ) -> tuple[Transaction, Blockhash]:
        message = message_of(instructions, self.payer.pubkey())
        self.budget.take(understood(message, self.programs), message.header.num_required_signatures)
        return await super()._sign(instructions, signers)

    @property
    def _min_slot(self) -> int:
        """A simulation on a machine that does not know yet what has just landed says that this would fail."""
        return self._used.slot

    async def _simulate(self, message: Message, signers: Sequence[Keypair]) -> None:
        """TransactionError if it would fail, NotAnnouncedError if it would take more than is left of the Budget."""
        understood(message, self.programs)
        watched = [signer.pubkey() for signer in signers]
        before = [account.lamports if account else 0 for account in await self.rpc.accounts(watched, 0, 0)]
        unsigned = Transaction.populate(message, [Signature.default()] * message.header.num_required_signatures)
        outcome = await self.rpc.simulate(bytes(unsigned), watched, self._min_slot)
        if outcome.error is not None:
            lines = [f"{self.rpc.url}: the transaction would fail: {outcome.error}", *outcome.logs[-4:]]
            raise TransactionError("\n  ".join(lines), outcome.error, outcome.custom)
        taken = sum(max(0, had - has) for had, has in zip(before, outcome.lamports, strict=True))
        if taken > self.budget.left:
            raise NotAnnouncedError(
                f"not signed: by the simulation of {self.rpc.url} the transaction takes {taken:,} lamports from "
                f"{', '.join(map(str, watched))}, at most {self.budget.left:,} are left of what was announced"
            )


def nobody(wallet: Keypair) -> Keypair:
    """The key that is named as payer of a wallet's transactions on rollups: it follows from the wallet's, and holds
    nothing anywhere."""
    return Keypair.from_seed(hashlib.sha256(bytes(wallet.sign_message(b"wmq rollup payer"))).digest())


class RollupSender(Sender):
    """Sends what `wallet` signs on a rollup, which takes no fee; they call the wallet's own program, and nothing else.

    `nobody` pays, but where the program hands the wallet on as a payer (commit, undelegate): a rollup lets nobody but
    who pays for a transaction be written to. So many signatures of the wallet as payer, `signatures`, are given at
    most: on a base chain, where a lying rollup's blockhash would make them valid, each costs a fee and does nothing.
    """

    def __init__(self, rollup: Rpc, wallet: Keypair, program: Pubkey, signatures: int) -> None:
        super().__init__(rollup, nobody(wallet))
        self.wallet, self.program, self.most_bytes = wallet, program, ROLLUP_BYTES
        self._own = GuardedSender(rollup, wallet, Budget(0, signatures), {program})

    async def send(self, instructions: Sequence[Instruction], *others: Keypair, preflight: bool = False) -> Confirmed:
        """As Sender.send; NotAnnouncedError for a message that calls another program or names lamports."""
        outlay = understood(message_of(instructions, self.payer.pubkey()), {self.program})
        _need(not outlay.moved and not outlay.made, "a transfer on a rollup")
        mine = [meta for one in instructions for meta in one.accounts if meta.pubkey == self.wallet.pubkey()]
        if any(meta.is_writable for meta in mine):
            return await self._own.send(instructions, *others, preflight=preflight)
        signs = any(meta.is_signer for meta in mine)
        return await super().send(instructions, *[self.wallet] * signs, *others, preflight=preflight)
