"""calls.py: the calls cover each op exactly once, inside what the kernels can do, and cost what the kernels cost."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import calls, small_model, small_qnet
from wm_quant.calls import GATHER_BLOCK, column_parts, macs, op_calls, padded, row_parts, vector_sizes
from wm_quant.cost import kernel_cost
from wm_quant.kernels import (
    MATVEC_MAX_R,
    MATVEC_TILE,
    Segment,
    argmax_cu,
    argmax_within_cu,
    formulas,
    gather_cu,
    kernels,
    matvec_cu,
    matvec_name,
    requantize_cu,
    requantize_relu_cu,
)
from wm_quant.presets import preset
from wm_quant.qnet import Op, QNet

INT4 = {"layer1": 4, "layer2": 4, "heads": 4}
NETS = {
    "small": small_qnet(),
    "v1": small_qnet(small_model("v1", "published", slots=2)),
    "mixed": small_qnet(small_model(bits={"layer2": 4})),
    "int4": small_qnet(small_model(bits=INT4)),
    "int16": small_qnet(small_model(bits={"layer1": 16, "heads": 16})),
    "mlp": preset("mlp"),
}


def test_padded_rounds_up() -> None:
    assert [padded(n, 8) for n in (0, 1, 7, 8, 9)] == [0, 8, 8, 8, 16]


LANES = {8: 3, 4: 4, 16: 2}


@given(st.integers(1, 5000), st.sampled_from([8, 4, 16]))
def test_row_parts_cover_the_rows_in_order(rows: int, bits: int) -> None:
    at = 0
    for first, groups, r in row_parts(Op("layer", "matvec", "codes", "acc", rows, bits=bits)):
        assert first == at and groups >= 1 and 1 <= r <= MATVEC_MAX_R
        at += groups * LANES[bits] * r
    assert rows <= at < rows + LANES[bits]


@given(st.integers(1, 5000), st.integers(1, 20))
def test_column_parts_cover_the_columns_in_order(columns: int, tiles: int) -> None:
    op = Op("layer", "matvec", "codes", "acc", 1, block=tiles * MATVEC_TILE)
    at = 0
    for first, count in column_parts(op, columns):
        assert first == at and 0 < count <= op.block and count % MATVEC_TILE == 0
        at += count
    assert columns <= at < columns + MATVEC_TILE


def lay(values: Any, *shape: int) -> Any:
    """`values` in the corner of zeros of that shape."""
    out = np.zeros(shape, np.int64)
    out[tuple(slice(0, n) for n in values.shape)] = values
    return out


@pytest.mark.parametrize("name", ["small", "v1", "mixed", "int4", "int16"])
def test_the_calls_of_a_matvec_add_up_to_it(name: str) -> None:
    net, rng = NETS[name], np.random.default_rng(0)
    sizes = vector_sizes(net)
    for op in (op for op in net.ops if op.kind == "matvec"):
        rows = net.tensor(op, "rows").astype(np.int64)
        x = rng.integers(-128, 128, rows.shape[1])
        source, out = lay(x, sizes[op.source]), np.zeros(sizes[op.out], np.int64)
        weight = lay(rows, sizes[op.out], sizes[op.source])
        for call in op_calls(net, op):
            # Slices that end outside a vector would be cut short by numpy and read foreign bytes on chain.
            assert call.row + call.rows <= sizes[op.out] and call.column + call.columns <= sizes[op.source]
            at, columns = slice(call.row, call.row + call.rows), slice(call.column, call.column + call.columns)
            out[at] += weight[at, columns] @ source[columns]
        assert (out[: op.size] == rows @ x).all() and not out[op.size :].any(), op.name


@pytest.mark.parametrize("name", NETS)
def test_vectors_hold_what_the_kernels_touch(name: str) -> None:
    net = NETS[name]
    sizes = vector_sizes(net)
    for call in calls(net):
        op = call.op
        assert sizes[op.out] >= op.size
        if op.kind == "gather":
            assert sizes[op.out] >= call.blocks * GATHER_BLOCK and call.n >= len(list(net.world.encoding.id_fields()))
        elif op.kind != "matvec":
            assert call.n >= op.size and min(sizes[op.out], sizes[op.source]) >= call.n


def cost_by_hand(net: QNet, op: Op) -> int:
    """Compute units of an op from its geometry, written down a second time."""
    if op.kind == "gather":
        ids = net.world.encoding.slots * net.world.encoding.slot_ids
        return gather_cu(-(-ids // 8) * 8, -(-op.size // 259))
    if op.kind != "matvec":
        n = -(-op.size // 8) * 8
        return requantize_relu_cu(n) if op.kind == "requantize_relu" else requantize_cu(n)
    lanes = LANES[op.bits]
    full, rest = divmod(op.size, 6 * lanes)
    columns = -(-net.tensor(op, "rows").shape[1] // 32) * 32
    blocks = [min(op.block, columns - start) for start in range(0, columns, op.block)]
    total = sum(matvec_cu(6, full, block, op.bits) for block in blocks) if full else 0
    return total + (sum(matvec_cu(-(-rest // lanes), 1, block, op.bits) for block in blocks) if rest else 0)


@pytest.mark.parametrize("name", NETS)
def test_calls_cost_what_their_kernels_cost(name: str) -> None:
    net = NETS[name]
    table = kernel_cost(net)
    for op in net.ops:
        assert sum(call.cu for call in op_calls(net, op)) == cost_by_hand(net, op) == table[op.name][2], op.name
    heads = [head.width for head in net.world.heads if head.kind == "choice"]
    assert table["decode"][2] == 2 * sum(argmax_cu(width) for width in heads)
    assert [call.op.name for call in calls(net)] == [op.name for op in net.ops for _ in op_calls(net, op)]
    assert {call.kernel for call in calls(net)} <= kernels().keys()


def instructions(name: str, runs: list[int]) -> int:
    """Instructions that a kernel executes when its segments run that often."""
    segments: list[Segment] = kernels()[name]
    return sum(len(segment) * count for segment, count in zip(segments, runs, strict=True))


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize(("r", "groups", "columns"), [(1, 1, 32), (6, 3, 96), (4, 2, 320)])
def test_kernel_costs_count_instructions(r: int, groups: int, columns: int, bits: int) -> None:
    tiles = groups * columns // MATVEC_TILE
    runs = [1, groups, tiles, groups, 1]
    assert matvec_cu(r, groups, columns, bits) == instructions(matvec_name(r, bits), runs)
    assert requantize_cu(columns) == instructions("requantize", [1, columns // 8, 1])
    assert requantize_relu_cu(columns) == instructions("requantize_relu", [1, columns // 8, 1])
    parts = len(kernels()["gather_add"]) - 6
    runs = [1, columns // 8, *[groups, groups * columns // 8, groups] * (parts // 3), groups, groups * 37, groups, 1]
    assert gather_cu(min(columns, 256), groups) == instructions("gather_add", runs) or columns > 256


def test_formulas_are_the_costs() -> None:
    forms = {name: compile(form.replace(" / ", " // "), name, "eval") for name, form in formulas().items()}
    for n in (8, 64, 256):
        for r in range(1, MATVEC_MAX_R + 1):
            for bits in LANES:
                form = forms[matvec_name(r, bits)]
                assert eval(form, {"groups": 5, "columns": 4 * n}) == matvec_cu(r, 5, 4 * n, bits)
        assert eval(forms["gather_add"], {"n": n, "blocks": 3}) == gather_cu(n, 3)
        assert eval(forms["requantize"], {"n": n}) == requantize_cu(n)
        assert eval(forms["requantize_relu"], {"n": n}) == requantize_relu_cu(n)
        assert eval(forms["argmax"], {"n": n + 3}) == argmax_cu(n + 3)
        assert eval(forms["argmax_within"], {"n": n + 3}) == argmax_within_cu(n + 3)


@pytest.mark.parametrize(
    ("cost", "arguments"),
    [(matvec_cu, (6, 0, 32)), (matvec_cu, (6, 1, 33)), (matvec_cu, (7, 1, 32)), (matvec_cu, (0, 1, 32)),
     (gather_cu, (0, 1)), (gather_cu, (264, 1)), (gather_cu, (12, 1)), (gather_cu, (8, 0)),
     (requantize_cu, (0,)), (requantize_relu_cu, (12,)), (argmax_cu, (0,)), (argmax_within_cu, (0,)),
     (argmax_within_cu, (2**16,))],
)  # fmt: skip
def test_what_a_kernel_cannot_do_has_no_cost(cost: Any, arguments: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        cost(*arguments)


def test_macs_leave_padding_out() -> None:
    net = NETS["mlp"]
    assert {op.name: macs(net, op) for op in net.ops if macs(net, op)} == {
        "layer1": 512 * 606, "layer2": 256 * 512, "heads": 1064 * 256,
    }  # fmt: skip
