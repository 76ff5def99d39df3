"""Which worlds a program or a graph can compute by itself, from what a session keeps and both players' inputs."""

from dataclasses import replace

from wm_export.errors import WmExportError
from wm_quant.qnet import QNet
from wm_train.config import ComposedConfig, ModelConfig, one_network
from wm_train.world.definition import Game
from wm_train.world.encoding import Encoding

#: Presses that the newest slot of a window decides.
NEXT_PRESSES = "press_events: next"


def exportable(model: ModelConfig) -> ModelConfig:
    """The model without the flags that `check_flags` refuses."""
    if isinstance(model, ComposedConfig):
        return ComposedConfig({key: one_network(exportable(part)) for key, part in model.parts.items()})
    flags = model.world.encoding.flags
    foreign = {name: getattr(type(flags)(), name) for name in _foreign(model.world.encoding)}
    return replace(model, flags=replace(flags, **foreign))


def _exported(game: Game) -> tuple[str, ...]:
    """Flags whose fields follow from a Frame, as an id in place of a number does, and a sight; or from inputs and the
    window's newest slot. Other fields come from a recording, or from frames not kept, as what was down before the
    oldest slot."""
    return (*game.as_ids, *game.sights, NEXT_PRESSES)


def _foreign(encoding: Encoding) -> dict[str, str]:
    """The other flags that an encoding has, each as a config says it."""
    texts = {name: f"{name}: {value}" for name, value in encoding.flags.given.items()}
    return {name: text for name, text in texts.items() if not {name, text} & {*_exported(encoding.game)}}


def check_flags(net: QNet) -> None:
    """WmExportError naming the flags of the encoding that nothing on chain could feed."""
    encoding = net.world.encoding
    if wrong := _foreign(encoding):
        raise WmExportError(
            f"export: this world reads fields that an exported one cannot compute "
            f"(model.flags: {', '.join(wrong.values())}); "
            f"train one without, of the flags only {', '.join(_exported(encoding.game))} can be exported"
        )
