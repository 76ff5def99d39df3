"""JSON-RPC over bytes: a body in, its answer out. Whatever the body is, the answer is JSON-RPC.

A body asks for one thing or, as a list, for at most MOST_CALLS.
"""

import json
import logging
from typing import Any

from wm_live import bounded_json
from wm_live.errors import WmLiveError
from wm_live.localnet.base_chain.methods import INTERNAL, INVALID_REQUEST, PARSE_ERROR, CallError, Methods

#: A body is a list of transactions in base64, or of a few hundred addresses; both have room here.
MOST_BODY_BYTES = 256 << 10
MOST_CALLS = 100
#: Two accounts of the greatest size, in base64.
MOST_ANSWER_BYTES = 32 << 20
MOST_ID_LETTERS = 100
log = logging.getLogger(__name__)


def answer(methods: Methods, body: bytes | str) -> str:
    """The answer to a body, as JSON. WmLiveError only if the chain cannot go on."""
    try:
        asked = parse(body)
    except CallError as error:
        return json.dumps(error_json(None, error))
    if not isinstance(asked, list):
        return _answer(methods, asked)
    if not 1 <= len(asked) <= MOST_CALLS:
        return json.dumps(
            error_json(None, CallError(INVALID_REQUEST, f"expected 1 to {MOST_CALLS} calls, got {len(asked)}"))
        )
    texts: list[str] = []
    for call in asked:
        room = MOST_ANSWER_BYTES - sum(map(len, texts))
        texts.append(_answer(methods, call, room))
    return f"[{','.join(texts)}]"


def parse(body: bytes | str) -> Any:
    """What a body asks; CallError if it is not JSON that a node would take."""
    if len(body) > MOST_BODY_BYTES:
        raise CallError(INVALID_REQUEST, f"expected at most {MOST_BODY_BYTES:,} bytes, got {len(body):,}")
    try:
        return bounded_json.parse(body)
    except ValueError as error:
        raise CallError(PARSE_ERROR, f"Parse error: {error!s:.100}") from None


def method_of(call: Any) -> tuple[str, Any]:
    """(method, id) of a call; CallError if it is none."""
    if not isinstance(call, dict) or not isinstance(call.get("method"), str) or not _is_id(call.get("id")):
        raise CallError(INVALID_REQUEST, "Invalid request: expected a method's name, and a number or text for an id")
    return call["method"], call.get("id")


def error_json(number: Any, error: CallError) -> dict[str, Any]:
    """The answer to a call that failed."""
    return {"jsonrpc": "2.0", "id": number, "error": error.json()}


def _is_id(value: Any) -> bool:
    return value is None or type(value) is int or (isinstance(value, str) and len(value) <= MOST_ID_LETTERS)


def _answer(methods: Methods, call: Any, room: int = MOST_ANSWER_BYTES) -> str:
    number: Any = None
    try:
        method, number = method_of(call)
        text = json.dumps({"jsonrpc": "2.0", "id": number, "result": _call(methods, method, call.get("params"))})
        if len(text) > room:
            raise CallError(INTERNAL, f"the answer is larger than {MOST_ANSWER_BYTES:,} bytes; ask for less at once")
    except CallError as error:
        return json.dumps(error_json(number, error))
    return text


def _call(methods: Methods, method: str, params: Any) -> Any:
    try:
        return methods.call(method, params)
    except (CallError, WmLiveError):
        raise
    except Exception as error:
        log.exception("%.60s", method)
        raise CallError(INTERNAL, f"Internal error: {error!r:.200}") from None
