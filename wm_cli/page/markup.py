"""The few pieces of HTML that a report is made of. Text is escaped here; what a cell shows is text, never markup."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape as escaped

from wm_cli.plain_text import plain

_HEADING = re.compile('<h2 id="([^"]+)">(.*?)</h2>')


def escape(text: str) -> str:
    """A text as HTML shows it: no tags, no entities, no characters that steer a browser."""
    return escaped(plain(text))


def counted(count: int, what: str) -> str:
    """A number of things: `1 game`, `1,200 games`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Cell:
    """One cell of a table: its text and its CSS classes; `strong` sets it in bold."""

    text: str
    style: str = ""
    strong: bool = False


def table(caption: str, head: Sequence[Cell | str], rows: Sequence[Sequence[Cell | str]]) -> str:
    """A table with column headers; the first cell of each row is the row's header."""
    columns = "".join(_element("th", "col", cell) for cell in head)
    body = "".join(f"<tr>{''.join(_cell(i, cell) for i, cell in enumerate(row))}</tr>" for row in rows)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(index: int, cell: Cell | str) -> str:
    return _element("td", "", cell) if index else _element("th", "row", cell)


def _element(tag: str, scope: str, cell: Cell | str) -> str:
    cell = cell if isinstance(cell, Cell) else Cell(cell)
    text = f"<strong>{escape(cell.text)}</strong>" if cell.strong else escape(cell.text)
    scoped = f' scope="{scope}"' if scope else ""
    styled = f' class="{cell.style}"' if cell.style else ""
    return f"<{tag}{scoped}{styled}>{text}</{tag}>"


def section(title: str, *content: str) -> str:
    """A part of the page under a heading that `contents` links to."""
    return f'<section><h2 id="{_slug(title)}">{escape(title)}</h2>{"".join(content)}</section>'


def contents(body: str) -> str:
    """Links to the sections of a page's body."""
    links = "".join(f'<li><a href="#{slug}">{title}</a></li>' for slug, title in _HEADING.findall(body))
    return f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def paragraph(text: str, style: str = "") -> str:
    """Plain text; `code` between backticks."""
    pieces = escape(text).split("`")
    marked = "".join(f"<code>{piece}</code>" if i % 2 else piece for i, piece in enumerate(pieces))
    return f'<p class="{style}">{marked}</p>' if style else f"<p>{marked}</p>"


def missing(what: str, verb: str) -> str:
    """Says that something has not been measured, and which verb does it."""
    return paragraph(f"{what}: not there yet. Run `{verb}`, then `wmq report`.", "missing")


def details(summary: str, content: str) -> str:
    """Content that opens on demand."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def tiles(entries: Sequence[tuple[str, str, str]]) -> str:
    """Headline figures: (name, value, remark)."""
    items = "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd><dd>{escape(r)}</dd></div>" for n, v, r in entries)
    return f'<dl class="headline">{items}</dl>'
