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
from wm_export.onnx.graph import FORMAT, TRACE

if TYPE_CHECKING:
    from wm_quant.interp import State, Trace

_REFUSED = (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotImplemented, RuntimeException)
_NEXT = "make it with `wmq export --target onnx`"


def _session(data: bytes, what: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Integers: every rewrite of the optimizer is exact.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except _REFUSED as error:
        raise WmExportError(f"{what}: ONNX Runtime cannot load it ({str(error)[:200]}); {_NEXT}") from None
    found = session.get_modelmeta().custom_metadata_map.get("format")
    if found != FORMAT:
        raise WmExportError(f"{what}: format is {found!r}, expected {FORMAT!r}; {_NEXT}")
    return session


class OrtRunner:
    """One exported graph. Stateless: a State goes in, a Trace and the next State come out.

    source  the file or its bytes; WmExportError when it is not such a graph
    """

    def __init__(self, source: Path | bytes) -> None:
        self._what = "graph" if isinstance(source, bytes) else str(source)
        try:
            data = source if isinstance(source, bytes) else source.read_bytes()
        except OSError as error:
            raise WmExportError(f"{self._what}: cannot be read ({error}); {_NEXT}") from None
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
        }
        try:
            values = dict(zip(self._outputs, self._session.run(None, feed), strict=True))
        except _REFUSED as error:
            raise WmExportError(f"{self._what}: this state does not fit it ({str(error)[:200]}); "
                                "was it begun with another QNet?") from None  # fmt: skip
        trace = {name.removeprefix(TRACE): v.astype(np.int64) for name, v in values.items() if name.startswith(TRACE)}
        frame = values[f"{TRACE}frame"].reshape(state.frame.shape)
        codes = values["next_codes"].astype(np.int64)
        return trace, replace(state, frame=frame, codes=codes, ids=values["next_ids"])
