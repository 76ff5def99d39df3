"""onnx/forms.py: each op's form gives its golden vectors; an op without one is named."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tests.wm_quant.golden_vectors import read
from wm_export.onnx.forms import FORMS, NOT_YET
from wm_export.onnx.graph_builder import IR_VERSION, OPSET, Graph
from wm_quant.interp import Trace
from wm_quant.ops.base import Op
from wm_quant.ops.kinds import OPS
from wm_quant.qnet import QNet


def run_form(net: QNet, op: Op, values: Trace) -> Trace:
    """What ONNX Runtime makes of the vectors that one op reads."""
    graph = Graph()
    written = FORMS[type(op)](graph, net, op, {name: name for name in values})
    infos = [helper.make_tensor_value_info(name, TensorProto.INT64, ["B", v.shape[1]]) for name, v in values.items()]
    outs = [helper.make_tensor_value_info(value, TensorProto.INT64, ["B", "N"]) for value in written.values()]
    body = helper.make_graph(graph.nodes, "op", infos, outs, list(graph.constants.values()))
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(body, ir_version=IR_VERSION, opset_imports=[opset]).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return dict(zip(written, session.run(list(written.values()), values), strict=True))


@pytest.mark.parametrize("op", FORMS, ids=lambda op: op.kind)
def test_a_form_gives_the_ops_golden_vectors(op: type[Op]) -> None:
    net, one, values, wanted = read(op.kind)
    got = run_form(net, one, values)
    assert got.keys() == wanted.keys()
    for name, vector in got.items():
        assert vector.dtype == np.int64 and np.array_equal(vector, wanted[name]), name


def test_every_op_has_a_form_or_is_listed() -> None:
    assert set(FORMS) | set(NOT_YET) == set(OPS.values()) and not set(FORMS) & set(NOT_YET)
