"""What the numbers of a game's Frames and inputs are, as JSON for clients: `python -m examples.client.game [NAME]`."""

import json
import sys
from typing import Any

from wm_live.watch.viewer import field_json
from wm_train.world.definition import Game
from wm_train.world.registry import find_game


def game_json(game: Game) -> dict[str, Any]:
    """Fields of a player in a Frame, and controls of an input, in their order."""
    return {
        "fps": game.fps,
        "fields": [field_json(field) for field in game.state],
        "controls": [{"name": one.name, "low": one.lo, "high": one.hi} for one in game.controls],
        "axes": game.axes,
    }


if __name__ == "__main__":
    print(json.dumps(game_json(find_game(*sys.argv[1:2])), indent=1))
