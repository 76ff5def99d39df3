"""A QNet's names are data: what would close a comment of a generated program is refused, by the loader and again by the
generator. No compiler is needed to see it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.factories import small_qnet
from wm_export.errors import WmExportError
from wm_export.lower.lowering import lower
from wm_export.solana.blob import pack
from wm_export.solana.rust import generate
from wm_export.solana.rust_text import fill, function_name, quoted, upper
from wm_quant.errors import WmQuantError
from wm_quant.qnet import QNet, load_qnet, save_qnet

NET = small_qnet()
#: Closes the comment that it stands in, and adds a function that is called before `main`.
STATIC = '\n#[link_section = ".init_array"] static E: extern "C" fn() = { extern "C" fn e() {} e };\n//'
HOSTILE = [f"acc1{STATIC}", 'x"; fn e() {} //', "a*/b", "\x1b[2J", "../a", "a b", "A", "_a", "", "a" * 42, "é", "a\n"]


def renamed(old: str, new: str) -> QNet:
    """The network with a vector called otherwise wherever it is written or read."""
    ops = (replace(op, out=new if op.out == old else op.out, source=new if op.source == old else op.source)
           for op in NET.ops)  # fmt: skip
    return replace(NET, ops=tuple(ops))


def with_op_named(old: str, new: str) -> QNet:
    """The network with an op called otherwise, its tensors too."""
    ops = tuple(replace(op, name=new) if op.name == old else op for op in NET.ops)
    tensors = {name.replace(f"{old}.", f"{new}.", 1): value for name, value in NET.tensors.items()}
    return replace(NET, ops=ops, tensors=tensors)


def forced(net: QNet, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the generator makes of a network that nothing has checked."""
    monkeypatch.setattr("wm_export.lower.lowering._check_names", lambda net: None)
    program = lower(net)
    return generate(net, program, pack(program), bytes(32))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("make", [renamed, with_op_named], ids=["vector", "op"])
def test_a_hostile_name_is_refused_when_it_is_loaded(tmp_path: Path, make: Any, name: str) -> None:
    save_qnet(tmp_path, NET)
    path, old = tmp_path / "qnet.json", "hidden1" if make is renamed else "layer2"
    data = json.loads(path.read_text())
    data["ops"] = [{"kind": op.kind} | vars(op) for op in make(old, name).ops]
    path.write_text(json.dumps(data))
    with pytest.raises(WmQuantError) as refused:
        load_qnet(tmp_path)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("name", HOSTILE[:6])
@pytest.mark.parametrize("make", [renamed, with_op_named], ids=["vector", "op"])
def test_the_generator_refuses_it_too(monkeypatch: pytest.MonkeyPatch, make: Any, name: str) -> None:
    with pytest.raises(WmExportError, match=r"is no name for generated code|does not fit one line"):
        forced(make("hidden1" if make is renamed else "layer2", name), monkeypatch)


def test_a_line_end_cannot_leave_a_comment_of_a_template() -> None:
    holes = {"about": f"a{STATIC}", "name": "a", "calls": ""}
    with pytest.raises(WmExportError, match="does not fit one line of a comment"):
        fill("routine.rs", holes)
    assert "/// a." in fill("routine.rs", holes | {"about": "a"})


@pytest.mark.parametrize("put", [upper, function_name, quoted])
def test_every_way_into_a_program_takes_words_only(put: Any) -> None:
    assert put("blocks.0.in_proj")
    for name in HOSTILE[:6]:
        with pytest.raises(WmExportError, match="is no name"):
            put(name)


@pytest.mark.parametrize("name", ["fn", "match", "session_bias", "session.bias", "self"])
def test_an_op_with_a_word_of_rust_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    net = with_op_named("layer2", name)
    with pytest.raises(WmExportError, match="is a word of Rust"):
        forced(net, monkeypatch)


@pytest.mark.parametrize("name", ["layer.1", "layer_1"])
def test_two_names_that_become_one_constant_are_refused(tmp_path: Path, name: str) -> None:
    other = "layer.1" if name == "layer_1" else "layer_1"
    net = with_op_named("layer2", name)
    net = replace(net, ops=tuple(replace(op, name=other) if op.name == "heads" else op for op in net.ops))
    with pytest.raises(WmQuantError, match="are both called LAYER_1 in a program"):
        save_qnet(tmp_path, net)


@pytest.mark.parametrize(
    "net", [with_op_named("layer2", "decode"), renamed("hidden1", "bounds")], ids=["an op", "a vector"]
)
def test_a_name_of_the_worlds_own_is_refused(net: QNet) -> None:
    with pytest.raises(WmExportError, match="is a name of the world's own"):
        lower(net)
