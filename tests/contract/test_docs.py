"""The documents say what the code does: the tables of `python -m wm_cli.documents`, numbers, links and commands."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest

from cli import main
from wm_cli.documents.blocks import BLOCKS
from wm_cli.documents.folders import OTHERS, PACKAGES
from wm_cli.documents.game_documents import game_documents
from wm_cli.documents.glossary import TERMS, is_defined
from wm_cli.documents.guide_tables import leaves
from wm_cli.documents.markdown import DOCS, ROOT, split_at_block
from wm_cli.documents.stated import FACTS
from wm_cli.options import Verb
from wm_train.world.registry import find_game

TOP = (ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md")
PAGES = sorted(DOCS.glob("*.md")) + [page for page in TOP if page.exists()]


def test_every_flag_is_described() -> None:
    assert {name.partition(":")[0] for name in game_documents().flags} == {
        item.name for item in fields(find_game().flags)
    }


@pytest.mark.parametrize(("page", "name"), BLOCKS)
def test_table_is_that_of_the_code(page: str, name: str) -> None:
    _, found, _ = split_at_block((DOCS / page).read_text(), name)
    assert found == BLOCKS[page, name]() + "\n", "out of date; run: python -m wm_cli.documents"


def test_every_marker_has_a_table() -> None:
    markers = {(page.name, name) for page in PAGES for name in re.findall(r"<!-- end (\w+) -->", page.read_text())}
    assert markers == set(BLOCKS)


@pytest.mark.parametrize(("page", "fact"), [(page, fact) for page, facts in FACTS.items() for fact in facts()])
def test_number_is_that_of_the_code(page: str, fact: str) -> None:
    assert fact in " ".join((DOCS / page).read_text().split())


# --------------------------------------------------------------------------------------------------- folders, glossary


def _folders() -> set[str]:
    """Folders of the repository's top, those that git ignores left out."""
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line.endswith("/")]
    found = (path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {name for name in found if not any(fnmatch(name, pattern) for pattern in ignored)}


def test_every_folder_is_listed() -> None:
    listed = {*PACKAGES, *(name.partition("/")[0] for name in OTHERS)}
    assert _folders() == listed
    crates = {f"onchain/{path.name}" for path in (ROOT / "onchain").iterdir() if (path / "Cargo.toml").exists()}
    assert crates == {name for name in OTHERS if name.startswith("onchain/")}
    readme = (ROOT / "README.md").read_text()
    assert _folders() == set(re.findall(r"^\| .*`(\w+)/` \|", readme, re.MULTILINE))


@pytest.mark.parametrize("term", TERMS)
def test_a_term_of_the_glossary_is_where_it_says(term: str) -> None:
    assert is_defined(TERMS[term][1])


# --------------------------------------------------------------------------------------------------- links, commands


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if not re.match(r"[a-z]+:", target):
                yield page, target


@pytest.mark.parametrize(("page", "target"), [pytest.param(*link, id=f"{link[0].name}:{link[1]}") for link in _links()])
def test_link_resolves(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    aim = (page.parent / path).resolve() if path else page
    assert aim.exists() and aim.is_relative_to(ROOT)
    if anchor:
        assert anchor in {_slug(line) for line in re.findall(r"^#+ (.+)$", aim.read_text(), re.MULTILINE)}


def _shown(page: Path) -> set[str]:
    """Every command that a page shows: `wmq ...` in a block, also joined by &&, or in backticks with arguments."""
    text = page.read_text()
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^ *(wmq [a-z-].*)$", "\n".join(fenced), re.MULTILINE)
    lines += re.findall(r"^ {4,}(wmq [a-z-].*)$", text, re.MULTILINE)
    commands = {command.strip() for line in lines for command in line.partition(" #")[0].split("&&")}
    return commands | set(re.findall(r"`(wmq [a-z-]+ [^`\n]+)`", text))


def _parsed(line: str, monkeypatch: pytest.MonkeyPatch) -> click.Command | None:
    """The verb that a command line runs, read to its last word and not run; a usage error if it is wrong."""
    ran: list[click.Command] = []
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: Path(value))
    monkeypatch.setattr(click.Command, "invoke", lambda self, ctx: ran.append(self))
    main(shlex.split(line, comments=True)[1:], standalone_mode=False)
    return ran[-1] if ran else None


@pytest.mark.parametrize("line", sorted({line for page in PAGES for line in _shown(page)}))
def test_command_line_parses(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if line not in ("wmq --help", "wmq --version"):
        assert _parsed(line, monkeypatch) in dict(leaves()).values()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_that_are_mentioned_exist(page: Path) -> None:
    assert set(re.findall(r"`wmq ([a-z]+)", page.read_text())) <= set(main.commands)


def test_guide_shows_every_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [_parsed(line, monkeypatch) for line in _shown(DOCS / "guide.md") if "--help" not in line]
    assert [name for name, command in leaves() if command not in shown] == []


# ---------------------------------------------------------------------------------------------------------- JSON keys


def test_every_verb_that_prints_json_declares_its_keys() -> None:
    for name, command in leaves():
        assert isinstance(command, Verb)
        assert any(option.name == "as_json" for option in command.params) == bool(command.prints), name


JSON_ROWS = re.findall(
    r"^\| (.+?) \| (.+) \|$", (DOCS / "guide.md").read_text().partition("## JSON output")[2], re.MULTILINE
)


def json_text(verb: str) -> str:
    """What the guide's table says of a verb's keys."""
    about = lambda cell: set(re.findall(r"[a-z]+", cell.partition("`")[0]))  # noqa: E731
    return " ".join(keys for cell, keys in JSON_ROWS if set(verb.split()) <= about(cell) or "every" in about(cell))


@pytest.mark.parametrize(("name", "command"), list(leaves()))
def test_guide_names_every_json_key(name: str, command: click.Command) -> None:
    text = json_text(name)
    referred = [other for other, _ in leaves() if re.search(rf"(of|as) {other}", text)]
    named = set(re.findall(r"`(\w+)`", " ".join([text, *map(json_text, referred)])))
    assert isinstance(command, Verb)
    assert sorted({key.removesuffix(".*") for key in command.prints} - named) == []
