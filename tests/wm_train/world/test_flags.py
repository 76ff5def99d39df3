"""Flags of an encoding: what each adds, where it comes from, and that every way to a network reads the same of it."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import (
    AHEAD_ONLY,
    EVERY_FLAG,
    add_game,
    game_columns,
    random_corpus,
    random_window,
    small_model,
    small_qnet,
)
from wm_quant.interp import Interpreter
from wm_train.config import Mamba2Config, MLPConfig, RunConfig
from wm_train.errors import WmTrainError
from wm_train.games.corpus import load_corpus, usable_games
from wm_train.measure.window import stepper, window_at
from wm_train.measure.worlds import forced, rollout
from wm_train.melee.field_table import CONTROLS, SIGHT, STATE, STATE_AGE_ID
from wm_train.melee.melee import GAME
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.world.encoding import Encoding
from wm_train.world.extras import with_extras
from wm_train.world.fields import PLAYERS
from wm_train.world.step import next_frames, slot_ids, window_codes, window_ids

#: Each flag, and what it adds to the 1,846 inputs, 580 + 26 dense columns and 120 ids of v2.2 with ten slots.
ADDED: dict[str, tuple[MeleeFlags, int, int, int]] = {
    "none": (MeleeFlags(), 0, 0, 0),
    "state_age_as_embed": (MeleeFlags(state_age_as_embed=True), 20 * 7, -20, 20),
    "geometry": (MeleeFlags(geometry=True), 20 * 10, 20 * 10, 0),
    "reach": (MeleeFlags(reach=True), 20 * 5, 20 * 5, 0),
    "press next": (MeleeFlags(press_events="next"), 16, 16, 0),
    "press all": (MeleeFlags(press_events="all"), 176, 176, 0),
    "projectiles": (MeleeFlags(projectiles=True), 20 * 12, 20 * 4, 20),
    "state_flags": (MeleeFlags(state_flags=True), 20 * 11, 20 * 11, 0),
    "animation_index": (MeleeFlags(animation_index=True), 20 * 16, 0, 20),
    "stale_moves": (MeleeFlags(stale_moves=True), 2 * 9 * 4, 0, 18),
    "lookahead": (MeleeFlags(lookahead=3), 52, 52, 0),
}
SOME = [*(flags for flags, *_ in ADDED.values()), EVERY_FLAG, AHEAD_ONLY]


@pytest.mark.parametrize("name", ADDED)
def test_a_flag_adds_its_dimensions(name: str) -> None:
    flags, inputs, dense, ids = ADDED[name]
    encoding = Encoding("v2.2", flags=flags)
    assert (encoding.input_dims, encoding.dense_columns) == (1846 + inputs, 606 + dense)
    assert encoding.id_columns == len(list(encoding.id_fields())) == 120 + ids


def combinations() -> list[MeleeFlags]:
    own = ("state_age_as_embed", "geometry", "reach", "projectiles", "state_flags", "animation_index", "stale_moves")
    switches: Any = product(("none", "next", "all"), (1, 3), *[(False, True)] * len(own))
    return [MeleeFlags(**dict(zip(("press_events", "lookahead", *own), values, strict=True))) for values in switches]


def test_flags_add_up() -> None:
    """Every combination: the sum of its flags, and presses once for each frame after the window."""
    for flags in combinations():
        names = ["press " + str(value) if name == "press_events" else name for name, value in flags.given.items()]
        pressed_ahead = 16 * (flags.lookahead - 1) * (flags.press_events != "none")
        encoding = Encoding("v2.2", flags=flags)
        assert encoding.input_dims == 1846 + sum(ADDED[name][1] for name in names) + pressed_ahead
        assert encoding.dense_columns == 606 + sum(ADDED[name][2] for name in names) + pressed_ahead
        assert len(list(encoding.dense_fields())) == encoding.dense_columns


@pytest.mark.parametrize("slots", [1, 3])
def test_offset_is_a_bijection_over_the_input(slots: int) -> None:
    for flags in SOME:
        encoding = Encoding("v2.2", slots, flags)
        taken = [encoding.offset(*place) for place in encoding.dense_fields()]
        sessions = [(slot, p, f) for slot in range(slots) for p, f in encoding.session_fields()]
        for place in [*encoding.id_fields(), *sessions]:
            start = encoding.offset(*place)
            taken += range(start, start + place[2].width)
        assert sorted(taken) == list(range(encoding.input_dims))


def test_a_frame_without_flags_is_as_it_was() -> None:
    assert Encoding("v2.2").frame_fields == STATE and Encoding("v2.2").controls == CONTROLS
    for flags in SOME:
        encoding = Encoding("v2.2", flags=flags)
        assert encoding.frame_fields[: len(STATE)] == STATE and encoding.controls[: len(CONTROLS)] == CONTROLS
        assert len({f.name for f in encoding.frame_fields + encoding.controls}) == (
            len(encoding.frame_fields) + len(encoding.controls)
        )


def test_what_flags_need_of_a_dataset() -> None:
    plain = Encoding("v2.2").required_columns
    assert Encoding("v2.2", flags=MeleeFlags(stale_moves=True, press_events="all")).required_columns == plain
    assert Encoding("v2.2", flags=MeleeFlags(projectiles=True)).required_columns >= {"item_type", "item_vy"}
    assert Encoding("v2.2", flags=MeleeFlags(state_flags=True)).required_columns - plain == {
        f"flags{i}" for i in range(5)
    }
    assert Encoding("v2.2", flags=EVERY_FLAG).since == (3, 11, 0)
    assert "" not in Encoding("v2.2", flags=EVERY_FLAG).required_columns


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("v2.2", {"press_events": "both"}, "press_events is 'both'"),
        ("v2.2", {"lookahead": 0}, "1 to 16"),
        ("v2", {"state_flags": True}, "v2.1 and v2.2, got state_flags: True"),
        ("v2.1", {"press_events": "next"}, "after the window"),
        ("v2.1", {"lookahead": 2}, "after the window"),
    ],
)
def test_a_wrong_flag_is_an_error(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(WmTrainError, match=message):
        Encoding(name, flags=MeleeFlags(**values))


def test_flags_in_a_config() -> None:
    config = RunConfig.from_json({"model": {"flags": {"press_events": "all", "lookahead": 2}}})
    assert config.model.world.encoding.flags == MeleeFlags(press_events="all", lookahead=2)
    assert config.to_json()["model"]["flags"]["press_events"] == "all"
    assert RunConfig.from_json(config.to_json()) == config
    with pytest.raises(WmTrainError, match=r"model.flags: unknown key 'press'"):
        RunConfig.from_json({"model": {"flags": {"press": "all"}}})
    with pytest.raises(WmTrainError, match=r"model.flags.stale_moves = 1, expected bool"):
        RunConfig.from_json({"model": {"flags": {"stale_moves": 1}}})


# ------------------------------------------------------------------------------------------------ windows and networks


def test_state_age_becomes_the_nearest_id() -> None:
    encoding = Encoding("v2.2", 1, MeleeFlags(state_age_as_embed=True))
    ages = np.array([-2, 0, 0.49, 0.5, 148.6, 149.5, 2000])
    frames = np.zeros((len(ages), PLAYERS, len(STATE)), np.int32)
    frames[..., encoding.frame_index["state_age"]] = (ages * 4096)[:, None]
    assert encoding.ids[0] is STATE_AGE_ID and STATE_AGE_ID.vocab == 150
    assert slot_ids(encoding, frames)[:, 0].tolist() == [0, 0, 0, 1, 149, 149, 149]
    assert "state_age" not in {f.name for f in encoding.columns}


def test_lookahead_hides_the_newest_frames_but_not_their_inputs() -> None:
    encoding, corpus = Encoding("v2.2", 4, MeleeFlags(lookahead=3)), random_corpus()
    plain = Encoding("v2.2", 4)
    t = corpus.windows(encoding)
    assert t.tolist() == [t for t in corpus.windows(plain).tolist() if t - 2 in corpus.windows(plain)]
    window, earlier = window_at(corpus, encoding, t), window_at(corpus, plain, t - 2)
    dense = window_codes(encoding, window.frames, window.inputs, window.following)
    early = window_codes(plain, earlier.frames, earlier.inputs, earlier.following)
    assert (dense[:, : early.shape[1]] == early).all()
    later = window_at(corpus, plain, t)
    following = window_codes(plain, later.frames, later.inputs, later.following)
    assert (dense[:, -26:] == following[:, -26:]).all()
    assert (window_ids(encoding, window.frames) == window_ids(plain, earlier.frames)).all()


def test_a_step_with_lookahead_starts_from_the_newest_frame_shown() -> None:
    world = small_model(flags=MeleeFlags(lookahead=3)).world
    window = random_window(world.encoding, 5)
    heads = np.random.default_rng(0).integers(-(2**20), 2**20, (5, world.outputs))
    got = stepper(world, lambda _: heads)(window)
    bounds = world.session_places(window.session)
    assert (got == next_frames(world, window.frames[:, -3], heads, bounds)).all()
    assert (window.now == window.frames[:, -1]).all()


def test_a_world_keeps_the_fields_of_flags_as_they_were() -> None:
    world = small_model(flags=EVERY_FLAG).world
    frames = random_window(world.encoding, 5).frames[:, 0]
    heads = np.random.default_rng(0).integers(-(2**20), 2**20, (5, world.outputs))
    got, kept = next_frames(world, frames, heads), slice(len(STATE), -sum(map(len, SIGHT.values())))
    assert (got[..., kept] == frames[..., kept]).all() and frames[..., kept].any()
    plain = next_frames(small_model().world, frames[..., : len(STATE)], heads)
    assert (got[..., : len(STATE)] == plain).all() and (got != frames).any()


@pytest.mark.parametrize("flags", SOME, ids=str)
def test_a_state_that_steps_is_the_window_that_advances(flags: MeleeFlags) -> None:
    """The interpreter's own state over a rollout, against windows made anew from what it computed."""
    net = small_qnet(small_model(flags=flags))
    encoding, machine = net.world.encoding, Interpreter(net)
    corpus = random_corpus(3, (40, 30), encoding)
    t = corpus.windows(encoding)[[0, 7, 30]]
    frames = rollout(machine.model(), corpus, encoding, t, 6)
    kept = frames[..., : len(encoding.kept_fields)]
    state = machine.begin(window_at(corpus, encoding, t))
    for ahead in range(6):
        trace, state = machine.step(state, corpus.inputs[t + 1 + ahead])
        assert (trace["frame"].reshape(kept.shape[0], 2, -1) == kept[:, ahead]).all()
        assert trace["codes"].shape[1] == encoding.dense_columns and trace["ids"].shape[1] == encoding.id_columns
    one = machine.step(machine.begin(window_at(corpus, encoding, t)).at(slice(1, 2)), corpus.inputs[t[1:2] + 1])[0]
    assert (one["frame"].reshape(2, -1) == kept[1, 0]).all()


@pytest.mark.parametrize(
    "flags", [*(MeleeFlags(press_events=one) for one in ("next", "all")), replace(AHEAD_ONLY, lookahead=3)], ids=str
)
def test_presses_follow_from_the_newest_inputs_that_a_world_keeps(flags: MeleeFlags) -> None:
    """On a game's own inputs: what the State makes of the game's controls is what the whole game has beside them."""
    net = small_qnet(small_model(flags=flags))
    encoding, machine = net.world.encoding, Interpreter(net)
    made = random_corpus(3, (40, 30), encoding)
    controls = made.inputs[..., : len(CONTROLS)]
    inputs = np.concatenate([game_inputs(encoding, controls[made.game == i]) for i in range(2)])
    corpus = replace(made, inputs=inputs)
    t = corpus.windows(encoding)[[0, 7, 20]]
    given = alone = machine.begin(window_at(corpus, encoding, t))
    for ahead in range(6):
        following = corpus.inputs[t + 1 + ahead]
        assert following[..., len(CONTROLS) :].any()
        wanted, given = machine.step(given, following)
        trace, alone = machine.step(alone, following[..., : len(CONTROLS)])
        assert all(np.array_equal(trace[name], values) for name, values in wanted.items())
        assert np.array_equal(alone.codes, given.codes) and np.array_equal(alone.inputs, given.inputs)


def game_inputs(encoding: Encoding, controls: Any) -> Any:
    """Inputs of one game, as a corpus has them: with its presses, from its controls (T, 2, len(CONTROLS))."""
    plain = Encoding("v2.2", 1, MeleeFlags(press_events=encoding.flags.press_events))
    return with_extras(plain, {}, 0, np.zeros((len(controls), PLAYERS, len(STATE)), np.int32), controls)[1]


@pytest.mark.parametrize("flags", [MeleeFlags(press_events="next"), MeleeFlags()], ids=str)
def test_a_world_begins_with_the_controls_of_its_window_alone(flags: MeleeFlags) -> None:
    net = small_qnet(small_model(flags=flags))
    window, machine = random_window(net.world.encoding, 3), Interpreter(net)
    records = replace(window, inputs=window.inputs[..., : len(CONTROLS)], following=window.following[:0])
    begun, state = machine.begin(records), machine.begin(window)
    assert np.array_equal(begun.codes, state.codes) and np.array_equal(begun.ids, state.ids)


def test_a_network_that_remembers_reads_flags_too() -> None:
    torch = pytest.importorskip("torch")
    from wm_train.nets.mamba2 import Mamba2
    from wm_train.nets.predict import TorchMamba2

    config = Mamba2Config(d_model=32, d_state=8, headdim=16, n_layers=1, flags=replace(EVERY_FLAG, lookahead=1))
    torch.manual_seed(0)
    corpus = random_corpus(0, (30, 20), config.world.encoding)
    net = TorchMamba2(Mamba2(config))
    seen = list(forced(net, corpus, config.world.encoding, np.arange(5, 15)))
    assert np.concatenate([at for at, _ in seen]).tolist() == list(range(5, 15))
    assert all(frames.shape[1:] == corpus.frames.shape[1:] for _, frames in seen)
    with pytest.raises(WmTrainError, match=r"model.flags.lookahead = 3, expected 1"):
        Mamba2Config(flags=EVERY_FLAG)


# --------------------------------------------------------------------------------------------------- from the dataset


def with_items(columns: dict[str, Any], rows: list[list[tuple[float, ...]]]) -> dict[str, Any]:
    """Columns with items: for each frame a list of (type, x, y, vx, vy)."""
    import pyarrow as pa

    kinds = {"item_type": pa.uint16(), "item_x": pa.float32(), "item_y": pa.float32(), "item_vx": pa.float32(),
             "item_vy": pa.float32()}  # fmt: skip
    cells = {
        name: pa.array([[int(item[i]) if i == 0 else item[i] for item in row] for row in rows], pa.list_(kind))
        for i, (name, kind) in enumerate(kinds.items())
    }
    return columns | cells


@pytest.fixture
def quiet() -> dict[str, Any]:
    """A game of 12 frames in which every column is zero."""
    columns = game_columns(np.random.default_rng(0), 12)
    return {name: np.zeros_like(column) for name, column in columns.items()}


def read(folder: Path, columns: dict[str, Any], flags: MeleeFlags) -> tuple[Any, Encoding]:
    encoding = Encoding("v2.2", 1, flags)
    return load_corpus(folder, [add_game(folder, 0, columns)], encoding), encoding


def test_presses_are_edges(tmp_path: Path, quiet: dict[str, Any]) -> None:
    quiet["p0_buttons"][:6] = [0x100, 0x100, 0, 0x300, 0x200, 0x100]
    quiet["p1_buttons"][3:6] = 0x08
    corpus, encoding = read(tmp_path, quiet, MeleeFlags(press_events="next"))
    assert corpus.inputs.shape == (12, PLAYERS, len(CONTROLS) + len(GAME.presses)) and corpus.inputs.dtype == np.int8
    names = [f.name for f in encoding.controls]
    assert corpus.inputs[:7, 0, names.index("press_A")].tolist() == [1, 0, 0, 1, 0, 1, 0]
    assert corpus.inputs[:7, 0, names.index("press_B")].tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert np.flatnonzero(corpus.inputs[:, 1, names.index("press_D_UP")]).tolist() == [3]


def test_the_nearest_item_of_each_player(tmp_path: Path, quiet: dict[str, Any]) -> None:
    quiet["p1_x"][:] = 100
    items: list[list[tuple[float, ...]]] = [[] for _ in range(12)]
    items[2] = [(54, 30, 40, 1.5, -2, 0), (99, 100, 3, 0, 7)]
    items[3] = [(300, 1e6, 0, 99, 0)] * 20
    corpus, encoding = read(tmp_path, with_items(quiet, items), MeleeFlags(projectiles=True))
    at = [encoding.frame_index[f"item_{name}"] for name in ("type", "distance", "vx", "vy", "count")]
    got = corpus.frames[..., at] / np.array([1, 4096, 4096, 4096, 4096])
    assert got[2].tolist() == [[55, 50, 1.5, -2, 2], [100, 3, 0, 7, 2]]
    assert got[3, 0].tolist() == [255, 256, 32, 0, 15]
    assert (np.delete(got, [2, 3], 0) == [0, 256, 0, 0, 0]).all()


def test_state_flags_and_animations(tmp_path: Path, quiet: dict[str, Any]) -> None:
    quiet["p1_flags3"][4], quiet["p0_flags4"][5], quiet["p0_flags0"][5] = 0x02, 0xC0, 0x0F
    quiet["p0_animation_index"][:4] = [0, 7, 2**32 - 1, 5000]
    corpus, encoding = read(tmp_path, quiet, MeleeFlags(state_flags=True, animation_index=True))
    extra = {f.name: corpus.frames[..., i] for i, f in enumerate(encoding.frame_fields) if i >= len(STATE)}
    assert extra.pop("animation_index")[:5, 0].tolist() == [1, 8, 0, 399, 1]
    seen = {name: np.argwhere(values).tolist() for name, values in extra.items() if values.any()}
    assert seen == {"in_hitstun": [[4, 1]], "dead": [[5, 0]], "offscreen": [[5, 0]]}


def test_the_stale_queue_is_what_landed(tmp_path: Path, quiet: dict[str, Any]) -> None:
    quiet["p1_percent"][:] = [0, 3, 3, 5, 9, 9, 12, 15, 15, 15, 18, 18]
    quiet["p0_last_attack"][:] = [0, 7, 7, 7, 7, 7, 9, 9, 9, 0, 1, 1]
    quiet["p0_action"][:] = [0, 40, 40, 40, 41, 41, 41, 41, 41, 14, 14, 14]
    quiet["p0_stocks"][:] = 4 - (np.arange(12) >= 9)
    corpus, encoding = read(tmp_path, quiet, MeleeFlags(stale_moves=True))
    queue = corpus.frames[:, 0, [encoding.frame_index[f"stale_{i}"] for i in range(1, 10)]]
    # 3: a further hit of the same move; 4: the same move again; 7: another hit of 9; 9: a stock is lost; 10: id 1.
    expected = [[], [7], [7], [7], [7, 7], [7, 7], [9, 7, 7], [9, 7, 7], [9, 7, 7], [], [], []]
    assert [[move for move in row if move] for row in queue.tolist()] == expected
    assert (corpus.frames[:, 1, encoding.frame_index["stale_1"]] == 0).all()


def test_the_queue_knows_nothing_of_what_comes(tmp_path: Path) -> None:
    columns = game_columns(np.random.default_rng(1), 200)
    columns["p0_stocks"][:], columns["p1_stocks"][:] = 4, 3
    flags = MeleeFlags(stale_moves=True, press_events="all")
    (tmp_path / "short").mkdir()
    whole, encoding = read(tmp_path, columns, flags)
    part, _ = read(tmp_path / "short", {name: column[:120] for name, column in columns.items()}, flags)
    assert (whole.frames[:120] == part.frames).all() and (whole.inputs[:120] == part.inputs).all()
    stale = whole.frames[:, :, encoding.frame_index["stale_1"] :]
    assert stale.shape[2] == 9 and (stale[-1] > 0).all()
    assert (np.diff(stale[:, 0, 0]) != 0).sum() > 30


def test_a_game_without_items_is_skipped_where_they_are_read(tmp_path: Path) -> None:
    add_game(tmp_path, 0, game_columns(np.random.default_rng(0), 20))
    assert len(usable_games(tmp_path, Encoding("v2.2", 3, MeleeFlags(animation_index=True)))) == 1
    with pytest.raises(WmTrainError, match=r"none of 1 games has every field of encoding v2.2"):
        usable_games(tmp_path, Encoding("v2.2", 3, MeleeFlags(projectiles=True)))


def test_every_flag_is_in_the_model_config() -> None:
    assert MLPConfig(flags=EVERY_FLAG).world.encoding.flags == EVERY_FLAG
