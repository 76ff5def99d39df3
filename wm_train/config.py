"""What a run is made of: frozen, checked when built, saved inside the artifact; an unknown key is an error."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import GATHER_ROWS_MAX, WEIGHT_GRIDS
from wm_train.json_schema import INT64_MAX, INT64_MIN
from wm_train.ranges import COUNTS, ENDLESS, MINUTES, SEEDS, Range
from wm_train.reading import read_yaml
from wm_train.world.definition import STANDARD
from wm_train.world.encoding import Encoding
from wm_train.world.flags import NO_FLAGS, Flags
from wm_train.world.registry import DEFAULT_GAME, find_game
from wm_train.world.step import World
from wm_train.world.subsystem import JOINED
from wm_train.world.symmetry import check_names

T = TypeVar("T")


def _check(condition: bool, key: str, got: object, expected: str) -> None:
    if not condition:
        raise WmTrainError(f"config: {key} = {got!r}, expected {expected}")


def _checked_bits(given: Mapping[str, int], layers: tuple[str, ...]) -> dict[str, int]:
    """`bits`, in the order of the layers. An 8 that is named stays: a config that names any says them all."""
    for layer, bits in given.items():
        _check(layer in layers, "model.bits", layer, f"a layer: {', '.join(layers)}")
        known = type(bits) is int and bits in WEIGHT_GRIDS
        *others, last = map(str, WEIGHT_GRIDS)
        _check(known, f"model.bits.{layer}", bits, f"{', '.join(others)} or {last}")
    return {layer: given[layer] for layer in layers if layer in given}


def _key(default: T, text: str, within: Range | None = None, named: bool = True) -> T:
    """A key of a config: its default, what it does, and the numbers that it may have; docs/guide.md lists them. One
    that is not always `named` is written down only where it is not the default: without it, an artifact has the bytes
    that it had before there was such a key."""
    return field(default=default, metadata={"text": text, "within": within, "named": named})


def _unnamed(part: Any) -> list[str]:
    """Keys of a part of a config that it leaves at their defaults, and that are then not written down."""
    silent = (item for item in dataclasses.fields(part) if not item.metadata.get("named", True))
    return [item.name for item in silent if getattr(part, item.name) == item.default]


def _check_numbers(part: Any, where: str) -> None:
    """WmTrainError that names the first number of a part of a config that is outside of its key's Range."""
    for item in dataclasses.fields(part):
        within = item.metadata.get("within")
        value = getattr(part, item.name)
        for one in value if isinstance(value, tuple) else (value,):
            _check(within is None or one in within, f"{where}.{item.name}", value, str(within))


_EDITIONS = ", ".join(edition.name for edition in find_game().editions)
ENCODING_TEXT = f"what the network reads: {_EDITIONS}; see [numeric.md](numeric.md#encodings)"
HEADS_TEXT = (
    f"what it predicts: {', '.join(find_game().head_sets)}; see [numeric.md](numeric.md#heads). With a slash and a "
    "subsystem behind it, as `integrated/movement`, only that"
)
FLAGS_TEXT = "a mapping of flags, each off by default; see [numeric.md](numeric.md#flags)"
DROPOUT_TEXT = "share of hidden units dropped in training in float: of each layer, or of what goes out of a block"
BITS_TEXT = (
    "bits of a layer's weights in its integer form, 8, 4, 5, 10 or 16, as `{layer2: 4}`; 8 of one that is not named"
)
ARCH_TEXT = "mlp; or mamba2, which has the next six keys, and no slots and hidden"


#: The layer that reads frames; of a composed network the parts' together.
FIRST_LAYER = "layer1"
#: The widest that a norm can take: squares of wide integers must add up to less than 2^53.
INNER_MAX = 8192
#: Parts of a whole, 0 but never all of it.
SHARES = Range(0, 1, below=True)


@dataclass(frozen=True)
class MLPConfig:
    """Shape of a FrameStackMLP."""

    encoding: str = _key("v2.2", ENCODING_TEXT)
    slots: int = _key(10, f"frames in the window; with the ids of all of them at most {GATHER_ROWS_MAX}", Range(1, 64))
    heads: str = _key("integrated", HEADS_TEXT)
    hidden: tuple[int, int] = _key((512, 256), "widths of the two hidden layers", Range(8, 4096))
    dropout: float = _key(0.0, DROPOUT_TEXT, SHARES)
    bits: Mapping[str, int] = field(default_factory=dict, metadata={"text": BITS_TEXT})
    arch: str = _key("mlp", ARCH_TEXT)
    flags: Flags = field(default=NO_FLAGS, metadata={"text": FLAGS_TEXT})
    game: str = _key(DEFAULT_GAME, "name of the game", named=False)

    def __post_init__(self) -> None:
        _check(self.arch == "mlp", "model.arch", self.arch, "mlp")
        object.__setattr__(self, "hidden", tuple(self.hidden))
        object.__setattr__(self, "bits", _checked_bits(self.bits, self.layers))
        _check(len(self.hidden) == 2, "model.hidden", self.hidden, "two widths")
        _check_numbers(self, "model")
        object.__setattr__(self, "flags", self.world.encoding.flags)
        self._check_ids(self.world.encoding)

    def _check_ids(self, encoding: Encoding) -> None:
        """What the first layer looks up is added up in one go."""
        most = (GATHER_ROWS_MAX - (encoding.id_columns - self.slots * encoding.slot_ids)) // max(encoding.slot_ids, 1)
        why = f"a slot has {encoding.slot_ids} ids, and {GATHER_ROWS_MAX} are read at most"
        fits = encoding.id_columns <= GATHER_ROWS_MAX
        _check(fits, "model.slots", self.slots, f"at most {most} with this encoding and these flags: {why}")

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that are matrix products: of the float network's modules and of the QNet's ops."""
        return ("layer1", "layer2", "heads")

    @property
    def world(self) -> World:
        """The encoding and heads by name, checked."""
        return World(Encoding(self.encoding, self.slots, self.flags, find_game(self.game)), self.heads)


@dataclass(frozen=True)
class Mamba2Config:
    """Shape of a Mamba2: letters of the paper in nets/mamba2.py. It reads one frame at a time and carries a state, so
    its window has one slot."""

    encoding: str = _key("v2.2", ENCODING_TEXT)
    heads: str = _key("integrated", HEADS_TEXT)
    d_model: int = _key(192, "width of the residual stream", Range(1, 4096))
    d_state: int = _key(64, "cells that each channel remembers", Range(1, 192))
    headdim: int = _key(64, "channels of a head; divides `expand` times `d_model`", Range(1, 256))
    n_layers: int = _key(4, "blocks", Range(1, 64))
    expand: int = _key(
        2, f"inner width in widths of the stream; `expand` times `d_model` is at most {INNER_MAX:,}", Range(1, 8)
    )
    dropout: float = _key(0.0, DROPOUT_TEXT, SHARES, named=False)
    write_every: int = _key(
        0,
        "in integers, frames between two writes of a head's states, head by head in turn; divides the number of heads; "
        "0: all are written in each frame, by another rule",
        Range(0, 64),
        named=False,
    )
    bits: Mapping[str, int] = field(default_factory=dict, metadata={"text": BITS_TEXT})
    arch: str = _key("mamba2", ARCH_TEXT)
    flags: Flags = field(default=NO_FLAGS, metadata={"text": FLAGS_TEXT})
    game: str = _key(DEFAULT_GAME, "name of the game", named=False)

    def __post_init__(self) -> None:
        _check(self.arch == "mamba2", "model.arch", self.arch, "mamba2")
        _check_numbers(self, "model")
        object.__setattr__(self, "bits", _checked_bits(self.bits, self.layers))
        _check(
            self.flags.lookahead == 1, "model.flags.lookahead", self.flags.lookahead, "1: it reads every frame in turn"
        )
        most = f"at most {INNER_MAX // self.d_model}: it times d_model {self.d_model} is at most {INNER_MAX}"
        _check(self.d_inner <= INNER_MAX, "model.expand", self.expand, most)
        _check(self.d_inner % self.headdim == 0, "model.headdim", self.headdim, f"a divisor of {self.d_inner}")
        divisor = f"a divisor of {self.n_heads}, the number of heads, or 0"
        every = self.write_every
        _check(every == 0 or self.n_heads % every == 0, "model.write_every", every, divisor)
        object.__setattr__(self, "flags", self.world.encoding.flags)

    @property
    def world(self) -> World:
        """The encoding and heads by name, checked."""
        return World(Encoding(self.encoding, 1, self.flags, find_game(self.game)), self.heads)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that are matrix products: of the QNet's ops."""
        blocks = (f"blocks.{i}.{name}" for i in range(self.n_layers) for name in ("in_proj", "out_proj"))
        return ("layer1", *blocks, "heads")

    @property
    def d_inner(self) -> int:
        """Channels of x and z."""
        return self.expand * self.d_model

    @property
    def n_heads(self) -> int:
        """Heads of `headdim` channels."""
        return self.d_inner // self.headdim

    @property
    def d_conv_in(self) -> int:
        """Channels that pass the convolution: x, B and C."""
        return self.d_inner + 2 * self.d_state


@dataclass(frozen=True)
class ComposedConfig:
    """Networks of the subsystems of one head set side by side, each of its own shape. They read the same encoding and
    share no parameters; their heads stand subsystem after subsystem.

    parts   key of a subsystem -> the shape of its network, in the order of the rules
    """

    parts: Mapping[str, "MLPConfig | Mamba2Config"] = field(default_factory=dict)
    arch: str = "composed"

    def __post_init__(self) -> None:
        _check(self.arch == "composed", "model.arch", self.arch, "composed")
        _check(bool(self.parts), "model.parts", self.parts, "a network for each subsystem")
        given = {key: _part(key, part) for key, part in self.parts.items()}
        first = next(iter(given.values()))
        known = find_game(first.game).head_sets[first.heads.partition("/")[0]].parts
        _check(set(given) == set(known), "model.parts", list(given), f"one of each: {', '.join(known)}")
        object.__setattr__(self, "parts", {key: given[key] for key in known})
        grouped = [head.name for one in known.values() for head in one.heads if head.groups]
        _check(not grouped, "model.parts", list(known), f"heads without choices in groups, which {grouped} are")
        for key, part in self.parts.items():
            where, first = f"model.parts.{key}", self.parts[next(iter(known))]
            _check(part.heads == known[key].name, f"{where}.heads", part.heads, known[key].name)
            same = part.world.encoding == first.world.encoding
            _check(same, f"{where}.encoding", part.encoding, "all parts to read the same slots, encoding and flags")
            _check(type(part) is type(first), f"{where}.arch", part.arch, f"{first.arch}, as of the first part")
            bits = first.bits.get(FIRST_LAYER, 8)
            _check(part.bits.get(FIRST_LAYER, 8) == bits, f"{where}.bits", part.bits, f"{bits} of {FIRST_LAYER}")

    @property
    def _first(self) -> "MLPConfig | Mamba2Config":
        return next(iter(self.parts.values()))

    @property
    def encoding(self) -> str:
        """The name of what they read."""
        return self._first.encoding

    @property
    def flags(self) -> Flags:
        """Of that encoding."""
        return self._first.flags

    @property
    def game(self) -> str:
        """Name of the game."""
        return self._first.game

    @property
    def heads(self) -> str:
        """What they predict together."""
        return f"{self._first.heads.partition('/')[0]}/{JOINED}"

    @property
    def world(self) -> World:
        """The encoding and heads by name, checked."""
        return World(self._first.world.encoding, self.heads)

    @property
    def bits(self) -> Mapping[str, int]:
        """Of the layers whose weights do not have 8: the first, which is one, and those of each part."""
        own = {f"{key}.{name}": bits for key, part in self.parts.items() for name, bits in part.bits.items()}
        shared = {name: bits for name, bits in self._first.bits.items() if name == FIRST_LAYER}
        return shared | {name: bits for name, bits in own.items() if not name.endswith(f".{FIRST_LAYER}")}

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that are matrix products, of the QNet's ops."""
        own = (f"{key}.{name}" for key, part in self.parts.items() for name in part.layers if name != FIRST_LAYER)
        return (FIRST_LAYER, *own)


def one_network(model: "ModelConfig") -> "MLPConfig | Mamba2Config":
    """A shape that is one network's; WmTrainError for a composed one."""
    if isinstance(model, ComposedConfig):
        raise WmTrainError("this model is composed of subsystems, expected one network: take the run of one of them")
    return model


def _part(key: str, data: Any) -> "MLPConfig | Mamba2Config":
    """The shape of one part, which may be plain data."""
    made = data if isinstance(data, MLPConfig | Mamba2Config) else _model(data)
    _check(not isinstance(made, ComposedConfig), f"model.parts.{key}.arch", made.arch, "mlp or mamba2")
    assert not isinstance(made, ComposedConfig)
    return made


#: How scales of activations are found: names of nets/observers.py.
CALIBRATIONS = ("mse", "min-max")
#: Where a network computes (nets/device.py).
DEVICES = ("auto", "cpu", "cuda", "mps")
#: Names of projects of Weights & Biases.
PROJECT = re.compile(r"[A-Za-z0-9_.-]{0,128}")
#: Weights of the parts of a loss.
WEIGHTS = Range(0, 1000, below=True)
#: Losses of a number, as robust.py names them.
VALUE_LOSSES = ("l1", "huber", "charbonnier", "barron")
#: Frames that a world in training runs ahead, at most.
HORIZON_MAX = 32
#: Published weight of the category's loss.
CATEGORY_WEIGHT = 2.0
#: Shape of a network.
ModelConfig = MLPConfig | Mamba2Config | ComposedConfig
MODELS: Mapping[str, type[MLPConfig] | type[Mamba2Config] | type[ComposedConfig]] = {
    "mlp": MLPConfig, "mamba2": Mamba2Config, "composed": ComposedConfig,
}  # fmt: skip


@dataclass(frozen=True)
class LossConfig:
    """What is minimised; loss.py says what the parts are. A weight of 0 leaves its part out.

    action, category, action_embedding weigh the parts of the action's loss; `change_weight` multiplies all three on
    frames whose action changes; `focal` is the exponent gamma of the first two. `value` names a loss of robust.py;
    `scale` and `alpha` are its, in weighed units (subsystem.Number).

    `sampling` and `horizon` feed the network its own Frames (forcing.py). `sampling` is the chance, reached at the end
    of a run, that a player's numbers in a frame are predicted ones. `horizon` are the weights of frames 2, 3 and so on
    ahead of a true one, beside the 1 that the next frame has.
    """

    action: float = _key(3.0, "weight of the action's cross-entropy; 0 leaves a part of the loss out", WEIGHTS)
    category: float = _key(
        0.0,
        "weight of the cross-entropy of the action's category, one of 20; "
        f"heads two_level need one: {CATEGORY_WEIGHT} is the published weight",
        WEIGHTS,
    )
    action_embedding: float = _key(
        0.0, "weight of the distance from the expected action's embedding to the true one's", WEIGHTS
    )
    change_weight: float = _key(
        1.0, "what these three are multiplied by on frames whose action changes", Range(0, 1000, above=True, below=True)
    )
    focal: float = _key(0.0, "exponent of the focal loss of the first two; 0 means plain cross-entropy", Range(0, 10))
    value: str = _key("l1", "loss of a number: " + ", ".join(VALUE_LOSSES))
    scale: float = _key(
        0.1, "weighed error below which it is rounded off (all but l1)", Range(0, 1000, above=True, below=True)
    )
    alpha: float = _key(1.0, "shape of barron: 2 squared, 1 charbonnier, 0 Cauchy, -2 Geman-McClure", Range(-10, 2))
    sampling: float = _key(
        0.0,
        "chance, reached at the end of a run, that a player's numbers in a frame are those "
        "that the network predicts there, 0 for none; see [training.md](training.md#fed-its-own-frames)",
        Range(0, 0.5),
    )
    horizon: tuple[float, ...] = _key(
        (),
        "weights of frames 2, 3 and so on ahead of a true one, reached by the network's own "
        "frames, as `[0.5, 0.25]`; up to 32, for mamba2 fewer than `train.chunk`",
        WEIGHTS,
    )

    def __post_init__(self) -> None:
        _check(self.value in VALUE_LOSSES, "train.losses.value", self.value, " or ".join(VALUE_LOSSES))
        object.__setattr__(self, "horizon", tuple(self.horizon))
        most = f"at most {HORIZON_MAX} weights"
        _check(len(self.horizon) <= HORIZON_MAX, "train.losses.horizon", self.horizon, most)
        _check_numbers(self, "train.losses")


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. `minutes` of processor time (of all threads: what else the machine does takes nothing
    from a run) and `steps`: whichever ends first; the learning rate follows that progress.

    Windows are shuffled within `buffer_games` games, which are in memory. A recurrent model walks through whole games
    in `lanes`, `chunk` frames a step; its state is handed from chunk to chunk (`carry`) or begins at zero in each.
    """

    steps: int = _key(40_000, "optimiser steps", COUNTS)
    minutes: float = _key(
        0.0, "minutes of processor time, of all threads; 0 means no limit. The earlier limit ends the run", MINUTES
    )
    batch: int = _key(256, "windows a step", Range(1, 65_536))
    buffer_games: int = _key(
        128,
        "games that windows are shuffled within: those in memory; others are read as they come",
        Range(1, 1_000_000),
    )
    lanes: int = _key(32, "mamba2: games walked side by side", Range(1, 65_536))
    chunk: int = _key(8, "mamba2: frames of each lane a step", Range(1, 65_536))
    carry: bool = _key(True, "mamba2: hand the state on from chunk to chunk")
    learning_rate: float = _key(3e-3, "peak rate", Range(0, 1, above=True, below=True))
    weight_decay: float = _key(0.01, "of AdamW", SHARES)
    warmup: float = _key(0.02, "share of the run in which the rate rises; then a cosine brings it to 0", SHARES)
    ema: float = _key(
        0.0, "decay of the averaged weights, which are what is measured and saved, as 0.999; 0 means none", SHARES
    )
    losses: LossConfig = LossConfig()
    augment: tuple[str, ...] = _key(
        (),
        "symmetries of the game by which a game is turned, by chance, each time that it begins: `[mirror, swap]`, left "
        "and right exchanged, the players exchanged; see [training.md](training.md#four-games-for-one)",
        named=False,
    )
    events: tuple[str, ...] = _key(
        (),
        "events that are shown more often than they happen, each as often as the others, as `[hits, grabs, kos]`; see "
        "[training.md](training.md#rare-events-shown-often)",
        named=False,
    )
    event_share: float = _key(
        0.25,
        "share of the windows, of the lanes for mamba2, that are around `events`",
        Range(0, 1, above=True, below=True),
        named=False,
    )
    best: tuple[str, ...] = _key(
        (),
        "parts of the held-out loss, as `[hit, damage, on_ground]`, whose sum decides which checkpoint is the run's "
        "`best`; all of them if nothing is said",
        named=False,
    )
    calibration: str = _key(
        "mse",
        "how a float run finds what one code of each activation is worth: `mse`, the least squared error; `min-max`, "
        "the largest value seen is the largest code",
        named=False,
    )
    seed: int = _key(0, "of initialisation, batch order and split", SEEDS)
    threads: int = _key(1, "torch threads", Range(1, 1024))
    device: str = _key(
        "cpu",
        "where the network computes in training: cpu, cuda, mps, or auto, the first there is of cuda, mps, cpu; see "
        "[train](#another-device)",
        named=False,
    )
    wandb: str = _key(
        "",
        "project of Weights & Biases that the curves go to as well, where the package wandb is installed; none if "
        "nothing is said",
        named=False,
    )
    holdout: float = _key(
        0.125,
        "share of games (of frames, if there is one game) kept for validation",
        Range(0, 1, above=True, below=True),
    )
    hold_character: int = _key(
        -1,
        "character-select id: train on games without it, validate on `holdout` of those with it; -1: split by game",
        Range(-1, 255),
    )
    hold_seen: bool = _key(
        False, "with `hold_character`: train on as many games, first those with it that do not validate"
    )
    only: tuple[str, ...] = _key(
        (STANDARD,),
        "kinds of games to take, as `[standard, cpu]`: a game is taken if all its kinds are named; `[any]` takes all; "
        "see [ingest](#ingest)",
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "only", tuple(self.only))
        for name in ("augment", "events", "best"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check(bool(self.only), "train.only", self.only, f"kinds of games, such as {STANDARD}")
        _check_numbers(self, "train")
        _check(self.device in DEVICES, "train.device", self.device, " or ".join(DEVICES))
        _check(PROJECT.fullmatch(self.wandb) is not None, "train.wandb", self.wandb, f"a project: {PROJECT.pattern}")
        _check(self.calibration in CALIBRATIONS, "train.calibration", self.calibration, " or ".join(CALIBRATIONS))
        _check(
            self.hold_character >= 0 or not self.hold_seen,
            "train.hold_seen",
            self.hold_seen,
            "false without a hold_character",
        )

    @property
    def split(self) -> dict[str, Any]:
        """What decides which games train: arguments of windows.split_games by name."""
        return {key: getattr(self, key) for key in ("holdout", "seed", "hold_character", "hold_seen", "only")}


@dataclass(frozen=True)
class RunConfig:
    """Everything a run is reproduced from, its data aside."""

    model: ModelConfig = field(default_factory=MLPConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        horizon, chunk = self.train.losses.horizon, self.train.chunk
        symmetry = self.model.world.game.symmetry
        expected = f"each once: {', '.join(symmetry.names) or 'none, as the game has no symmetry'}"
        _check(check_names(self.train.augment, symmetry) is None, "train.augment", list(self.train.augment), expected)
        fits = len(horizon) < chunk or not isinstance(self.model, Mamba2Config)
        _check(fits, "train.losses.horizon", horizon, f"fewer weights than train.chunk, which is {chunk}")
        if self.model.world.head_set.whole:
            for key, value in (("sampling", self.train.losses.sampling), ("horizon", horizon)):
                _check(not value, f"train.losses.{key}", value, "none: one subsystem alone is fed true Frames")

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists, without the keys that are not named at their defaults."""
        data = dataclasses.asdict(self)
        for name, part in (("model", self.model), ("train", self.train)):
            for key in _unnamed(part):
                del data[name][key]
        return data

    @staticmethod
    def from_json(data: object) -> "RunConfig":
        """The inverse; WmTrainError names the first key that is unknown or has the wrong type."""
        sections = _known(data, RunConfig, "config")
        return RunConfig(
            model=_model(sections.get("model", {})),
            train=_build(TrainConfig, sections.get("train", {}), "train"),
        )


def need_category_loss(config: RunConfig) -> None:
    """WmTrainError if the heads choose a category first and no loss teaches them to."""
    heads, weight = config.model.world.heads, config.train.losses.category
    _check(
        weight > 0 or not any(head.within for head in heads),
        "train.losses.category",
        weight,
        f"above 0: heads {config.model.heads} choose a category first, and nothing else teaches them to; "
        f"write losses: {{category: {CATEGORY_WEIGHT}}}, the published weight",
    )


def _model(data: object) -> ModelConfig:
    arch = data.get("arch", "mlp") if isinstance(data, dict) else "mlp"
    _check(isinstance(arch, str) and arch in MODELS, "model.arch", arch, " or ".join(MODELS))
    game = data.get("game", DEFAULT_GAME) if isinstance(data, dict) else DEFAULT_GAME
    _check(isinstance(game, str), "model.game", game, "the name of a game")
    if isinstance(data, dict) and "flags" in data:
        data = data | {"flags": _build(find_game(game).flags, data["flags"], "model.flags")}
    return _build(MODELS[arch], data, "model")


def _known(data: object, cls: type, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise WmTrainError(f"{where}: got {type(data).__name__}, expected a mapping")
    names = [f.name for f in dataclasses.fields(cls)]
    for key in data:
        if key not in names:
            raise WmTrainError(f"{where}: unknown key {key!r}, expected one of {', '.join(names)}")
    return data


def _build(cls: type[T], data: object, where: str) -> T:
    values = _known(data, cls, where)
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        if item.name in values:
            default = item.default if item.default_factory is dataclasses.MISSING else item.default_factory()
            values = values | {item.name: _typed(values[item.name], default, item.type, f"{where}.{item.name}")}
    return cls(**values)


def _is_number(value: object, of: type) -> bool:
    """An int stands for a float, if it fits 64 bits."""
    if type(value) is int:
        return INT64_MIN <= value <= INT64_MAX
    return isinstance(value, of) and not isinstance(value, bool)


def _typed(value: object, default: object, annotation: Any, where: str) -> Any:
    """`value` if it is of the default's kind; an int stands for a float, a list for a tuple, a mapping for a part.
    `annotation` says what a tuple holds."""
    if dataclasses.is_dataclass(default):
        if isinstance(value, type(default)):
            return value
        return _build(type(default), value, where)
    if isinstance(default, float) and _is_number(value, float):
        return float(value)  # type: ignore[arg-type]
    if isinstance(default, tuple) and isinstance(value, list):
        of = get_args(annotation)[0]
        if all(isinstance(v, str) if of is str else _is_number(v, of) for v in value):
            return tuple(map(of, value))
    if type(value) is type(default):
        return value
    kind = f"list of {get_args(annotation)[0].__name__}" if isinstance(default, tuple) else type(default).__name__
    raise WmTrainError(f"config: {where} = {value!r}, expected {kind}")


def load_config(path: Path | None) -> RunConfig:
    """A RunConfig from a YAML file, or the defaults when `path` is None. A time without a number of steps decides
    alone."""
    if path is None:
        return RunConfig()
    given = read_yaml(path, WmTrainError) or {}
    config = RunConfig.from_json(given)
    if config.train.minutes and "steps" not in given["train"]:
        return dataclasses.replace(config, train=dataclasses.replace(config.train, steps=ENDLESS))
    return config
