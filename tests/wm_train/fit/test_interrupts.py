"""interrupts.py: being asked to end, however often and however fast, is one answer."""

import ast
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from wm_train.fit.interrupts import ASKING, Terminated, ended_by, interrupts

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
    assert done.stdout == "0\n2\nTrue\n", done.stderr


@pytest.fixture
def by_default() -> Iterator[None]:
    """Handlers as a process begins with them."""
    own = {getattr(signal, name): signal.SIG_DFL for name in ASKING} | {signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in own.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", ASKING)
def test_whatever_asks_is_heard_and_nothing_stays(name: str, by_default: None) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with interrupts() as asked:
        assert asked() == 0
        signal.raise_signal(number)
        assert asked() == number
    assert signal.getsignal(number) is before
    stop = ended_by(number)
    assert (stop.number.name if isinstance(stop, Terminated) else "SIGINT") == name


def test_what_is_ignored_or_heard_by_another_is_left_alone(by_default: None) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    with interrupts() as asked:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        assert asked() == 0 and heard == [signal.SIGTERM]


def test_who_was_not_asked_itself_says_that_the_run_was_stopped() -> None:
    stop = ended_by(0)
    assert isinstance(stop, Terminated) and stop.number == signal.SIGTERM


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
