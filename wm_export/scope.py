"""Which worlds a program or a graph can compute by itself, from a Frame and both players' inputs."""

from wm_export.errors import WmExportError
from wm_quant.qnet import QNet

#: Flags whose fields follow from a Frame. Those of the others come from a replay, or from frames that are not kept.
EXPORTED_FLAGS = ("state_age_as_embed",)


def check_flags(net: QNet) -> None:
    """WmExportError naming the flags of the encoding that nothing on chain could feed."""
    given = net.world.encoding.flags.given
    if wrong := [f"{name}: {value}" for name, value in given.items() if name not in EXPORTED_FLAGS]:
        raise WmExportError(
            f"export: this world reads fields that an exported one cannot compute (model.flags: {', '.join(wrong)}); "
            f"train one without, of the flags only {', '.join(EXPORTED_FLAGS)} can be exported"
        )
