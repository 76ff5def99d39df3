"""Every op that a QNet can have, by its kind."""

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

#: The class of each kind that qnet.json can name.
OPS: dict[str, type[Op]] = {
    op.kind: op
    for op in (
        Matvec,
        Gather,
        Requantize,
        RequantizeRelu,
        RequantizeCode,
        RequantizeFine,
        RequantizeWide,
        Add,
        RMSNorm,
        Conv,
        Lut,
        SSM,
        ChunkedSSM,
        Gate,
        Put,
        Within,
    )
}
