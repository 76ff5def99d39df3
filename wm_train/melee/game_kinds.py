"""What kind of game a recording is of: everything that makes it play otherwise than four stocks between two people.

Read from what the game was started with (as peppi gives it). A game that nothing sets apart is a standard one.
"""

import base64
import struct
from collections.abc import Iterator, Mapping
from typing import Any

STOCKS = 4
CPU = "cpu"
#: Menu that a game was started from (Slippi 3.7 and newer) -> its kind. The menus that are not here are those of versus
#: games: 2 at one console, 8 online, 27 tournament.
_MENUS = {
    16: "sudden-death",
    17: "invisible",
    18: "slow-motion",
    19: "lightning",
    28: "training",
    29: "tiny",
    30: "giant",
    31: "stamina",
    42: "fixed-camera",
    44: "single-button",
}
_VERSUS = {2, 8, 27}
#: Bit of a player -> kind.
_PLAYER_BITS = {0x01: "stamina", 0x04: "low-gravity", 0x08: "invisible", 0x20: "metal"}
#: Rules of the game, the top bits of its first byte.
_RULES = {0: "time", 2: "coins", 3: "bonus"}
#: Where the speed of the game stands in the block that it was started with, as a big-endian float.
_SPEED_AT = 4 + 0x34

#: Every kind, and what it says.
KINDS: Mapping[str, str] = {
    CPU: "a player is the game's own",
    "stocks": f"begins with another number of stocks than {STOCKS}",
    "time": "is decided by time",
    "coins": "is decided by coins",
    "bonus": "is decided by bonus points",
    "stamina": "who has no stamina left loses",
    "sudden-death": "begins at 300 %",
    "giant": "players are large",
    "tiny": "players are small",
    "lightning": "runs faster",
    "slow-motion": "runs slower",
    "invisible": "players are not seen",
    "metal": "players are of metal",
    "low-gravity": "players fall slowly",
    "fixed-camera": "is seen by a camera that stands still",
    "single-button": "is played with one button",
    "training": "is practice",
    "items": "items appear",
    "handicap": "players hit, or are hit, harder than usual, or begin hurt",
    "pal": "is of the European version",
    "rounded": "a person's stick stood where none of a controller can: those positions were rounded",
    "other-menu": "was started from another menu than versus",
}


def kinds_of(start: Mapping[str, Any], rounded: bool) -> list[str]:
    """What sets a game apart, by name, in the order of KINDS; none for a standard game. `rounded`: whether a stick of a
    person was."""
    found = {*_of_rules(start), *(kind for player in start["players"] for kind in _of_player(player))}
    if rounded:
        found.add("rounded")
    return [kind for kind in KINDS if kind in found]


def _of_rules(start: Mapping[str, Any]) -> Iterator[str]:
    menu = (start.get("scene") or {}).get("major")
    if menu is not None and menu not in _VERSUS:
        yield _MENUS.get(menu, "other-menu")
    rules = start["bitfield"][0] >> 5
    if rules in _RULES:
        yield _RULES[rules]
    if start["item_spawn_frequency"] != -1:
        yield "items"
    if start.get("is_pal"):
        yield "pal"
    if start["damage_ratio"] != 1:
        yield "handicap"
    yield from _of_speed(start)


def _of_speed(start: Mapping[str, Any]) -> Iterator[str]:
    block = base64.b64decode(start["bytes"])
    speed = struct.unpack_from(">f", block, _SPEED_AT)[0] if len(block) >= _SPEED_AT + 4 else 1.0
    if speed != 1:
        yield "lightning" if speed > 1 else "slow-motion"


def _of_player(player: Mapping[str, Any]) -> Iterator[str]:
    if player["type"] != "Human":
        yield CPU
    if player["stocks"] != STOCKS:
        yield "stocks"
    if player["damage_spawn"]:
        yield "sudden-death"
    if player["model_scale"] != 1:
        yield "giant" if player["model_scale"] > 1 else "tiny"
    if player["damage_start"] or (player["offense_ratio"], player["defense_ratio"]) != (1, 1):
        yield "handicap"
    yield from (kind for bit, kind in _PLAYER_BITS.items() if player["bitfield"] & bit)
