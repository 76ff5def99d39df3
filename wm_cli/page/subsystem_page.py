"""The page of `wmq subsystems`: what of a world its subsystems predict as well by themselves."""

from collections.abc import Mapping
from typing import Any

from wm_cli.page.document import document
from wm_cli.page.markup import details, paragraph, section, table
from wm_cli.tables.subsystem_shares import KINDS, SHARES, VERDICTS, shares_of, world_lines

TITLE = "wmq subsystems"
ABOUT = (
    "Each subsystem has a network of its own and is held against one network on the fields that it writes, one frame "
    "ahead of true frames. `alone`: its rule takes what other subsystems write as it truly was; `together`: as they "
    "wrote it. A number is right if it is less than one step of its code off."
)


def subsystem_page(figures: Mapping[str, Any]) -> str:
    """The page of figures as verbs.composing.measure gives them."""
    body = "".join(map(_subsystem, figures["subsystems"]))
    overview = section("Overview", *(_shares(figures, share, words) for share, words in SHARES.items()))
    whole = f", held against `{figures['whole']}`" if figures["whole"] else ""
    return document(TITLE, paragraph(f"`{figures['run']}`{whole}. {ABOUT}", "note"), overview + _worlds(figures) + body)


def _shares(figures: Mapping[str, Any], share: str, words: str) -> str:
    rows = [
        [
            row["subsystem"],
            *shares_of(row, share),
            f"{row['parameters']:,}",
            f"{row['cu']:,}",
            VERDICTS[row["decomposes"]],
        ]
        for row in figures["subsystems"]
    ]
    return table(f"Right, {words}", ["subsystem", *KINDS, "parameters", "kernels, CU", "decomposes"], rows)


def _worlds(figures: Mapping[str, Any]) -> str:
    rows = [[what, *values] for what, values in world_lines(figures)]
    return section("Worlds", table("Worlds", ["", *figures["worlds"]], rows))


def _subsystem(row: Mapping[str, Any]) -> str:
    """A subsystem's fields, one by one."""
    tables = (_fields(row, share, words) for share, words in SHARES.items())
    return section(row["subsystem"], details("its fields", "".join(tables)))


def _fields(row: Mapping[str, Any], share: str, words: str) -> str:
    lines = [[one["field"], *shares_of(one, share)] for one in row["fields"]]
    return table(f"Right, {words}", ["field", *KINDS], lines)
