"""No wallet pays off this machine unless somebody agrees, whatever the verb."""

import sys
from typing import Any

import click
import pytest
from solders.keypair import Keypair

from tests.verbs import run
from wm_cli import output, paying
from wm_cli.documents.guide_tables import leaves
from wm_cli.verb_table import load_verb

PAYER = Keypair.from_seed(b"1" * 32).pubkey()
FAR, NEAR = "https://api.devnet.solana.com", "http://127.0.0.1:8899"
TEXT = f"takes at most 0.000005 SOL from {PAYER}"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    notes: list[str] = []
    monkeypatch.setattr(output, "note", notes.append)
    return notes


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, answer: bool) -> list[str]:
    """What is asked of who sits there."""
    asked: list[str] = []

    def confirm(text: str, **options: Any) -> bool:
        asked.append(text)
        if not answer:
            raise click.Abort
        return True

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "confirm", confirm)
    return asked


def test_on_this_machine_it_is_only_said(said: list[str]) -> None:
    paying.announce(NEAR, PAYER, 5_000, False)
    assert said == [TEXT]


def test_yes_is_enough(said: list[str]) -> None:
    paying.announce(FAR, PAYER, 5_000, True, " for each commit")
    assert said == [f"{TEXT} for each commit"]


def test_nobody_to_ask_is_a_usage_error_in_one_line(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(click.UsageError) as refused:
        paying.announce(FAR, PAYER, 5_000, False)
    assert refused.value.exit_code == 2 and said == []
    assert refused.value.format_message() == f"{FAR}: {TEXT}; say --yes to pay without being asked"


def test_who_sits_at_the_terminal_agrees(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = at_a_terminal(monkeypatch, True)
    paying.announce(FAR, PAYER, 5_000, False)
    assert asked == [f"{FAR}: {TEXT}. Go on?"] and said == []


def test_or_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch, False)
    with pytest.raises(click.Abort):
        paying.announce(FAR, PAYER, 5_000, False)


#: Verbs with a wallet that takes nothing from it: the faucet gives, the others read.
FREE = {"fund", "session show", "deploy verify"}


def test_every_verb_with_a_wallet_can_be_told_to_pay() -> None:
    wallets = {name for name, command in leaves() if any(it.name == "keypair" for it in command.params)}
    told = {name for name, command in leaves() if any(it.name == "yes" for it in command.params)}
    assert wallets - FREE == told


@pytest.mark.parametrize("name", ["session", "deploy", "play"])
def test_help_says_so(name: str) -> None:
    command = load_verb(name)
    leaf = {"session": "end", "deploy": "abort"}.get(name)
    assert leaf is None or leaf in getattr(command, "commands", {})
    assert "--yes" in run(*filter(None, [name, leaf]), "--help").stdout
