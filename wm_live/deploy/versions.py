"""Which versions of sBPF a cluster takes new programs in: its feature accounts say."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from solders.pubkey import Pubkey

from wm_export.schema.sbpf import FEATURES, ONLY_V3, Arch
from wm_live.chain.answers import AccountInfo
from wm_live.chain.rpc import Rpc
from wm_live.errors import WmLiveError

FEATURE_PROGRAM = Pubkey.from_string("Feature111111111111111111111111111111111111")


@dataclass(frozen=True)
class Versions:
    """The versions of sBPF that a cluster deploys, upgrades and makes final.

    features  by name (FEATURES): the slot in which each was switched on, None if it is not
    """

    features: Mapping[str, int | None]

    @property
    def taken(self) -> list[str]:
        """Those of new programs, from the oldest on."""
        versions = [name for name in ("v1", "v2", "v3") if self.features[name] is not None]
        return [name for name in versions if name == "v3"] if self.features[ONLY_V3] is not None else ["v0", *versions]

    def check(self, version: str, url: str) -> None:
        """WmLiveError unless a program in this version can be deployed."""
        if version in self.taken:
            return
        raise WmLiveError(
            f"{url}: takes new programs in sBPF {listed(self.taken)}, and this one is in {version}; nothing was sent; "
            f"next: {self.way}"
        )

    @property
    def way(self) -> str:
        """What to do with a program that is not taken."""
        arch = next((arch for arch in Arch if arch in self.taken), None)
        return f"wmq build --arch {arch}, and deploy that" if arch else "another cluster"

    def line(self, version: str) -> str:
        """In words, of a program in this version."""
        only = self.features[ONLY_V3]
        rule = "v3 alone is not asked for" if only is None else f"v3 alone since slot {only:,}"
        return f"sBPF {listed(self.taken)} taken ({rule}); program in {version}"

    def to_json(self, version: str) -> dict[str, Any]:
        """For --json, of a program in this version."""
        return {"program": version, "taken": self.taken, "features": dict(self.features)}


def listed(versions: list[str]) -> str:
    """In words."""
    return ", ".join(versions) or "no version that wmq knows"


async def read_versions(rpc: Rpc) -> Versions:
    """What a cluster takes now."""
    accounts = await rpc.accounts([Pubkey.from_string(address) for address in FEATURES.values()])
    return Versions({name: _since(account) for name, account in zip(FEATURES, accounts, strict=True)})


def _since(account: AccountInfo | None) -> int | None:
    """The slot in which a feature was switched on: 1, u64. Lamports alone, sent by anybody, switch on nothing."""
    if account is None or account.owner != FEATURE_PROGRAM or len(account.data) < 9 or account.data[0] != 1:
        return None
    return int(struct.unpack_from("<Q", account.data, 1)[0])
