"""The report from canned figures and a small QNet: what it says, what it names as missing, and that it stands alone."""

import hashlib
import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.factories import set_places, small_model, small_qnet, write_dataset
from wm_cli import project
from wm_cli.page.charts import Series, bars, line_chart, tracks
from wm_cli.page.report import write_report
from wm_quant.prove import prove
from wm_quant.qnet import QNet, save_qnet
from wm_train.files import atomic_write_json
from wm_train.melee.names import CHARACTERS

KEYS = ("action_acc", "action_change_acc", "action_change_acc_p0", "position_mae", "position_p50", "position_p95",
        "velocity_mae", "damage_mae")  # fmt: skip
VOID = {"meta", "input", "line", "circle", "polyline"}
MANIFEST = b"{}"


def metrics(base: float) -> dict[str, Any]:
    """Metrics that are all different and all traceable."""
    one = {key: base + i / 100 for i, key in enumerate(KEYS)}
    ahead = {
        str(k): {
            "position_mae_mean": base + k,
            "position_mae_last": base + k + 0.1,
            "position_mae": [base + i for i in range(k)],
            "action_acc_last": base / 2,
            "percent_mae_last": base / 3,
        }
        for k in (5, 10)
    }
    return one | {"frames": 1234, "rollout": ahead}


def evaluation(base: float, **model: Any) -> dict[str, Any]:
    names = ("persistence", "constant_velocity", "constant_velocity_freeze")
    return metrics(base) | {"games": 2, "model": model, "baselines": {n: metrics(7 + i) for i, n in enumerate(names)}}


CU = {
    "total_cu": 8765, "cu_per_mac": 1.2345, "budget": 17_530, "equal": True,
    "frames_metered": 20, "frames_different": 0,
    "ops": [{"name": "layer1", "kind": "matvec", "macs": 640, "cu": 8000, "cu_metered": 8000},
            {"name": "decode", "kind": "decode", "macs": 0, "cu": 700, "cu_metered": 701}],
    "transactions": [{"step": 0, "cu_predicted": 8765, "cu_metered": 8765}],
}  # fmt: skip
PARITY = {
    "executors": ["interp", "ort", "svm"], "mismatches": 0, "first_difference": None,
    "outcomes": [{"executor": name, "frames": frames, "mismatches": 0} for name, frames in (("ort", 411), ("svm", 17))],
}  # fmt: skip


CURVE = {"position_p50": [1.5, 61.25], "position_p90": [2.5, 71.25], "apart_after": 33.0}
SHARES = {"usual": {"inside": 0.875, "moves": 0.75}, "habits": {"still": 0.125, "percent_a_minute": 135.5}}
DRIFT = {
    "model": {"form": "qnet"}, "games": 2, "frames": 60, "starts": 7, "frames_ahead": [30, 60], **CURVE,
    "baselines": {"persistence": CURVE, "another_start": CURVE},
    **{part: {"predicted": values, "real": values} for part, values in SHARES.items()},
}  # fmt: skip
SCORES = {"real": 1103, "predicted": 308, "precision": 0.4025, "recall": 0.1125, "f1": 0.1758, "within": 2,
          "precision_within": 0.4416, "recall_within": None, "f1_within": None}  # fmt: skip
RARE = {"seen_from": 1, "seen_to": 100, "player_frames": 2437, "action_acc": 0.3685, "action_change_acc": 0.1234,
        "position_mae": 0.1357}  # fmt: skip
FELT = {
    "events": {"take_offs": SCORES},
    "hit_damage": {"hits": 12, "mae": 1.6875, "mean": 3.0, "real": 4.0},
    "coverage": [RARE],
}
LAWFUL = {"lawful": 0.0552, "broken": {"ground": 0.9359}, "first_broken": 0.785, "unbroken": 0.0}
REAL = LAWFUL | {"lawful": 0.9998, "broken": {"ground": 0.0003}, "first_broken": None, "unbroken": 0.75}
REACTION = {"runs": 193, "reacts": 0.984, "action": 0.238, "apart": 2.959, "other": 0.417}
INTERVENTIONS = {"starts": 100, "frames": 30, "same": True, "idle": REACTION, "another": REACTION | {"apart": 3.733}}
LATE = {"right": [0.625, 0.5], "recomputed": [0.375, 0.8125], "different": [0.25, 0.6875]}
SPECULATION = {
    "model": {"form": "qnet"}, "delays": [1, 2],
    "inputs": {"games": 2, "frames": 4321, "player0": LATE, "player1": LATE, "all": LATE},
    "outcome": {"games": 2, "windows": 987, "player0": LATE, "player1": LATE, "all": LATE},
}  # fmt: skip


#: Moves the player's slider to the end; gives what is drawn of players outside of the picture.
OUTSIDE = """
const slider = document.querySelector(".player input");
slider.value = slider.max;
slider.dispatchEvent(new Event("input"));
const box = document.querySelector(".player svg").getBoundingClientRect();
return [...document.querySelectorAll(".player circle")].map((dot) => dot.getBoundingClientRect())
  .filter((dot) => dot.left < box.left - 12 || dot.right > box.right + 12 || dot.top < box.top - 12
    || dot.bottom > box.bottom + 12).map((dot) => [dot.left, dot.top]);
"""


class Page(HTMLParser):
    """Text, tags and attributes of a page; fails if elements do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text += data + " "

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page() -> Page:
    write_report(project.REPORT, project.DATASET)
    return Page(project.REPORT.read_text())


@pytest.fixture(scope="module")
def net() -> QNet:
    return small_qnet(small_model())


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder without anything."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two games."""
    folder = tmp_path_factory.mktemp("games") / "dataset"
    write_dataset(folder, [80, 70])
    return folder


@pytest.fixture
def full(empty: Path, net: QNet, games: Path) -> Path:
    """A project folder with a QNet, a dataset of two games and every figure."""
    shutil.copytree(games, project.DATASET)
    save_qnet(project.QNET, net)
    for form, base in (("qnet", 0.25), ("qat", 0.25), ("float", 0.5), ("ptq", 0.75)):
        project.keep_figures(f"evaluate-{form}", evaluation(base, form=form))
    project.keep_figures("cu", CU)
    project.keep_figures("parity", PARITY)
    project.keep_figures("rollout-qnet", DRIFT)
    project.keep_figures("speculate-qnet", SPECULATION)
    project.keep_figures("build", {"size": 54_321, "toolchain": "debian", "versions": ["rustc 9", "linker 3"]})
    return empty


def test_every_figure_is_there(full: Path, net: QNet) -> None:
    text = page().text
    for figure in ("1,234 frames of 2 games", "0.2800", "7.0300", "0.7500", "8,765", "8,000", "1.2345", "50.0%", "411",
                   "54,321 bytes", "rustc 9; linker 3", "7 runs of 1 seconds", "after 33 frames", "135.500", "0.875",
                   "by inputs over 4,321 frames", "in 987 held-out", "0.812", "0.688",
                   f"{net.parameters:,} integers"):  # fmt: skip
        assert figure in text, figure
    for proof in prove(net):
        assert f"{proof.value:,}" in text and f"{proof.bound:,}" in text and proof.what in text
    assert "not there yet" not in text


def test_what_a_player_would_notice_is_there(full: Path) -> None:
    for form, base in (("qnet", 0.25), ("qat", 0.25), ("float", 0.5), ("ptq", 0.75)):
        figures = evaluation(base, form=form)
        for one in (figures, *figures["baselines"].values()):
            one.update(FELT)
        project.keep_figures(f"evaluate-{form}", figures)
    project.keep_figures(
        "rollout-qnet", DRIFT | {"laws": {"predicted": LAWFUL, "real": REAL}, "recorded": {"games": 72}}
    )
    project.keep_figures("diagnose-qnet", {"model": {"form": "qnet"}, "interventions": INTERVENTIONS})
    text = " ".join(page().text.split())
    for figure in ("1,103 take offs", "take offs: precision, within 2 frames 0.4416",
                   "take offs: F1, exact frame 0.1758", "percent of a hit, error 1.6875",
                   "position error, seen 1 to 99 times 0.1357", "1 to 99 times: 2,437",
                   "in which no law is broken 0.0552 0.9998", "law broken: ground 0.9359 0.0003",
                   "first broken law, median 0.79 none", "as 72 recorded games show them", "2.959 3.733",
                   "same bytes"):  # fmt: skip
        assert figure in text, figure


def test_evaluations_of_different_times_are_shown_as_far_as_they_go(full: Path) -> None:
    project.keep_figures("evaluate-qnet", evaluation(0.25, form="qnet") | FELT)
    text = page().text
    assert "take offs: F1, exact frame" in text and "of the player" not in text
    project.keep_figures("diagnose-qnet", {"model": {"form": "qnet"}, "interventions": None})
    assert page().text == text


def test_hashes_are_those_of_the_files(full: Path) -> None:
    text = page().text
    for path in (project.QNET / "qnet.json", project.DATASET / "meta.json"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in text
    assert "2 games, 150 frames" in text


def test_it_stands_alone(full: Path) -> None:
    made = page()
    text = project.REPORT.read_text()
    assert not re.search(r"https?:|//[a-z]|url\(|@import|\bsrc=|\bhref=(?!\"#)", text.split("<script>")[0])
    assert "fetch(" not in text and "import(" not in text
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text
    assert {"link", "img", "iframe"}.isdisjoint(tag for tag, _ in made.tags)


def test_it_can_be_read_by_everyone(full: Path) -> None:
    made = page()
    assert made.named("html")[0]["lang"] == "en"
    assert any(meta.get("name") == "viewport" for meta in made.named("meta"))
    pictures = [svg for svg in made.named("svg") if svg.get("class") == "picture"]
    assert len(pictures) == 7 and all(svg["role"] == "img" and svg["aria-label"] for svg in pictures)
    assert all(header["scope"] in ("col", "row") for header in made.named("th"))
    assert len(made.named("caption")) == len(made.named("table"))
    assert made.named("input")[0]["aria-label"] and made.named("button")[0]["type"] == "button"


def test_the_same_inputs_give_the_same_bytes(full: Path) -> None:
    page()
    first = project.REPORT.read_bytes()
    page()
    assert project.REPORT.read_bytes() == first


@pytest.mark.parametrize(("length", "frames"), [(700, 600), (150, 120)])
def test_the_game_is_a_rollout_of_a_held_out_game(full: Path, length: int, frames: int) -> None:
    write_dataset(project.DATASET, [length, 40])
    page()
    embedded = re.search(r'id="game">(.*?)</script>', project.REPORT.read_text())
    assert embedded
    data = json.loads(embedded[1])
    assert data["frames"] == frames and data["fps"] == 60
    names = [world["name"] for world in data["worlds"]]
    who = [name.removesuffix(", real") for name in names[::2]]
    assert names == [f"{one}, {kind}" for one in who for kind in ("real", "predicted")]
    assert [one.startswith(f"player {i} ") and one[9:] in CHARACTERS for i, one in enumerate(who, 1)] == [True, True]
    assert data["actions"] and all(isinstance(name, str) for name in data["actions"].values())
    assert all(len(w[name]) == frames for w in data["worlds"] for name in ("x", "y", "action", "damage"))
    real, predicted = data["worlds"][:2]
    assert real["x"] != predicted["x"]


def test_players_places_and_actions_have_names(full: Path) -> None:
    set_places(full / project.DATASET, 31)
    text = " ".join(page().text.split())
    assert re.search(r"[A-Z].* and [A-Z].* on Battlefield: 1 second", text) and "action id" not in text
    drawn = project.REPORT.read_text()
    assert 'class="line floor"' in drawn and 'class="line box"' in drawn


def test_it_says_what_figures_mean(full: Path) -> None:
    text = " ".join(page().text.split())
    assert "QNet (INT8): No better than a baseline in 4 of 12 figures: action right, of all 0.2500" in text, text[:900]
    assert "game units; best baseline, nothing changes: 7.03" in text
    assert "A frame fits its budget, and costs what was predicted." in text
    assert "no longer shows" in text


def test_it_has_contents_and_a_date(full: Path) -> None:
    made = page()
    aims = {link["href"] for link in made.named("a")}
    assert aims == {f"#{heading['id']}" for heading in made.named("h2")} and len(aims) == 9
    os.utime(project.FIGURES / "cu.json", (4e9, 4e9))
    assert "Newest figure: 2096-10-02 07:06 UTC." in page().text


def test_it_can_be_read_on_a_phone(full: Path, chromium: tuple[str, str]) -> None:
    """In a real browser: nothing but tables scrolls sideways, and the player shows names and stays in its picture."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium; get it with: make setup")
    page()
    options = webdriver.ChromeOptions()
    options.binary_location, service = chromium[0], webdriver.ChromeService(chromium[1])
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options, service)
    try:
        for width in (390, 1200):
            metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            driver.get(project.REPORT.resolve().as_uri())
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
            assert driver.execute_script(OUTSIDE) == []
            shown = driver.execute_script("return document.querySelector('[data-field=action]').textContent")
            assert shown and not shown.isdecimal()
    finally:
        driver.quit()


def test_an_empty_folder_names_every_verb(empty: Path) -> None:
    text = page().text
    for verb in ("wmq evaluate", "wmq evaluate run-qat", "wmq evaluate run", "wmq quantize", "wmq build, then wmq cu",
                 "wmq parity", "wmq ingest", "wmq build", "wmq rollout --starts 20 --seconds 60",
                 "wmq speculate"):  # fmt: skip
        assert verb in text, verb
    assert "<script" not in project.REPORT.read_text()


@pytest.mark.parametrize(
    ("name", "verb"), [("evaluate-float", "wmq evaluate run"), ("cu", "wmq cu"), ("parity", "wmq parity")]
)
def test_one_missing_piece_is_named(full: Path, name: str, verb: str) -> None:
    (project.FIGURES / f"{name}.json").unlink()
    text = page().text
    assert "not there yet" in text and verb in text


def test_no_dataset_no_game(full: Path) -> None:
    (project.DATASET / "meta.json").unlink()
    text = page().text
    assert "Held-out games in dataset: not there yet" in text and "8,765" in text


def test_figures_of_another_artifact_are_not_shown(full: Path) -> None:
    project.EXPORT.mkdir()
    (project.EXPORT / "manifest.json").write_bytes(MANIFEST)
    project.keep_figures("cu", CU | {"manifest_sha256": hashlib.sha256(MANIFEST).hexdigest()})
    project.keep_figures("parity", PARITY | {"manifest_sha256": "0" * 64})
    project.keep_figures("evaluate-qnet", evaluation(0.25, form="qnet", sha256="0" * 64))
    text = page().text
    assert "8,765" in text and "411" not in text
    assert "Figures of the QNet (INT8) model: not there yet" in text


def test_what_differs_is_said(full: Path) -> None:
    first = {"executor": "svm", "frame": 3, "tensor": "heads", "index": 5, "got": 1, "expected": 2}
    outcomes = [{"executor": "svm", "frames": 17, "mismatches": 2}]
    project.keep_figures("parity", PARITY | {"mismatches": 2, "first_difference": first, "outcomes": outcomes})
    project.keep_figures("evaluate-qat", evaluation(0.26, form="qat"))
    text = page().text
    assert "tensor heads, index 5, got 1, expected 2" in text and "2 differ" in text
    assert re.search(r"QAT run and QNet\s+differ", text)
    assert 'class="bad">701<' in project.REPORT.read_text()


def test_models_with_other_horizons_are_compared_at_those_they_share(full: Path) -> None:
    further = evaluation(0.25, form="qnet")
    for figures in (further, *further["baselines"].values()):
        figures["rollout"]["60"] = figures["rollout"]["10"] | {"position_mae": [1.0] * 60}
    project.keep_figures("evaluate-qnet", further)
    text = page().text
    assert "at frame 10" in text and "at frame 60" not in text
    for form in ("qat", "float", "ptq"):
        (project.FIGURES / f"evaluate-{form}.json").unlink()
    assert "at frame 60" in page().text


def test_free_runs_of_another_model_are_not_shown(full: Path) -> None:
    project.keep_figures("rollout-qnet", DRIFT | {"model": {"form": "qnet", "sha256": "0" * 64}})
    text = page().text
    assert "Free runs: not there yet" in text and "after 33 frames" not in text


def test_the_best_of_a_row_is_bold_whoever_it_is(full: Path) -> None:
    project.keep_figures("evaluate-qnet", evaluation(8.5, form="qnet"))
    for form in ("qat", "float", "ptq"):
        (project.FIGURES / f"evaluate-{form}.json").unlink()
    page()
    row = next(line for line in project.REPORT.read_text().split("<tr>") if "position error, median" in line)
    assert "<strong>7.0400</strong>" in row and row.count("<strong>") == 1


def test_names_from_files_are_text(full: Path) -> None:
    hostile = "</script><script>alert(1)</script>"
    outcomes = [{"executor": hostile, "frames": 1, "mismatches": 0}]
    atomic_write_json(project.FIGURES / "parity.json", PARITY | {"outcomes": outcomes})
    assert hostile in page().text and hostile not in project.REPORT.read_text()


def test_different_frames_are_said(full: Path) -> None:
    project.keep_figures("evaluate-float", evaluation(0.5, form="float") | {"frames": 9})
    assert "Not all were measured on the same frames" in page().text


def test_a_line_chart_ends_where_its_values_end() -> None:
    svg = line_chart([Series("a", "s0", [0, 10], [0, 100])], "x", "y", "alt <text>")
    assert 'points="58.0,220.0 468.0,12.0"' in svg and "alt &lt;text&gt;" in svg
    assert ">0</text>" in svg and ">100</text>" in svg
    assert "nan" not in line_chart([Series("flat", "s0", [1, 2], [3, 3])], "x", "y", "flat")


def test_tracks_have_equal_axes_and_hold_every_path() -> None:
    path, ground = Series("a", "s0", [-10, 10], [0, 5]), Series("b", "ground", [-400, 600], [0, 0])
    svg, plane = tracks([path], [ground], (-40, 60, 5, 0), "alt")
    assert (plane.width, plane.left, plane.top) == (480, -44, 9)
    assert plane.height == pytest.approx(480 * (5 + 8) / (100 + 8), abs=0.1)
    assert svg.count("<polyline") == 2 and svg.index("line ground") < svg.index("line s0")


def test_the_longest_bar_is_full() -> None:
    html = bars([("a", 50, "fifty"), ("b", 100, "hundred")], "alt")
    assert "width:50.00%" in html and "width:100.00%" in html
    assert "0.00%" in bars([("none", 0, "0")], "alt")
