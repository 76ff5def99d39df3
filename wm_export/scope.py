"""Which worlds a program or a graph can compute by itself, from a Frame and both players' inputs."""

from wm_export.errors import WmExportError
from wm_quant.qnet import QNet


def check_flags(net: QNet) -> None:
    """WmExportError naming the flags of the encoding that nothing on chain could feed."""
    # An id in place of a number follows from a Frame, and so does a sight; other fields come from a recording, or from
    # frames not kept.
    exported = (*net.world.game.as_ids, *net.world.game.sights)
    given = net.world.encoding.flags.given
    if wrong := [f"{name}: {value}" for name, value in given.items() if name not in exported]:
        raise WmExportError(
            f"export: this world reads fields that an exported one cannot compute (model.flags: {', '.join(wrong)}); "
            f"train one without, of the flags only {', '.join(exported) or 'none'} can be exported"
        )
