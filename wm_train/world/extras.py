"""What an encoding's flags append to one game's Frames and inputs. No loop over frames."""

from typing import Any

import numpy as np

from wm_train.world.definition import Columns
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS, fixed
from wm_train.world.rule_ops import Read
from wm_train.world.sight import sight_columns
from wm_train.world.step import with_presses


def with_extras(encoding: Encoding, columns: Columns, place: int, states: Any, inputs: Any) -> tuple[Any, Any]:
    """One game's Frames and inputs with what the encoding's flags append.

    place   where it was played
    states  (T, 2, len(game.state)) int32, inputs (T, 2, len(game.controls)) int8
    returns (T, 2, len(frame_fields)) int32, (T, 2, len(controls)) int8
    """
    extra = [one.derive(columns, states) for one in encoding.extras]
    if extra:
        states = np.concatenate([states, *extra], -1).astype(np.int32)
    states = with_sights(encoding, place, states)
    before = np.concatenate([np.zeros_like(inputs[:1]), inputs[:-1]])  # nothing is down before a recording
    return states, with_presses(encoding, before, inputs)


def with_sights(encoding: Encoding, place: int, states: Any) -> Any:
    """Frames (T, 2, fields without sights) in a place, with what players see of them: (T, 2, len(frame_fields))."""
    if not encoding.sights:
        return states
    facts = {fact.name: fact for fact in encoding.game.facts_of_places}

    def reader(seat: int) -> Read:
        return lambda name: fixed(facts[name].of(place, seat))

    sight = sight_columns(encoding.sights, encoding.game.state_index, states, [reader(seat) for seat in range(PLAYERS)])
    return np.concatenate([states, sight], -1).astype(np.int32)
