"""One reader: no module but wm_train/reading.py turns the text of a file into values."""

import ast

import pytest

from tests.contract.test_imports import EVERY, tree

#: What parses, and is given bytes that somebody may have written.
PARSERS = {("json", "load"), ("json", "loads"), ("yaml", "load"), ("yaml", "safe_load"), ("torch", "load"),
           ("pickle", "load"), ("pickle", "loads"), ("np", "load")}  # fmt: skip
#: Module -> why it parses by itself.
ALLOWED = {
    "wm_train.reading": "the one reader",
    "wm_train.writer": "who holds a lock: at most 1,024 bytes, and whatever is wrong with them is no error",
    "wm_train.fit.resume": "torch's own format, of a file whose size was checked",
    "wm_train.fit.weights": "torch's own format, packed anew from bytes that were looked through",
    "wm_train.games.cluster": "what Ray carries between this program's own processes",
    "wm_live.bounded_json": "answers of nodes, which are no files",
    "wm_export.solana.toolchain": "what cargo prints",
    "wm_cli.verbs.mixed_bits": "a value of this process, through JSON and back",
}


def parses(module: str) -> bool:
    """Whether a module calls a parser by the name of its package."""
    calls = (node.func for node in ast.walk(tree(module)) if isinstance(node, ast.Call))
    named = ((f.value.id, f.attr) for f in calls if isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name))
    return not PARSERS.isdisjoint(named)


@pytest.mark.parametrize("module", EVERY)
def test_no_other_module_parses_a_file(module: str) -> None:
    if module not in ALLOWED:
        assert not parses(module), f"{module}: read it through wm_train.reading, with a size and a schema"


def test_what_is_allowed_is_there() -> None:
    assert {module for module in EVERY if parses(module)} == set(ALLOWED)
