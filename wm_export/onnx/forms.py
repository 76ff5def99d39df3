"""The ops of a QNet as ONNX nodes on (B, N) int64 values: one form for each class of op."""

from collections.abc import Callable, Mapping

from wm_export.errors import WmExportError
from wm_export.onnx.dense_forms import gather_form, matvec_form, within_form
from wm_export.onnx.graph_builder import Graph
from wm_export.onnx.recurrent_forms import chunked_ssm_form, conv_form, ssm_form
from wm_export.onnx.vector_forms import add_form, gate_form, lut_form, norm_form, put_form, scaling_form
from wm_quant.ops.base import Op
from wm_quant.ops.conv import Conv
from wm_quant.ops.dense import Matvec
from wm_quant.ops.gate import Gate
from wm_quant.ops.gather import Gather
from wm_quant.ops.norm import RMSNorm
from wm_quant.ops.put import Put
from wm_quant.ops.requantize import Add, Requantize, RequantizeCode, RequantizeFine, RequantizeRelu, RequantizeWide
from wm_quant.ops.ssm import SSM
from wm_quant.ops.ssm_chunked import ChunkedSSM
from wm_quant.ops.table import Lut
from wm_quant.ops.within import Within
from wm_quant.qnet import QNet

#: (graph, net, op, names of values) -> the values of the vectors that the op writes, as `Op.run` gives them.
Form = Callable[..., dict[str, str]]

#: The form of each class. A subclass has none of its own accord: it may compute something else.
FORMS: dict[type[Op], Form] = {
    Matvec: matvec_form,
    Within: within_form,
    Gather: gather_form,
    Requantize: scaling_form,
    RequantizeRelu: scaling_form,
    RequantizeCode: scaling_form,
    RequantizeFine: scaling_form,
    RequantizeWide: scaling_form,
    Add: add_form,
    RMSNorm: norm_form,
    Lut: lut_form,
    Gate: gate_form,
    Put: put_form,
    Conv: conv_form,
    SSM: ssm_form,
    ChunkedSSM: chunked_ssm_form,
}
#: Ops that have no form yet.
NOT_YET: tuple[type[Op], ...] = ()


def formless(net: QNet) -> list[str]:
    """The kinds of a network's ops that have no form, each once."""
    return list(dict.fromkeys(op.kind for op in net.ops if type(op) not in FORMS))


def need_forms(net: QNet) -> None:
    """WmExportError naming the kinds of a network's ops that have no form."""
    if missing := formless(net):
        raise WmExportError(f"onnx: no form yet for {', '.join(missing)}; next: wmq export --target solana")


def network(graph: Graph, net: QNet, given: Mapping[str, str]) -> dict[str, str]:
    """Every vector that an op writes, and what it keeps, by its name in the Trace.

    given   the values of codes, ids, session_bias, and of what each op has kept
    """
    written: dict[str, str] = {}
    for op in net.ops:
        written |= FORMS[type(op)](graph, net, op, {**given, **written})
    return written
