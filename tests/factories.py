"""Small made-up worlds: frames, games, datasets and networks that no test has to read from disk or train."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from wm_quant.convert import from_checkpoint
from wm_quant.prove import prove
from wm_quant.qnet import QNet, validate
from wm_train.checkpoint import Checkpoint
from wm_train.config import Mamba2Config, MLPConfig, ModelConfig, RunConfig
from wm_train.games.corpus import Corpus
from wm_train.games.dataset import (
    FRAME,
    DatasetMeta,
    StoredGame,
    game_path,
    open_dataset,
    read_header,
    write_game,
    write_meta,
)
from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.measure.window import Window
from wm_train.melee.columns import ITEM_COLUMNS, PLAYER_COLUMNS
from wm_train.melee.field_table import CONTROLS, STATE, STATE_INDEX
from wm_train.melee.melee import GAME
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.shapes import array_shapes, scale_names
from wm_train.world.encoding import Encoding
from wm_train.world.extras import with_sights
from wm_train.world.fields import PLAYERS, Field, Kind, fixed
from wm_train.world.registry import find_game
from wm_train.world.step import World

ONE = 1 << FRAC_BITS
#: How far an id or a flag of the dataset goes; continuous columns stay inside their field.
COLUMN_HIGH = {"direction": 1, "stocks": 4, "airborne": 1, "action": 399, "jumps": 7, "character": 32, "l_cancel": 2,
               "hurtbox": 2, "ground": 31, "last_attack": 63, "combo_count": 60}  # fmt: skip

V22 = Encoding("v2.2")
#: Every flag at once, and those that a run of v2.2 without presses in its slots can have.
EVERY_FLAG = MeleeFlags(
    state_age_as_embed=True,
    geometry=True,
    reach=True,
    press_events="all",
    projectiles=True,
    state_flags=True,
    animation_index=True,
    stale_moves=True,
    lookahead=3,
)
AHEAD_ONLY = MeleeFlags(press_events="next", stale_moves=True, lookahead=2)


#: What one integer of an activation is worth in a random network, where it is not 1/512.
SCALES = {"hidden1": 0.25, "hidden2": 0.125, "residual": 2.0**-15, "y": 2.0**-17, "dt": 1 / 32, "C": 1 / 32}
#: Where random parameters of a Mamba2 lie: heads that forget within a few frames, and heads that remember long.
RANGES = {"norm.weight": (0.5, 1.5), "A_log": (0, 2.8), "dt_bias": (-5, 1), ".D": (-1, 1)}


def small_mamba2(**more: Any) -> Mamba2Config:
    """A network with a memory, small enough for Python loops."""
    return Mamba2Config(**{"d_model": 24, "d_state": 5, "headdim": 12, "n_layers": 2} | more)


def small_model(encoding: str = "v2.2", heads: str = "integrated", slots: int = 3, **more: Any) -> MLPConfig:
    """A network small enough for Python loops."""
    return MLPConfig(encoding=encoding, heads=heads, slots=slots, hidden=(64, 32), **more)


def random_frames(rng: np.random.Generator, *shape: int, fields: Sequence[Field] = STATE) -> Any:
    """(*shape, 2, len(fields)) int32 over the whole range of every field."""
    ends = [(fixed(f.lo), fixed(f.hi)) if f.kind is Kind.CONTINUOUS else (0, int(f.hi)) for f in fields]
    low, high = np.array(ends).T
    return rng.integers(low, high + 1, (*shape, PLAYERS, len(fields))).astype(np.int32)


def random_inputs(rng: np.random.Generator, *shape: int, fields: Sequence[Field] = CONTROLS) -> Any:
    """(*shape, 2, len(fields)) int8 over the whole range of every control."""
    low, high = np.array([(f.lo, f.hi) for f in fields], np.int64).T
    return rng.integers(low, high + 1, (*shape, PLAYERS, len(fields))).astype(np.int8)


def random_corpus(seed: int = 0, lengths: Sequence[int] = (40, 30), encoding: Encoding = V22) -> Corpus:
    """Games without sense whose every field is in range; stage and characters are constant within a game."""
    rng = np.random.default_rng(seed)
    total = sum(lengths)
    game = np.repeat(np.arange(len(lengths)), lengths)
    frames = random_frames(rng, total, fields=encoding.kept_fields)
    frames[..., STATE_INDEX["character"]] = rng.integers(0, 33, (len(lengths), PLAYERS))[game]
    stage = rng.integers(0, 33, len(lengths))[game]
    frames = np.concatenate(
        [with_sights(encoding, int(stage[game == i][0]), frames[game == i]) for i in range(len(lengths))]
    )
    inputs = random_inputs(rng, total, fields=encoding.controls)
    return Corpus(frames, inputs, stage, game, tuple(game_name(i) for i in range(len(lengths))))


def still_corpus(lengths: Sequence[int]) -> Corpus:
    """Games in which every field and input is zero: a stage for hand-made motion."""
    total = sum(lengths)
    game = np.repeat(np.arange(len(lengths)), lengths)
    return Corpus(np.zeros((total, PLAYERS, len(STATE)), np.int32), np.zeros((total, PLAYERS, len(CONTROLS)), np.int8),
                  np.zeros(total, np.int64), game, tuple(game_name(i) for i in range(len(lengths))))  # fmt: skip


def random_window(encoding: Encoding, batch: int, seed: int = 0) -> Window:
    """Windows without sense whose every field is in range."""
    rng = np.random.default_rng(seed)
    vocab = [f.vocab for _, f in encoding.session_fields()]
    session = rng.integers(0, vocab, (batch, len(vocab))) if vocab else np.zeros((batch, 0), np.int64)
    frames = random_frames(rng, batch, encoding.span, fields=encoding.kept_fields)
    place = session[:, -1] if encoding.place else np.zeros(batch, np.int64)
    frames = np.stack([with_sights(encoding, int(place[i]), frames[i]) for i in range(batch)])
    inputs = random_inputs(rng, batch, encoding.span, fields=encoding.controls)
    return Window(frames, inputs, random_inputs(rng, batch, fields=encoding.controls), session)


def make_heads(world: World, batch: int = 1, /, **values: float) -> Any:
    """(batch, read_outputs) int64 heads at rest: no value changes, no event happens, every choice is id 0.

    `values` sets heads of both players: a number in the head's units, or the id that a choice makes.
    """
    out = np.zeros((batch, world.read_outputs), np.int64)
    for player in range(PLAYERS):
        for head in world.heads:
            rows = world.span(player, head.name)
            if head.groups:
                group, member = divmod(int(values.get(head.name, 0)), head.members)
                out[:, rows.start + group] = out[:, world.members_span(player, head.name).start + member] = 9 * ONE
            elif head.kind == "choice":
                out[:, rows.start + int(values.get(head.name, 0))] = 9 * ONE
            else:
                out[:, rows.start] = round(values.get(head.name, -1 if head.kind == "event" else 0) * ONE)
    return out


def game_name(index: int) -> str:
    """The MD5 that made-up game `index` goes by."""
    return hashlib.md5(str(index).encode()).hexdigest()


def game_columns(rng: np.random.Generator, length: int) -> dict[str, Any]:
    """Every player column of one game, in the dataset's types and ranges."""
    bounds = {f.column: (f.lo, f.hi) for f in STATE if f.kind is Kind.CONTINUOUS}
    columns: dict[str, Any] = {}
    for player in range(PLAYERS):
        for name, stored in ((column.name, column.stored) for column in PLAYER_COLUMNS):
            column: Any
            kind = np.dtype({"float": "float32"}.get(stored, stored))
            if kind.kind == "f":
                column = rng.uniform(*bounds.get(name, (0, 1)), length)
            elif name.endswith(("stick_x", "stick_y")):
                column = rng.integers(-80, 81, length)
            else:
                column = rng.integers(0, COLUMN_HIGH.get(name, 1) + 1, length)
            columns[f"p{player}_{name}"] = column.astype(kind)
        columns[f"p{player}_character"][:] = columns[f"p{player}_character"][0]
    return columns


def add_game(folder: Path, index: int, columns: dict[str, Any], missing: Iterable[str] = ()) -> str:
    """Store one game in a dataset folder and list it; gives its MD5."""
    name = store_game(folder, index, columns, missing)
    list_games(folder)
    return name


def store_game(folder: Path, index: int, columns: dict[str, Any], missing: Iterable[str] = ()) -> str:
    """Store one game in a dataset folder; gives its MD5."""
    folder.mkdir(exist_ok=True)
    lacks = (*missing, *(item.name for item in ITEM_COLUMNS if item.name not in columns))
    kept = {name: column for name, column in columns.items() if name[3:] not in lacks}
    length = len(next(iter(kept.values())))
    table = pa.table({FRAME: pa.array(np.arange(-123, length - 123), pa.int32())} | kept)
    name = game_name(index)
    about = {
        "stage": index % 33,
        "characters": [1, 2],
        "ports": [0, 1],
        "player_types": ["human", "human"],
        "game_kinds": [],
        "rounded_sticks": [0, 0],
        "slippi_version": "3.18.0",
        "end_method": "GAME",
    }
    write_game(
        folder, StoredGame(md5=name, match=name, frames=length, about=about, missing=lacks, bytes=1), table, GAME
    )
    assert game_path(folder, name).is_file()
    return name


def list_games(folder: Path) -> None:
    """List what is stored in a dataset folder."""
    names = sorted(path.stem for path in folder.glob("*.parquet"))
    write_meta(DatasetMeta(folder, "made up", tuple(read_header(folder, n) for n in names), ()))


def write_dataset(folder: Path, lengths: Sequence[int], seed: int = 0) -> list[str]:
    """A dataset of made-up games of these lengths; gives their MD5s in the order of `lengths`."""
    rng = np.random.default_rng(seed)
    names = [store_game(folder, i, game_columns(rng, length)) for i, length in enumerate(lengths)]
    list_games(folder)
    return names


def set_characters(folder: Path, characters: Sequence[tuple[int, int]]) -> None:
    """Say in a dataset's list which characters its games, in the list's order, are of."""
    meta = open_dataset(folder)
    games = (
        replace(game, about={**game.about, "characters": list(both)})
        for game, both in zip(meta.games, characters, strict=True)
    )
    write_meta(replace(meta, games=tuple(games)))


def set_places(folder: Path, stage: int) -> None:
    """Say in a dataset's list which stage all its games are played on."""
    meta = open_dataset(folder)
    write_meta(replace(meta, games=tuple(replace(game, about={**game.about, "stage": stage}) for game in meta.games)))


def set_kinds(folder: Path, kinds: Mapping[str, Sequence[str]]) -> None:
    """Say in a dataset's list which kinds its games, by match, are of."""
    meta = open_dataset(folder)
    games = (replace(game, about={**game.about, "game_kinds": list(kinds[game.match])}) for game in meta.games)
    write_meta(replace(meta, games=tuple(games)))


def random_arrays(model: ModelConfig, seed: int = 0) -> dict[str, Any]:
    """Parameters of a network, every one of them random, and gains as training data would give them."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {}
    for name, shape in array_shapes(model).items():
        spread = 1.0 if name.startswith("embeddings") else (2.0 if "blocks" in name else 0.5) / np.sqrt(shape[-1])
        arrays[name] = rng.normal(0, spread, shape).astype(np.float32)
        for ending, ends in RANGES.items():
            if name.endswith(ending):
                arrays[name] = rng.uniform(*ends, shape).astype(np.float32)
    arrays["gain"] = rng.uniform(0.5, 20, arrays["gain"].shape).astype(np.float32)
    return arrays


def random_checkpoint(model: ModelConfig, seed: int = 0) -> Checkpoint:
    """A QAT checkpoint that no training made."""
    scales = {name: SCALES.get(name.rpartition(".")[2], 1 / 512) for name in scale_names(model)}
    split = {"train": [game_name(99)]}
    return Checkpoint(RunConfig(model=model), "qat", random_arrays(model, seed), split, {"steps": 1}, scales)


def small_parts(recurrent: bool = False, heads: str = "integrated", **more: Any) -> dict[str, Checkpoint]:
    """QAT checkpoints of all subsystems of a head set, each of its own width, by key."""
    keys = find_game().head_sets[heads].parts

    def model(key: str, i: int) -> ModelConfig:
        name, width = f"{heads}/{key}", 24 + 12 * i
        if recurrent:
            return small_mamba2(heads=name, **{"d_model": 24, "d_state": 3 + i, "n_layers": 1 + i % 2} | more)
        return MLPConfig(heads=name, hidden=(width, 16 + 4 * i), **{"slots": 2} | more)

    return {key: random_checkpoint(model(key, i), i) for i, key in enumerate(keys)}


def small_qnet(model: ModelConfig | None = None, seed: int = 0) -> QNet:
    """A proved QNet of random weights."""
    net = from_checkpoint(random_checkpoint(model or small_model(), seed), parent="ab" * 32)
    validate(net)
    prove(net)
    return net
