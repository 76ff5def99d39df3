"""A game is a module: nothing outside Melee's own package names it, or anything that only it has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from wm_train.melee.names import CHARACTERS, STAGES
from wm_train.world.registry import find_game

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("wm_train", "wm_quant", "wm_export", "wm_live", "wm_cli")
OWN = ROOT / "wm_train" / "melee"
GAME = find_game()

#: Names of fields, controls and columns that are words of the machine too: axes of a picture, letters, `action` as a
#: role and as a metric.
ALSO_WORDS = {"x", "y", "A", "B", "X", "Y", "L", "R", "Z", "action", "direction", "state"}


def words() -> frozenset[str]:
    """Names that only the game has: fields, columns, the flags that are its own."""
    fields = [f.name for f in (*GAME.state, *GAME.controls, *(f for e in GAME.extras.values() for f in e.fields))]
    columns = [column.name for column in (*GAME.columns, *GAME.lists)]
    own = set(GAME.extras) | set(GAME.as_ids) | set(GAME.facts.checks)
    return frozenset({*fields, *columns, *own} - ALSO_WORDS)


WORDS, NAMES = words(), {*(stage.name for stage in STAGES.values()), *CHARACTERS}
NAMED = re.compile(r"melee|slippi", re.IGNORECASE)


def sources() -> list[str]:
    """Modules of the machine, by path."""
    found = [ROOT / "cli.py", *(path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py")))]
    return [str(path.relative_to(ROOT)) for path in found if OWN not in path.parents]


def docstrings(tree: ast.AST) -> set[int]:
    """Ids of the constants that are docstrings: prose may say what an option is called after."""
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body[0] for node in ast.walk(tree) if isinstance(node, holders) and node.body]
    return {id(first.value) for first in bodies if isinstance(first, ast.Expr)}


def is_asyncio(node: ast.Attribute) -> bool:
    """Whether it is a function of asyncio, one of which is called `shield`."""
    return isinstance(node.value, ast.Name) and node.value.id == "asyncio"


def named(tree: ast.AST) -> Iterator[str]:
    """Everything of the game that a module names: by string, by attribute, or by import."""
    prose = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            if node.value in WORDS or node.value in NAMES or NAMED.search(node.value):
                yield node.value
        elif isinstance(node, ast.Attribute) and node.attr in WORDS and not is_asyncio(node):
            yield f".{node.attr}"
        elif isinstance(node, ast.ImportFrom) and NAMED.search(node.module or ""):
            yield f"import {node.module}"
        elif isinstance(node, ast.Import):
            yield from (f"import {alias.name}" for alias in node.names if NAMED.search(alias.name))


def pages() -> list[str]:
    """Scripts, styles and markup of the pages, by path."""
    found = [path for name in PACKAGES for kind in ("js", "css", "html") for path in (ROOT / name).rglob(f"*.{kind}")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


#: Comments of every kind; what a page of HTML says to people.
COMMENT, PROSE = re.compile(r"/\*.*?\*/|<!--.*?-->|(?<![:\"'])//[^\n]*", re.DOTALL), re.compile(r">[^<>]*<")

#: What a browser calls something of its own.
BROWSERS = {"buttons"}


def named_on_page(path: str, text: str) -> set[str]:
    """Everything of the game that a page's file names: any word of its code, also in strings."""
    code = COMMENT.sub(" ", text)
    words = re.findall(r"[A-Za-z_]\w*", PROSE.sub("><", code) if path.endswith("html") else code)
    return {word for word in words if word not in BROWSERS and (word in WORDS or NAMED.search(word))}


def test_the_search_finds() -> None:
    text = 'from wm_train.melee import rules\na = frames["percent"]\nb = corpus.stage\nc = "Slippi 3"\n"""percent"""\n'
    assert sorted(named(ast.parse(text))) == [".stage", "Slippi 3", "import wm_train.melee", "percent", "percent"]
    assert not list(named(ast.parse('"""percent"""\ndef f() -> None:\n    """stocks, Melee"""\n')))


def test_the_search_of_pages_finds() -> None:
    script = '// stage\nconst a = value(m, "percent") > b.facing && 1 < c;\nfind(`.hitlag`);\n'
    assert named_on_page("a.js", script) == {"percent", "facing", "hitlag"}
    assert named_on_page("a.html", '<!-- jumps --><p class="stocks">the stage</p>') == {"stocks"}


@pytest.mark.parametrize("path", pages())
def test_pages_do_not_name_the_game(path: str) -> None:
    assert not named_on_page(path, (ROOT / path).read_text())


@pytest.mark.parametrize("path", sources())
def test_the_machine_does_not_name_the_game(path: str) -> None:
    assert not set(named(ast.parse((ROOT / path).read_text())))
