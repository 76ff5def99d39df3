"""Weights of a network's systems on a base chain: an account for each, uploaded once for all matches of a wallet."""

import hashlib
from collections.abc import Callable, Iterator
from functools import cached_property, partial

from solders.compute_budget import set_compute_unit_limit
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account

from wm_export.bolt.bolt_export import BoltExport
from wm_export.bolt.crates import WEIGHTS
from wm_export.bolt.match_instructions import HEADER_BYTES, of_weights
from wm_export.bolt.program_addresses import program_key
from wm_export.bolt.world_client import bytes_argument
from wm_export.schema.limits import PIECE_BYTES, TRANSACTION_BUDGET
from wm_live.chain.fees import SIGNATURE_FEE, rent_exempt
from wm_live.chain.transactions import Sender
from wm_live.chain.upload import PlannedTransaction, send_all

#: Bytes of weights in a transaction, and pieces that one hashes.
CHUNK_BYTES, PIECES_AT_ONCE = 800, 8
#: Of an account's header: how many bytes are hashed; from the first on nothing is written any more.
_HASHED = slice(72, HEADER_BYTES)

#: Gets transactions of an upload: done, and in all.
Uploaded = Callable[[int, int], None]


def weights_key(wallet: Keypair, network: str, system: str) -> Keypair:
    """The key of the account of a system's weights: derived, so that nothing has to be kept."""
    signature = wallet.sign_message(f"wmq weights {network} {system}".encode())
    return Keypair.from_seed(hashlib.sha256(bytes(signature)).digest())


class MatchWeights:
    """The weights of an export, which a wallet uploads; what is there already stays, an interrupted upload goes on.

    addresses  of their accounts, by system
    """

    def __init__(self, sender: Sender, export: BoltExport) -> None:
        self._sender, self._program = sender, program_key(export.network, WEIGHTS).pubkey()
        self._weights = {one.key: network.weights for one, _, network in export.sliced.learned}
        self._network = export.network

    @cached_property
    def _keys(self) -> dict[str, Keypair]:
        return {key: weights_key(self._sender.payer, self._network, key) for key in self._weights}

    @cached_property
    def addresses(self) -> dict[str, Pubkey]:
        """See the class."""
        return {key: account.pubkey() for key, account in self._keys.items()}

    async def cost(self) -> int:
        """Lamports that `upload` takes at most."""
        heads = await self._sender.rpc.accounts(list(self.addresses.values()), 0, HEADER_BYTES)
        missing = [data for data, head in zip(self._weights.values(), heads, strict=True) if head is None]
        sizes = [HEADER_BYTES + len(data) for data in missing]
        return sum(map(rent_exempt, sizes)) + SIGNATURE_FEE * sum(2 + size // (CHUNK_BYTES // 2) for size in sizes)

    async def upload(self, progress: Uploaded = lambda done, total: None) -> None:
        """Have all weights in their accounts, sealed."""
        there = {key: await self._there(key) for key in self._weights}
        jobs = {key: [] if any(head) else self._writes(key, data) for key, (head, data) in there.items()}
        total, done = sum(map(len, jobs.values())), 0
        for key, account in self._keys.items():
            head, data = there[key]
            if not data:
                await self._sender.send(self._begun(account.pubkey(), len(self._weights[key])), account)
            await send_all(self._sender, jobs[key], landed=partial(_added, progress, done, total))
            done += len(jobs[key])
            for hashes in self._hashes(key, int.from_bytes(head, "little")):
                await self._sender.send([set_compute_unit_limit(TRANSACTION_BUDGET), *hashes])

    async def _there(self, key: str) -> tuple[bytes, bytes]:
        """(number of hashed bytes, the bytes) of an account; of no bytes if it is not there. Of one that has begun to
        be sealed the bytes do not matter."""
        address, rpc = self.addresses[key], self._sender.rpc
        head = await rpc.account(address, 0, HEADER_BYTES)
        if head is None:
            return b"", b""
        hashed = head.data[_HASHED]
        if any(hashed):
            return hashed, head.data
        account = await rpc.account(address)
        return hashed, b"" if account is None else account.data

    def _writes(self, key: str, there: bytes) -> list[PlannedTransaction]:
        """What writes the weights that an account does not have."""
        data, held = self._weights[key], there[HEADER_BYTES:].ljust(len(self._weights[key]), b"\0")
        pieces = ((at, data[at : at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES))
        return [
            PlannedTransaction((self._of("write", key, at.to_bytes(4, "little") + bytes_argument(piece)),))
            for at, piece in pieces
            if held[at : at + CHUNK_BYTES] != piece
        ]

    def _hashes(self, key: str, hashed: int) -> Iterator[list[Instruction]]:
        pieces = -(-(len(self._weights[key]) - hashed) // PIECE_BYTES)
        for first in range(0, pieces, PIECES_AT_ONCE):
            yield [self._of("hash", key)] * min(PIECES_AT_ONCE, pieces - first)

    def _begun(self, account: Pubkey, size: int) -> list[Instruction]:
        payer, space = self._sender.payer.pubkey(), HEADER_BYTES + size
        made = CreateAccountParams(
            from_pubkey=payer, to_pubkey=account, lamports=rent_exempt(space), space=space, owner=self._program
        )
        return [create_account(made), of_weights(self._program, payer, "begin", account)]

    def _of(self, name: str, key: str, arguments: bytes = b"") -> Instruction:
        return of_weights(self._program, self._sender.payer.pubkey(), name, self.addresses[key], arguments)


def _added(progress: Uploaded, before: int, total: int, done: int) -> None:
    progress(before + done, total)
