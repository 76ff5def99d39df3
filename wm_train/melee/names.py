"""What the ids of a Melee Frame are called, and where its stages lie: for people who look, never for a model.

Stage outlines are in game units, y upwards.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from wm_train.melee.field_table import STATE, STATE_INDEX
from wm_train.melee.stages import GROUNDS, Surface
from wm_train.melee.zones import BLAST_ZONES

#: Ids and names of actions, one range a line. Higher ids mean something else for every character.
_ACTIONS = """
0 lost, below
1 lost, left
2 lost, right
3-10 lost, above
11 away
12-13 returning
14 standing
15-17 walking
18 turning
19 turning in a run
20 dash
21-22 running
23 stopping a run
24 jump squat
25 jump forward
26 jump back
27 air jump forward
28 air jump back
29-34 falling
35-37 helpless fall
38 tumbling
39-40 crouching
41 rising
42 landing
43 landing, helpless
44 jab 1
45 jab 2
46 jab 3
47-49 rapid jabs
50 dash attack
51-55 forward tilt
56 up tilt
57 down tilt
58-62 forward smash
63 up smash
64 down smash
65 neutral air
66 forward air
67 back air
68 up air
69 down air
70 landing, neutral air
71 landing, forward air
72 landing, back air
73 landing, up air
74 landing, down air
75-86 hurt
87-91 knocked away
92-93 picking up
94-119 item throw
120-143 item swing
144-177 item in use
178 raising shield
179 shield
180 lowering shield
181 shield hit
182 reflecting shield
183 missed tech
184 lying
185 hurt, lying
186 getting up
187 getup attack
188 getup roll forward
189 getup roll back
190 getting up
191 missed tech
192 lying
193 hurt, lying
194 getting up
195 getup attack
196 getup roll forward
197 getup roll back
198 getting up
199 tech in place
200 tech forward
201 tech back
202 wall tech
203 wall jump
204 ceiling tech
205-211 shield broken
212-215 grab
216 holding
217 pummel
218 losing the grab
219 forward throw
220 back throw
221 up throw
222 down throw
223-228 grabbed
229-232 escaping a grab
233 roll forward
234 roll back
235 spot dodge
236 air dodge
237-238 clash
239-243 thrown
244 dropping through
245-246 on the edge
247-250 against a wall
251 slipping off
252 grabbing the ledge
253 on the ledge
254-255 ledge climb
256-257 ledge attack
258-259 ledge roll
260-263 ledge jump
264-265 taunt
266-270 carried off
271-274 thrown
275-293 held
294-296 buried
297-299 asleep
300 bound
301-304 thrown
305-321 item in use
322-324 entering
325-326 frozen
327-334 held
335 knocked away
336-340 held
"""

#: Ids as the game numbers them inside a match.
CHARACTERS = (
    "Mario", "Fox", "Captain Falcon", "Donkey Kong", "Kirby", "Bowser", "Link", "Sheik", "Ness", "Peach", "Popo",
    "Nana", "Pikachu", "Samus", "Yoshi", "Jigglypuff", "Mewtwo", "Luigi", "Marth", "Zelda", "Young Link", "Dr. Mario",
    "Falco", "Pichu", "Game & Watch", "Ganondorf", "Roy",
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Outline of a stage, in game units.

    floor      points of the ground, left to right
    platforms  (left, right, y) of what one can jump up through
    moving     the same, for those whose height changes: where they often are
    blast      (left, right, top, bottom): who goes farther has lost a stock
    """

    name: str
    floor: tuple[tuple[float, float], ...]
    blast: tuple[float, float, float, float]
    platforms: tuple[tuple[float, float, float], ...] = ()
    moving: tuple[tuple[float, float, float], ...] = ()


_STAGE_NAMES: Mapping[int, str] = {
    2: "Fountain of Dreams",
    3: "Pokémon Stadium",
    8: "Yoshi's Story",
    28: "Dream Land",
    31: "Battlefield",
    32: "Final Destination",
}


def _drawn(surfaces: Iterable[Surface]) -> tuple[tuple[float, float, float], ...]:
    return tuple((one.left, one.right, one.y + one.lift / 2) for one in surfaces if one.drawn)


def _stage(number: int, name: str) -> Stage:
    ground = GROUNDS[number]
    still, moving = ([one for one in ground.platforms if bool(one.lift) is moves] for moves in (False, True))
    return Stage(name, ground.outline, BLAST_ZONES[number], _drawn(still), _drawn(moving))


STAGES: Mapping[int, Stage] = {number: _stage(number, name) for number, name in _STAGE_NAMES.items()}
_PLAIN = ((-80.0, 0.0), (80.0, 0.0))


def stage(number: int) -> Stage:
    """The stage of that id; a plain one where its outline is not known."""
    return STAGES.get(number) or Stage(f"stage {number}", _PLAIN, (-230, 230, 200, -130))


def character_name(number: int) -> str:
    """The character of that id inside a match."""
    return CHARACTERS[number] if 0 <= number < len(CHARACTERS) else f"character {number}"


def _ranges() -> Iterator[tuple[range, str]]:
    for line in _ACTIONS.strip().splitlines():
        ids, name = line.split(" ", 1)
        first, _, last = ids.partition("-")
        yield range(int(first), int(last or first) + 1), name


def action_names() -> tuple[str, ...]:
    """What every action id is called, in the order of the ids."""
    names = [f"special {i}" for i in range(STATE[STATE_INDEX["action"]].vocab)]
    for ids, name in _ranges():
        for i in ids:
            names[i] = name
    return tuple(names)
