"""FrameStackMLP: a window of frames in, the heads of the next frame out.

Linear(input, 512) ReLU Dropout, Linear(512, 256) ReLU Dropout, Linear(256, heads).
"""

import torch
from torch import Tensor, nn

from wm_train.config import MLPConfig
from wm_train.nets.network import FrameNet, Linear


class FrameStackMLP(FrameNet):
    """The float network. Shapes: see `forward`; parameters: shapes.parameter_count."""

    def __init__(self, config: MLPConfig) -> None:
        wide, narrow = config.hidden
        super().__init__(config.world, wide, narrow)
        self.layer2 = Linear(wide, narrow)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, dense: Tensor, ids: Tensor, session: Tensor) -> Tensor:
        """Heads (B, outputs) float, in the units of world.Head; arguments as in `inputs`."""
        hidden = self.inputs(dense, ids, session)
        for layer in (self.layer1, self.layer2):
            hidden = self.dropout(torch.relu(layer(hidden)))
        out: Tensor = self.heads(hidden.float())
        return out
