"""`wmq play`, `verify`, `watch` and `session end` with an export to BOLT: what they print, and their exit codes."""

import json
import re
from pathlib import Path

import pytest

from tests import verbs
from tests.factories import write_dataset
from tests.wm_cli.test_live_cli import Project
from tests.wm_export.bolt.conftest import composed_net
from tests.wm_live.bolt.test_match_log import Match, log_of
from wm_cli.places import GAME_FRAMES
from wm_export.bolt.bolt_export import export_bolt, open_bolt
from wm_export.bolt.std_programs import build
from wm_live.bolt.own_match import own_localnet
from wm_live.chain.wallet import new_keypair
from wm_live.localnet.servers import Installed

FRAMES = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset, an export to BOLT that is not built, a wallet, and the log of a match."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "dataset").mkdir()
    write_dataset(folder / "dataset", [GAME_FRAMES + 60, GAME_FRAMES + 50])
    export_bolt(composed_net(), folder / "export")
    new_keypair(folder / "payer.json")
    match = Match(open_bolt(folder / "export"))
    log_of(folder / "session-1", match.about, match.records)
    return folder


@pytest.fixture
def inside(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def test_a_log_is_verified_without_a_node(inside: Path) -> None:
    found = verbs.figures("verify", "--log", "session-1", "--offline")
    assert found["ok"] and not found["wrong_frames"] and found["unproved"]
    records = inside / "session-1" / "records.bin"
    kept = records.read_bytes()
    try:
        records.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        found = verbs.figures("verify", "--log", "session-1", "--offline", code=1)
        assert [it["frame"] for it in found["wrong_frames"]] == [found["frames"] - 1]
        shown = verbs.run("verify", "--log", "session-1", "--offline")
        assert shown.exit_code == 1 and "is wrong: " in shown.output and "dispute" not in shown.output
    finally:
        records.write_bytes(kept)


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("verify --log session-1 --pin", 2, "has no root to keep"),
        ("verify --log session-2", 1, "session-2: is not there, expected the log of a session"),
        ("watch 7hGx --pin", 2, "has no root to keep"),
        ("watch nobody", 1, "expected an address in base58"),
        ("play --opponent any", 2, "one wallet plays both"),
        ("play --cluster devnet --id 9", 1, "matches are played on nodes of this machine"),
        ("play --cluster http://127.0.0.1:9 --rollup https://rollup.test --id 9", 1, "played on nodes of this machine"),
        ("play --cluster http://127.0.0.1:9 --rollup http://127.0.0.1:9 --id 9", 1, "no answer"),
        ("localnet --bolt export --base-chain surfpool", 2, "only with --base-chain lite"),
        ("localnet --bolt dataset", 1, "is a dataset, expected an export to BOLT"),
        ("session open --id 9", 1, "is an export to BOLT, expected an export"),
    ],
)
def test_mistakes_are_answered(inside: Path, installed: None, command: str, code: int, said: str) -> None:
    result = verbs.run(*command.split())
    assert result.exit_code == code and re.search(re.escape(said), " ".join(result.output.split())), result.output


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A validator, which is not started."""
    found = Installed(tmp_path / "validator", tmp_path)
    monkeypatch.setattr("wm_live.localnet.servers.find_installed", lambda: found)


def test_a_log_of_a_session_is_none_of_a_match(inside: Path, tmp_path: Path) -> None:
    """Nor the other way round: each is told apart by its manifest, in one line."""
    path = tmp_path / "log"
    path.mkdir()
    for name in ("log.json", "records.bin"):
        (path / name).write_bytes((inside / "session-1" / name).read_bytes())
    data = json.loads((path / "log.json").read_text()) | {"manifest_sha256": "ab" * 32}
    del data["match"]
    (path / "log.json").write_text(json.dumps(data))
    result = verbs.run("verify", "--log", str(path), "--offline")
    assert result.exit_code == 1 and "abababab" in result.output and "Traceback" not in result.output


def test_a_match_s_life(bolt: Path, validator: Installed, made: Path) -> None:
    export = open_bolt(made / "export")
    build(export)
    with own_localnet(export) as net:
        project = Project(made, net)
        at = (*project.base[:2], "--keypair", "payer.json", "--rollup", net.places.rollup, "--id", "3")
        early = project.run("play", *at)
        assert early.exit_code == 1 and re.search(
            r"has 0 SOL, a match takes at most .*next: wmq fund --sol", early.stderr
        )
        project.figures("fund", "--sol", "500", *project.base[:2], "--keypair", "payer.json")
        first = project.figures("play", "--frames", str(FRAMES), "--watch", *at)
        assert (first["frame_number"], first["frames"], first["status"]) == (FRAMES, FRAMES, "started")
        assert first["on"] == "rollup" and first["number"] == 3 and 100_000 < first["cu_per_frame"] < 1_400_000
        shown = project.run("play", "--frames", "5", "--inputs", "random", "--fps", "0", *at)
        assert "the match stays on the rollup until `wmq session end --id 3`" in " ".join(shown.output.split())
        verify = ("verify", "--log", "session-3", "--cluster", net.places.base)
        assert "has nothing of it yet" in project.run(*verify).output and project.run(*verify).exit_code == 1
        told = project.figures(*verify, "--rollup", net.places.rollup)
        assert told["ok"] and told["uncommitted"] == FRAMES + 5
        assert [(it["chain"], it["frames"]) for it in told["chains"]] == [("rollup", FRAMES + 5)]
        ended = project.figures("session", "end", *at)
        assert ended["compared"] and ended["on"] == "base chain" and ended["frame_number"] == FRAMES + 5
        told = project.figures(*verify)
        assert told["ok"] and told["uncommitted"] == 0 and told["status"] == "ended"
        over = project.run("play", *at)
        assert over.exit_code == 1 and "has ended, and cannot go on; another --id" in over.stderr
