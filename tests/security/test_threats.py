"""docs/threats.md lists the attacks that are tried, and no others.

python -m tests.security.test_threats      write its table again
"""

from pathlib import Path

from tests.security.attacks import EXPLOITS
from tests.security.registry import Exploit

PAGE = Path(__file__).parents[2] / "docs" / "threats.md"
HEAD = "| class | attack | answer | behind it |\n|---|---|---|---|\n"
#: Classes of sealevel-attacks.
SEALEVEL = {
    "missing signer", "account data matching", "wrong owner", "type cosplay", "initialization", "arbitrary CPI",
    "duplicate mutable accounts", "bump canonicalization", "PDA sharing", "revive after close", "fake sysvar",
}  # fmt: skip


def _row(exploit: Exploit) -> str:
    others = [f"`{error}`" for error in exploit.off if error != exploit.error]
    behind = "; ".join([", ".join(others)] * bool(others) + [exploit.behind] * bool(exploit.behind))
    return f"| {exploit.about} | {exploit.name.replace('_', ' ')} | `{exploit.error}` | {behind} |\n"


def table() -> str:
    """The rows, class by class in the order of their first attack."""
    classes = list(dict.fromkeys(exploit.about for exploit in EXPLOITS))
    ordered = sorted(EXPLOITS, key=lambda exploit: classes.index(exploit.about))
    return "".join(map(_row, ordered))


def test_table_is_that_of_the_tests() -> None:
    assert PAGE.read_text().split(HEAD)[1] == table(), "out of date; run: python -m tests.security.test_threats"


def test_every_class_is_there() -> None:
    assert {exploit.about for exploit in EXPLOITS} >= SEALEVEL


def test_names_tell_attacks_apart() -> None:
    assert len({exploit.name for exploit in EXPLOITS}) == len(EXPLOITS)


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().split(HEAD)[0] + HEAD + table())
