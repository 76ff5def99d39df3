"""The page of `wmq cu`: what it says, and that it stands alone."""

from pathlib import Path

import pytest

from tests.verbs import figures, run
from tests.wm_cli.page.test_report import Page


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder without anything."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def page(*arguments: str) -> Page:
    assert run("cu", *arguments, "--page", "costs.html").exit_code == 0
    return Page(Path("costs.html").read_text())


def test_a_page_says_what_the_figures_say() -> None:
    found, shown = figures("cu", "mamba2-0.4m"), page("mamba2-0.4m")
    for op in found["ops"]:
        assert op["name"] in shown.text and f"{op['cu']:,}" in shown.text
    for layer in found["layers"]:
        assert f"{layer['weight_bytes']:,}" in shown.text or not layer["weight_bytes"]
    assert "estimate" in shown.text and f"{found['worst_cu']:,}" in shown.text
    assert f"{found['accounts']['scratch']:,}" in shown.text and f"{found['cu_per_cell']:.4f}" in shown.text


def test_two_models_have_a_chart_and_sections_of_their_own() -> None:
    shown = page("mamba2-0.4m", "mlp-int4")
    links = [link["href"] for link in shown.named("a")]
    ids = [heading["id"] for heading in shown.named("h2")]
    assert links == [f"#{name}" for name in ids] and len(set(ids)) == 3
    assert "fewer than mamba2-0.4m" in shown.text and "parameters a unit" in shown.text
    assert sum("other" in (span["class"] or "") for span in shown.named("span") if "class" in span) > 10


def test_a_page_stands_alone_and_is_not_written_over() -> None:
    shown = page("mlp-int4", "mlp-int4")
    assert not [tag for tag, _ in shown.tags if tag in ("script", "link", "img", "iframe")]
    assert all(str(link["href"]).startswith("#") for link in shown.named("a"))
    text = Path("costs.html").read_text()
    assert "estimate" not in shown.text and "http" not in text.replace("http-equiv", "")
    assert run("cu", "mlp-int4", "--page", "costs.html").exit_code == 1
    assert run("cu", "mlp-int4", "--page", "costs.html", "--overwrite").exit_code == 0
