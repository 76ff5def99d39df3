"""QNet -> weight bytes, in the order the kernels read them.

<matvec>.words        u64: three INT8 rows a word, 21-bit lanes, or four INT4 rows, 16-bit lanes, or two INT16 rows,
                      32-bit lanes; column block by column block, in each the full groups of six words a column and
                      then the smaller last group; see onchain/kernels/src/matvec.rs
<matvec>.bias         i64, padded with zeros (not for the first op: its bias is folded into the session's)
gather.rows           u64: seven bytes a word, entry + 128; one neutral row more than the tables have
gather.k              u32
<requantize>.mult     u32
layer1.session        i32: tables of the session's ids; layer1.bias i32: together they make a session's bias
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_export.layout import Section, sections
from wm_quant.calls import GATHER_BLOCK, Call, op_calls, padded, vector_sizes
from wm_quant.kernels import GATHER_BYTES_PER_WORD
from wm_quant.qnet import SESSION_BIAS, Op, QNet

Bytes = NDArray[Any]


@dataclass(frozen=True)
class Blob:
    """The bytes and where each section lies in them."""

    data: bytes
    sections: dict[str, Section]

    def sha256(self, name: str) -> str:
        """Hash of one section."""
        section = self.sections[name]
        return hashlib.sha256(self.data[section.offset : section.offset + section.width * section.count]).hexdigest()


def pack_lanes(rows: NDArray[np.integer[Any]], call: Call) -> NDArray[np.uint64]:
    """Words of one matvec call: (groups, columns, accumulators) u64, flat."""
    grid = call.grid
    part = np.zeros((call.rows, call.columns), np.int64)
    piece = rows[call.row : call.row + call.rows, call.column : call.column + call.columns]
    part[: piece.shape[0], : piece.shape[1]] = piece
    lanes = part.reshape(call.groups, call.accumulators, grid.lanes, call.columns)
    words = sum(lanes[:, :, lane] << (grid.lane_bits * lane) for lane in range(grid.lanes))
    return np.ascontiguousarray(np.asarray(words).transpose(0, 2, 1)).reshape(-1).view(np.uint64)


def pack_rows(rows: NDArray[np.int8]) -> NDArray[np.uint64]:
    """Words of gather rows and of the neutral row after them: (R + 1, words a row) u64."""
    entries = padded(rows.shape[1], GATHER_BLOCK)
    biased = np.full((len(rows) + 1, entries), 128, np.uint8)
    biased[:-1, : rows.shape[1]] = rows.astype(np.int16) + 128
    grouped = np.zeros((len(biased), entries // GATHER_BYTES_PER_WORD, 8), np.uint8)
    grouped[..., :GATHER_BYTES_PER_WORD] = biased.reshape(len(biased), -1, GATHER_BYTES_PER_WORD)
    return grouped.view(np.uint64)[..., 0]


def _padded(values: Bytes, size: int, dtype: type) -> Bytes:
    out: Bytes = np.zeros(size, dtype)
    out[: len(values)] = values
    return out


def _matvec(net: QNet, op: Op, sizes: dict[str, int]) -> dict[str, Bytes]:
    rows = net.tensor(op, "rows")
    parts: dict[str, Bytes] = {"words": np.concatenate([pack_lanes(rows, call) for call in op_calls(net, op)])}
    if op.init == SESSION_BIAS:
        return parts | {"session": net.tensor(op, "session").reshape(-1), "bias": net.tensor(op, "bias")}
    return parts | {"bias": _padded(net.tensor(op, "bias"), sizes[op.out], np.int64)}


def _parts(net: QNet) -> dict[str, Bytes]:
    sizes = vector_sizes(net)
    parts: dict[str, Bytes] = {}
    for op in net.ops:
        if op.kind == "matvec":
            found = _matvec(net, op, sizes)
        elif op.kind == "gather":
            k = _padded(net.tensor(op, "k"), padded(op.size, GATHER_BLOCK), np.uint32)
            found = {"rows": pack_rows(net.tensor(op, "rows")).reshape(-1), "k": k}
        else:
            found = {"mult": _padded(net.tensor(op, "mult"), op_calls(net, op)[0].n, np.uint32)}
        parts |= {f"{op.name}.{part}": values for part, values in found.items()}
    return parts


def pack(net: QNet) -> Blob:
    """The blob of a QNet: the same bytes for the same integers, always."""
    parts = _parts(net)
    where = sections(0, [(name, values.dtype.itemsize, len(values)) for name, values in parts.items()])
    data = bytearray(list(where.values())[-1].end)
    for name, values in parts.items():
        raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
        data[where[name].offset : where[name].offset + len(raw)] = raw
    return Blob(bytes(data), where)
