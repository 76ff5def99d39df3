"""qnet.py: what was saved comes back whole, and what is not as the format says is refused by name."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from tests.factories import small_model, small_qnet
from wm_quant.errors import WmQuantError
from wm_quant.ops.base import Tensor
from wm_quant.ops.dense import Matvec
from wm_quant.qnet import QNet, expected_tensors, load_qnet, save_qnet, validate
from wm_train.config import MLPConfig

NET = small_qnet()


def with_tensor(name: str, value: Any) -> QNet:
    return replace(NET, tensors={**NET.tensors, name: value})


def with_op(op_name: str, /, **changes: Any) -> QNet:
    return replace(NET, ops=tuple(replace(op, **changes) if op.name == op_name else op for op in NET.ops))


def without(name: str) -> QNet:
    return replace(NET, tensors={key: value for key, value in NET.tensors.items() if key != name})


@pytest.mark.parametrize(
    "model",
    [
        *map(small_model, ("v1", "v2", "v2.1", "v2.2")),
        small_model(bits={"heads": 4}),
        small_model(bits={"layer1": 16}),
        small_model(heads="lawful_grouped"),
    ],
    ids=["v1", "v2", "v2.1", "v2.2", "int4", "int16", "in groups"],
)
def test_round_trip(tmp_path: Path, model: MLPConfig) -> None:
    net = replace(small_qnet(model), provenance={"form": "qat"})
    save_qnet(tmp_path, net)
    loaded = load_qnet(tmp_path)
    assert replace(loaded, tensors={}) == replace(net, tensors={})
    assert loaded.tensors.keys() == net.tensors.keys() and loaded.parameters == net.parameters
    for name, tensor in net.tensors.items():
        assert loaded.tensors[name].dtype == tensor.dtype and (loaded.tensors[name] == tensor).all()


def test_a_network_is_integers_only() -> None:
    assert {str(tensor.dtype) for tensor in NET.tensors.values()} == {"int8", "int32"}
    assert all(NET.tensors[f"{name}.rows"].any() for name in ("layer1", "gather", "layer2", "heads"))


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        save_qnet(tmp_path / name, NET)
    for file in ("qnet.json", "qnet.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def negative(name: str, row: int) -> QNet:
    values = NET.tensors[name].copy()
    values[row] = -3
    return with_tensor(name, values)


def int4_weight(value: int) -> QNet:
    """A network with INT4 weights in `layer2`, one of them `value`."""
    net = small_qnet(small_model(bits={"layer2": 4}))
    rows = net.tensors["layer2.rows"].copy()
    rows[3, 1] = value
    return replace(net, tensors={**net.tensors, "layer2.rows": rows})


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            with_tensor("layer2.rows", np.zeros((32, 63), np.int8)),
            r"layer2\.rows is int8 \(32, 63\), expected int8 \(32, 64\)",
        ),
        (with_tensor("layer2.rows", np.zeros((32, 64), np.int16)), r"layer2\.rows is int16"),
        (with_tensor("layer2.bias", np.zeros(32, np.int64)), r"layer2\.bias is int64 \(32,\), expected int32"),
        (with_tensor("layer1.session", np.zeros((3, 64), np.int32)), r"layer1\.session"),
        (with_tensor("gather.rows", np.zeros((64, 3), np.int8)), r"gather\.rows"),
        (with_tensor("nose.rows", np.zeros(3, np.int8)), r"differ from what the ops ask for: nose\.rows"),
        (without("relu1.mult"), r"differ from what the ops ask for: relu1\.mult"),
        (negative("relu1.mult", 17), r"relu1\.mult\[17\] = -3, expected 0\.\.2147483647"),
        (negative("scale.mult", 1063), r"scale\.mult\[1063\] = -3"),
        (negative("gather.k", 2), r"gather\.k\[2\] = -3"),
        (with_op("relu1", shift=6), r'op "relu1": shift 6, expected 7\.\.62'),
        (with_op("scale", shift=0), r'op "scale": shift 0, expected 1\.\.62'),
        (with_op("relu1", shift=63), r'op "relu1": shift 63'),
        (with_op("layer2", source="hidden9"), r"op \"layer2\": reads 'hidden9'"),
        (with_op("layer2", source="heads"), r"op \"layer2\": reads 'heads'"),
        (with_op("layer2", init="zero"), r"op \"layer2\""),
        (with_op("layer2", size=0), r"op \"layer2\""),
        (with_op("layer2", bits=4), r'op "layer2": bits 4, expected 8'),
        (with_op("layer2", bits=5), r'op "layer2": bits 5, expected'),
        (with_op("layer2", bits="4"), r"op \"layer2\": bits is '4'"),
        (int4_weight(8), r"layer2\.rows\[3, 1\] = 8, expected -7\.\.7"),
        (int4_weight(-8), r"layer2\.rows\[3, 1\] = -8"),
        (int4_weight(-128), r"layer2\.rows\[3, 1\] = -128"),
        (with_op("scale", out="logits"), "reads 1064 values of `heads`, and ops write 0"),
        (with_op("scale", size=8), "reads 1064 values of `heads`, and ops write 8"),
        (replace(NET, ops=()), "reads 1064 values of `heads`"),
    ],
)
def test_what_the_format_does_not_say_is_refused(net: QNet, message: str) -> None:
    with pytest.raises(WmQuantError, match=message):
        validate(net)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"first": 117}, "20 groups from 117 on, of 136 values in `heads`"),
        ({"first": -1}, "20 groups from -1 on"),
        ({"groups": 0}, "0 groups"),
        ({"groups": 137}, "137 groups"),
        ({"by": "ids"}, "reads 'ids' too"),
        ({"by": "later"}, "reads 'later' too"),
        ({"size": 21}, r"reads 20 values of `heads\.action\.1`, and ops write 21"),
        ({"block": 7}, "block 7, expected a multiple of 32"),
        ({"bits": 16}, "bits 16, expected 8"),
        ({"layer": "layer2", "bits": 5}, "bits 5, expected 8"),
        ({"shift": 63}, r"shift 63, expected 1\.\.62"),
        ({"source": "acc3"}, "a within of the sum `acc3`"),
    ],
)
def test_groups_that_are_not_there_are_refused(fields: dict[str, Any], message: str) -> None:
    net = small_qnet(small_model("v2.1", "lawful_grouped"))
    ops = tuple(replace(op, **fields) if op.name == "heads.action.1" else op for op in net.ops)
    with pytest.raises(WmQuantError, match=message):
        validate(replace(net, ops=ops))


def test_rows_of_fewer_groups_are_refused() -> None:
    net = small_qnet(small_model("v2.1", "lawful_grouped"))
    for part in ("rows", "bias", "mult"):
        name = f"heads.action.0.{part}"
        with pytest.raises(WmQuantError, match=rf"heads\.action\.0\.{part} is .* \(19, 20.*expected .* \(20, 20"):
            validate(replace(net, tensors={**net.tensors, name: net.tensors[name][1:]}))


def test_a_network_that_is_refused_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(WmQuantError):
        save_qnet(tmp_path / "net", negative("relu1.mult", 0))
    assert not (tmp_path / "net").exists()


def test_tensors_follow_from_the_ops() -> None:
    shapes = expected_tensors(NET)
    encoding = NET.world.encoding
    assert shapes["layer1.rows"] == Tensor((64, encoding.dense_columns), np.int8)
    assert shapes["gather.rows"].shape[0] == sum(f.vocab for _, _, f in encoding.id_fields())
    assert shapes["layer1.session"].shape == (2 * 33 + 33, 64)
    assert shapes["heads.rows"].shape == (NET.world.outputs, 32)
    validate(NET)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_qnet(tmp_path, NET)
    return tmp_path


def rewrite(folder: Path, **changes: Any) -> None:
    """Change keys of qnet.json."""
    path = folder / "qnet.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def ops_with(**changes: Any) -> list[dict[str, Any]]:
    """The ops as JSON, the first of them changed."""
    first, *rest = ({"kind": op.kind} | vars(op) for op in NET.ops)
    return [{**first, **changes}, *rest]


@pytest.mark.parametrize("at", [3, 5000, -1])
def test_a_flipped_byte_is_refused(folder: Path, at: int) -> None:
    path = folder / "qnet.safetensors"
    blob = bytearray(path.read_bytes())
    blob[at] ^= 0x10
    path.write_bytes(blob)
    with pytest.raises(WmQuantError, match=r"qnet\.safetensors: its hash is not the one in qnet\.json"):
        load_qnet(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": "wmq-qnet-4"},
            "expected format wmq-qnet-5, got 'wmq-qnet-4'; make it again from its run with `wmq quantize`",
        ),
        ({"model": {"slots": 3, "depth": 2}}, "unknown key 'depth'"),
        ({"model": {"slots": 2, "hidden": [64, 32]}}, r"layer1\.rows|gather\.rows"),
        ({"ops": [{"name": "layer1"}]}, r"ops\[0\] has no kind; make it again"),
        ({"ops": 3}, "ops is 3, expected a list"),
        ({"ops": ops_with(colour="red")}, r"ops\[0\] has a key 'colour', expected kind, name, source, out, size, "),
        ({"ops": ops_with(kind="pool")}, r"ops\[0\]\.kind is 'pool', expected matvec or gather or requantize or "),
        ({"ops": ops_with(kind=["matvec"])}, r"ops\[0\]\.kind is a list of 1, expected matvec or "),
        ({"ops": [["matvec"]]}, r"ops\[0\] is a list of 1, expected an object"),
        ({"ops": [{}]}, r"ops\[0\] has no kind"),
        ({"ops": ops_with(kind="lut")}, r"ops\[0\] has a key 'init', expected kind, name, source, out, size"),
    ],
)
def test_a_wrong_qnet_json_is_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    rewrite(folder, **changes)
    with pytest.raises(WmQuantError, match=message):
        load_qnet(folder)


@pytest.mark.parametrize("changes", [{"size": "64"}, {"size": True}, {"init": 3}, {"block": 0}, {"block": 33}])
def test_an_op_that_makes_no_sense_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    from wm_export.lower.lowering import lower
    from wm_quant.prove import prove

    rewrite(folder, ops=ops_with(**changes))
    with pytest.raises(WmQuantError):
        net = load_qnet(folder)
        prove(net)
        assert lower(net).routines


@pytest.mark.parametrize("net", [with_op("gather", out="acc9"), with_op("layer2", name="layer1")])
def test_every_vector_has_a_start_and_every_op_a_name(net: QNet) -> None:
    tensors: dict[str, Any] = {name: np.zeros(t.shape, t.dtype) for name, t in expected_tensors(net).items()}
    with pytest.raises(WmQuantError):
        validate(replace(net, tensors=tensors))


def test_bytes_that_are_no_safetensors_are_refused(folder: Path) -> None:
    (folder / "qnet.safetensors").write_bytes(b"nothing")
    rewrite(folder, sha256=hashlib.sha256(b"nothing").hexdigest())
    with pytest.raises(WmQuantError, match=r"expected safetensors, got .*; make it again"):
        load_qnet(folder)


def test_a_missing_tensor_is_refused(folder: Path) -> None:
    blob = save({name: np.ascontiguousarray(value) for name, value in without("gather.k").tensors.items()})
    (folder / "qnet.safetensors").write_bytes(blob)
    rewrite(folder, sha256=hashlib.sha256(blob).hexdigest())
    with pytest.raises(WmQuantError, match=r"gather\.k"):
        load_qnet(folder)


@pytest.mark.parametrize("name", ["qnet.json", "qnet.safetensors"])
def test_half_a_qnet_is_no_qnet(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(WmQuantError, match=r"cannot be read: No such file .*; make it again"):
        load_qnet(folder)


def test_a_file_names_the_fields_of_each_op_and_no_others(folder: Path) -> None:
    kept = {op["name"]: op for op in json.loads((folder / "qnet.json").read_text())["ops"]}
    base = {"kind", "name", "source", "out", "size"}
    assert kept["layer1"].keys() == base | {"init", "block", "bits"} and kept["gather"].keys() == base | {"init"}
    assert kept["relu1"].keys() == kept["scale"].keys() == base | {"shift", "first"}


def test_what_is_made_of_a_tensor_is_made_once_and_not_written_to() -> None:
    net, op = small_qnet(), NET.ops[2]
    made = net.ints(op, "mult")
    assert made is net.ints(op, "mult") and made.dtype == np.int64 and (made == net.tensor(op, "mult")).all()
    with pytest.raises(ValueError, match="read-only"):
        made[0] = 1


def test_an_op_is_plain_data() -> None:
    assert Matvec(**vars(NET.ops[0])) == NET.ops[0]


@pytest.mark.parametrize("name", ["qnet.json", "qnet.safetensors", "other"])
def test_nothing_is_written_beside_a_link(tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").write_text("mine")
    (tmp_path / "qnet").mkdir()
    (tmp_path / "qnet" / name).symlink_to(tmp_path / "outside")
    with pytest.raises(WmQuantError, match=f"{name}: is a link"):
        save_qnet(tmp_path / "qnet", small_qnet())
    assert (tmp_path / "outside").read_text() == "mine" and [path.name for path in (tmp_path / "qnet").iterdir()] == [
        name
    ]
