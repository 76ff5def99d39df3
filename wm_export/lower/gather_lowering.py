"""Sums of table rows that ids pick: one call of gather_add, over rows whose entries are bytes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.lower.asm.gather_asm import GATHER_BYTES_PER_WORD, GATHER_UNROLL, GATHER_WORDS
from wm_export.lower.builder import Builder
from wm_export.lower.dense_lowering import start, zero_padded
from wm_export.lower.lowered_program import Call, Load, Read, Routine, Rows, padded
from wm_quant.ops.gather import Gather
from wm_train.grid.integer_mlp import table_starts

#: Entries of a row in one block of the kernel.
GATHER_BLOCK = GATHER_WORDS * GATHER_BYTES_PER_WORD


def pack_rows(rows: NDArray[np.int8]) -> NDArray[np.uint64]:
    """Words of gather rows and of the neutral row after them, each entry + 128: (R + 1, words a row) u64."""
    entries = padded(rows.shape[1], GATHER_BLOCK)
    biased = np.full((len(rows) + 1, entries), 128, np.uint8)
    biased[:-1, : rows.shape[1]] = rows.astype(np.int16) + 128
    grouped = np.zeros((len(biased), entries // GATHER_BYTES_PER_WORD, 8), np.uint8)
    grouped[..., :GATHER_BYTES_PER_WORD] = biased.reshape(len(biased), -1, GATHER_BYTES_PER_WORD)
    words: NDArray[Any] = grouped.view(np.uint64)[..., 0]
    return words


def gather(op: Gather, builder: Builder) -> Routine:
    """Start the sum if the op does, then one call; ids that fill up the kernel's eights pick the neutral row."""
    net = builder.net
    rows, k, fields = net.tensor(op, "rows"), net.tensor(op, "k"), [f for _, _, f in net.world.encoding.id_fields()]
    blocks = padded(op.size, GATHER_BLOCK) // GATHER_BLOCK
    entries, row = blocks * GATHER_BLOCK, blocks * GATHER_WORDS
    table = builder.constant(f"{op.name}.rows", "u64", (len(rows) + 1) * row, lambda: pack_rows(rows).reshape(-1))
    factors = builder.constant(f"{op.name}.k", "u32", entries, lambda: zero_padded(k, entries, np.uint32))
    count = padded(len(fields), GATHER_UNROLL)
    *firsts, neutral = (int(start) for start in table_starts(fields))
    picked = Rows(Read(op.source), Load(table.name), row, (*firsts, *[neutral] * (count - len(firsts))))
    out = builder.write(op.out, entries)
    calls = (*start(op, builder, out, entries), Call("gather_add", (picked, factors, out, count, blocks)))
    about = f"{op.out} += the rows of {op.size} entries that {len(fields)} {op.source} pick"
    return Routine(op.name, op.kind, about, calls)
