"""What every test may need of the machine, a fixture for each; a test is skipped, with the reason, where it is missing.

The needs of a test decide its tier (tests/tiers.py).
"""

import fcntl
import gc
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests import builds
from tests.tiers import COLLECTED, GUARD, NEEDS, Guard, tier_of
from wm_export.solana.sources import SCRIPTS, cache_folder
from wm_export.solana.toolchain import Toolchain, find_toolchain, host_cargo, version_lines
from wm_live.localnet.servers import Installed, find_installed

#: A client in TypeScript; its lock says which packages.
CLIENT = Path(__file__).parents[1] / "examples" / "client"

# A shell that runs tests in the background has Ctrl-C ignored, and what they start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no error.
hypothesis.settings.register_profile("wmq", deadline=None)
hypothesis.settings.load_profile("wmq")


def shared_folder() -> Path:
    """WMQ_SHARED, or `shared` beside the repository."""
    return Path(os.environ.get("WMQ_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def pytest_configure(config: pytest.Config) -> None:
    config.stash[GUARD] = Guard(shared_folder())


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """What is imported and collected stays: the garbage collector need not look at it, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    places: dict[pytest.Item, int] = {}
    for item in items:
        assert isinstance(item, pytest.Function)
        tier = tier_of(item.fixturenames)
        places[item] = list(NEEDS).index(tier)
        item.add_marker(tier)
        if hasattr(config, "workerinput"):
            # xdist 3.8 has a mark for groups, which it adds to a name of the item that pytest 9.2 no longer reads.
            item._id = type(item.id).parse(f"{item.nodeid}@{group_of(item)}")
    config.stash[COLLECTED] = list(items)
    if hasattr(config, "workerinput"):  # of several processes: what takes longest begins first
        items.sort(key=places.__getitem__)


def group_of(item: pytest.Item) -> str:
    """What runs in one process: a file's tests, which share its fixtures; all tests of a rollup share one."""
    alone = str(item.path.relative_to(item.config.rootpath))
    return "rollup" if "localnet" in getattr(item, "fixturenames", ()) else alone


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    yield from _guarded(item)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    yield from _guarded(item)


def _guarded(item: pytest.Item) -> Iterator[None]:
    """Fail a test of the tier `fast` that does what such a test must not."""
    if item.get_closest_marker("fast") is None:
        yield
        return
    with item.config.stash[GUARD].watching() as seen:
        yield
    if seen:
        pytest.fail(f"a test of the tier `fast` {'; '.join(seen)}; a fixture that needs it must say so: tests/tiers.py")


@dataclass(frozen=True)
class Replays:
    """Unpacked replays. folder: holds <md5>.slp; facts: what is known of each file, from the list beside them."""

    folder: Path
    facts: list[dict[str, Any]]

    def path(self, fact: dict[str, Any]) -> Path:
        return self.folder / f"{fact['md5']}.slp"


@pytest.fixture(scope="session")
def compiled_once() -> Iterator[None]:
    """`wmq build` and `wmq parity` take what was compiled before from the cache of tests/builds.py."""
    builds.forget_old()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wm_export.solana.building.build_program", builds.build_program)
        patch.setattr("wm_export.solana.native.build_host", builds.build_host)
        patch.setattr("wm_export.bolt.std_programs.compile_crates", builds.compile_crates)
        yield


@pytest.fixture(scope="session")
def sbpf(compiled_once: None) -> Toolchain:
    """The Rust to sBPF toolchain."""
    found = find_toolchain()
    if found is None:
        pytest.skip("no sBPF toolchain: make toolchain")
    return found


@pytest.fixture(scope="session")
def bolt(sbpf: Toolchain) -> Path:
    """scripts/bolt.sh, which builds programs of std Rust."""
    script = SCRIPTS / "bolt.sh"
    if version_lines(["bash", str(script), "versions"]) is None:
        pytest.skip("programs of std Rust cannot be built here: scripts/bolt.sh install")
    return script


@pytest.fixture(scope="session")
def cargo(compiled_once: None) -> Path:
    """Rust for this machine."""
    found = host_cargo()
    if found is None:
        pytest.skip("no cargo: make toolchain")
    return found


@pytest.fixture(scope="session")
def rustfmt() -> None:
    """The formatter of Rust sources."""
    if shutil.which("rustfmt") is None:
        pytest.skip("no rustfmt: make toolchain")


@pytest.fixture(scope="session")
def anchor() -> Path:
    """A folder that holds what examples/client needs, `@coral-xyz/anchor` and TypeScript; kept in the cache."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("no node or npm")
    lock = (CLIENT / "package-lock.json").read_bytes()
    folder = cache_folder() / f"client-{hashlib.sha256(lock).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)  # processes of one test run
        if not (folder / "installed").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(CLIENT / name, folder)
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
                pytest.skip("npm could not install what examples/client needs: no network?")
            (folder / "installed").touch()
    return folder


@pytest.fixture(scope="session")
def anchorpy() -> Path:
    """Python of an environment with what examples/anchorpy_client.py needs; kept in the cache."""
    wanted = CLIENT.parent / "anchorpy_requirements.txt"
    folder = cache_folder() / f"anchorpy-{hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:16]}"
    python = folder / "bin" / "python"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as mine:
        fcntl.flock(mine, fcntl.LOCK_EX)  # processes of one test run
        if not (folder / "installed").exists():
            venv.create(folder, with_pip=True)
            command = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", str(wanted)]
            if subprocess.run(command, capture_output=True, check=False).returncode:
                pytest.skip("pip could not install what examples/anchorpy_client.py needs: no network?")
            (folder / "installed").touch()
    return python


@pytest.fixture(scope="session")
def client(anchor: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """client.js, compiled from examples/client."""
    folder = tmp_path_factory.mktemp("client")
    for name in ("client.ts", "tsconfig.json"):
        shutil.copy(CLIENT / name, folder)
    (folder / "node_modules").symlink_to(anchor / "node_modules")
    command = ["node", "node_modules/typescript/bin/tsc"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return folder / "build" / "client.js"


@pytest.fixture(scope="session")
def validator() -> Installed:
    """The real MagicBlock validator."""
    found = find_installed()
    if found is None:
        pytest.skip("no rollup validator: make rollup")
    return found


@pytest.fixture(scope="session")
def chromium() -> tuple[str, str]:
    """Paths of a browser and of its driver."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no Chromium with its driver; on Debian: apt install chromium chromium-driver")
    return browser, driver


@pytest.fixture(scope="session")
def python() -> str:
    """Python, for a process that a test starts."""
    return sys.executable


@pytest.fixture(scope="session")
def several_runs() -> None:
    """Time to train several networks."""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real replays."""
    path = shared_folder()
    if not path.is_dir():
        pytest.skip(f"no shared folder at {path}; set WMQ_SHARED")
    return path


@pytest.fixture(scope="session")
def more_replays(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Replays:
    """65 more real games."""
    return _unpack(shared, "more", tmp_path_factory)


def _unpack(shared: Path, name: str, factory: pytest.TempPathFactory) -> Replays:
    archive = shared / "data" / f"replays-{name}.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    folder = factory.mktemp(name)
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    (facts,) = folder.rglob(f"{name}.json")
    (first, *_) = folder.rglob("*.slp")
    return Replays(first.parent, json.loads(facts.read_text()))


@pytest.fixture(scope="session")
def train_replays(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Replays:
    """118 real games."""
    return _unpack(shared, "train", tmp_path_factory)


@pytest.fixture(scope="session")
def fixture_replays(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Replays:
    """21 edge cases and broken files."""
    return _unpack(shared, "fixtures", tmp_path_factory)


@pytest.fixture
def exact_again() -> Iterator[None]:
    """Training switches fast products on, for the whole process; tests after this one want them exact."""
    from wm_train.nets.matmul import use_exact_matmul

    yield
    use_exact_matmul()
