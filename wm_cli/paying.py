"""What a verb does before a wallet pays: it says how much at most, and off this machine it asks."""

import click
from solders.pubkey import Pubkey

from wm_cli import output
from wm_cli.asking import somebody_there
from wm_live.chain.urls import is_local
from wm_live.chain.wallet import announced


def announce(url: str, payer: Pubkey | str, lamports: int, yes: bool, more: str = "") -> None:
    """Say that a wallet pays so many lamports at most, on the base chain at `url`, and ask as `ask` does.

    more  that is said behind it
    """
    text = f"{announced(payer, lamports)}{more}"
    if not ask(url, text, yes):
        output.note(text)


def ask(url: str, text: str, yes: bool) -> bool:
    """Whether it was asked for; if so, who sits at the terminal has agreed. Not on this machine, and not if `yes`.

    click.UsageError where nobody sits at a terminal, click.Abort for a no.
    """
    if yes or is_local(url):
        return False
    if not somebody_there():
        raise click.UsageError(f"{url}: {text}; say --yes to pay without being asked")
    click.confirm(f"{url}: {text}. Go on?", abort=True, err=True)
    return True
