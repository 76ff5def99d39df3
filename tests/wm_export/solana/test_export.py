"""Exports: the same bytes for the same integers, and refusal of anything that was changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import small_model, small_qnet
from tests.wm_export.lower.machine import LANES, lanes_of
from wm_export.errors import WmExportError
from wm_export.lower.dense_lowering import pack_lanes, tiles
from wm_export.lower.gather_lowering import pack_rows
from wm_export.lower.lowering import lower
from wm_export.schema.instruction_set import INSTRUCTIONS, encode
from wm_export.solana.blob import pack
from wm_export.solana.export import Export, export_solana, open_export
from wm_export.solana.layout import SHARD_MAX
from wm_quant.ops.dense import Matvec
from wm_quant.ops.gather import Gather
from wm_train.config import MLPConfig

Change = Callable[[dict[str, Any]], dict[str, Any]]


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_network_gives_the_same_bytes(small_export: Export, tmp_path: Path) -> None:
    export_solana(small_export.net, tmp_path / "again")
    first = {name: data for name, data in _files(small_export.folder).items() if "/build/" not in name}
    assert _files(tmp_path / "again") == first


@pytest.mark.parametrize(("bits", "words"), [(8, 33 // 3 * 64), (4, 32 // 4 * 64), (16, 32 // 2 * 64)])
def test_lanes_hold_the_weights(bits: int, words: int) -> None:
    net = small_qnet(small_model(bits={"layer2": bits}))
    op = next(op for op in net.ops if op.name == "layer2" and isinstance(op, Matvec))
    rows = net.tensor(op, "rows")
    for tile in tiles(op, rows.shape[1]):
        packed = pack_lanes(rows, tile).reshape(tile.groups, tile.columns, tile.accumulators)
        found = lanes_of(packed, LANES[bits]).transpose(0, 2, 3, 1).reshape(tile.rows, tile.columns)
        expected = rows[tile.row : tile.row + tile.rows, tile.column : tile.column + tile.columns]
        assert (found[: expected.shape[0], : expected.shape[1]] == expected).all() and not found[len(expected) :].any()
    assert pack(lower(net, fused=False)).sections["layer2.words"].count == words


def test_byte_rows_hold_the_tables(small_export: Export) -> None:
    op = next(op for op in small_export.net.ops if isinstance(op, Gather))
    rows = small_export.net.tensor(op, "rows")
    raw = pack_rows(rows).view(np.uint8).reshape(len(rows) + 1, -1, 8)
    assert not raw[..., 7].any()
    entries = raw[..., :7].reshape(len(rows) + 1, -1).astype(int) - 128
    assert (entries[:-1, : op.size] == rows).all() and not entries[-1].any()


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_a_flipped_byte_in_the_blob_is_refused(small_export: Export, tmp_path: Path, place: int) -> None:
    folder = shutil.copytree(small_export.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("target", "build"))
    blob = open_export(folder).blob_path
    data = bytearray(blob.read_bytes())
    data[place] ^= 1
    blob.write_bytes(data)
    with pytest.raises(WmExportError, match="sha256"):
        open_export(folder)


def _program(**changes: object) -> Change:
    """A change of the entry of the one program."""
    return lambda m: m | {"programs": [m["programs"][0] | changes]}


@pytest.mark.parametrize(("change", "text"), [
    (lambda m: m | {"format": "wmq-export-4"}, "expected format wmq-export-5, got 'wmq-export-4'"),
    (lambda m: m | {"programs": []}, "programs"),
    (_program(plan="all"), "programs"),
    (_program(cuts="all"), "programs"),
    (_program(name="../.."), "programs"),
    (_program(sources_sha256=7), "programs"),
    (_program(cuts=["99"]), "cuts stand before ops"),
    (_program(compact=True), "not that of the QNet"),
    (_program(qnet_parent="0"), "not that of the QNet"),
    (lambda m: m | {"programs": 2 * m["programs"]}, "not the bytes that wmq writes"),
    (lambda m: m | {"more": 1}, "it has a key 'more'"),
    (lambda m: _program(blob=m["programs"][0]["blob"] | {"sha256": "0"})(m), "sha256"),
    (lambda m: _program(blob=m["programs"][0]["blob"] | {"bytes": 1})(m), "bytes"),
])  # fmt: skip
def test_a_wrong_manifest_is_refused(small_export: Export, tmp_path: Path, change: Change, text: str) -> None:
    folder = shutil.copytree(small_export.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("target", "build"))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(change(manifest), indent=1, sort_keys=True) + "\n")
    with pytest.raises(WmExportError, match=text):
        open_export(folder)


def test_an_export_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WmExportError, match="not an export of this wmq"):
        open_export(tmp_path)


def test_an_export_keeps_how_it_was_lowered(tmp_path: Path) -> None:
    export_solana(small_qnet(), tmp_path, ("1.2", "4"), compact=True)
    opened = open_export(tmp_path)
    assert opened.lowered.cuts == ("1.2", "4") and opened.lowered.compact
    assert opened.manifest.plan == opened.lowered.plan == ((0, 2), (2, 5), (5, 9))
    assert opened.manifest.data["ops"][1:3] == ["layer1.0", "layer1.2"]


def test_an_export_has_its_interface(small_export: Export) -> None:
    idl = json.loads((small_export.home / "idl.json").read_text())
    assert [instruction["name"] for instruction in idl["instructions"]] == list(INSTRUCTIONS)
    assert {account["name"] for account in idl["accounts"]} == {"Model", "Session", "Scratch", "Dispute", "Pin"}


def test_an_instruction_must_have_its_arguments() -> None:
    for wrong in ({}, {"frame": 1}, {"frame": 1, "step": 0, "more": 2}):
        with pytest.raises(WmExportError, match="step: got arguments"):
            encode("step", **wrong)
    with pytest.raises(WmExportError, match="terms: array of 32"):
        encode("join_session", terms=bytes(5), key=bytes(32), expires=0)


def test_a_section_that_does_not_fit_an_account_is_refused() -> None:
    with pytest.raises(WmExportError, match=r"section gather\.rows of the weights has 12077984 bytes"):
        export_solana(small_qnet(MLPConfig(hidden=(1024, 64))), Path("never-written"))


def test_as_few_accounts_as_hold_the_weights() -> None:
    sizes = pack(lower(small_qnet(MLPConfig(hidden=(640, 512))))).sizes
    assert len(sizes) == 2 and max(sizes) <= SHARD_MAX
