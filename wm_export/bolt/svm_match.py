"""A match in LiteSVM: the real World, the built programs, every system applied through World.

Applies of a frame go into as few transactions as hold them, by their bytes and compute units.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from solders.account import Account
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import Transaction
from solders.transaction_metadata import FailedTransactionMetadata

from wm_export.bolt.components import CLOCK
from wm_export.bolt.crates import WEIGHTS
from wm_export.bolt.match_instructions import HEADER_BYTES, MatchInstructions, of_weights
from wm_export.bolt.match_state import MatchCodec
from wm_export.bolt.program_addresses import WORLD
from wm_export.bolt.slices import INPUTS, Slice, Sliced
from wm_export.bolt.world_client import Scene
from wm_export.errors import WmExportError
from wm_export.schema.limits import PIECE_BYTES, TRANSACTION_BUDGET
from wm_export.solana.svm import RENT_OVERHEAD, RENT_PER_BYTE
from wm_export.solana.virtual_machine import Cluster, virtual_machine
from wm_train.grid.arithmetic import Ints

if TYPE_CHECKING:
    from wm_quant.interp import State

#: Bytes of a transaction.
PACKET = 1232
_CONSUMED = re.compile(r"Program (\w+) consumed (\d+) of \d+ compute units")


@dataclass(frozen=True)
class Units:
    """Compute units of one apply: in all, and of those the system's own; the rest is World's and the components'."""

    system: str
    total: int
    own: int

    @property
    def overhead(self) -> int:
        """What World and the components' programs take."""
        return self.total - self.own


class SvmMatch(MatchInstructions):
    """One match of a network of this sha256 (BoltExport.network); `programs` are those built, by their crates' names,
    and `world` is World's.

    The world, its entity, components, window, memories and weights are made as on a chain, but for the weights' upload:
    they are put into their accounts, and hashed there.
    """

    def __init__(self, sliced: Sliced, network: str, programs: Mapping[str, bytes], world: bytes) -> None:
        self.payer = Keypair.from_seed(hashlib.sha256(b"wmq:payer").digest())
        super().__init__(sliced, network, programs, Scene(self.payer.pubkey()))
        self.codec, self.svm = MatchCodec(sliced), virtual_machine(Cluster.ROLLUP)
        self.svm.airdrop(self.payer.pubkey(), 10**12)
        self.svm.add_program(WORLD, world)
        for crate, elf in programs.items():
            self.svm.add_program(self.programs[crate], elf)
        scene = self.scene
        for instruction in (scene.registry(), scene.world_made(), scene.entity_made(), *self.making()):
            self.send(instruction)
        for one, _, made in sliced.remembering:
            self.send(*self.opening(one, made, self.scene.entity))
        self.weights = {one.key: self._upload(one.key, made.weights) for one, _, made in sliced.learned}
        self._groups: Sequence[Sequence[Slice]] = ()

    def _upload(self, key: str, weights: bytes) -> Pubkey:
        """Seals weights in an account of their own."""
        address = Pubkey.from_bytes(hashlib.sha256(f"wmq:weights {key}".encode()).digest())
        self.put(address, bytes(HEADER_BYTES + len(weights)), self.programs[WEIGHTS])
        program, authority = self.programs[WEIGHTS], self.payer.pubkey()
        self.send(of_weights(program, authority, "begin", address))
        self.put(address, self.data(address)[:HEADER_BYTES] + weights, self.programs[WEIGHTS])
        for _ in range(0, len(weights), PIECE_BYTES):
            self.send(of_weights(program, authority, "hash", address))
        return address

    # --- the machine ---

    def put(self, address: Pubkey, data: bytes, owner: Pubkey) -> None:
        """Set an account's data."""
        self.svm.set_account(address, Account((RENT_OVERHEAD + len(data)) * RENT_PER_BYTE, data, owner))

    def data(self, address: Pubkey) -> bytes:
        """An account's data."""
        account = self.svm.get_account(address)
        if account is None:
            raise WmExportError(f"account {address} does not exist in this LiteSVM")
        return bytes(account.data)

    def send(self, *instructions: Instruction) -> Sequence[str]:
        """Logs of one signed transaction; WmExportError if it fails."""
        self.svm.expire_blockhash()
        result = self.svm.send_transaction(self._signed(instructions))
        if isinstance(result, FailedTransactionMetadata):
            logs = "\n".join(result.meta().logs()[-12:])
            raise WmExportError(f"bolt: a transaction failed: {result.err()}\n{logs}")
        return list(result.logs())

    def _signed(self, instructions: Sequence[Instruction]) -> Transaction:
        blockhash = self.svm.latest_blockhash()
        message = Message.new_with_blockhash(list(instructions), self.payer.pubkey(), blockhash)
        return Transaction([self.payer], message, blockhash)

    # --- frames ---

    def load(self, state: "State", session: Ints) -> None:
        """Set the match to a State of one world, whose networks have seen nothing, in a session with these ids (S,)."""
        values, authority = self.codec.beginning(state), bytes(self.payer.pubkey())
        for one in self.sliced.components.every:
            data = one.account(values[one.name], authority)
            self.put(self.accounts[one.name], data, self.programs[one.crate])
        clock = bytes(self.accounts[CLOCK])
        for keeps, _, made in self.sliced.remembering:
            self.put(self.memories[keeps.key], self.codec.opened_memory(made, clock), self.programs[keeps.crate])
        addresses = [bytes(self.accounts[one.name]) for one in self.sliced.components.every]
        self.put(self.window, self.codec.window(state, session, addresses), self.programs[INPUTS])

    def begin(self, session: Ints, frame: NDArray[np.int32]) -> None:
        """Begin the match, once, as on a chain: with a Frame (2, fields), in a session with these ids."""
        self.send(self.begins(session, frame))

    def frame(self, following: NDArray[np.int8]) -> list[Units]:
        """Apply every system, with the inputs (2, controls) of the frame; units of each."""
        inputs = self.records.input_bytes(following)
        if not self._groups:
            found = [self._together((one,), inputs) for one in self.sliced.systems]
            spent = [units for part in found for units in part]
            self._groups = self._grouped([units.total for units in spent])
            return spent
        return [units for group in self._groups for units in self._together(group, inputs)]

    @property
    def transactions(self) -> int:
        """How many a frame takes."""
        return len(self._groups)

    def _together(self, group: Sequence[Slice], inputs: bytes) -> list[Units]:
        logs = self.send(*(self.apply(one, inputs if one.key == INPUTS else b"") for one in group))
        spent = [(found[1], int(found[2])) for found in map(_CONSUMED.search, logs) if found]
        totals = [units for program, units in spent if program == str(WORLD)]
        own = dict(spent)
        return [
            Units(one.key, total, own[str(self.programs[one.crate])]) for one, total in zip(group, totals, strict=True)
        ]

    def _grouped(self, totals: Sequence[int]) -> list[list[Slice]]:
        """Systems by transaction: each takes as many as fit."""
        groups: list[list[Slice]] = [[]]
        spent = 0
        for one, units in zip(self.sliced.systems, totals, strict=True):
            tried = [*groups[-1], one]
            too_large = len(bytes(self._signed([self.apply(it, self._filler(it)) for it in tried]))) > PACKET
            if groups[-1] and (too_large or spent + units > TRANSACTION_BUDGET):
                groups.append([])
                tried, spent = [one], 0
            groups[-1], spent = tried, spent + units
        return groups

    def _filler(self, one: Slice) -> bytes:
        """Arguments as long as those of a frame."""
        return bytes(self.records.inputs_size) if one.key == INPUTS else b""
