"""What this project has deployed: kept by `wmq deploy`, and told where the export has been made anew since."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from wm_cli import project
from wm_cli.artifacts import EXPORT
from wm_cli.staleness import tell
from wm_cli.world_words import world_words
from wm_live.chain.answers import address_in
from wm_live.chain.rpc import Rpc
from wm_live.chain.urls import redacted

#: Name of the kept figures.
_KEPT = "deploy"


def keep_deployment(cluster: str, figures: dict[str, Any]) -> None:
    """Keep which world `wmq deploy` has put on a cluster, the newest of each."""
    world = {name: figures[name] for name in ("payer", "program", "model", "manifest_sha256")}
    project.keep_figures(_KEPT, {"worlds": _deployed() | {redacted(cluster): world}})


async def tell_of_deployment(base: Rpc, export: Path, cluster: str, keypair: Path) -> None:
    """A world that was deployed on a cluster, and is there, but is of no export here any more: by its manifest."""
    world, here = _deployed().get(redacted(cluster)), _manifests()
    if not world or not here or world["manifest_sha256"] in here:
        return
    if await base.account(address_in(world["model"]), 0, 0) is not None:
        words = f"wmq deploy {world_words(export, cluster, keypair)}".strip()
        at = f"{world['model']}: the world that was deployed on {redacted(cluster)}"
        tell(f"{at} is of no export as it is now, and older; next: {words}")


def _deployed() -> dict[str, Any]:
    return dict((project.kept_figures(_KEPT) or {}).get("worlds", {}))


def _manifests() -> set[str]:
    """Hashes of the manifests of this project's exports."""
    from wm_export.errors import WmExportError
    from wm_export.manifest import load_manifest

    found = set[str]()
    for path in EXPORT.here():
        with suppress(WmExportError):
            found |= {one.hash.hex() for one in load_manifest(path / EXPORT.file).values()}
    return found
