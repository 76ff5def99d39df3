"""assemble.py against Encoding.offset, number by number, forward and back."""

from typing import Any

import pytest

from tests.factories import EVERY_FLAG
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.world.encoding import Encoding

torch = pytest.importorskip("torch")

from wm_train.nets.assemble import Assemble  # noqa: E402

BATCH = 3
ENCODINGS = {
    "v1": Encoding("v1", 2),
    "v2.2": Encoding("v2.2", 3),
    "ids of the newest slot": Encoding("v2.2", 2, MeleeFlags(stale_moves=True)),
    "many flags": Encoding("v2.2", 2, EVERY_FLAG),
}


def drawn(e: Encoding) -> tuple[Any, Any, Any, list[Any]]:
    """(dense, ids, session, tables) without sense."""
    random = torch.Generator().manual_seed(0)

    def rows(fields: list[Any]) -> Any:
        columns = [torch.randint(field.vocab, (BATCH,), generator=random) for field in fields]
        return torch.stack(columns, 1) if columns else torch.zeros((BATCH, 0), dtype=torch.int64)

    ids, session = rows([f for _, _, f in e.id_fields()]), rows([f for _, f in e.session_fields()])
    tables = [torch.randn(f.vocab, f.width, generator=random).requires_grad_() for f in e.embeddings]
    return torch.randn(BATCH, e.dense_columns, generator=random), ids, session, tables


def placed(e: Encoding, dense: Any, ids: Any, session: Any, tables: list[Any]) -> Any:
    """The same input, each field put where Encoding.offset says."""
    table = {field.name: value for field, value in zip(e.embeddings, tables, strict=True)}
    pieces: list[Any] = [None] * e.input_dims

    def put(at: int, columns: Any) -> None:
        for i in range(columns.shape[1]):
            pieces[at + i] = columns[:, i]

    for column, (slot, player, field) in enumerate(e.dense_fields()):
        put(e.offset(slot, player, field), dense[:, column : column + 1])
    for column, (slot, player, field) in enumerate(e.id_fields()):
        put(e.offset(slot, player, field), table[field.name][ids[:, column]])
    for column, (player, field) in enumerate(e.session_fields()):
        for slot in range(e.slots):
            put(e.offset(slot, player, field), table[field.name][session[:, column]])
    return torch.stack(pieces, 1)


@pytest.mark.parametrize("e", ENCODINGS.values(), ids=ENCODINGS)
def test_every_field_lies_where_the_encoding_says(e: Encoding) -> None:
    dense, ids, session, tables = drawn(e)
    assert torch.equal(Assemble.apply(e, torch.float32, dense, ids, session, *tables),
                       placed(e, dense, ids, session, tables))  # fmt: skip


@pytest.mark.parametrize("e", ENCODINGS.values(), ids=ENCODINGS)
def test_gradients_are_those_of_the_obvious_way(e: Encoding) -> None:
    dense, ids, session, tables = drawn(e)
    weight = torch.randn(BATCH, e.input_dims)
    got = torch.autograd.grad((Assemble.apply(e, torch.float32, dense, ids, session, *tables) * weight).sum(), tables)
    expected = torch.autograd.grad((placed(e, dense, ids, session, tables) * weight).sum(), tables)
    assert len(got) == len(e.embeddings)
    for mine, other in zip(got, expected, strict=True):
        assert torch.allclose(mine, other, atol=1e-5)


def test_bfloat16_rounds_the_input_and_sums_gradients_in_float32() -> None:
    e = ENCODINGS["v2.2"]
    dense, ids, session, tables = drawn(e)
    x = Assemble.apply(e, torch.bfloat16, dense, ids, session, *tables)
    assert torch.equal(x, placed(e, dense, ids, session, tables).bfloat16())
    gradients = torch.autograd.grad(x.float().sum(), tables)
    assert all(gradient.dtype == torch.float32 for gradient in gradients)
