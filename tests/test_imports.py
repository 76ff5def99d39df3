"""Arrows go one way, `wm_train <- wm_quant <- wm_export <- wm_live <- wm_cli <- cli`; torch stays where training is."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("wm_train", "wm_quant", "wm_export", "wm_live", "wm_cli")
#: The only files that may import torch. Outside wm_train only wm_cli may import them, and only inside functions.
TORCH_NAMES = (
    "assemble",
    "average",
    "batches",
    "choices",
    "fake_quant",
    "fake_quant_mamba2",
    "feed",
    "forcing",
    "held_out",
    "learners",
    "loss",
    "mamba2",
    "matmul",
    "mlp",
    "network",
    "predict",
    "ranks",
    "resume",
    "robust",
    "sweep",
    "train",
)
TORCH_MODULES = {f"wm_train.{name}" for name in TORCH_NAMES}
#: What stands to the right of each package.
FORBIDDEN = {
    "wm_train": {"wm_quant", "wm_export", "wm_live", "wm_cli", "cli"},
    "wm_quant": {"wm_export", "wm_live", "wm_cli", "cli"},
    "wm_export": {"wm_live", "wm_cli", "cli"},
    "wm_live": {"wm_cli", "cli"},
    "wm_cli": {"cli"},
}


def modules(package: str) -> list[str]:
    """Every module of a package, by its dotted name."""
    paths = (path.relative_to(ROOT).with_suffix("") for path in sorted((ROOT / package).rglob("*.py")))
    # __main__ runs when it is imported.
    return [".".join(path.parts) for path in paths if path.stem not in ("__init__", "__main__")]


EVERY = [*(name for package in PACKAGES for name in modules(package)), "cli"]


def imported(module: str) -> Iterator[str]:
    """What a module imports anywhere, inside functions too; types-only imports included."""
    path = (ROOT / module.replace(".", "/")).with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            yield from (node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names))


def loaded(module: str) -> set[str]:
    """What is in sys.modules of a fresh process that imported the module."""
    code = f"import sys, {module}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_modules_are_found() -> None:
    assert {"wm_train.grid", "wm_quant.interp", "wm_export.blob"} <= set(EVERY)
    assert set(EVERY) >= TORCH_MODULES


def right_of(module: str) -> set[str]:
    """Packages that a module must not know."""
    return FORBIDDEN.get(module.split(".")[0], set())


@pytest.mark.parametrize("module", [name for name in EVERY if name not in TORCH_MODULES])
def test_a_fresh_process_loads_no_torch_and_nothing_to_the_right(module: str) -> None:
    tops = {name.split(".")[0] for name in loaded(module)}
    assert module.split(".")[0] in tops
    assert sorted(tops & (right_of(module) | {"torch", "pytest"})) == []


@pytest.mark.parametrize("module", EVERY)
def test_no_import_statement_points_to_the_right(module: str) -> None:
    names = set(imported(module))
    assert sorted({name.split(".")[0] for name in names} & right_of(module)) == []
    if module not in TORCH_MODULES and not module.startswith(("wm_cli", "cli")):
        assert sorted(n for n in names if n in TORCH_MODULES or n.split(".")[0] == "torch") == []


def test_the_torch_modules_are_those_that_need_it() -> None:
    needs = TORCH_MODULES | {"torch"}
    assert {module for module in TORCH_MODULES if needs.intersection(imported(module))} == TORCH_MODULES


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_a_docstring(package: str) -> None:
    (only,) = ast.parse((ROOT / package / "__init__.py").read_text()).body
    assert isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant)
