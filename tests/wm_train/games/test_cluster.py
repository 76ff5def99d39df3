"""cluster.py: clear words where there is no Ray or no cluster; with Ray, the same files as without."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Replays
from tests.factories import game_path, write_dataset
from wm_train.errors import WmTrainError
from wm_train.games import cluster, encoded
from wm_train.games import ingest as ingesting
from wm_train.games.dataset import ENCODED, open_dataset
from wm_train.games.encoded import encode, identity
from wm_train.games.ingest import ingest
from wm_train.melee.melee import GAME
from wm_train.world.encoding import Encoding

V22 = Encoding("v2.2")
#: Ray warns of its own use of itself.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(WmTrainError, match=r'pip install "wmq\[ray\]"'), cluster.connected("local"):
        pass
    assert list(cluster.spread("local", str, [])) == []


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """A cluster of this machine that lasts for the tests of this file; it takes half a minute to come up."""
    pytest.importorskip("ray", reason="Ray is not installed (extra `ray`)")
    with cluster.connected(cluster.LOCAL):
        yield cluster.LOCAL


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "127.0.0.1:0", "127.0.0.1:99999"])
def test_where_nobody_is_it_says_so_at_once(address: str) -> None:
    with pytest.raises((ConnectionError, ValueError)):
        cluster._reach(address)


def test_where_somebody_is_it_goes_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        cluster._reach(f"127.0.0.1:{server.getsockname()[1]}")


def squared(number: int) -> int:
    if number == 3:
        raise WmTrainError("three")
    if number == 4:
        raise ValueError("four")
    return number * number


def test_results_and_errors_come_back(ray_address: str) -> None:
    assert sorted(cluster.spread(ray_address, squared, range(3))) == [0, 1, 4]
    with pytest.raises(WmTrainError, match=r"^three$"):
        list(cluster.spread(ray_address, squared, [3]))
    with pytest.raises(WmTrainError, match=r"ValueError: four; .* run again"):
        list(cluster.spread(ray_address, squared, [4]))


def test_encoded_by_a_cluster_is_the_same(ray_address: str, tmp_path: Path) -> None:
    write_dataset(tmp_path, [40, 30, 20])
    encode(tmp_path, V22, 1)
    alone = {path.name: path.read_bytes() for path in (tmp_path / ENCODED / identity(V22)).iterdir()}
    for name in list(alone)[:2]:
        (tmp_path / ENCODED / identity(V22) / name).unlink()
    done: list[tuple[int, int]] = []
    report = encode(tmp_path, V22, 1, lambda *progress: done.append(progress), ray_address)
    assert (report.encoded, report.known) == (2, 1) and done == [(2, 3), (3, 3)]
    assert {path.name: path.read_bytes() for path in (tmp_path / ENCODED / identity(V22)).iterdir()} == alone


def test_ingested_by_a_cluster_is_the_same(ray_address: str, fixture_replays: Replays, tmp_path: Path) -> None:
    runs = ("alone", None), ("ray", ray_address), ("ray", ray_address)
    alone, spread, again = (
        ingest([fixture_replays.folder], tmp_path / name, 1, address=address) for name, address in runs
    )
    assert (spread.parsed, spread.rejected, spread.games) == (alone.parsed, alone.rejected, alone.games)
    assert (again.parsed, again.known) == (0, alone.parsed)
    for game in open_dataset(tmp_path / "alone").games:
        assert (
            game_path(tmp_path / "ray", game.md5).read_bytes() == game_path(tmp_path / "alone", game.md5).read_bytes()
        )
    assert (tmp_path / "ray" / "meta.json").read_bytes() == (tmp_path / "alone" / "meta.json").read_bytes()


def test_a_machine_that_does_not_see_the_files_is_named(tmp_path: Path) -> None:
    write_dataset(tmp_path, [20])
    game = open_dataset(tmp_path).games[0]
    with pytest.raises(WmTrainError, match="does not see it"):
        ingesting._read_afar(ingesting.Source(tmp_path / "gone.slp", "gone.slp"), GAME, set())
    with pytest.raises(WmTrainError, match="does not see it"):
        encoded._write(encoded.Task(tmp_path, game, V22, encoded.encoded_path(tmp_path, game, V22)))
