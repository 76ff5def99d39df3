"""Every op of wm_quant/ops/ has a place everywhere that ops have one; nobody outside its file asks for its kind."""

import ast
from pathlib import Path

import pytest

from tests.wm_quant.golden_vectors import GOLDEN
from tests.wm_quant.single import CASES
from wm_export.lower import lowering
from wm_export.onnx import forms
from wm_quant.ops.kinds import OPS

ROOT = Path(__file__).parents[2]
CODE = [path for package in ("wm_quant", "wm_export", "wm_live", "wm_cli") for path in (ROOT / package).rglob("*.py")]


@pytest.mark.parametrize("kind", OPS)
def test_an_op_has_cases_golden_vectors_a_form_a_lowering_and_a_row(kind: str) -> None:
    op = OPS[kind]
    assert op.kind == kind and op.__doc__ and op.tensors.__doc__
    assert kind in CASES and (GOLDEN / f"{kind}.safetensors").is_file()
    assert (op in forms.FORMS) != (op in forms.NOT_YET), "an ONNX form, or in forms.NOT_YET"
    assert (op in lowering.LOWERINGS) != (op in lowering.NOT_YET), "a lowering, or in lowering.NOT_YET"
    assert f"\n| `{kind}` |" in (ROOT / "docs/numeric.md").read_text()


def test_no_two_kinds_share_a_class_or_a_file_of_golden_vectors() -> None:
    assert len(set(OPS.values())) == len(OPS) == len(list(GOLDEN.glob("*.safetensors")))


#: What variables that hold an op are called.
NAMES = ("op", "other", "self.op", "call.op")
CLASSES = {op.__name__ for op in OPS.values()}


def _compared(node: ast.AST) -> list[ast.expr]:
    """What a node compares, or looks a table up by."""
    match node:
        case ast.Compare(left=left, comparators=rest):
            return [left, *rest]
        case ast.Subscript(slice=one) | ast.Match(subject=one):
            return [one]
        case ast.Call(func=ast.Attribute(attr="get"), args=args):
            return args
    return []


def _asks_a_class(node: ast.AST) -> bool:
    """Whether it is `isinstance(op, Matvec)`, or of several classes."""
    match node:
        case ast.Call(func=ast.Name(id="isinstance"), args=[one, classes]) if ast.unparse(one) in NAMES:
            return any(isinstance(part, ast.Name) and part.id in CLASSES for part in ast.walk(classes))
    return False


def asks_a_kind(source: str) -> list[int]:
    """Lines that test which op an op is."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.expr, ast.stmt))]
    kinds = {f"{name}.kind" for name in NAMES}
    return [n.lineno for n in nodes if _asks_a_class(n) or kinds & {ast.unparse(part) for part in _compared(n)}]


def test_nothing_asks_an_op_for_its_kind() -> None:
    found = {str(path.relative_to(ROOT)): lines for path in CODE if (lines := asks_a_kind(path.read_text()))}
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        "op.kind == 'matvec'",
        "op.kind in KINDS",
        "TABLE[op.kind]",
        "TABLE.get(op.kind, 1)",
        "'a' != op.kind",
        "isinstance(op, Matvec)",
        "isinstance(other, Lut | SSM)",
        "isinstance(op, (Gate, Add))",
    ],
)
def test_asking_for_a_kind_is_found(line: str) -> None:
    assert asks_a_kind(f"x = {line}") == [1] and asks_a_kind("x = f'{op.kind}', isinstance(op, Sum)") == []
