"""What the documents say of the game that they describe: the built-in one."""

from wm_cli.errors import WmCliError
from wm_train.world.definition import Documents
from wm_train.world.registry import find_game


def game_documents() -> Documents:
    """Of the built-in game. WmCliError if it gives none."""
    game = find_game()
    if game.documents is None:
        raise WmCliError(f"documents: game {game.name} gives none; set Game.documents in its package")
    return game.documents()
