"""The delegation program's record and metadata of a delegated account, read back.

    delegation record   100 u64 | validator 32 | owner 32 | slot u64 | lamports u64 | commit period in ms u64
    metadata            102 u64 | number of the last commit u64 | what the delegation ends with

All little-endian. While an account is delegated it belongs to the delegation program (DLP); its record says who may
write it, and the owner that it goes back to; its metadata how often it was committed.
"""

import struct
from dataclasses import dataclass

from solders.pubkey import Pubkey

from wm_live.chain.addresses import DELEGATION_PROGRAM
from wm_live.chain.answers import AccountInfo
from wm_live.errors import WmLiveError

RECORD_TAG, METADATA_TAG = 100, 102
_RECORD = struct.Struct("<Q32s32sQQQ")
_METADATA = struct.Struct("<QQ")


@dataclass(frozen=True)
class Delegation:
    """Of a delegated account: who may write it, since which slot, and the program it goes back to."""

    validator: Pubkey
    owner: Pubkey
    slot: int


def read_delegation(record: AccountInfo | None, of: Pubkey) -> Delegation:
    """The delegation of account `of`, from the account at `delegation_record(of)`; WmLiveError if it is none."""
    if record is None or record.owner != DELEGATION_PROGRAM or len(record.data) != _RECORD.size:
        got = "no account" if record is None else f"{len(record.data)} bytes of {record.owner}"
        raise WmLiveError(
            f"delegation record of {of}: expected {_RECORD.size} bytes of {DELEGATION_PROGRAM}, got {got}"
        )
    tag, validator, owner, slot, _, _ = _RECORD.unpack(record.data)
    if tag != RECORD_TAG:
        raise WmLiveError(f"delegation record of {of}: expected the tag {RECORD_TAG}, got {tag}")
    return Delegation(Pubkey.from_bytes(validator), Pubkey.from_bytes(owner), slot)


def commits_of(metadata: AccountInfo | None, of: Pubkey) -> int:
    """Commits of the delegation of account `of` so far, from the account at `delegation_metadata(of)`; WmLiveError if
    it is none."""
    if metadata is None or metadata.owner != DELEGATION_PROGRAM or len(metadata.data) < _METADATA.size:
        got = "no account" if metadata is None else f"{len(metadata.data)} bytes of {metadata.owner}"
        raise WmLiveError(f"delegation metadata of {of}: expected an account of {DELEGATION_PROGRAM}, got {got}")
    tag, commits = _METADATA.unpack_from(metadata.data)
    if tag != METADATA_TAG:
        raise WmLiveError(f"delegation metadata of {of}: expected the tag {METADATA_TAG}, got {tag}")
    return int(commits)
