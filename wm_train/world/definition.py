"""A game: everything that the machine knows of it, in one object. Machine means all that is not a game's own package.

The machine never names a field, a place or a label; where it needs one by what it means, the game gives it a **role**
(`Roles`). Artifacts hold a game's name alone (registry.py): they are data, and no code is read out of one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.errors import WmTrainError
from wm_train.games.recordings import Reader
from wm_train.grid.arithmetic import Frames, Ints
from wm_train.world.fields import PLAYERS, Column, Field, Kind, index_of
from wm_train.world.flags import Flags
from wm_train.world.law import Fact
from wm_train.world.sight import Sight
from wm_train.world.sight import check as check_sight
from wm_train.world.subsystem import HeadSet
from wm_train.world.symmetry import Symmetry
from wm_train.world.view import View

#: Frames a second of a game that does not say otherwise.
FPS = 60
#: Columns of one game's recording by name, as `dataset.read_game` gives them.
Columns = Mapping[str, NDArray[np.generic]]
#: The kind of a game that nothing sets apart.
STANDARD = "standard"
#: Name that `read_game` gives to the borders of lists.
LIST_OFFSETS = "list_offsets"


@dataclass(frozen=True)
class Edition:
    """An encoding by name. conditioned: it reads the inputs after its window too; flagged: it takes flags, so it reads
    every field of the state."""

    name: str
    conditioned: bool = False
    flagged: bool = False


@dataclass(frozen=True)
class Extra:
    """Fields that a flag appends to a player's state and that a recording tells; a self-running world keeps them as
    they were.

    derive   (columns of a game, its states (T, 2, len(state)) int32) -> (T, 2, len(fields)) integers as in a Frame.
             What a frame is given follows from it and from the frames before it, never from later ones
    columns  what `derive` needs of a recording's lists
    """

    fields: tuple[Field, ...]
    derive: Callable[[Columns, Any], Ints]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a dataset knows of a whole game: fact -> whether a JSON value can be one.

    place  the fact that is the place's id; cast: the fact that lists who takes part; kinds: the fact that lists what
           sets a game apart from a STANDARD one, in `words`: kind, such as `cpu` -> what it says; rounded:
           the fact that counts each player's inputs that were rounded when they were stored
    """

    checks: Mapping[str, Callable[[object], bool]] = field(default_factory=dict)
    place: str = ""
    cast: str = ""
    kinds: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    rounded: str = ""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Fields by what they mean; "" or () where a game has none.

    position     where a player is: two fields, across and up
    velocity     speeds that add up to a player's movement
    damage       what a hit adds to
    action       id of what a player does
    lives        how often a player may still lose
    grounded     whether a player stands
    cast         id of who a player is
    counts       fields that count what happened: from a Frame whose count is off, training asks for the true change and
                 not for the true count, since making up for damage that was missed would be a hit that is none
    """

    position: tuple[str, ...]
    velocity: tuple[str, ...] = ()
    damage: str = ""
    action: str = ""
    lives: str = ""
    grounded: str = ""
    cast: str = ""
    counts: tuple[str, ...] = ()

    @property
    def hurt(self) -> tuple[str, ...]:
        """`damage` as names of fields: one, or none."""
        return (self.damage,) if self.damage else ()


@dataclass(frozen=True, kw_only=True)
class Pad:
    """How people and chance press a game's controls.

    keys             key of a keyboard -> control and its value
    gamepad_axes     of a gamepad in the standard layout, in its order: control and its value where the axis is 1
    gamepad_buttons  of such a gamepad, in its order: control and its value where it is down; "" for none
    sticks           axes, and `pressed` buttons, that random inputs use
    """

    keys: Mapping[str, tuple[str, int]]
    sticks: tuple[str, ...]
    pressed: tuple[str, ...]
    gamepad_axes: tuple[tuple[str, int], ...] = ()
    gamepad_buttons: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of the documents: heads of its columns, and what gives its rows."""

    head: tuple[str, ...]
    rows: Callable[[], Iterable[tuple[object, ...]]]


@dataclass(frozen=True, kw_only=True)
class Documents:
    """What the documents say of a game beside its fields and rules.

    version    what a field's `since` is a version of, as the head of a column
    described  the edition that flags are described for
    flags      flag, with its value where it has several -> (flags that have it, what is then read)
    tables     name in docs/numeric.md -> table
    facts      page -> pieces of text that must stand in it
    """

    version: str
    described: str
    flags: Mapping[str, tuple[Flags, str]]
    tables: Mapping[str, Table]
    facts: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Game:
    """A game of two players.

    name        in artifacts and options; title for people; fps frames per second
    state       fields of a player in a Frame; controls: of an input, axes before buttons
    pad         how its controls are pressed; None if nobody plays it at a keyboard
    place       the id that a whole session has, such as a stage; None if there is none
    editions    encodings, each reading what the ones before it read
    head_sets   what a network can predict, and the rules that make the next Frame of it
    coast       baseline: (Frames (N, 2, F), whether what the game freezes stays where it is) -> the next Frames where
                velocities stay; None if the game has no velocities
    flags       the options of an encoding: machine's and the game's own
    extras      by flag, what it appends to the state of a recording; sights: of the state itself, by rule
    as_ids      by flag, the id that is read in place of the number of the same name
    bounded     fields of a player that a place bounds, and `zones`: place -> (low, high) of each in its unit; a place
                that is not named has the fields' own ranges; facts_of_places: what laws read of a place
    opening     (place, cast) -> a Frame (2, len(state)) int32 that a game may begin with, and `usual`: a place and a
                cast that are often played; None if the game does not say
    settled     recorded states of one whole game (T, 2, len(state)) int32 -> its Frames, where a Frame tells what a
                recording leaves out; None if they are the same
    symmetry    what leaves the game as it is, for training to make several games of one
    components  name -> fields of a player that are one component of an entity component system; none if the game does
                not say, else every field of the state is in one
    columns     of one player in a dataset; lists: columns of a list per frame; recorded: words for recordings that a
                field's `since` counts versions of
    facts       of whole games in a dataset; reader: what reads recordings, imported when it is called; None if the
                game's datasets are made in another way
    diagnosis   gives the measure.diagnose.Diagnosis of `wmq diagnose`, imported when it is called
    measures    gives the measure.measures.Measures of its footage, laws and events, imported when it is called
    view        gives what people see of it, imported when it is called; None if its fields say enough
    documents   gives what the documents say of it, imported when it is called
    """

    name: str
    title: str
    state: tuple[Field, ...]
    controls: tuple[Field, ...]
    editions: tuple[Edition, ...]
    roles: Roles
    head_sets: Mapping[str, HeadSet]
    coast: Callable[[Frames, bool], Frames] | None = None
    flags: type[Flags] = Flags
    pad: Pad | None = None
    fps: int = FPS
    place: Field | None = None
    extras: Mapping[str, Extra] = field(default_factory=dict)
    sights: Mapping[str, Sight] = field(default_factory=dict)
    as_ids: Mapping[str, Field] = field(default_factory=dict)
    bounded: tuple[str, ...] = ()
    zones: Mapping[int, Sequence[tuple[float, float]]] = field(default_factory=dict)
    facts_of_places: tuple[Fact, ...] = ()
    opening: Callable[[int, Sequence[int]], NDArray[np.int32]] | None = None
    usual: tuple[int, tuple[int, ...]] = (0, (0,) * PLAYERS)
    settled: Callable[[Any], Any] | None = None
    symmetry: Symmetry = field(default_factory=Symmetry)
    components: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    lists: tuple[Column, ...] = ()
    facts: Facts = Facts()
    reader: Callable[[], Reader] | None = None
    diagnosis: Callable[[], Any] | None = None
    measures: Callable[[], Any] | None = None
    view: Callable[[], View] | None = None
    documents: Callable[[], Documents] | None = None
    recorded: str = "recordings of version"

    def __post_init__(self) -> None:
        kinds = [f.kind for f in self.controls]
        axes = kinds.count(Kind.AXIS)
        if kinds != [Kind.AXIS] * axes + [Kind.BUTTON] * (len(kinds) - axes):
            raise WmTrainError(f"game {self.name}: controls must be axes, then buttons")
        known = {column.name for column in self.columns}
        for item in self.state + self.controls:
            if item.column and item.column not in known:
                raise WmTrainError(f"game {self.name}: field {item.name} reads the unlisted column {item.column!r}")
        if unknown := {name for name in self.named_roles if name not in self.state_index}:
            raise WmTrainError(f"game {self.name}: roles name {', '.join(sorted(unknown))}, which no state field is")
        for problem in filter(None, map(check_sight, self.sights.values())):
            raise WmTrainError(f"game {self.name}: {problem}")
        self.symmetry.check([*self.state, *self.controls, *self._flagged])
        held = sorted(name for names in self.components.values() for name in names)
        if self.components and held != sorted(self.state_index):
            odd = min(set(held) ^ set(self.state_index), default="a field that is in two")
            raise WmTrainError(f"game {self.name}: components do not hold every field once: {odd!r}")
        for heads in self.head_sets.values():
            if unknown := set(heads.writes).difference(self.state_index):
                raise WmTrainError(
                    f"game {self.name}: heads {heads.name} write {', '.join(sorted(unknown))}, which no state field is"
                )

    def __repr__(self) -> str:
        return f"Game({self.name!r})"

    @property
    def _flagged(self) -> Iterator[Field]:
        """Every field that a flag can append."""
        parts: Iterable[Extra | Sight] = (*self.extras.values(), *self.sights.values())
        return (item for part in parts for item in part.fields)

    @property
    def named_roles(self) -> tuple[str, ...]:
        """Every field that a role names."""
        roles = self.roles
        single = (roles.damage, roles.action, roles.lives, roles.grounded, roles.cast)
        return (*roles.position, *roles.velocity, *roles.counts, *(name for name in single if name))

    @cached_property
    def state_index(self) -> dict[str, int]:
        """Where each field of a player lies in a Frame, by name."""
        return index_of(self.state)

    @cached_property
    def control_index(self) -> dict[str, int]:
        """Where each control lies in an input, by name."""
        return index_of(self.controls)

    @cached_property
    def axes(self) -> int:
        """Controls that are axes: the first of `controls`."""
        return sum(f.kind is Kind.AXIS for f in self.controls)

    @cached_property
    def button_places(self) -> tuple[int, ...]:
        """Places in an input of what is a button."""
        return tuple(range(self.axes, len(self.controls)))

    @cached_property
    def presses(self) -> tuple[Field, ...]:
        """Fields of buttons that went down in a frame, in the order of the buttons."""
        return tuple(replace(self.controls[i], name=f"press_{self.controls[i].name}") for i in self.button_places)

    def at(self, *names: str) -> list[int]:
        """Places of fields of the state in a Frame."""
        return [self.state_index[name] for name in names]

    def field(self, name: str) -> Field:
        """The field of the state by that name."""
        return self.state[self.state_index[name]]
