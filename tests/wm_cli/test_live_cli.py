"""The verbs of a deployed world as a user types them, on a real rollup: what they print, and their exit codes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests import verbs
from tests.factories import small_qnet, write_dataset
from tests.records import RECORD_BYTES
from wm_cli.places import GAME_FRAMES
from wm_export.solana.export import export_solana, open_export
from wm_export.solana.metering import build
from wm_live.localnet.servers import Localnet

FRAMES = 30


@dataclass(frozen=True)
class Project:
    """A project folder with a deployed world, and how its verbs find the nodes."""

    folder: Path
    net: Localnet

    def run(self, *arguments: str) -> Result:
        """Any verb."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            return verbs.run(*arguments)

    def figures(self, *arguments: str, code: int = 0) -> Any:
        """What a verb prints with --json."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            return verbs.figures(*arguments, code=code)

    @property
    def base(self) -> tuple[str, ...]:
        """For verbs that talk to the base chain only."""
        return "--cluster", self.net.places.base, "--keypair", "wallet.json"

    def both(self, number: int) -> tuple[str, ...]:
        """For verbs of a session."""
        return *self.base, "--rollup", self.net.places.rollup, "--id", str(number)


@pytest.fixture(scope="module")
def project(localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Deployed by the verbs themselves."""
    folder = tmp_path_factory.mktemp("project")
    made = Project(folder, localnet)
    (folder / "dataset").mkdir()
    write_dataset(folder / "dataset", [GAME_FRAMES + 60, GAME_FRAMES + 50])
    export_solana(small_qnet(), folder / "export")
    build(open_export(folder / "export"))
    assert made.figures("fund", "--sol", "200", *made.base)["balance"] == 200 * 10**9
    dry = made.figures("deploy", "run", "--dry-run", *made.base)
    assert dry["dry_run"] and made.run("deploy", "verify", *made.base).exit_code == 1
    assert made.run("deploy", "run", *made.base).exit_code == 2
    early = made.run("play", *made.both(1))
    assert early.exit_code == 1 and "next: wmq deploy" in early.stderr
    real = made.figures("deploy", "run", "--upgradeable", *made.base)
    assert not real["dry_run"] and real["verification"]["ok"]
    assert {name: dry[name] for name in ("program", "model")} == {name: real[name] for name in ("program", "model")}
    assert made.run("deploy", "verify", *made.base).exit_code == 1  # the keypair can replace it
    assert made.figures("deploy", "verify", "--allow-upgradeable", *made.base)["ok"]
    return made


def root_of_log(project: Project, name: str) -> int:
    """Records in a log on disk."""
    return len((project.folder / name / "records.bin").read_bytes()) // RECORD_BYTES


def test_a_session_s_life(project: Project) -> None:
    at, slots = project.both(1), 3
    opened = project.figures("session", "open", *at)
    assert (opened["status"], opened["on"], opened["frame_number"]) == ("started", "rollup", 0)
    assert opened["log"] == "session-1" and root_of_log(project, "session-1") == slots
    again = project.run("session", "open", *at)
    assert again.exit_code == 1 and "there is a log already" in again.stderr and not again.stdout
    again = project.run("session", "open", "--log", "another", *at)
    assert again.exit_code == 1 and "exists already" in again.stderr and not again.stdout
    first = project.figures("play", "--frames", str(FRAMES), *at)
    assert (first["frames"], first["frame_number"]) == (FRAMES, FRAMES) and first["cu_per_frame"] > 0
    second = project.figures("play", "--frames", str(FRAMES), "--inputs", "random", "--fps", "0", *at)
    assert (second["frames"], second["frame_number"]) == (FRAMES, 2 * FRAMES)
    # A second's worth of frames is committed at the end of the call in which it is full.
    assert (first["committed"], first["uncommitted"]) == (0, FRAMES)
    assert (second["committed"], second["uncommitted"], second["commits_left"]) == (2 * FRAMES, 0, 9)
    shown = project.figures("session", "show", *at)
    assert {name: shown[name] for name in shown} == {name: second[name] for name in shown}
    again = project.figures("session", "commit", *at)
    assert again == shown, "there is nothing to commit"
    closing = ("verify", "--log", "session-1", "--cluster", project.net.places.base)
    verified = project.figures(*closing, "--rollup", project.net.places.rollup)
    assert verified["ok"] and verified["frames"] == 2 * FRAMES and len(verified["chains"]) == 2
    pin = project.figures(*closing, "--pin", "--keypair", "wallet.json")["pin"]
    assert pin and verified["pin"] == ""
    third = project.figures("play", "--frames", "10", "--fps", "0", *at)
    assert (third["committed"], third["uncommitted"]) == (2 * FRAMES, 10)
    committed = project.figures("session", "commit", *at)
    assert (committed["committed"], committed["uncommitted"]) == (2 * FRAMES + 10, 0)
    ended = project.figures("session", "end", *at)
    assert ended["compared"] and (ended["status"], ended["on"]) == ("ended", "base chain")
    assert (ended["committed"], ended["uncommitted"]) == (2 * FRAMES + 10, 0)
    assert project.figures("session", "end", *at)["status"] == "ended", "done already"
    over = project.run("play", *at)
    assert over.exit_code == 1 and "has ended, and can still be disputed" in over.stderr
    assert project.figures(*closing)["ok"]
    told = project.figures("dispute", "65", *closing[1:], "--keypair", "wallet.json")
    assert told["verdict"] == "right"
    shown = project.figures("session", "show", *at)
    closed = project.figures("session", "close", *at)
    assert closed["compared"] and closed["frames"] == 2 * FRAMES + 10 and closed["lamports"] > 0
    assert closed["root"] == shown["root"]
    gone = project.run("session", "show", *at)
    assert gone.exit_code == 1 and "closed, or on another cluster; `wmq verify --cluster" in gone.stderr
    over = project.run("play", *at)
    assert over.exit_code == 1 and f"next: wmq play {' '.join(project.both(2)[:2])}" in over.stderr
    of_pin = project.figures(*closing)
    assert (of_pin["ok"], of_pin["status"], of_pin["uncommitted"]) == (True, "gone", 10)
    unpinned = project.figures("unpin", pin, *project.base)
    assert (unpinned["pin"], unpinned["root"]) == (pin, second["root"]) and unpinned["lamports"] > 0
    alone = project.run(*closing)
    assert alone.exit_code == 1 and "no root of a chain was compared" in alone.stdout
    named = alone.stdout.splitlines()[-1].partition("wmq ")[2].partition(", which")[0]
    assert project.run(*named.split()).exit_code == 0, named
    offline = project.figures("verify", "--log", "session-1", "--offline")
    assert offline["ok"] and offline["chains"][0]["frames"] == 2 * FRAMES + 10
    both = project.run(*closing, "--offline", "--pin")
    assert both.exit_code == 2 and "asks no node" in both.stderr
    again = project.run("unpin", pin, *project.base)
    assert again.exit_code == 1 and "was it closed?" in again.stderr


def test_verify_and_dispute(project: Project) -> None:
    at = project.both(2)
    opened = project.figures("play", "--frames", str(FRAMES), "--fps", "0", *at)
    assert opened["log"] == "session-2" and opened["frame_number"] == FRAMES
    project.figures("session", "commit", *at)
    log = ("--log", "session-2", "--cluster", project.net.places.base)
    dry = project.figures("dispute", "7", *log, "--keypair", "wallet.json", "--dry-run")
    assert dry and "verdict" not in dry
    told = project.figures("dispute", "7", *log, "--keypair", "wallet.json")
    assert told["verdict"] == "right", told
    records = project.folder / "session-2" / "records.bin"
    whole = records.read_bytes()
    at_frame = (3 + 7) * RECORD_BYTES
    records.write_bytes(whole[:at_frame] + bytes([whole[at_frame] ^ 1]) + whole[at_frame + 1 :])
    lied = project.figures("verify", *log, code=1)
    assert not lied["ok"] and not lied["chains"][0]["ok"]
    spoiled = project.run("session", "close", *at)
    assert spoiled.exit_code == 1 and "not what the log has" in spoiled.stderr
    records.write_bytes(whole)
    assert project.figures("session", "close", *at)["frames"] == FRAMES


def test_bench(project: Project) -> None:
    figures = project.figures("bench", "rollup", "--seconds", "0.5", "--sessions", "2", *project.both(10))
    assert (figures["sessions"], figures["frames"], figures["steps"]) == (2, 60, 1)
    for number in (10, 11):
        assert project.run("session", "show", *project.both(number)).exit_code == 1, "closed again"


MISTAKES = {
    "a cluster whose rollup is not known": (("session", "show", "--cluster", "http://127.0.0.1:1"), 1, "--rollup URL"),
    "no wallet": (("session", "show", "--keypair", "nobody.json"), 1, "nobody.json"),
    "no export": (("session", "show", "nothing"), 1, "is not there, expected an export"),
    "a pin of no session": (("watch", "--pin"), 2, "name its address"),
    "no log": (("verify", "--log", "nothing"), 1, "nothing: is not there, expected the log of a session"),
    "no number": (("session", "show", "--id", "-1"), 2, "Invalid value"),
    "no frames": (("play", "--frames", "0"), 2, "Invalid value"),
    "no source": (("play", "--inputs", "dice"), 2, "Invalid value"),
    "no address": (("session", "join", "0OIl", "--keypair", "wallet.json"), 1, "expected an address"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(project: Project, name: str) -> None:
    arguments, code, text = MISTAKES[name]
    own = () if "--keypair" in arguments or arguments[0] == "verify" else ("--keypair", "wallet.json")
    result = project.run(*arguments, *own)
    assert result.exit_code == code and text in result.stderr and not result.stdout, result.output
    assert "Traceback" not in result.output
