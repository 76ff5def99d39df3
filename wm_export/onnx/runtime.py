"""Runs the graph of graph.py in ONNX Runtime, with the types and meaning of wm_quant's Interpreter."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
)

from wm_export.errors import WmExportError
from wm_export.onnx.exactness import need_exact_products
from wm_export.onnx.graph import FORMAT, TRACE
from wm_quant.ops.base import KEPT
from wm_train.reading import Artifact, one_line

if TYPE_CHECKING:
    from wm_quant.interp import State, Trace

#: UnicodeDecodeError: of names in the graph, and of what is said of it.
_REFUSED = (
    *(Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotImplemented, RuntimeException),
    UnicodeDecodeError,
)
#: What `step` reads, whatever else a graph gives.
OUTPUTS = {f"{TRACE}frame", "next_codes", "next_ids"}
_NEXT = "make it with `wmq export --target onnx`"
GRAPH = Artifact(WmExportError, _NEXT, max_bytes=1 << 30, linked=True)


def _session(data: bytes, what: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is said once, by the error
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Integers: every rewrite of the optimizer is exact.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        found = session.get_modelmeta().custom_metadata_map.get("format")
        outputs = {output.name: output.type for output in session.get_outputs()}
    except _REFUSED as error:
        raise WmExportError(f"{what}: ONNX Runtime cannot load it ({one_line(error, 200)}); {_NEXT}") from None
    if found != FORMAT:
        raise WmExportError(f"{what}: format is {found!r:.60}, expected {FORMAT!r}; {_NEXT}")
    if not outputs.keys() >= OUTPUTS or not all("int" in kind for kind in outputs.values()):
        raise WmExportError(f"{what}: expected outputs {', '.join(sorted(OUTPUTS))}, all of integers; {_NEXT}")
    return session


class OrtRunner:
    """One exported graph. Stateless: a State goes in, a Trace and the next State come out.

    source  the file or its bytes; WmExportError when it is not such a graph, or where ONNX Runtime is not exact
    """

    def __init__(self, source: Path | bytes) -> None:
        self._what = "graph" if isinstance(source, bytes) else str(source)
        data = source if isinstance(source, bytes) else GRAPH.read(source)
        need_exact_products()
        self._session = _session(data, self._what)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def step(self, state: "State", following: NDArray[np.int8]) -> "tuple[Trace, State]":
        """One frame of every world, given the inputs of that frame (B, 2, len(CONTROLS)); see Interpreter.step."""
        feed = {
            "frame": state.frame.reshape(len(state.frame), -1),
            "codes": state.codes.astype(np.int8),
            "ids": state.ids,
            "session_bias": np.ascontiguousarray(state.bias),
            "bounds": np.ascontiguousarray(state.bounds),
            "inputs": following.reshape(len(following), -1),
            **{name + KEPT: np.ascontiguousarray(kept) for name, kept in state.memory.items()},
        }
        try:
            values = dict(zip(self._outputs, self._session.run(None, feed), strict=True))
            frame = values[f"{TRACE}frame"].reshape(state.frame.shape)
        except (*_REFUSED, ValueError) as error:
            raise WmExportError(f"{self._what}: this state does not fit it ({one_line(error, 200)}); "
                                "was it begun with another QNet?") from None  # fmt: skip
        trace = {name.removeprefix(TRACE): v.astype(np.int64) for name, v in values.items() if name.startswith(TRACE)}
        codes, memory = values["next_codes"].astype(np.int64), {name: trace[name + KEPT] for name in state.memory}
        return trace, replace(state, frame=frame, codes=codes, ids=values["next_ids"], memory=memory)
