"""Run the built program in LiteSVM: accounts in, one transaction a frame (or more, by its Plan), accounts out."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from solders.account import Account
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_metadata import FailedTransactionMetadata

from wm_export.errors import WmExportError
from wm_export.lower.lowered_program import Program
from wm_export.schema.instruction_set import encode
from wm_export.schema.limits import TRANSACTION_BUDGET
from wm_export.solana.account_codec import AccountCodec, Keys, model_accounts
from wm_export.solana.build_record import BUILT
from wm_export.solana.virtual_machine import Cluster, virtual_machine
from wm_quant.qnet import QNet

if TYPE_CHECKING:
    from wm_quant.interp import State, Trace

#: Rent of an account's data, lamports a byte, for two years; accounts here are made exempt.
RENT_PER_BYTE, RENT_OVERHEAD = 6_960, 128


def _address(label: str) -> Pubkey:
    return Pubkey.from_bytes(hashlib.sha256(f"wmq:{label}".encode()).digest())


@dataclass(frozen=True)
class StepResult:
    """One transaction's outcome: compute units it was charged, and the runtime's error text, empty if it passed."""

    cu: int
    error: str
    logs: tuple[str, ...]


class SvmRunner:
    """A world program in LiteSVM with prepared accounts.

    `cu_limit` is what each transaction may use; the chain's own limit by default.
    """

    def __init__(
        self,
        net: QNet,
        lowered: Program,
        program: Path,
        shards: Sequence[bytes],
        manifest_hash: bytes,
        meter_ops: int = 0,
        cu_limit: int = TRANSACTION_BUDGET,
    ) -> None:
        self.codec = AccountCodec(net, lowered, manifest_hash)
        self.plan_steps, self.meter_ops, self.cu_limit = len(lowered.plan), meter_ops, cu_limit
        self.svm = virtual_machine(Cluster.ROLLUP, cu_limit, meter=meter_ops > 0)
        self.program, self.payer = _address("program"), Keypair.from_seed(hashlib.sha256(b"wmq:payer").digest())
        self.session, self.scratch = _address("session"), _address("scratch")
        self.models = [_address(f"model{number or ''}") for number in range(len(shards))]
        self.keys = Keys(bytes(self.payer.pubkey()), bytes(self.models[0]), bytes(self.session), bytes(self.scratch))
        self.svm.airdrop(self.payer.pubkey(), 10**11)
        self._held: State | None = None
        self._number = 0
        self._load(program)
        accounts = model_accounts(lowered, shards, manifest_hash, self.keys.authority)
        for address, account in zip(self.models, accounts, strict=True):
            self.put(address, account)

    def _load(self, program: Path) -> None:
        elf = BUILT.read(program)
        try:
            self.svm.add_program(self.program, elf)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # solders panics at a bad ELF, which is no Exception
            raise WmExportError(
                f"{program}: LiteSVM does not load it ({error}); build it again with `wmq build`"
            ) from None

    def put(self, address: Pubkey, data: bytes, owner: Pubkey | None = None) -> None:
        """Set an account's data; it belongs to the program unless told otherwise."""
        lamports = (RENT_OVERHEAD + len(data)) * RENT_PER_BYTE
        self.svm.set_account(address, Account(lamports, data, owner or self.program))

    def data(self, address: Pubkey) -> bytes:
        """An account's data."""
        account = self.svm.get_account(address)
        if account is None:
            raise WmExportError(f"account {address} does not exist in this LiteSVM")
        return bytes(account.data)

    def instruction(self, frame: int, step: int) -> Instruction:
        """The `step` instruction."""
        metas = [
            AccountMeta(self.session, False, True),
            AccountMeta(self.scratch, False, True),
            *(AccountMeta(model, False, False) for model in self.models),
        ]
        return Instruction(self.program, encode("step", frame=frame, step=step), metas)

    def input_instructions(self, frame: int, inputs: bytes) -> list[Instruction]:
        """The two `submit_input` instructions of a frame."""
        metas = [AccountMeta(self.payer.pubkey(), True, True), AccountMeta(self.session, False, True)]
        return [
            Instruction(self.program, encode("submit_input", player=player, frame=frame, input=part), metas)
            for player, part in enumerate(self.codec.records.parts(inputs))
        ]

    def send(self, *instructions: Instruction) -> StepResult:
        """One signed transaction."""
        self.svm.expire_blockhash()
        message = Message.new_with_blockhash(list(instructions), self.payer.pubkey(), self.svm.latest_blockhash())
        result = self.svm.send_transaction(Transaction([self.payer], message, self.svm.latest_blockhash()))
        if isinstance(result, FailedTransactionMetadata):
            meta = result.meta()
            return StepResult(meta.compute_units_consumed(), str(result.err()), tuple(meta.logs()))
        return StepResult(result.compute_units_consumed(), "", tuple(result.logs()))

    def load(self, state: "State", frame: int = 0) -> None:
        """Set the session and scratch accounts to a State of one world."""
        self.put(self.session, self.codec.session(state, self.keys, frame))
        self.put(self.scratch, self.codec.scratch(state, self.keys, frame, 8 * self.meter_ops))

    def frame(self, number: int, following: NDArray[np.int8]) -> list[int]:
        """Run all transactions of frame `number`, the inputs in the first; compute units of each.

        WmExportError if one fails.
        """
        first, spent = self.input_instructions(number, self.codec.records.input_bytes(following)), []
        for step in range(self.plan_steps):
            result = self.send(*(first if step == 0 else []), self.instruction(number, step))
            if result.error:
                raise WmExportError(f"frame {number}, step {step}: {result.error}\n" + "\n".join(result.logs[-4:]))
            spent.append(result.cu)
        return spent

    def step(self, state: "State", following: NDArray[np.int8]) -> tuple["Trace", "State"]:
        """Interpreter.step for one world.

        From the State that the last step gave, the accounts simply go on, frame after frame; any other State is written
        into them first.
        """
        trace, after, _ = self.metered_step(state, following)
        return trace, after

    def metered_step(
        self, state: "State", following: NDArray[np.int8], number: int = 0
    ) -> tuple["Trace", "State", list[int]]:
        """The same, with the compute units of every transaction; a State that is written in becomes frame `number`."""
        if state is not self._held:
            self._number = number
            self.load(state, number)
        spent = self.frame(self._number, following[0])
        self._number += 1
        session, scratch = self.data(self.session), self.data(self.scratch)
        self._held = self.codec.state(session, scratch, state)
        return self.codec.trace(session, scratch), self._held, spent

    def meter_readings(self) -> list[int]:
        """Compute units left after each op of the last frame, from a metering program."""
        raw = self.data(self.scratch)[self.codec.layout.scratch_bytes :]
        return [int(v) for v in np.frombuffer(raw, "<u8", self.meter_ops)]
