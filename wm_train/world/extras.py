"""What an encoding's flags append to one game's Frames and inputs. No loop over frames."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.world.definition import Columns, Game
from wm_train.world.encoding import Encoding


def with_extras(encoding: Encoding, columns: Columns, states: Any, inputs: Any) -> tuple[Any, Any]:
    """One game's Frames and inputs with what the encoding's flags append.

    states  (T, 2, len(game.state)) int32, inputs (T, 2, len(game.controls)) int8
    returns (T, 2, len(frame_fields)) int32, (T, 2, len(controls)) int8
    """
    extra = [one.derive(columns, states) for one in encoding.extras]
    if extra:
        states = np.concatenate([states, *extra], -1).astype(np.int32)
    if encoding.flags.press_events != "none":
        inputs = np.concatenate([inputs, presses(encoding.game, inputs)], -1)
    return states, inputs


def presses(game: Game, inputs: NDArray[np.int8]) -> NDArray[np.int8]:
    """Buttons that are down and were not in the frame before; before a recording's first frame none is down.

    inputs (T, 2, len(game.controls)) int8 -> (T, 2, len(game.presses)) int8, 0 or 1
    """
    down = inputs[..., list(game.button_places)]
    before = np.concatenate([np.zeros_like(down[:1]), down[:-1]])
    return (down > before).astype(np.int8)
