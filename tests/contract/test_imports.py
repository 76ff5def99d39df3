"""Arrows go one way, `wm_train <- wm_quant <- wm_export <- wm_live <- wm_cli <- cli`; torch stays where training is."""

import ast
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("wm_train", "wm_quant", "wm_export", "wm_live", "wm_cli")
#: The only folders whose modules may import torch. Outside them only wm_cli may, inside functions.
TORCH_FOLDERS = ("wm_train.nets", "wm_train.fit")
#: What stands to the right of each package.
FORBIDDEN = {
    "wm_train": {"wm_quant", "wm_export", "wm_live", "wm_cli", "cli"},
    "wm_quant": {"wm_export", "wm_live", "wm_cli", "cli"},
    "wm_export": {"wm_live", "wm_cli", "cli"},
    "wm_live": {"wm_cli", "cli"},
    "wm_cli": {"cli"},
}
#: Names that every package has one of.
IN_EVERY_PACKAGE = {"__init__", "__main__", "errors"}


def modules(package: str) -> list[str]:
    """Every module of a package, by its dotted name."""
    paths = (path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / package).rglob("*.py")))
    # __main__ runs when it is imported.
    return [".".join(path.parts) for path in paths if path.stem not in ("__init__", "__main__")]


EVERY = [*(name for package in PACKAGES for name in modules(package)), "cli"]


def may_import_torch(module: str) -> bool:
    """Whether a module's folder is one of TORCH_FOLDERS."""
    return module.startswith(tuple(f"{folder}." for folder in TORCH_FOLDERS))


@cache
def tree(module: str) -> ast.Module:
    """The module's syntax."""
    return ast.parse((ROOT / module.replace(".", "/")).with_suffix(".py").read_text())


def names_of(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """What import statements among these name: modules, and what is taken out of them."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names))


def imported(module: str) -> set[str]:
    """What a module imports anywhere, inside functions too; types-only imports included."""
    return set(names_of(ast.walk(tree(module))))


def test_modules_are_found() -> None:
    assert {"wm_train.grid.arithmetic", "wm_quant.interp", "wm_export.solana.blob"} <= set(EVERY)
    assert {name for name in EVERY if may_import_torch(name)} >= {"wm_train.nets.mlp", "wm_train.fit.loss"}


def test_no_module_has_the_name_of_another() -> None:
    names = Counter(name.rpartition(".")[2] for name in EVERY)
    assert sorted(name for name, times in names.items() if times > 1 and name not in IN_EVERY_PACKAGE) == []


def test_imports_make_no_circle() -> None:
    arrows = {module: imported(module).intersection(EVERY) - {module} for module in EVERY}
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' -> '.join(error.args[1])}")


def right_of(module: str) -> set[str]:
    """Packages that a module must not know."""
    return FORBIDDEN.get(module.split(".")[0], set())


def test_fresh_processes_load_no_torch_and_nothing_to_the_right(python: str) -> None:
    """One process a package: what all of its modules outside TORCH_FOLDERS load together."""
    for package in (*PACKAGES, "cli"):
        wanted = [name for name in EVERY if name.split(".")[0] == package and not may_import_torch(name)]
        code = f"import sys, {', '.join(wanted)}\nprint('\\n'.join(sys.modules))"
        done = subprocess.run([python, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        tops = {name.split(".")[0] for name in done.stdout.split()}
        assert package in tops
        assert sorted(tops & (right_of(package) | {"torch", "pytest"})) == [], f"loaded by {package}"


@pytest.mark.parametrize("module", EVERY)
def test_no_import_statement_points_to_the_right(module: str) -> None:
    names = imported(module)
    assert sorted({name.split(".")[0] for name in names} & right_of(module)) == []
    if not may_import_torch(module) and not module.startswith(("wm_cli", "cli")):
        assert sorted(n for n in names if may_import_torch(n) or n.split(".")[0] == "torch") == []


@pytest.mark.parametrize("package", sorted({path.parent for name in PACKAGES for path in (ROOT / name).rglob("*.py")}))
def test_a_package_is_a_docstring(package: Path) -> None:
    (only,) = ast.parse((package / "__init__.py").read_text()).body
    assert isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant)
