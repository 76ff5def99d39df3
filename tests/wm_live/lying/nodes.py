"""Nodes that lie, of two base chains: the one that is shown to a client, where everything goes on as it should, and the
true one, where all that it has ever signed lands when the client is done, by programs that may be hostile."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from solders.account import Account
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from tests.wm_live.courts import VALIDATOR, as_committed
from tests.wm_live.lying.clock import Clock
from tests.wm_live.lying.lies import Answer, Lies
from wm_export.schema.accounts import SESSION, discriminator
from wm_export.schema.instruction_set import INSTRUCTIONS
from wm_export.solana.layout import Layout
from wm_live.chain.addresses import DELEGATION_PROGRAM, delegation_metadata, delegation_record
from wm_live.chain.answers import AccountInfo
from wm_live.chain.rpc import Reply, Rpc, RpcError
from wm_live.localnet.base_chain.chain import Chain, RefusedError, read_transaction
from wm_live.localnet.base_chain.genesis import Genesis
from wm_live.localnet.base_chain.ledger import Moment
from wm_live.localnet.base_chain.methods import CallError, Methods, Params
from wm_live.localnet.base_chain.wire import account_json

SLOT_S = 0.4
#: What each call takes, in seconds.
LATENCY_S = 0.01
#: No client may make more calls.
MOST_CALLS = 200_000
NAMES = {discriminator("global", name): name for name in INSTRUCTIONS}


class RestlessError(BaseException):
    """A client that would have called for ever."""


@dataclass(frozen=True)
class Scene:
    """Where a client begins. hostile: what the programs at these addresses really are, where they are not as shown."""

    programs: Mapping[Pubkey, bytes]
    accounts: Mapping[Pubkey, Account]
    hostile: Mapping[Pubkey, bytes] = field(default_factory=dict)


class Stage:
    """A chain that goes back to how a scene begins."""

    def __init__(self, programs: Mapping[Pubkey, bytes], accounts: Mapping[Pubkey, Account]) -> None:
        self.accounts = accounts
        self.chain = Chain(Genesis(programs, accounts), None, 1000 * SLOT_S)
        self.touched: set[Pubkey] = set()
        self.chain.landed = lambda landed: self.touched.update(landed.written)

    def reset(self) -> Chain:
        """The chain as it was."""
        for address in self.touched:
            self.chain.svm.set_account(address, self.accounts.get(address, Account(0, b"", Pubkey.default())))
        self.touched.clear()
        self.chain.transactions.clear()
        return self.chain

    def put(self, address: Pubkey, account: Account) -> None:
        """Write an account, as no transaction does."""
        self.touched.add(address)
        self.chain.svm.set_account(address, account)

    def give_back(self, address: Pubkey, account: Account) -> None:
        """Write an account that is delegated; where it is none any more, of that nothing is left."""
        self.put(address, account)
        if account.owner != DELEGATION_PROGRAM:
            for of_delegation in (delegation_record(address), delegation_metadata(address)):
                self.put(of_delegation, Account(0, b"", Pubkey.default()))

    def now(self) -> dict[Pubkey, Account]:
        """Every account that is there."""
        found = {address: self.chain.account(address) for address in {*self.accounts, *self.touched}}
        return {address: account for address, account in found.items() if account is not None and account.lamports}


@dataclass
class Network:
    """A base chain's node and a rollup's, for one run of a client.

    program       of the sessions that the rollup has
    start         records of the window that a session starts from
    plays_itself  the rollup goes on by a frame each time somebody looks
    sent          transactions, and accounts that the operator has written, in their order
    """

    clock: Clock
    shown: Stage
    true: Stage
    lies: tuple[Lies, Lies]
    program: Pubkey
    where: Layout
    start: list[bytes]
    plays_itself: bool = False
    calls: int = 0
    sent: list[bytes | tuple[Pubkey, Account]] = field(default_factory=list)
    hosted: dict[Pubkey, bytes] = field(default_factory=dict)
    scratch: set[Pubkey] = field(default_factory=set)
    seeded: Counter[Pubkey] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._began, self._height = self.clock.now, self.shown.chain.now.height

    def tick(self) -> None:
        """Bring the shown chain to what the clock says."""
        chain = self.shown.chain
        missing = self._height + int((self.clock.now - self._began) / SLOT_S) - chain.now.height
        if missing > 0:
            chain._move(Moment(chain.now.slot + missing, chain.now.height + missing, 0))

    def node(self, url: str) -> "LyingNode":
        """What a client is connected to at an address."""
        return LyingRollup(self, url, self.lies[1]) if "rollup" in url else LyingNode(self, url, self.lies[0])

    def put(self, address: Pubkey, data: bytes, owner: Pubkey) -> None:
        """What the operator commits, or gives back."""
        there = self.shown.chain.account(address)
        if there is not None and there.owner == DELEGATION_PROGRAM:
            self.shown.give_back(address, Account(there.lamports, data, owner))
            self.sent.append((address, Account(there.lamports, data, owner)))

    def settle(self, wallet: Pubkey, greedy: bool) -> int:
        """Everything that was ever sent lands; lamports that the wallet has then. greedy: only what costs it."""
        waiting = list(self.sent)
        while waiting:
            left = [one for one in waiting if not self._lands(one, wallet, greedy)]
            if len(left) == len(waiting):
                break
            waiting = left
        return self.balance(wallet)

    def balance(self, wallet: Pubkey) -> int:
        """Lamports of a wallet on the true chain."""
        account = self.true.chain.account(wallet)
        return account.lamports if account else 0

    def _lands(self, one: bytes | tuple[Pubkey, Account], wallet: Pubkey, greedy: bool) -> bool:
        chain = self.true.chain
        if not isinstance(one, bytes):
            there = chain.account(one[0])
            if there is None or there.owner != DELEGATION_PROGRAM:
                return False
            self.true.give_back(one[0], Account(there.lamports, one[1].data, one[1].owner))
            return True
        transaction = read_transaction(one)
        try:
            if greedy:
                _, (after,) = chain.simulate(transaction, [wallet])
                if after is not None and after.lamports > self.balance(wallet):
                    return True  # held back for ever
            chain.submit(transaction, one)
        except RefusedError:
            return False
        return True


class LyingNode(Rpc):
    """A client of the base chain's node."""

    def __init__(self, network: Network, url: str, lies: Lies) -> None:
        super().__init__(url)
        self.network, self.lies = network, lies
        self._methods = Methods(network.shown.chain)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def _post(self, method: str, body: dict[str, Any]) -> Reply:
        self.network.calls += 1
        if self.network.calls > MOST_CALLS:
            raise RestlessError(method)
        await asyncio.sleep(LATENCY_S)
        self.network.tick()
        # As a node gets them.
        params = json.loads(json.dumps(body["params"]))
        answer = self.lies.tell(method, params, self._true(method, params))
        if answer is None:
            raise RpcError(f"{self.url}: {method}: no answer (it lies); is the node running?")
        if isinstance(answer, tuple):
            return Reply(*answer)
        return Reply(200, json.dumps(answer).encode())

    def _true(self, method: str, params: list[Any]) -> Answer:
        try:
            if method == "sendTransaction":
                raw = Params(params).transaction()[1]
                self.network.sent.append(raw)
                if self.lies.chance(0.1 * bool(self.lies.told)):  # lost
                    return {"result": str(read_transaction(raw).signatures[0])}
            return {"result": self._methods.call(method, params)}
        except CallError as error:
            return {"error": error.json()}


class LyingRollup(LyingNode):
    """A client of a rollup that has the base chain's blockhashes, so that all it gets is good there as well.

    It does not compute: it says that what it is asked for is so.
    """

    def _true(self, method: str, params: list[Any]) -> Answer:
        if method == "getIdentity":
            return {"result": {"identity": str(VALIDATOR.pubkey())}}
        if method == "sendTransaction":
            transaction, raw = Params(params).transaction()
            self.network.sent.append(raw)
            self._run(transaction)
            return {"result": str(transaction.signatures[0])}
        if method == "getSignatureStatuses":
            status = {"slot": 1, "err": None, "confirmationStatus": "finalized"}
            return {"result": {"context": {"slot": 1}, "value": [status] * len(params[0])}}
        if method == "simulateTransaction":
            return {"result": {"context": {"slot": 1}, "value": {"err": None, "logs": [], "accounts": []}}}
        if method == "getAccountInfo" and (account := self._hosted(Pubkey.from_string(params[0]))) is not None:
            return {"result": {"context": {"slot": 1}, "value": account_json(account, params[1])}}
        return super()._true(method, params)

    def _hosted(self, address: Pubkey) -> Account | None:
        network = self.network
        found = network.shown.chain.account(address)
        if found is not None and (found.owner == DELEGATION_PROGRAM or address in network.hosted):
            network.hosted.setdefault(address, bytes(found.data))
        data = network.hosted.get(address)
        if address in network.scratch:
            return Account(1, b"", network.program)
        return None if data is None else Account(found.lamports if found else 1, data, network.program)

    def _run(self, transaction: VersionedTransaction) -> None:
        message = transaction.message
        for one in message.instructions:
            name = NAMES.get(bytes(one.data)[:8])
            if name is not None:
                roles = [role.name for role in INSTRUCTIONS[name].accounts]
                keys = [message.account_keys[index] for index in bytes(one.accounts)]
                self._does(name, dict(zip(roles, keys, strict=False)))

    def _does(self, name: str, accounts: Mapping[str, Pubkey]) -> None:
        """What an instruction would do to a session, as far as a client looks."""
        network, address = self.network, accounts["session"]
        if self._hosted(address) is None:
            return
        data = bytearray(network.hosted[address])
        if name == "seed_frame":
            network.seeded[address] += 1
            if network.seeded[address] == len(network.start):
                data = bytearray(as_committed(bytes(data), network.where, network.start, len(network.start)))
        elif name == "step":
            SESSION.write(data, "frame_number", SESSION.read(data, "frame_number") + 1)
        elif name == "end_session":
            SESSION.write(data, "status", "ended")
        elif name == "grow_scratch":
            network.scratch.add(accounts["scratch"])
        elif name == "close_scratch":
            network.scratch.discard(accounts["scratch"])
        network.hosted[address] = bytes(data)
        if name == "commit_session":
            network.put(address, bytes(data), DELEGATION_PROGRAM)
        elif name == "undelegate_session":
            network.put(address, bytes(data), network.program)
            del network.hosted[address]

    async def subscribe_account(
        self, address: Pubkey, subscribed: asyncio.Event | None = None
    ) -> AsyncGenerator[AccountInfo | None, None]:
        """Every change, as far as it is seen by looking."""
        if subscribed is not None:
            subscribed.set()
        last: AccountInfo | None = None
        while True:
            await asyncio.sleep(2 * LATENCY_S)
            if self.network.plays_itself and address in self.network.hosted:
                self._does("step", {"session": address})
            account = await self.account(address)
            if account != last:
                yield account
            last = account
