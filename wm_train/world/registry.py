"""Games by name: the built-in one, those that installed packages offer, and those that a program registers.

The built-in game is the package of `wm_train` whose module has the package's own name. A package offers its game as an
entry point of group `wmq.games`, whose name is the game's and which loads a `Game`.
"""

import copyreg
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from wm_train.errors import WmTrainError
from wm_train.world.definition import Game

GROUP = "wmq.games"
_FOLDER = Path(__file__).resolve().parents[1]
#: The built-in game, and the module that has its `GAME`.
_BUILT_IN = {
    path.stem: f"{_FOLDER.name}.{path.stem}.{path.stem}"
    for path in _FOLDER.glob("*/*.py")
    if path.stem == path.parent.name
}
#: The game of artifacts that name none.
(DEFAULT_GAME,) = _BUILT_IN

_registered: dict[str, Game] = {}


def register(game: Game) -> Game:
    """Make a game known to this process. WmTrainError if another one has its name."""
    if known_games().get(game.name, game.name) != game.name or _registered.get(game.name, game) is not game:
        raise WmTrainError(f"game {game.name}: another game has that name; choose one of your own")
    _registered[game.name] = game
    return game


def known_games() -> dict[str, str]:
    """Names of all games that can be found, and where each is from."""
    offered = {point.name: point.value for point in entry_points(group=GROUP)}
    return offered | _BUILT_IN | {name: name for name in _registered}


def find_game(name: str = DEFAULT_GAME) -> Game:
    """The game of that name; WmTrainError says which are known."""
    if name in _registered:
        return _registered[name]
    if name in _BUILT_IN:
        game: object = import_module(_BUILT_IN[name]).GAME
    else:
        points = entry_points(group=GROUP, name=name)
        if not points:
            known = ", ".join(sorted(known_games()))
            raise WmTrainError(f"game: got {name!r}, expected one of {known}; install the package that has it")
        game = next(iter(points)).load()
    if not isinstance(game, Game) or game.name != name:
        raise WmTrainError(f"game {name}: its entry point loads {game!r:.80}, expected a Game of that name")
    _registered[name] = game
    return game


# A Game is sent to another process by its name: that process finds its own.
copyreg.pickle(Game, lambda game: (find_game, (game.name,)))
