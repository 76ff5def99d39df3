"""A session and its model as the base chain has them, every address and owner validated."""

from dataclasses import dataclass

from solders.pubkey import Pubkey

from wm_export.schema.accounts import MODEL, SESSION
from wm_export.schema.limits import ACCOUNT_VERSION
from wm_export.schema.types import U64
from wm_export.solana.export import Export
from wm_live.chain.addresses import DELEGATION_PROGRAM, delegation_record, model_address
from wm_live.chain.answers import AccountInfo
from wm_live.chain.rpc import Rpc
from wm_live.errors import OtherExportError, WmLiveError
from wm_live.session.account import SessionState, session_state
from wm_live.session.delegation import Delegation, read_delegation
from wm_live.session.instructions import DeployedWorld, Session
from wm_live.session.log import Log


@dataclass(frozen=True)
class Committed:
    """A session on a chain. delegation: None if it is not delegated. lamports: of its account."""

    session: Session
    state: SessionState
    delegation: Delegation | None
    lamports: int


def check_log(export: Export, log: Log, session: Pubkey) -> tuple[Pubkey, Pubkey]:
    """(program, model) that a log names; WmLiveError unless it is of this session, OtherExportError of another export.

    Both are the log's word: `read_world` and `read_session` hold them against the chain.
    """
    about = log.about
    _equal(f"{log.folder}: session", about.session, str(session))
    _of_export(f"{log.folder}", about.manifest_sha256, export)
    _equal(f"{log.folder}: game", about.game, export.net.world.game.name)
    if about.empty_memory != export.layout.memory.empty.hex():
        got, expected = ("digests" if one else "no digests" for one in (about.empty_memory, export.layout.memory.empty))
        raise WmLiveError(f"{log.folder}: {got} of what the network keeps, expected {expected}; is it of another wmq?")
    _equal(f"{log.folder}: slots", str(about.slots), str(export.net.world.encoding.slots))
    try:
        return Pubkey.from_string(about.program), Pubkey.from_string(about.model)
    except ValueError as error:
        raise WmLiveError(f"{log.folder}: program {about.program!r}, model {about.model!r}: {error}") from None


async def read_world(rpc: Rpc, export: Export, program: Pubkey, model: Pubkey) -> DeployedWorld:
    """The deployed world whose blob, or first shard of it, lies at `model`.

    WmLiveError unless the account is a model of this export, frozen, with the digest of its blob, at the one address
    that its authority and manifest give; and so the account of every other shard. The blob itself is not read: the
    program freezes no other than that of the digest.
    """
    world = DeployedWorld(export, program, await _check_model(rpc, export, program, model, 0))
    for shard, address in enumerate(world.more_models, start=1):
        await _check_model(rpc, export, program, address, shard)
    return world


async def _check_model(rpc: Rpc, export: Export, program: Pubkey, model: Pubkey, shard: int) -> Pubkey:
    """The authority of the account of a shard, which is checked."""
    account = await rpc.account(model, 0, MODEL.size)
    if account is None or account.owner != program or len(account.data) != MODEL.size:
        got = "no account" if account is None else f"{len(account.data)} bytes of {account.owner}"
        raise WmLiveError(f"model {model}: expected one of program {program}, got {got}")
    data, manifest = account.data, export.manifest
    if not MODEL.is_one(data):
        raise WmLiveError(f"model {model}: expected a model of version {ACCOUNT_VERSION}, got {data[:12].hex()}")
    head = MODEL.unpack(data)
    _of_export(f"model {model}", head["manifest"].hex(), export)
    if not head["frozen"]:
        raise WmLiveError(f"model {model}: not frozen, so its weights can still change; no session of it says anything")
    _equal(f"model {model}: digest", head["digest"].hex(), manifest.digests[shard].hex())
    authority = Pubkey.from_bytes(head["authority"])
    _equal(f"model {model}: address", str(model), str(model_address(authority, manifest.hash, program, shard)))
    return authority


async def read_session(rpc: Rpc, world: DeployedWorld, address: Pubkey) -> Committed:
    """The session at `address`, on the base chain (delegated or not) or on a rollup.

    WmLiveError unless it is one of this world, at its own address, that belongs to the program, or to DLP with a record
    that says so.
    """
    account = await rpc.account(address)
    if account is None or not account.lamports:
        raise WmLiveError(f"session {address}: not on {rpc.url}; never created, closed, or on another cluster")
    delegation = await _delegation(rpc, world, address, account)
    state = session_state(world.layout, account.data)
    _of_export(f"session {address}", state.manifest.hex(), world.export)
    _equal(f"session {address}: model", str(state.model), str(world.model))
    session = Session(world, state.creator, state.terms)
    _equal(f"session {address}: address of its creator and of what was agreed", str(session.address), str(address))
    session.use_nonce(state.nonce)
    if delegation is not None:
        _equal(f"session {address}: validator", str(delegation.validator), str(state.terms.validator))
    return Committed(session, state, delegation, account.lamports)


async def numbered_sessions(rpc: Rpc, world: DeployedWorld, creator: Pubkey, number: int) -> list[Pubkey]:
    """Addresses of the creator's sessions of this number on the base chain, delegated or not: what the node says."""
    offsets = SESSION.offsets
    assert offsets["id"] == offsets["creator"] + len(bytes(creator))
    wanted = bytes(creator) + U64.pack(number)
    owners = (world.program, DELEGATION_PROGRAM)
    found = [await rpc.owned(it, world.layout.session_bytes, offsets["creator"], wanted) for it in owners]
    return [address for group in found for address in group]


async def _delegation(rpc: Rpc, world: DeployedWorld, address: Pubkey, account: AccountInfo) -> Delegation | None:
    if account.owner == world.program:
        return None
    if account.owner != DELEGATION_PROGRAM:
        raise WmLiveError(f"session {address}: belongs to {account.owner}, expected {world.program} or DLP")
    delegation = read_delegation(await rpc.account(delegation_record(address)), address)
    _equal(f"session {address}: program that delegated it", str(delegation.owner), str(world.program))
    return delegation


def _of_export(what: str, manifest: str, export: Export) -> None:
    if manifest != (expected := export.manifest.hash.hex()):
        raise OtherExportError(what, manifest, export.folder, expected)


def _equal(what: str, got: bytes | str, expected: bytes | str) -> None:
    if got != expected:
        texts = [value.hex() if isinstance(value, bytes) else value for value in (got, expected)]
        raise WmLiveError(f"{what}: got {texts[0]}, expected {texts[1]}")
