"""No verb takes more from a wallet than it has said: whatever a node, a log or a program says, and whatever lands of
what it has ever signed."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path

import click
import pytest
from solders.keypair import Keypair

from tests.builds import one_file
from tests.wm_live.chains import tiny_world
from tests.wm_live.courts import built
from tests.wm_live.lying.clock import skip_time
from tests.wm_live.lying.verbs import CASES, Case, Said, Theatre
from wm_cli import seats
from wm_cli.plain_text import plain_error
from wm_cli.verbs import judging
from wm_export.errors import WmExportError
from wm_export.solana.toolchain import Toolchain
from wm_live.chain.guard import Budget, GuardedSender
from wm_live.chain.rpc import Rpc
from wm_live.chain.trust import CheckedProgram
from wm_live.errors import WmLiveError
from wm_live.judge import pinning

#: Lies, spread over the verbs; WMQ_LIES=1000 tells as many as a release is tried with.
LIES = int(os.environ.get("WMQ_LIES", "240"))
#: Letters of an error at most.
MOST_LETTERS = 8_000


@pytest.fixture(scope="module")
def drain(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A program that takes all that it can."""
    source = Path(__file__).parent / "lying" / "drain.rs"
    return one_file(tmp_path_factory.mktemp("drain"), "drain", source.read_text())


@pytest.fixture(scope="module")
def theatre(drain: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with pytest.MonkeyPatch.context() as patch:
        clock = skip_time(patch)
        export, tiny = built(tmp_path_factory), tiny_world(tmp_path_factory)
        yield Theatre(export, tiny, drain, tmp_path_factory.mktemp("theatre"), clock)


def fault(said: Said, lost: int) -> str:
    """What is wrong with how a run went; empty if nothing is."""
    if lost > said.announced:
        return f"lost {lost:,} lamports, announced were {said.announced:,}: {said.notes}"
    if said.error is None:
        return ""
    if not isinstance(said.error, WmLiveError | WmExportError | click.ClickException | OSError):
        return f"ends in {said.error!r}"
    words = plain_error(said.error)
    return "" if 0 < len(words) < MOST_LETTERS else f"{len(words)} letters: {words[:200]}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_verb_that_is_told_the_truth(theatre: Theatre, case: Case) -> None:
    said, lost = theatre.run(case, None)
    assert said.error is None, said.error
    assert fault(said, lost) == ""


def seeds_of(case: Case, lies: int) -> range:
    """Its share of so many lies."""
    first, count = CASES.index(case), round(case.share * lies / sum(each.share for each in CASES))
    return range(first, first + count * len(CASES), len(CASES))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_lies(theatre: Theatre, case: Case) -> None:
    found = {seed: fault(*theatre.run(case, seed)) for seed in seeds_of(case, LIES)}
    assert {seed: text for seed, text in found.items() if text} == {}


# --- what is seen where a guard is missing ---


def without_purse(patch: pytest.MonkeyPatch) -> None:
    """The wallet itself pays for what a program of others does."""

    @asynccontextmanager
    async def wallet_itself(
        rpc: Rpc, wallet: Keypair, program: CheckedProgram, budget: Budget
    ) -> AsyncIterator[GuardedSender]:
        yield GuardedSender(rpc, wallet, budget, {program.address})

    for module in (judging, seats, pinning):
        patch.setattr(module, "purse", wallet_itself)


def without_budget(patch: pytest.MonkeyPatch) -> None:
    """What is signed is not counted."""
    patch.setattr(Budget, "take", lambda *_: None)


@pytest.mark.parametrize(("name", "weaken"), [("verify --pin", without_purse), ("unpin", without_budget)])
def test_a_missing_guard_is_seen(
    theatre: Theatre, monkeypatch: pytest.MonkeyPatch, name: str, weaken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    weaken(monkeypatch)
    case = next(case for case in CASES if case.name == name)
    # Not those of the test before, whose folders are there.
    more = (seed for seed in seeds_of(case, 1_000_000) if seed > 100_000)
    assert any(fault(*theatre.run(case, seed)).startswith("lost ") for seed in islice(more, 60))
