"""Range proofs: no lane, accumulator, product or head of a QNet can overflow, whatever its inputs.

Intervals are followed from the codes (-128..127) to the heads; each op says where its result lies and what it proved on
the way (`bounds` of its class; wm_quant/ops/intervals.py lists the bounds).
"""

import numpy as np

from wm_quant.ops.base import CODES
from wm_quant.ops.intervals import Interval, Proof
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import CODE_MAX, CODE_MIN


def prove(net: QNet) -> list[Proof]:
    """Every proof, in the order of the ops; WmQuantError at the first that fails, with the row and the number."""
    columns = net.world.encoding.dense_columns
    values = {CODES: Interval(np.full(columns, float(CODE_MIN)), np.full(columns, float(CODE_MAX)))}
    proofs: list[Proof] = []
    for op in net.ops:
        values[op.out], found = op.bounds(net, values)
        proofs += found
    return proofs
