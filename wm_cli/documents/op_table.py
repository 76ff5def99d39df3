"""Table of docs/numeric.md: every op of a QNet, as its class says."""

import inspect

from wm_cli.documents.markdown import table
from wm_export.lower.lowering import LOWERINGS
from wm_export.onnx.forms import FORMS
from wm_quant.ops.base import Op
from wm_quant.ops.kinds import OPS


def _summary(documented: object) -> str:
    """The first paragraph of a docstring, in one line, ready for a cell."""
    paragraph = (inspect.getdoc(documented) or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).replace("|", "\\|")


def _memory(op: type[Op]) -> str:
    return "" if op.memory is Op.memory else _summary(op.memory)


def _row(op: type[Op]) -> tuple[object, ...]:
    file = inspect.getmodule(op)
    assert file is not None
    name = f"`{file.__name__.rpartition('.')[2]}.{op.__name__}`"
    done = ["yes" if op in made else "not yet" for made in (FORMS, LOWERINGS)]
    return (f"`{op.kind}`", name, _summary(op), _summary(op.tensors), _memory(op), *done)


def ops_table() -> str:
    """Kinds in the order of the registry."""
    head = ("kind", "class", "what it computes", "tensors", "kept from frame to frame", "ONNX", "program")
    return table(head, [_row(op) for op in OPS.values()])
