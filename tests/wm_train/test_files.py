"""files.py: whole or absent."""

import json
from pathlib import Path

import pytest

from wm_train.files import atomic_write_bytes, atomic_write_json


def test_a_file_is_replaced(tmp_path: Path) -> None:
    for data in (b"old", b"new"):
        atomic_write_bytes(tmp_path / "a", data)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    atomic_write_bytes(tmp_path / "a", b"old")
    with pytest.raises(TypeError):
        atomic_write_bytes(tmp_path / "a", "text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Out of range"):
        atomic_write_json(tmp_path / "a", {"x": float("nan")})
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_json_keeps_its_order(tmp_path: Path) -> None:
    atomic_write_json(tmp_path / "a", {"b": [1, None], "a": "é"})
    text = (tmp_path / "a").read_text()
    assert json.loads(text) == {"b": [1, None], "a": "é"} and text.index("b") < text.index("a") and text.endswith("}\n")
