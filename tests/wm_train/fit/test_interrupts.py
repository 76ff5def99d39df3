"""interrupts.py: Ctrl-C, however often and however fast, is one answer."""

import ast
import subprocess
from pathlib import Path

import pytest

#: Each line of the handler is interrupted once more.
NESTED = """
import signal, sys
from wm_train.fit.interrupts import interrupts

def again(*_):
    signal.raise_signal(signal.SIGINT)
    return again

with interrupts() as pressed:
    print(pressed())
    sys.settrace(again)
    signal.raise_signal(signal.SIGINT)
    sys.settrace(None)
    print(pressed())
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
REPOSITORY = Path(__file__).parents[3]


def test_an_interrupt_inside_the_handler_of_another_waits_for_nothing(python: str) -> None:
    command = [python, "-c", NESTED]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "False\nTrue\nTrue\n", done.stderr


def _handlers(path: Path) -> list[ast.FunctionDef | ast.Lambda]:
    """The functions of a module that are given to signal.signal."""
    tree = ast.parse(path.read_text())
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "signal.signal"]
    named = {n.name: n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
    given = [call.args[1] for call in calls]
    return [a if isinstance(a, ast.Lambda) else named[a.id] for a in given
            if isinstance(a, ast.Lambda) or (isinstance(a, ast.Name) and a.id in named)]  # fmt: skip


@pytest.mark.parametrize("package", ["wm_train", "wm_quant", "wm_export", "wm_live", "wm_cli"])
def test_a_handler_only_assigns_or_raises(package: str) -> None:
    for path in (REPOSITORY / package).rglob("*.py"):
        for handler in _handlers(path):
            calls = [n for n in ast.walk(handler) if isinstance(n, ast.Call | ast.With)]
            assert not calls, f"{path}: {ast.unparse(handler)}"
