"""The table of folders in docs/design.md: Python packages by their docstrings, the others by one line here."""

import ast
from pathlib import Path

from wm_cli.documents.markdown import ROOT, table

PACKAGES = ("wm_train", "wm_quant", "wm_export", "wm_live", "wm_cli")
#: Folders without Python packages.
OTHERS = {
    "onchain/kernels": "Rust crate: portable twins of the kernels, listings of their assembly, golden vectors, harness",
    "onchain/program": "Rust crate: the Solana program, one file an instruction",
    "onchain/world": "Rust crate of the default world, written by `wmq export`",
    "onchain/host": "Rust crate: the world's step on this machine",
    "benchmarks": "measurements that a person runs, each a script",
    "examples": "another game than the first, from data to a program; a player's client in TypeScript",
    "docs": "documents; their tables are made by `python -m wm_cli.documents`",
    "experiments": "configs of models and their training",
    "scripts": "set-up, toolchain, rollup, and one script for each step on devnet",
    "tests": "the same tree as the packages; `contract/` and `security/` cross them",
}


def python_folders() -> list[str]:
    """Every Python package, those inside others as well, by its path."""
    found = (path.parent.relative_to(ROOT) for name in PACKAGES for path in (ROOT / name).rglob("__init__.py"))
    return sorted((str(path) for path in found), key=lambda path: (PACKAGES.index(path.split("/")[0]), path))


def folders_table() -> str:
    """Folder, and what it is for."""
    rows = [(f"`{path}/`", _first_sentence(ROOT / path)) for path in python_folders()]
    rows += [(f"`{path}/`", text) for path, text in OTHERS.items()]
    return table(("folder", "what"), rows)


def _first_sentence(package: Path) -> str:
    """Of the package's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")
