"""What a session's players agree on, as one hash: a seed of the session's address, and what a join names.

    sha256("wmq session terms 1" | id | ids | start | opponent | validator)

as onchain/program/src/accounts/agreed.rs takes it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey

from wm_export.schema.accounts import session_ids
from wm_export.schema.instruction_set import AGREED, Group
from wm_live.session.tree import Hash

DOMAIN = b"wmq session terms 1"


@dataclass(frozen=True)
class Terms:
    """What a session is created with.

    number     the creator's for it, u64
    ids        of stage and characters
    start      root of the hash tree over its window
    opponent   wallet that the second seat is kept for; all zeros for whoever comes first
    validator  of its rollup
    """

    number: int
    ids: Sequence[int]
    start: Hash
    opponent: Pubkey
    validator: Pubkey

    @property
    def arguments(self) -> Mapping[str, Any]:
        """As `create_session` takes them."""
        ids = session_ids(self.ids)
        named = {"start": self.start, "opponent": self.opponent, "validator": self.validator}
        return {"id": self.number, "ids": ids} | named

    @property
    def hash(self) -> Hash:
        """32 bytes."""
        return terms_hash(self.arguments)


def terms_hash(agreed: Mapping[str, Any]) -> Hash:
    """The hash of arguments, or of a session account's fields; others may be among them."""
    fields = [member for member in AGREED.members if not isinstance(member, Group)]
    return hashlib.sha256(DOMAIN + b"".join(field.type.pack(agreed[field.name]) for field in fields)).digest()
