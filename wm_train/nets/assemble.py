"""The first layer's input, assembled in one buffer: gathered once forward, scattered once back.

Written out as an autograd function because a step's time goes to memory: joining pieces slot by slot copies the input
three times, and as often again on the way back.
"""

from typing import Any

import torch
from torch import Tensor

from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS

embedding_gradient = torch.ops.aten.embedding_dense_backward


def _players(encoding: Encoding, x: Tensor) -> Tensor:
    """(B, slots, 2, player_dims) view of the players' columns of (B, input_dims)."""
    slots = x[:, : encoding.slots * encoding.frame_dims].view(len(x), encoding.slots, encoding.frame_dims)
    return slots[..., : PLAYERS * encoding.player_dims].unflatten(-1, (PLAYERS, encoding.player_dims))


def _places(encoding: Encoding, x: Tensor, ids: Tensor, session: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(where it lies in x, its ids) of each field of Encoding.embeddings: shapes end in width."""
    batch, players = len(x), _players(encoding, x)
    shaped = ids[:, : encoding.slots * encoding.slot_ids].view(batch, encoding.slots, PLAYERS, len(encoding.ids))
    places, at = [], len(encoding.columns)
    for i, field in enumerate(encoding.ids + encoding.session_ids):
        if i < len(encoding.ids):
            rows = shaped[..., i]
        else:
            j = i - len(encoding.ids)
            pair = session[:, [p * len(encoding.session_ids) + j for p in range(PLAYERS)]]
            rows = pair[:, None].expand(-1, encoding.slots, -1)
        places.append((players[..., at : at + field.width], rows))
        at += field.width
    if encoding.place:
        slots = x[:, : encoding.slots * encoding.frame_dims].view(batch, encoding.slots, encoding.frame_dims)
        place = slots[..., PLAYERS * encoding.player_dims :]
        places.append((place, session[:, -1:].expand(-1, encoding.slots)))
    return places + _newest_places(encoding, x, ids)


def _newest_places(encoding: Encoding, x: Tensor, ids: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The same for fields of the newest slot only, (B, 2, width)."""
    first = encoding.slots * encoding.frame_dims
    columns = x[:, first : first + PLAYERS * encoding.newest_dims].view(len(x), PLAYERS, encoding.newest_dims)
    rows = ids[:, encoding.slots * encoding.slot_ids :].view(len(x), PLAYERS, len(encoding.newest_ids))
    places, at = [], 0
    for i, field in enumerate(encoding.newest_ids):
        places.append((columns[..., at : at + field.width], rows[..., i]))
        at += field.width
    return places


class Assemble(torch.autograd.Function):
    """(B, input_dims) in `dtype` from dense columns (already brought to unit spread), ids and embedding tables."""

    @staticmethod
    def forward(
        ctx: Any, encoding: Encoding, dtype: torch.dtype, dense: Tensor, ids: Tensor, session: Tensor, *tables: Tensor
    ) -> Tensor:
        x = torch.empty(len(dense), encoding.input_dims, dtype=dtype, device=dense.device)
        of_slots = encoding.slots * encoding.slot_columns
        shape = (len(dense), encoding.slots, PLAYERS, len(encoding.columns))
        _players(encoding, x)[..., : len(encoding.columns)] = dense[:, :of_slots].view(shape)
        x[:, encoding.input_dims - encoding.next_columns :] = dense[:, of_slots:]
        for (place, rows), table in zip(_places(encoding, x, ids, session), tables, strict=True):
            place.copy_(torch.nn.functional.embedding(rows, table))
        ctx.encoding, ctx.sizes = encoding, [len(table) for table in tables]
        ctx.save_for_backward(ids, session)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        (gradient,) = gradients
        ids, session = ctx.saved_tensors
        places = _places(ctx.encoding, gradient, ids, session)
        into = [
            embedding_gradient(place.float(), rows, size, -1, False)
            for (place, rows), size in zip(places, ctx.sizes, strict=True)
        ]
        return None, None, None, None, None, *into
