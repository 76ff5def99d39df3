"""Names of others reach the terminal and the report as text: never as markup, HTML or control characters."""

import ast
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from rich.table import Table

import cli
import wm_cli
from tests.factories import write_dataset
from tests.verbs import run
from wm_cli import output
from wm_cli.page.markup import Cell, details, missing, paragraph, section, table, tiles
from wm_cli.plain_text import plain, plain_error
from wm_train.errors import WmTrainError

#: C0, DEL, C1, an escape sequence, a line end, marks of direction, a separator of lines, half of a pair.
STEERING = "\x00\x07\x08\r\n\x1b[2J\x7f\x85\x9b31m\u200e\u202e\u2066\u2028\ud800"
HOSTILE = f"[/a] [bold]b[/] :smile: {STEERING} <script>alert(1)</script>"


def steers(text: str) -> set[str]:
    """Characters that do more than to be read, line ends aside."""
    return {c for c in text if not c.isprintable() and c != "\n"}


@pytest.mark.parametrize("character", STEERING)
def test_every_character_that_steers_is_replaced(character: str) -> None:
    if character.isprintable():
        assert plain(f"a{character}b") == f"a{character}b"
    else:
        assert plain(f"a{character}b") == "a\N{REPLACEMENT CHARACTER}b"


def test_every_way_to_the_terminal_prints_text(capsys: pytest.CaptureFixture[str]) -> None:
    cells = Table("name", HOSTILE, title=HOSTILE)
    cells.add_row(HOSTILE, HOSTILE)
    output.print_tables([cells])
    output.say(False, {}, HOSTILE)
    output.note(HOSTILE)
    output.out.print(HOSTILE)
    output.print_json({HOSTILE: HOSTILE})
    with output.progress_bar(HOSTILE, 2) as (bar, task):
        bar.update(task, completed=1, description=HOSTILE)
    printed = capsys.readouterr()
    assert not steers(printed.out + printed.err)
    assert printed.out.count("[/a] [bold]b[/] :smile:") >= 4
    assert "[/a] [bold]b[/] :smile:" in printed.err


def test_every_error_is_text_and_only_its_first_line_stands_at_the_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (WmTrainError, OSError, click.ClickException, click.UsageError):

        def raising(_: object, error: type[Exception] = error) -> None:
            raise error(f"{HOSTILE}\nError: all is well")

        monkeypatch.setattr(click.Group, "invoke", lambda self, ctx, raising=raising: raising(ctx))
        result = CliRunner().invoke(cli.main, ["doctor"])
        assert result.exit_code in (1, 2)
        assert not steers(result.output)
        assert sum(line.startswith("Error: ") for line in result.output.splitlines()) == 1
    assert plain_error("one\ntwo") == "one\n  two"


def test_every_piece_of_a_page_escapes() -> None:
    pieces = [
        table(HOSTILE, [HOSTILE, Cell(HOSTILE, strong=True)], [[HOSTILE, Cell(HOSTILE)]]),
        section(HOSTILE),
        paragraph(HOSTILE),
        missing(HOSTILE, HOSTILE),
        details(HOSTILE, ""),
        tiles([(HOSTILE, HOSTILE, HOSTILE)]),
    ]
    for piece in pieces:
        assert "<script>" not in piece and "&lt;script&gt;" in piece
        assert not steers(piece) and "\n" not in piece


def test_nothing_prints_beside_output() -> None:
    """The one way to the terminal: no print, click.echo or console of their own in the verbs."""
    found = []
    for path in sorted(Path(wm_cli.__file__).parent.rglob("*.py")):
        if path.name in ("output.py", "__main__.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print",
                "click.echo",
                "click.secho",
                "Console",
                "Text.from_markup",
                "Text.from_ansi",
            ):
                found.append(f"{path.name}:{node.lineno}")
            if isinstance(node, ast.ImportFrom) and node.module == "html":
                found += [] if path.name == "markup.py" else [f"{path.name}:{node.lineno}"]
    assert found == []


def test_hostile_names_from_replays_to_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home = Path("x[\x1b[2J")
    home.mkdir()
    (home / "[bold]\u202e\nError: all is well.slp").write_bytes(b"[/a] \x9b31m not a replay")
    (home / "y].slp").write_bytes(b"")
    ingested = run("ingest", str(home), "--workers", "1", "--out", "data [lr=0.1]")
    assert ingested.exit_code == 1 and ingested.exception.__class__ is SystemExit
    assert "data [lr=0.1]: 0 games" in ingested.output and "[bold]" in ingested.output and "y]" in ingested.output
    assert not steers(ingested.output)
    assert not any(line.startswith("Error: ") for line in ingested.output.splitlines())

    games = Path("games [b]")
    games.mkdir()
    write_dataset(games, [90, 80, 70, 60])
    name = "[red] :smile:"
    Path("c.yaml").write_text("model: {hidden: [16, 9], slots: 2}\ntrain: {steps: 5, batch: 8, holdout: 0.4}\n")
    trained = run("train", "--config", "c.yaml", "--dataset", str(games), "--out", name)
    assert trained.exit_code == 0, trained.output
    assert f"{name}: float" in trained.output
    evaluated = run("evaluate", name, "--dataset", str(games), "--limit", "20")
    assert evaluated.exit_code == 0, evaluated.output
    report = run("report", "--dataset", str(games), "--out", "<b>[i].html")
    assert report.exit_code == 0 and "<b>[i].html: open it" in report.output, report.output
    refused = run("evaluate", "no[such]\x1b[2J")
    assert refused.exit_code in (1, 2) and "no[such]" in refused.output and not steers(refused.output)
