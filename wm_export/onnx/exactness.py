"""Whether ONNX Runtime multiplies integers exactly on this processor: asked of itself before a graph is believed.

Its kernels for uint8 by int8 add pairs of products in 16 bits on x86 without VNNI, which saturate. Graphs multiply
uint8 by uint8, which it widens first; a build or a processor where that is wrong is refused here.
"""

from functools import cache

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from wm_export.errors import WmExportError
from wm_export.onnx.graph_builder import IR_VERSION, MIDDLE, OPSET, Graph
from wm_train.grid.arithmetic import CODE_MAX, CODE_MIN

#: Columns and rows of the products tried: full vectors of any width, and a rest.
COLUMNS, ROWS = 131, 37


def _extremes() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes (B, K) and rows (K, N), all at the ends of their ranges: alike, opposed, and in pairs of both signs."""
    signs = np.resize([1, 1, -1, -1, 1, -1], (COLUMNS, ROWS))
    signs[:, : ROWS // 2] = 1
    codes = np.where(np.stack([np.ones(COLUMNS), -np.ones(COLUMNS), signs[:, -1]]) > 0, CODE_MAX, CODE_MIN)
    return codes.astype(np.int64), (signs * CODE_MAX).astype(np.int64)


def multiplied(codes: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """`codes` (B, K) @ `rows` (K, N) as a graph does it, INT8 both."""
    graph = Graph()
    lifted = graph.constant("rows", (rows + MIDDLE).astype(np.uint8))
    graph.add("Identity", graph.product("codes", lifted), name="out")
    given = helper.make_tensor_value_info("codes", TensorProto.UINT8, ["B", rows.shape[0]])
    out = helper.make_tensor_value_info("out", TensorProto.INT64, ["B", rows.shape[1]])
    body = helper.make_graph(graph.nodes, "products", [given], [out], list(graph.constants.values()))
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(body, ir_version=IR_VERSION, opset_imports=[opset]).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found: NDArray[np.int64] = session.run(None, {"codes": (codes + MIDDLE).astype(np.uint8)})[0]
    return found


@cache
def need_exact_products() -> None:
    """WmExportError where ONNX Runtime's products saturate here."""
    codes, rows = _extremes()
    if wrong := int((multiplied(codes, rows) != codes @ rows).sum()):
        raise WmExportError(
            f"onnx: ONNX Runtime {onnxruntime.__version__} multiplies integers wrongly on this processor ({wrong} of "
            f"{len(codes) * ROWS} products of extremes); install another version, or compare without it: "
            "`wmq parity --target svm`"
        )
