"""Every test is of one tier, and what a test of the tier `fast` must not do is seen."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import group_of, shared_folder
from tests.tiers import COLLECTED, GUARD, NEEDS, TOOLS, tier_of


def test_every_test_has_one_tier(request: pytest.FixtureRequest) -> None:
    collected = request.config.stash[COLLECTED]
    tiers = {item.nodeid: [name for name in NEEDS if item.get_closest_marker(name)] for item in collected}
    assert collected and {name: found for name, found in tiers.items() if len(found) != 1} == {}


def test_tests_of_a_file_stay_together(request: pytest.FixtureRequest) -> None:
    """Processes are given groups of tests, by what follows the @ of a name."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("one process runs them all")
    names = {item.nodeid: group_of(item) for item in request.config.stash[COLLECTED]}
    assert names and {name: group for name, group in names.items() if not name.endswith(f"@{group}")} == {}


@pytest.mark.parametrize(
    ("fixtures", "tier"),
    [
        ((), "fast"),
        (("tmp_path", "exact_again"), "fast"),
        (("train_replays", "shared"), "replays"),
        (("folder", "several_runs"), "study"),
        (("tmp_path", "python"), "process"),
        (("shared", "python"), "replays"),
        (("small", "sbpf"), "program"),
        (("shared", "cargo"), "program"),
        (("localnet", "validator", "sbpf"), "rollup"),
        (("chromium",), "rollup"),
    ],
)
def test_the_greatest_need_decides(fixtures: tuple[str, ...], tier: str) -> None:
    assert tier_of(fixtures) == tier


def test_every_need_is_a_fixture(request: pytest.FixtureRequest) -> None:
    manager = request.session._fixturemanager
    assert [name for needs in NEEDS.values() for name in needs if not manager.getfixturedefs(name, request.node)] == []


def test_a_process_of_python_is_seen(request: pytest.FixtureRequest) -> None:
    with request.config.stash[GUARD].watching() as seen, pytest.raises(OSError):
        subprocess.Popen([sys.executable, "-c", ""], cwd="/nowhere")
    assert seen == [f"starts {sys.executable}"]


@pytest.mark.parametrize("tool", sorted(TOOLS))
def test_a_compiler_or_a_browser_is_seen(request: pytest.FixtureRequest, tool: str) -> None:
    with request.config.stash[GUARD].watching() as seen, pytest.raises(OSError):
        subprocess.Popen([f"/nowhere/{tool}", "build"])
    assert seen == [f"starts /nowhere/{tool}"]


def test_the_network_is_seen(request: pytest.FixtureRequest) -> None:
    with request.config.stash[GUARD].watching() as seen, socket.socket() as client:
        client.settimeout(0.01)
        with pytest.raises(OSError):
            client.connect(("192.0.2.1", 9))  # an address for documentation, which nobody has
        client.settimeout(0.01)
        with pytest.raises(OSError):
            client.connect(("127.0.0.1", 1))
    assert seen == ["connects to 192.0.2.1"]


def test_the_shared_folder_is_seen(request: pytest.FixtureRequest) -> None:
    with request.config.stash[GUARD].watching() as seen, pytest.raises(OSError):
        (shared_folder() / "nothing.txt").read_bytes()
    assert seen == [f"opens {shared_folder() / 'nothing.txt'}"]


def test_stand_ins_are_no_tools(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    tool = tmp_path / "cargo"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    with request.config.stash[GUARD].watching() as seen:
        subprocess.run([str(tool)], check=True)
    assert seen == []


def test_to_ask_for_a_version_needs_no_tool(request: pytest.FixtureRequest) -> None:
    with request.config.stash[GUARD].watching() as seen, pytest.raises(OSError):
        subprocess.Popen(["/nowhere/cargo", "--version"])
    assert seen == []
