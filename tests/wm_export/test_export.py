"""Exports: the same bytes for the same integers, and refusal of anything that was changed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from anchorpy import Idl

from tests.factories import calls, small_model, small_qnet
from wm_export.blob import pack, pack_lanes, pack_rows
from wm_export.errors import WmExportError
from wm_export.idl import INSTRUCTIONS, encode
from wm_export.rustgen import plan_of
from wm_export.solana import Export, export_solana, open_export
from wm_quant.calls import op_calls
from wm_train.config import MLPConfig


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_network_gives_the_same_bytes(small_export: Export, tmp_path: Path) -> None:
    export_solana(small_export.net, tmp_path / "again")
    first = {name: data for name, data in _files(small_export.folder).items() if not name.startswith("build/")}
    first = {name: data for name, data in first.items() if "/target/" not in name}
    assert _files(tmp_path / "again") == first


def test_lanes_hold_the_weights(small_export: Export) -> None:
    net = small_export.net
    for op in (op for op in net.ops if op.kind == "matvec"):
        rows = net.tensor(op, "rows")
        for call in op_calls(net, op):
            words = pack_lanes(rows, call).view(np.int64).reshape(call.groups, call.columns, call.accumulators)
            low = ((words + (1 << 20)) & ((1 << 21) - 1)) - (1 << 20)
            rest = (words - low) >> 21
            middle = ((rest + (1 << 20)) & ((1 << 21) - 1)) - (1 << 20)
            lanes = np.stack([low, middle, (rest - middle) >> 21], -1)
            found = lanes.transpose(0, 2, 3, 1).reshape(call.rows, call.columns)
            expected = rows[call.row : call.row + call.rows, call.column : call.column + call.columns]
            assert (found[: expected.shape[0], : expected.shape[1]] == expected).all()


@pytest.mark.parametrize(("bits", "lanes"), [(4, 4), (16, 2)])
def test_other_lanes_hold_the_weights_of_a_word(bits: int, lanes: int) -> None:
    net, width = small_qnet(small_model(bits={"layer2": bits})), 64 // lanes
    wide, op = pack(small_qnet()).sections, next(op for op in net.ops if op.bits == bits)
    rows = net.tensor(op, "rows")
    for call in op_calls(net, op):
        words = pack_lanes(rows, call).view(np.int64).reshape(call.groups, call.columns, call.accumulators)
        found, half = np.zeros((call.rows, call.columns), np.int64), 1 << (width - 1)
        for lane in range(lanes):
            low = ((words + half) & (2 * half - 1)) - half
            found[lane::lanes] = low.transpose(0, 2, 1).reshape(-1, call.columns)
            words = (words - low) >> width
        expected = rows[call.row : call.row + call.rows, call.column : call.column + call.columns]
        assert (found[: expected.shape[0], : expected.shape[1]] == expected).all() and not words.any()
    assert pack(net).sections["layer2.words"].count == 32 // lanes * 64
    assert wide["layer2.words"].count == 33 // 3 * 64


def test_byte_rows_hold_the_tables(small_export: Export) -> None:
    op = next(op for op in small_export.net.ops if op.kind == "gather")
    rows = small_export.net.tensor(op, "rows")
    raw = pack_rows(rows).view(np.uint8).reshape(len(rows) + 1, -1, 8)
    assert not raw[..., 7].any()
    entries = raw[..., :7].reshape(len(rows) + 1, -1).astype(int) - 128
    assert (entries[:-1, : op.size] == rows).all() and not entries[-1].any()


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_a_flipped_byte_in_the_blob_is_refused(small_export: Export, tmp_path: Path, place: int) -> None:
    folder = shutil.copytree(small_export.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("target", "build"))
    data = bytearray((folder / "blob.bin").read_bytes())
    data[place] ^= 1
    (folder / "blob.bin").write_bytes(data)
    with pytest.raises(WmExportError, match="sha256"):
        open_export(folder)


@pytest.mark.parametrize(("change", "text"), [
    (lambda m: m | {"format": "wmq-export-0"}, "expected format"),
    (lambda m: m | {"plan": "all"}, "plan"),
    (lambda m: m | {"qnet_parent": "0"}, "not that of the QNet"),
    (lambda m: m | {"blob": m["blob"] | {"sha256": "0"}}, "sha256"),
    (lambda m: m | {"blob": m["blob"] | {"bytes": 1}}, "bytes"),
])  # fmt: skip
def test_a_wrong_manifest_is_refused(small_export: Export, tmp_path: Path, change: object, text: str) -> None:
    folder = shutil.copytree(small_export.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("target", "build"))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(change(manifest)))  # type: ignore[operator]
    with pytest.raises(WmExportError, match=text):
        open_export(folder)


def test_an_export_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WmExportError, match="export again"):
        open_export(tmp_path)


@pytest.mark.parametrize("cuts", [(0,), (5, 5), (6, 4), (99,)])
def test_a_plan_must_cut_between_ops(small_export: Export, cuts: tuple[int, ...]) -> None:
    with pytest.raises(WmExportError, match="cuts"):
        plan_of(small_export.net, cuts)


def test_anchorpy_reads_the_interface(small_export: Export) -> None:
    idl = Idl.from_json((small_export.folder / "idl.json").read_text())
    assert [instruction.name for instruction in idl.instructions] == list(INSTRUCTIONS)
    assert {account.name for account in idl.accounts} == {"Model", "Session", "Scratch", "Dispute"}
    from anchorpy.coder.instruction import InstructionCoder

    coder = InstructionCoder(idl)
    step = coder.parse(encode("step", frame=7, step=2))
    assert step.name == "step" and (step.data.frame, step.data.step) == (7, 2)
    chunk = coder.parse(encode("write_chunk", index=9, data=b"abc"))
    assert chunk.name == "write_chunk" and chunk.data.index == 9 and bytes(chunk.data.data) == b"abc"
    opened = coder.parse(encode("open_dispute", frame=3, peaks=[bytes(32), bytes([1]) * 32]))
    assert opened.data.frame == 3 and [bytes(peak) for peak in opened.data.peaks] == [bytes(32), bytes([1]) * 32]


def test_an_instruction_must_have_its_arguments() -> None:
    for wrong in ({}, {"frame": 1}, {"frame": 1, "step": 0, "more": 2}):
        with pytest.raises(WmExportError, match="step: got arguments"):
            encode("step", **wrong)
    with pytest.raises(WmExportError, match="array of 6"):
        encode("submit_input", player=0, frame=0, input=bytes(5))


def test_every_call_is_inside_its_section(small_export: Export) -> None:
    blob = pack(small_export.net)
    words = {op.name: 0 for op in small_export.net.ops if op.kind == "matvec"}
    for call in calls(small_export.net):
        if call.op.kind == "matvec":
            words[call.op.name] += call.groups * call.columns * call.accumulators
    assert {name: blob.sections[f"{name}.words"].count for name in words} == words


def test_sizes_that_do_not_fit_an_account() -> None:
    net = small_qnet(MLPConfig(hidden=(1024, 64)))
    with pytest.raises(WmExportError, match="model account would be"):
        export_solana(net, Path("never-written"))
