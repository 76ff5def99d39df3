"""The program crate: what follows from the schema is up to date, and its modules import each other in no circle."""

import re
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter

import pytest

from wm_export.schema.instruction_set import EVERY_INSTRUCTION
from wm_export.solana.rust_program import SOURCES, generated

FILES = {path.relative_to(SOURCES).as_posix(): path.read_text() for path in sorted(SOURCES.rglob("*.rs"))}


def module_of(path: str) -> str:
    """`crate::processor::step` of processor/step.rs, `crate` of lib.rs."""
    parts = path.removesuffix(".rs").split("/")
    return "::".join(["crate", *(part for part in parts if part not in ("lib", "mod"))])


MODULES = {module_of(path): text for path, text in FILES.items()}


def _split(text: str) -> Iterator[str]:
    """Items between commas that stand in no braces."""
    depth, start = 0, 0
    for i, letter in enumerate(text + ","):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            yield text[start:i].strip()
            start = i + 1


def paths(tree: str) -> Iterator[str]:
    """Every path of a use tree: `a::{b, c::{self, d}}` is a::b, a::c::self and a::c::d."""
    head, brace, rest = tree.partition("{")
    if not brace:
        yield tree.split(" as ")[0].strip()
        return
    for item in filter(None, _split(rest.rstrip().removesuffix("}"))):
        yield from (head.strip() + path for path in paths(item))


def imported(module: str, text: str) -> set[str]:
    """Modules of the crate that a module names, in `use` or in an expression."""
    code = re.sub(r"//.*", "", text)
    trees = re.findall(r"\buse ([^;]+);", code)
    named = [path for tree in trees for path in paths(tree)] + re.findall(r"\b(?:crate|super)(?:::\w+)+", code)
    named = [re.sub(r"^super", module.rpartition("::")[0], path) for path in named]
    children = {one for one in MODULES if one.rpartition("::")[0] == module}
    named += [f"{module}::{path}" for path in named if f"{module}::{path.split('::')[0]}" in children]
    return {_longest(path) for path in named if path.startswith("crate")} - {module, ""}


def _longest(path: str) -> str:
    """The module that a path leads through last."""
    parts = path.split("::")
    known = (module for n in range(len(parts), 0, -1) if (module := "::".join(parts[:n])) in MODULES)
    return next(known, "")


def folder_of(module: str) -> str:
    """`crate::accounts` of everything in that folder."""
    return "::".join(module.split("::")[:2])


def circle(modules: dict[str, str], place: Callable[[str], str] = str) -> str:
    """A circle of imports in words, empty if there is none; `place` says what counts as one module."""
    arrows: dict[str, set[str]] = {}
    for module, text in modules.items():
        arrows.setdefault(place(module), set()).update(map(place, imported(module, text)))
    try:
        TopologicalSorter({module: found - {module} for module, found in arrows.items()}).prepare()
    except CycleError as error:
        return " -> ".join(error.args[1])
    return ""


@pytest.mark.usefixtures("rustfmt")
def test_generated_sources_are_up_to_date() -> None:
    assert {path: FILES[path] for path in generated()} == generated(), "run: python -m wm_export.solana.rust_program"


def test_modules_import_each_other_in_no_circle() -> None:
    assert circle(MODULES) == ""
    assert circle(MODULES, folder_of) == ""


def test_a_circle_is_found() -> None:
    broken = MODULES | {"crate::tree": MODULES["crate::tree"] + "\nuse crate::{accounts::Session};\n"}
    assert "crate::tree" in circle(broken, folder_of) and "crate::accounts" in circle(broken, folder_of)
    broken = MODULES | {
        "crate::window": "use crate::processor::step;\n",
        "crate::tree": "use crate::window::check_ids;\n",
    }
    assert "crate::window" in circle(broken)


def test_use_trees_are_taken_apart() -> None:
    tree = "crate::{a, b::{self, c as d}, e::f}"
    assert list(paths(tree)) == ["crate::a", "crate::b::self", "crate::b::c", "crate::e::f"]
    assert imported("crate::processor::step", "use super::Context;") == {"crate::processor"}
    assert "crate::accounts::checked" in imported("crate::accounts", "pub use checked::signs;")


def test_every_instruction_has_a_file_that_describes_it() -> None:
    processors = {path.removeprefix("processor/") for path in FILES if path.startswith("processor/")}
    assert processors == {f"{name}.rs" for name in EVERY_INSTRUCTION} | {"mod.rs", "sponsored.rs"}
    for name in EVERY_INSTRUCTION:
        text = FILES[f"processor/{name}.rs"]
        assert "/// # Errors" in text and "/// accounts  " in text, name


def test_unsafe_code_says_why_it_is_safe() -> None:
    for path, text in FILES.items():
        lines = text.splitlines()
        for i, line in enumerate(lines):
            if re.search(r"\bunsafe (\{|impl)", line.split("//")[0]):
                above = "\n".join(lines[max(0, i - 4) : i])
                assert "// SAFETY:" in above, f"{path}:{i + 1}"
