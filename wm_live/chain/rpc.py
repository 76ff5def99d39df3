"""A client of a Solana node: calls over HTTP with many in flight, and account changes over WebSocket."""

import asyncio
import base64
import itertools
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any, Self
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

#: HTTP answers of a node that has too much to do: asked again, each time after twice the wait.
BUSY = (429, 502, 503, 504)
BUSY_TRIES, BUSY_WAIT_S = 6, 0.5
POLL_FIRST_S, POLL_MOST_S = 0.02, 0.5


class RpcError(WmLiveError):
    """A node refused a call, or did not answer it.

    code    of JSON-RPC (-32002: the transaction failed in simulation) or HTTP; 0 when there was no answer at all
    error   the transaction's error, JSON as nodes write it
    logs    the program's lines, where the node gave them
    custom  the number of the program's own error, if that is what it failed with
    """

    def __init__(self, text: str, code: int = 0, data: Any = None) -> None:
        self.code = code
        self.error = data.get("err") if isinstance(data, dict) else None
        self.logs = logs_of(data)
        self.custom = custom_error(self.error)
        super().__init__("\n  ".join([text, *self.logs[-4:]]))


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
        """The result of any method."""
        body = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": list(params)}
        for attempt in range(BUSY_TRIES):
            status, answer = await self._post(method, body)
            if status not in BUSY:
                break
            if attempt < BUSY_TRIES - 1:
                await asyncio.sleep(BUSY_WAIT_S * 2**attempt)
        return self._result(method, status, answer)

    async def _post(self, method: str, body: dict[str, Any]) -> tuple[int, bytes]:
        try:
            async with self._session.post(self._address, json=body, allow_redirects=False) as response:
                return response.status, await _limited(response, method)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = without_secrets(str(error), self._address) or type(error).__name__
            raise RpcError(f"{self.url}: {method}: no answer ({reason}); {self._start}") from None

    def _result(self, method: str, status: int, answer: bytes) -> Any:
        where = f"{self.url}: {method}"
        try:
            fields = bounded_json.parse(answer)
        except ValueError:
            raise RpcError(f"{where}: HTTP {status}, expected JSON, got {answer[:80]!r}", status) from None
        if not isinstance(fields, dict) or ("result" not in fields and fields.get("error") is None):
            raise BadAnswerError(f"{where}: HTTP {status}, expected a result or an error, got {answer[:80]!r}")
        if fields.get("error") is not None:
            error = need(fields["error"], dict, f"{where}: error")
            code = error.get("code")
            said = f"{error.get('message')!s:.{MOST_LETTERS}}"
            raise RpcError(f"{where}: {said}", code if type(code) is int else 0, error.get("data"))
        return fields["result"]

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
        found: list[AccountInfo | None] = []
        for at in range(0, len(addresses), MOST_ACCOUNTS):
            part = [str(address) for address in addresses[at : at + MOST_ACCOUNTS]]
            result = value_of(await self.call("getMultipleAccounts", [part, _config(offset, length)]))
            found += [account_of(value) for value in _as_many(result, part, "accounts")]
        return found

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

    async def send(self, transaction: bytes, skip_preflight: bool = False) -> str:
        """Send a signed transaction; returns its signature.

        With preflight a transaction that would fail raises RpcError with the program's error. Without, even one that
        can never land is taken: ask `statuses`.
        """
        config = {"encoding": "base64", "skipPreflight": skip_preflight, "preflightCommitment": COMMITMENT}
        text = base64.b64encode(transaction).decode()
        return str(need(await self.call("sendTransaction", [text, config]), str, "signature"))

    async def simulate(self, transaction: bytes, watched: Sequence[Pubkey]) -> Simulation:
        """What a transaction would do, and what the watched accounts would hold then. It need not be signed."""
        accounts = {"encoding": "base64", "addresses": [str(address) for address in watched]}
        unsigned = {"sigVerify": False, "replaceRecentBlockhash": True}
        config = {"encoding": "base64", "commitment": COMMITMENT, "accounts": accounts, **unsigned}
        text = base64.b64encode(transaction).decode()
        return simulation_of(value_of(await self.call("simulateTransaction", [text, config])), len(watched))

    async def statuses(self, signatures: Sequence[str], history: bool = False) -> list[Status | None]:
        """What became of transactions, in their order; None for one not (yet) landed.

        `history` also looks for those older than the node's recent memory.
        """
        found: list[Status | None] = []
        for at in range(0, len(signatures), MOST_STATUSES):
            part = list(signatures[at : at + MOST_STATUSES])
            result = value_of(await self.call("getSignatureStatuses", [part, {"searchTransactionHistory": history}]))
            found += [status_of(value) for value in _as_many(result, part, "statuses")]
        return found

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

    async def subscribe_account(
        self, address: Pubkey, subscribed: asyncio.Event | None = None
    ) -> AsyncGenerator[AccountInfo | None, None]:
        """Every change of an account from when `subscribed` is set; None when it ceases to exist.

        RpcError when the node hangs up.
        """
        socket_url = websocket_url(self._address)
        where = redacted(socket_url)
        try:
            async with self._session.ws_connect(socket_url, max_msg_size=MAX_ANSWER, heartbeat=20) as socket:
                config = {"encoding": "base64", "commitment": COMMITMENT}
                call = {"jsonrpc": "2.0", "id": 1, "method": "accountSubscribe", "params": [str(address), config]}
                await socket.send_json(call)
                async for message in socket:
                    found = _notified(where, message)
                    if found is None and subscribed is not None:
                        subscribed.set()
                    if found is not None:
                        account = account_of(value_of(found))
                        yield account if account is not None and account.lamports else None
        except (aiohttp.ClientError, OSError) as error:
            reason = without_secrets(str(error), socket_url)
            raise RpcError(f"{where}: accountSubscribe: {reason}; {self._start}") from None
        raise RpcError(f"{where}: the node ended the subscription")


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
