"""Whether ONNX Runtime multiplies integers exactly on this processor: tried on known products before it is believed.

Its kernels for uint8 by int8 add pairs of products in 16 bits on x86 without VNNI, which saturate. Graphs multiply
uint8 by uint8, which it widens first; a build or a processor where that is wrong is refused here, and so is a version
that is known to be wrong on some processors, whatever this one is: what it computed is to be right elsewhere, too.
"""

from functools import cache

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper

from wm_export.errors import WmExportError
from wm_export.onnx.graph_builder import IR_VERSION, MIDDLE, OPSET, Byte, Graph
from wm_train.grid.arithmetic import CODE_MAX, CODE_MIN

#: Versions that are wrong on some processors, and what is known of it; pyproject.toml excludes them as well.
FAULTY = {"1.23.1": "multiplies INT8 wrongly on processors with VNNI and AMX (onnxruntime#26324)"}
#: Columns and rows of the products of extremes: full vectors of any width, and a rest.
COLUMNS, ROWS = 131, 37
#: (worlds, columns, rows) of the mixed products: one row of a tile, a whole one, and more than one with a rest.
MIXED = ((1, 64, 16), (16, 64, 16), (35, 1_031, 53))


def _extremes() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes (B, K) and rows (K, N), all at the ends of their ranges: alike, opposed, and in pairs of both signs."""
    signs = np.resize([1, 1, -1, -1, 1, -1], (COLUMNS, ROWS))
    signs[:, : ROWS // 2] = 1
    codes = np.where(np.stack([np.ones(COLUMNS), -np.ones(COLUMNS), signs[:, -1]]) > 0, CODE_MAX, CODE_MIN)
    return codes.astype(np.int64), (signs * CODE_MAX).astype(np.int64)


def _mixed(worlds: int, columns: int, rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes (B, K) and rows (K, N) of all sizes and both signs, the same ones everywhere."""
    spread = np.arange(worlds * columns + columns * rows) * 2_654_435_761 % (1 << 32) >> 11
    codes, weights = spread[: worlds * columns].reshape(worlds, -1), spread[worlds * columns :].reshape(columns, -1)
    return codes % (CODE_MAX - CODE_MIN + 1) + CODE_MIN, weights % (2 * CODE_MAX + 1) - CODE_MAX


def multiplied(codes: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """`codes` (B, K) @ `rows` (K, N) as a graph does it, INT8 both."""
    graph = Graph()
    lifted = graph.constant("rows", (rows + MIDDLE).astype(np.uint8))
    graph.add("Identity", graph.product([Byte("codes")], [Byte(lifted)]), name="out")
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
    """WmExportError where ONNX Runtime's products are wrong here, or are known to be wrong on other processors."""
    version, otherwise = onnxruntime.__version__, "or compare without it: `wmq parity --target svm`"
    if why := FAULTY.get(version):
        newer = f"pip install 'onnxruntime>{version}'"
        raise WmExportError(f"onnx: ONNX Runtime {version} {why}; next: {newer}, {otherwise}")
    for kind, (codes, rows) in (("extremes", _extremes()), *(("mixed codes", _mixed(*shape)) for shape in MIXED)):
        expected = codes @ rows
        if wrong := int((multiplied(codes, rows) != expected).sum()):
            raise WmExportError(
                f"onnx: ONNX Runtime {version} multiplies integers wrongly on this processor ({wrong} of "
                f"{expected.size} products of {kind}); install another version, {otherwise}"
            )
