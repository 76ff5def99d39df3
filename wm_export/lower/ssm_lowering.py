"""The recurrence of a Mamba-2: one call of an ssm kernel over all heads, which can be cut between two of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.errors import WmExportError
from wm_export.lower.asm.ssm_asm import HEAD_WORDS, SSM_CELLS_MAX, STATE_BIAS, ssm_name, words_of
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import Buffer, Call, Groups, Lifetime, Load, Places, Read, Routine, Write, padded
from wm_quant.ops.ssm import SSM
from wm_train.grid.arithmetic import TILE_COLUMNS


def pack_tables(decay: NDArray[Any], gain: NDArray[Any], skip: NDArray[Any]) -> NDArray[np.uint64]:
    """(H, 257) u64: decay below and gain above for each code of dt (H, 256), then skip (H,) above."""
    low, high = decay.astype(np.int64) & 0xFFFF_FFFF, gain.astype(np.int64) << 32
    tables = np.concatenate([low | high, skip.astype(np.int64)[:, None] << 32], 1)
    assert tables.shape[1] == HEAD_WORDS
    return tables.view(np.uint64)


def _memory(op: SSM, cells: int, words: int) -> Buffer:
    """h, (E, N) as u32; where N is odd, a channel's last cell is one that nothing is written to."""
    places = (2 * words * np.arange(op.size)[:, None] + np.arange(cells)).reshape(-1)
    return Buffer(op.kept, 2 * words * op.size, Lifetime.MEMORY, "u32", STATE_BIAS, places)


def ssm(op: SSM, builder: Builder) -> Routine:
    """One call; a row group is a head."""
    net = builder.net
    heads, cells = net.sizes[op.by], op.cells(net)
    channels, words = op.size // heads, words_of(cells)
    if cells > SSM_CELLS_MAX:
        raise WmExportError(f"op {op.name}: {cells} cells a channel, a program keeps {SSM_CELLS_MAX} at most")
    parts = [net.tensor(op, part) for part in ("decay", "gain", "skip")]
    tables = builder.constant(f"{op.name}.tables", "u64", heads * HEAD_WORDS, lambda: pack_tables(*parts).reshape(-1))
    memory, out = builder.memory(_memory(op, cells, words)), builder.write(op.out, padded(op.size, TILE_COLUMNS))
    places = Places(
        (
            Read(op.source, 0, channels),
            Read(op.source, op.size),
            Read(op.by, 0, 1),
            Load(tables.name, 0, HEAD_WORDS),
            Write(memory.name, 0, 2 * words * channels),
            Write(out.name, 0, channels),
        )
    )
    call = Call(ssm_name(cells), (places, Groups(heads), channels))
    about = f"{op.out}, and {cells} states of each of {op.size} channels, from {op.source} and {op.by}"
    return Routine(op.name, op.kind, about, (call,))
