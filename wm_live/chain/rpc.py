"""A client of a Solana node: calls over HTTP with many in flight, and account changes over WebSocket."""

import asyncio
import base64
import itertools
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from solders.hash import Hash
from solders.pubkey import Pubkey

from wm_live import bounded_json
from wm_live.chain.answers import (
    MOST_LETTERS,
    AccountInfo,
    BadAnswerError,
    Blockhash,
    Simulation,
    Status,
    TransactionInfo,
    account_of,
    address_in,
    blockhash_of,
    custom_error,
    logs_of,
    need,
    simulation_of,
    status_of,
    transaction_of,
    value_of,
)
from wm_live.chain.urls import is_local, redacted, without_secrets
from wm_live.errors import WmLiveError

COMMITMENT = "confirmed"
TIMEOUT_S = 30
#: A 10 MiB account in base64 with room around it.
MAX_ANSWER = 32 << 20
MOST_CONNECTIONS = 64
MOST_STATUSES = 256
MOST_ACCOUNTS = 100
BLOCKHASH_AGE_S = 0.3

#: HTTP: the client asks too often; the request is too large; the node that should have answered did not.
TOO_OFTEN, TOO_LARGE, NO_NODE = 429, 413, (502, 503, 504)
#: JSON-RPC: the node is behind the others, or has not reached the slot that was asked for.
BEHIND = (-32005, -32016)
#: What is done twice if it is asked twice: asked again only if the first was surely not done.
ONCE = ("sendTransaction", "requestAirdrop")
#: Calls that a node did not answer, or has no time for, are made again, each time after twice the wait up to 16 times.
BUSY_TRIES, LOST_TRIES, BUSY_WAIT_S, MOST_DOUBLINGS = 12, 6, 0.5, 4
#: Longest wait that a node may ask for (Retry-After).
MOST_RETRY_AFTER_S = 60.0
POLL_FIRST_S, POLL_MOST_S = 0.02, 0.5
#: Subscriptions that a node may end, one after the other, without having told anything; and how much longer each time
#: the next one waits.
MOST_HANG_UPS, HANG_UP_S = 6, 0.25


class Reply(NamedTuple):
    """What came back over HTTP. retry_after_s: how long the node wants to be left alone, 0 if it does not say."""

    status: int
    body: bytes
    retry_after_s: float = 0.0


class RpcError(WmLiveError):
    """A node refused a call, or did not answer it.

    code           of JSON-RPC (-32002: the transaction failed in simulation) or HTTP; 0 when there was no answer at all
    error          the transaction's error, JSON as nodes write it
    logs           the program's lines, where the node gave them
    custom         the number of the program's own error, if that is what it failed with
    retry_after_s  how long the node wants to be left alone
    """

    def __init__(self, text: str, code: int = 0, data: Any = None, retry_after_s: float = 0.0) -> None:
        self.code, self.retry_after_s = code, retry_after_s
        self.error = data.get("err") if isinstance(data, dict) else None
        self.logs = logs_of(data)
        self.custom = custom_error(self.error)
        super().__init__("\n  ".join([text, *self.logs[-4:]]))

    @property
    def maybe_done(self) -> bool:
        """Whether the node may have done what it was asked all the same."""
        return self.code in (0, *NO_NODE)


class LostAnswerError(RpcError):
    """A node was reached, and did not answer."""


class HungUpError(RpcError):
    """A node has ended a subscription that it had begun."""


def websocket_url(url: str) -> str:
    """Where the node at `url` takes subscriptions: the next port if one is named, else the same place."""
    parts = urlsplit(url)
    host = parts.netloc
    if parts.port is not None:
        host = f"{host.rsplit(':', 1)[0]}:{parts.port + 1}"
    return urlunsplit(("wss" if parts.scheme == "https" else "ws", host, parts.path, parts.query, ""))


class Rpc:
    """A node at an address; use it with `async with`. Every method raises RpcError, or BadAnswerError for nonsense.

    url  the address as it may be shown: without keys of a provider
    """

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise WmLiveError(f"{redacted(url)!r} is no node's address; expected http://HOST:PORT or https://HOST")
        self.url, self._address, self._timeout = redacted(url), url, aiohttp.ClientTimeout(total=timeout_s)
        self._numbers = itertools.count(1)
        self._blockhash: tuple[float, Blockhash] | None = None
        self._hold_until = 0.0
        #: How many things at once the node takes, by method, where it has refused more.
        self._most: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=MOST_CONNECTIONS)
        self._session = aiohttp.ClientSession(connector=connector, timeout=self._timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    @property
    def _start(self) -> str:
        """The next step where the node does not answer."""
        local = "in another terminal; next: wmq localnet"
        return f"the node has to run, {local if is_local(self._address) else 'is this its address?'}"

    # --- one call ---

    async def call(self, method: str, params: Sequence[Any] = ()) -> Any:
        """The result of any method; asked again where a node has no time, or where its answer was lost."""
        body = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": list(params)}
        failed: Counter[int] = Counter()
        while True:
            await self._held()
            try:
                return self._result(method, await self._post(method, body))
            except RpcError as error:
                most = _most_tries(method, error)
                failed[most] += 1
                if failed[most] >= most:
                    raise
                if error.retry_after_s:
                    self._hold_until = max(self._hold_until, time.monotonic() + error.retry_after_s)
            await asyncio.sleep(BUSY_WAIT_S * 2 ** min(failed[most] - 1, MOST_DOUBLINGS))

    async def _held(self) -> None:
        """Leave the node alone as long as it wants: what it says to one call holds for all."""
        while (left := self._hold_until - time.monotonic()) > 0:
            await asyncio.sleep(left)

    async def _post(self, method: str, body: dict[str, Any]) -> Reply:
        try:
            async with self._session.post(self._address, json=body, allow_redirects=False) as response:
                return Reply(response.status, await _limited(response, method), _retry_after(response.headers))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = without_secrets(str(error), self._address) or type(error).__name__
            nobody_there = isinstance(error, aiohttp.ClientConnectorError) and is_local(self._address)
            kind = RpcError if nobody_there else LostAnswerError
            raise kind(f"{self.url}: {method}: no answer ({reason}); {self._start}") from None

    def _result(self, method: str, reply: Reply) -> Any:
        where, status = f"{self.url}: {method}", reply.status
        try:
            fields = bounded_json.parse(reply.body)
        except ValueError:
            fields = None
        error = fields.get("error") if isinstance(fields, dict) else None
        if status in (TOO_OFTEN, TOO_LARGE, *NO_NODE):
            said = error.get("message") if isinstance(error, dict) else reply.body[:80]
            raise RpcError(
                f"{where}: HTTP {status} ({said!s:.{MOST_LETTERS}}); {_NEXT[status]}", status, None, reply.retry_after_s
            )
        if fields is None:
            raise RpcError(f"{where}: HTTP {status}, expected JSON, got {reply.body[:80]!r}", status)
        if not isinstance(fields, dict) or ("result" not in fields and error is None):
            raise BadAnswerError(f"{where}: HTTP {status}, expected a result or an error, got {reply.body[:80]!r}")
        if error is not None:
            need(error, dict, f"{where}: error")
            code = error.get("code")
            said = f"{error.get('message')!s:.{MOST_LETTERS}}"
            raise RpcError(f"{where}: {said}", code if type(code) is int else 0, error.get("data"))
        return fields["result"]

    async def _many(self, method: str, asked: Sequence[Any], most: int, config: dict[str, Any], what: str) -> list[Any]:
        """The values for any number of things, asked for as many at once as the node takes."""
        found: list[Any] = []
        while len(found) < len(asked):
            part = list(asked[len(found) : len(found) + min(most, self._most.get(method, most))])
            try:
                found += _as_many(value_of(await self.call(method, [part, config])), part, what)
            except RpcError as error:
                if error.code != TOO_LARGE or len(part) == 1:
                    raise
                self._most[method] = len(part) // 2
        return found

    # --- accounts ---

    async def account(
        self, address: Pubkey, offset: int | None = None, length: int | None = None
    ) -> AccountInfo | None:
        """An account; with `offset` and `length` only that part of its data. None if it does not exist."""
        return account_of(value_of(await self.call("getAccountInfo", [str(address), _config(offset, length)])))

    async def accounts(
        self, addresses: Sequence[Pubkey], offset: int | None = None, length: int | None = None
    ) -> list[AccountInfo | None]:
        """Accounts in the order of their addresses, any number of them."""
        texts = [str(address) for address in addresses]
        config = _config(offset, length)
        values = await self._many("getMultipleAccounts", texts, MOST_ACCOUNTS, config, "accounts")
        return [account_of(value) for value in values]

    async def owned(self, owner: Pubkey, size: int, offset: int, value: bytes) -> list[Pubkey]:
        """Accounts of `size` bytes that belong to `owner` and hold `value` at `offset`; no more than MOST_ACCOUNTS."""
        compare = {"offset": offset, "bytes": base64.b64encode(value).decode(), "encoding": "base64"}
        config = _config(0, 0) | {"filters": [{"dataSize": size}, {"memcmp": compare}]}
        listed = need(await self.call("getProgramAccounts", [str(owner), config]), list, "accounts")
        if len(listed) > MOST_ACCOUNTS:
            raise BadAnswerError(f"accounts: {len(listed)} of {owner}, expected at most {MOST_ACCOUNTS}")
        return [address_in(need(entry, dict, "account").get("pubkey")) for entry in listed]

    async def balance(self, address: Pubkey) -> int:
        """Lamports of an address, 0 if it holds nothing."""
        result = value_of(await self.call("getBalance", [str(address), {"commitment": COMMITMENT}]))
        return int(need(result, int, "balance"))

    async def airdrop(self, address: Pubkey, lamports: int) -> str:
        """Ask for lamports, where the cluster gives any; returns the signature to confirm."""
        return str(need(await self.call("requestAirdrop", [str(address), lamports]), str, "signature"))

    # --- time ---

    async def slot(self) -> int:
        """The newest slot."""
        return int(need(await self.call("getSlot", [{"commitment": COMMITMENT}]), int, "slot"))

    async def height(self) -> int:
        """The newest block height, to compare with Blockhash.last_valid_height."""
        return int(need(await self.call("getBlockHeight", [{"commitment": COMMITMENT}]), int, "block height"))

    async def latest_blockhash(self) -> Blockhash:
        """A blockhash to send transactions with, at most 0.3 s older than the node's newest."""
        now = time.monotonic()
        if self._blockhash is None or now - self._blockhash[0] > BLOCKHASH_AGE_S:
            result = await self.call("getLatestBlockhash", [{"commitment": COMMITMENT}])
            self._blockhash = now, blockhash_of(value_of(result))
        return self._blockhash[1]

    async def is_valid(self, blockhash: Hash) -> bool:
        """May a transaction with this blockhash still land?"""
        result = await self.call("isBlockhashValid", [str(blockhash), {"commitment": COMMITMENT}])
        return bool(need(value_of(result), bool, "blockhash validity"))

    # --- transactions ---

    async def send(self, transaction: bytes, skip_preflight: bool = False, min_slot: int = 0) -> str:
        """Send a signed transaction; returns its signature.

        With preflight a transaction that would fail raises RpcError with the program's error. Without, even one that
        can never land is taken: ask `statuses`. min_slot: see simulate.
        """
        config = {"encoding": "base64", "skipPreflight": skip_preflight, "preflightCommitment": COMMITMENT}
        config |= _min_slot(min_slot)
        text = base64.b64encode(transaction).decode()
        return str(need(await self.call("sendTransaction", [text, config]), str, "signature"))

    async def simulate(self, transaction: bytes, watched: Sequence[Pubkey], min_slot: int = 0) -> Simulation:
        """What a transaction would do, and what the watched accounts would hold then. It need not be signed.

        min_slot  the node must have got so far: a public node's answers are of many machines, some behind the others
        """
        accounts = {"encoding": "base64", "addresses": [str(address) for address in watched]}
        unsigned = {"sigVerify": False, "replaceRecentBlockhash": True}
        config = {"encoding": "base64", "commitment": COMMITMENT, "accounts": accounts, **unsigned}
        config |= _min_slot(min_slot)
        text = base64.b64encode(transaction).decode()
        return simulation_of(value_of(await self.call("simulateTransaction", [text, config])), len(watched))

    async def statuses(self, signatures: Sequence[str], history: bool = False) -> list[Status | None]:
        """What became of transactions, in their order; None for one not (yet) landed.

        `history` also looks for those older than the node's recent memory.
        """
        config = {"searchTransactionHistory": history}
        values = await self._many("getSignatureStatuses", signatures, MOST_STATUSES, config, "statuses")
        return [status_of(value) for value in values]

    async def confirm(self, signatures: Sequence[str], timeout_s: float = TIMEOUT_S) -> list[Status | None]:
        """Wait until every transaction is confirmed, or `timeout_s` is over: then some are None."""
        known: dict[str, Status] = {}
        deadline, pause = time.monotonic() + timeout_s, POLL_FIRST_S
        while True:
            waiting = [signature for signature in signatures if signature not in known]
            for signature, status in zip(waiting, await self.statuses(waiting), strict=True):
                if status is not None and status.confirmed:
                    known[signature] = status
            if len(known) == len(set(signatures)) or time.monotonic() > deadline:
                return [known.get(signature) for signature in signatures]
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, POLL_MOST_S)

    async def transaction(self, signature: str) -> TransactionInfo | None:
        """Logs and compute units of a landed transaction; None if the node does not know it."""
        config = {"encoding": "base64", "commitment": COMMITMENT, "maxSupportedTransactionVersion": 0}
        return transaction_of(await self.call("getTransaction", [signature, config]))

    # --- subscriptions ---

    async def follow_account(
        self, address: Pubkey, subscribed: asyncio.Event | None = None
    ) -> AsyncGenerator[AccountInfo | None, None]:
        """As subscribe_account, and when the node ends it, again. What changes in between is not told."""
        ended = 0
        while True:
            try:
                async for account in self.subscribe_account(address, subscribed):
                    ended = 0
                    yield account
            except HungUpError:
                ended += 1
                if ended > MOST_HANG_UPS:
                    raise
            await asyncio.sleep(HANG_UP_S * ended)

    async def subscribe_account(
        self, address: Pubkey, subscribed: asyncio.Event | None = None
    ) -> AsyncGenerator[AccountInfo | None, None]:
        """Every change of an account from when `subscribed` is set; None when it ceases to exist.

        HungUpError when the node ends it.
        """
        socket_url = websocket_url(self._address)
        where = redacted(socket_url)
        try:
            async with self._session.ws_connect(socket_url, max_msg_size=MAX_ANSWER, heartbeat=20) as socket:
                config = {"encoding": "base64", "commitment": COMMITMENT}
                call = {"jsonrpc": "2.0", "id": 1, "method": "accountSubscribe", "params": [str(address), config]}
                await socket.send_json(call)
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.ERROR:
                        break  # it does not answer any more
                    found = _notified(where, message)
                    if found is None and subscribed is not None:
                        subscribed.set()
                    if found is not None:
                        account = account_of(value_of(found))
                        yield account if account is not None and account.lamports else None
        except (aiohttp.ClientError, OSError) as error:
            reason = without_secrets(str(error), socket_url)
            raise RpcError(f"{where}: accountSubscribe: {reason}; {self._start}") from None
        raise HungUpError(f"{where}: the node ended the subscription; {self._start}")


#: The next step, by HTTP status.
_NEXT = {
    TOO_OFTEN: "it limits how often it is asked; run the same again later, or name a node of your own",
    TOO_LARGE: "it takes no request of this size; name another node",
    **dict.fromkeys(NO_NODE, "run the same again later, or name another node"),
}


def _most_tries(method: str, error: RpcError) -> int:
    """How often a call may fail so before it is given up."""
    if method == "requestAirdrop" or error.retry_after_s > MOST_RETRY_AFTER_S:
        return 1  # a faucet that refuses has given enough for a day
    if error.code in (TOO_OFTEN, *BEHIND):
        return BUSY_TRIES
    if method in ONCE:
        return 1
    return LOST_TRIES if isinstance(error, LostAnswerError) or error.code in NO_NODE else 1


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a node wants to be left alone; 0 if it does not say, or names a date."""
    text = headers.get(aiohttp.hdrs.RETRY_AFTER, "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0


def _min_slot(slot: int) -> dict[str, Any]:
    return {"minContextSlot": slot} if slot else {}


def _config(offset: int | None, length: int | None) -> dict[str, Any]:
    config: dict[str, Any] = {"encoding": "base64", "commitment": COMMITMENT}
    if offset is not None or length is not None:
        # The protocol has no open end; no account is larger than MAX_ANSWER.
        config["dataSlice"] = {"offset": offset or 0, "length": MAX_ANSWER if length is None else length}
    return config


def _as_many(values: Any, asked: Sequence[str], what: str) -> list[Any]:
    if len(need(values, list, what)) != len(asked):
        raise BadAnswerError(f"{what}: asked for {len(asked)}, got {len(values)}")
    return list(values)


async def _limited(response: aiohttp.ClientResponse, method: str) -> bytes:
    """The body, if it is not larger than any honest one."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MAX_ANSWER:
            raise BadAnswerError(f"{method}: the answer is larger than {MAX_ANSWER:,} bytes")
    return bytes(body)


def _notified(where: str, message: aiohttp.WSMessage) -> Any:
    """The result that a message brings; None for the confirmation of the subscription."""
    try:
        fields = need(bounded_json.parse(need(message.data, str, where)), dict, where)
    except ValueError:
        raise BadAnswerError(f"{where}: expected JSON, got {message.data!r:.80}") from None
    if "error" in fields:
        raise RpcError(f"{where}: accountSubscribe: {fields['error']!r:.200}")
    if fields.get("method") != "accountNotification":
        return None
    return need(fields.get("params"), dict, where).get("result")
