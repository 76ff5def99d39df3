"""Words of a command line that name a deployed world or a log, without those that a verb has by itself."""

import shlex
from pathlib import Path

from wm_cli import project
from wm_live.chain.urls import redacted
from wm_live.chain.wallet import LOCALNET


def world_words(export: Path, cluster: str, keypair: Path = project.KEYPAIR, rollup: str | None = None) -> str:
    """Of verbs that a wallet's own world is given to."""
    words = [str(export)] if export != project.EXPORT else []
    words += ["--cluster", redacted(cluster)] if cluster != LOCALNET else []
    words += ["--rollup", redacted(rollup)] if rollup else []
    words += ["--keypair", str(keypair)] if keypair != project.KEYPAIR else []
    return shlex.join(words)


def log_words(export: Path, cluster: str, log: Path) -> str:
    """Of verbs that anybody gives a session's log to."""
    return f"{world_words(export, cluster)} --log {shlex.quote(str(log))}".strip()
