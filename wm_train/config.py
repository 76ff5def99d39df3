"""What a run is made of: frozen, checked when built, saved inside the artifact; an unknown key is an error."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import WEIGHT_GRIDS
from wm_train.reading import read_yaml
from wm_train.world.encoding import Encoding
from wm_train.world.flags import NO_FLAGS, Flags
from wm_train.world.registry import DEFAULT_GAME, find_game
from wm_train.world.step import World

T = TypeVar("T")

#: Steps of a run that its minutes limit.
ENDLESS = 10**9


def _check(condition: bool, key: str, got: object, expected: str) -> None:
    if not condition:
        raise WmTrainError(f"config: {key} = {got!r}, expected {expected}")


def _checked_bits(given: Mapping[str, int], layers: tuple[str, ...]) -> dict[str, int]:
    """`bits` without the layers that have 8 anyway, in the order of the layers."""
    for layer, bits in given.items():
        _check(layer in layers, "model.bits", layer, f"a layer: {', '.join(layers)}")
        known = type(bits) is int and bits in WEIGHT_GRIDS
        *others, last = map(str, WEIGHT_GRIDS)
        _check(known, f"model.bits.{layer}", bits, f"{', '.join(others)} or {last}")
    return {layer: given[layer] for layer in layers if given.get(layer, 8) != 8}


def _key(default: T, text: str) -> T:
    """A key of a config: its default, and what it does, which docs/guide.md lists."""
    return field(default=default, metadata={"text": text})


_EDITIONS = ", ".join(edition.name for edition in find_game().editions)
ENCODING_TEXT = f"what the network reads: {_EDITIONS}; see [numeric.md](numeric.md#encodings)"
HEADS_TEXT = f"what it predicts: {', '.join(find_game().head_sets)}; see [numeric.md](numeric.md#heads)"
FLAGS_TEXT = "a mapping of flags, each off by default; see [numeric.md](numeric.md#flags)"
BITS_TEXT = "bits of a layer's weights in its integer form, 8, 4 or 16, as `{layer2: 4}`; 8 if nothing is said"
ARCH_TEXT = "mlp; or mamba2, which has the next five keys, and no slots, hidden and dropout"


@dataclass(frozen=True)
class MLPConfig:
    """Shape of a FrameStackMLP."""

    encoding: str = _key("v2.2", ENCODING_TEXT)
    slots: int = _key(10, "frames in the window, 1 to 64")
    heads: str = _key("integrated", HEADS_TEXT)
    hidden: tuple[int, int] = _key((512, 256), "widths of the two hidden layers, 8 to 4096 each")
    dropout: float = _key(0.0, "share of hidden units dropped while training, 0 or more, below 1")
    bits: Mapping[str, int] = field(default_factory=dict, metadata={"text": BITS_TEXT})
    arch: str = _key("mlp", ARCH_TEXT)
    flags: Flags = field(default=NO_FLAGS, metadata={"text": FLAGS_TEXT})
    game: str = _key(DEFAULT_GAME, "name of the game")

    def __post_init__(self) -> None:
        _check(self.arch == "mlp", "model.arch", self.arch, "mlp")
        object.__setattr__(self, "hidden", tuple(self.hidden))
        object.__setattr__(self, "bits", _checked_bits(self.bits, self.layers))
        _check(
            len(self.hidden) == 2 and all(8 <= n <= 4096 for n in self.hidden),
            "model.hidden",
            self.hidden,
            "two widths of 8 to 4096",
        )
        _check(0 <= self.dropout < 1, "model.dropout", self.dropout, "0 <= dropout < 1")
        object.__setattr__(self, "flags", self.world.encoding.flags)

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
    d_model: int = _key(192, "width of the residual stream")
    d_state: int = _key(64, "cells that each channel remembers")
    headdim: int = _key(64, "channels of a head; divides `expand` times `d_model`")
    n_layers: int = _key(4, "blocks")
    expand: int = _key(2, "inner width in widths of the stream")
    bits: Mapping[str, int] = field(default_factory=dict, metadata={"text": BITS_TEXT})
    arch: str = _key("mamba2", ARCH_TEXT)
    flags: Flags = field(default=NO_FLAGS, metadata={"text": FLAGS_TEXT})
    game: str = _key(DEFAULT_GAME, "name of the game")

    def __post_init__(self) -> None:
        _check(self.arch == "mamba2", "model.arch", self.arch, "mamba2")
        object.__setattr__(self, "bits", _checked_bits(self.bits, self.layers))
        for key, most in {"d_model": 4096, "d_state": 256, "headdim": 256, "n_layers": 64, "expand": 8}.items():
            _check(1 <= getattr(self, key) <= most, f"model.{key}", getattr(self, key), f"1 to {most}")
        _check(
            self.flags.lookahead == 1, "model.flags.lookahead", self.flags.lookahead, "1: it reads every frame in turn"
        )
        _check(self.d_inner % self.headdim == 0, "model.headdim", self.headdim, f"a divisor of {self.d_inner}")
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


#: Losses of a number, as robust.py names them.
VALUE_LOSSES = ("l1", "huber", "charbonnier", "barron")
#: Frames that a world in training runs ahead, at most.
HORIZON_MAX = 32
#: Published weight of the category's loss.
CATEGORY_WEIGHT = 2.0
#: Shape of a network.
ModelConfig = MLPConfig | Mamba2Config
MODELS: Mapping[str, type[MLPConfig] | type[Mamba2Config]] = {"mlp": MLPConfig, "mamba2": Mamba2Config}


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

    action: float = _key(3.0, "weight of the action's cross-entropy; 0 leaves a part of the loss out")
    category: float = _key(
        0.0,
        "weight of the cross-entropy of the action's category, one of 20; "
        f"heads two_level need one: {CATEGORY_WEIGHT} is the published weight",
    )
    action_embedding: float = _key(0.0, "weight of the distance from the expected action's embedding to the true one's")
    change_weight: float = _key(1.0, "what these three are multiplied by on frames whose action changes")
    focal: float = _key(0.0, "exponent of the focal loss of the first two; 0 means plain cross-entropy")
    value: str = _key("l1", "loss of a number: " + ", ".join(VALUE_LOSSES))
    scale: float = _key(0.1, "weighed error below which it is rounded off (all but l1)")
    alpha: float = _key(1.0, "shape of barron: 2 squared, 1 charbonnier, 0 Cauchy, -2 Geman-McClure")
    sampling: float = _key(
        0.0,
        "chance, reached at the end of a run, that a player's numbers in a frame are those "
        "that the network predicts there: 0 (off) to 0.5; see [training.md](training.md#fed-its-own-frames)",
    )
    horizon: tuple[float, ...] = _key(
        (),
        "weights of frames 2, 3 and so on ahead of a true one, reached by the network's own "
        "frames, as `[0.5, 0.25]`; up to 32, for mamba2 fewer than `train.chunk`",
    )

    def __post_init__(self) -> None:
        for key in ("action", "category", "action_embedding"):
            _check(0 <= getattr(self, key) < 1000, f"train.losses.{key}", getattr(self, key), "0 <= weight < 1000")
        _check(0 < self.change_weight < 1000, "train.losses.change_weight", self.change_weight, "between 0 and 1000")
        _check(0 <= self.focal <= 10, "train.losses.focal", self.focal, "0 to 10")
        _check(self.value in VALUE_LOSSES, "train.losses.value", self.value, " or ".join(VALUE_LOSSES))
        _check(0 < self.scale < 1000, "train.losses.scale", self.scale, "between 0 and 1000")
        _check(-10 <= self.alpha <= 2, "train.losses.alpha", self.alpha, "-10 to 2")
        _check(0 <= self.sampling <= 0.5, "train.losses.sampling", self.sampling, "0 (off) to 0.5")
        object.__setattr__(self, "horizon", tuple(self.horizon))
        _check(
            len(self.horizon) <= HORIZON_MAX and all(0 <= weight < 1000 for weight in self.horizon),
            "train.losses.horizon",
            self.horizon,
            f"at most {HORIZON_MAX} weights, 0 <= weight < 1000",
        )


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. `minutes` of processor time (of all threads: what else the machine does takes nothing
    from a run) and `steps`: whichever ends first; the learning rate follows that progress.

    Windows are shuffled within `buffer_games` games, which are in memory. A recurrent model walks through whole games
    in `lanes`, `chunk` frames a step; its state is handed from chunk to chunk (`carry`) or begins at zero in each.
    """

    steps: int = _key(40_000, "optimiser steps, at least 1")
    minutes: float = _key(
        0.0, "minutes of processor time, of all threads; 0 means no limit. The earlier limit ends the run"
    )
    batch: int = _key(256, "windows a step, at least 1")
    buffer_games: int = _key(
        128, "games that windows are shuffled within: those in memory; others are read as they come"
    )
    lanes: int = _key(32, "mamba2: games walked side by side, at least 1")
    chunk: int = _key(8, "mamba2: frames of each lane a step, at least 1")
    carry: bool = _key(True, "mamba2: hand the state on from chunk to chunk")
    learning_rate: float = _key(3e-3, "peak rate, between 0 and 1")
    weight_decay: float = _key(0.01, "of AdamW")
    warmup: float = _key(0.02, "share of the run in which the rate rises; then a cosine brings it to 0")
    ema: float = _key(
        0.0, "decay of the averaged weights, which are what is measured and saved, as 0.999; 0 means none"
    )
    losses: LossConfig = LossConfig()
    seed: int = _key(0, "of initialisation, batch order and split")
    threads: int = _key(1, "torch threads, at least 1")
    holdout: float = _key(0.125, "share of games (of frames, if there is one game) kept for validation")
    hold_character: int = _key(
        -1, "character-select id: train on games without it, validate on `holdout` of those with it; -1: split by game"
    )
    hold_seen: bool = _key(
        False, "with `hold_character`: train on as many games, first those with it that do not validate"
    )

    def __post_init__(self) -> None:
        for key in ("steps", "batch", "buffer_games", "lanes", "chunk", "threads"):
            _check(getattr(self, key) >= 1, f"train.{key}", getattr(self, key), "at least 1")
        _check(self.minutes >= 0, "train.minutes", self.minutes, "0 (no limit) or more")
        _check(0 < self.learning_rate < 1, "train.learning_rate", self.learning_rate, "between 0 and 1")
        _check(0 <= self.weight_decay < 1, "train.weight_decay", self.weight_decay, "0 <= weight_decay < 1")
        _check(0 <= self.warmup < 1, "train.warmup", self.warmup, "a share of the run below 1")
        _check(0 <= self.ema < 1, "train.ema", self.ema, "0 (off) or a decay below 1")
        _check(0 < self.holdout < 1, "train.holdout", self.holdout, "a share between 0 and 1")
        _check(
            -1 <= self.hold_character <= 255, "train.hold_character", self.hold_character, "-1 (none) or an id to 255"
        )
        _check(
            self.hold_character >= 0 or not self.hold_seen,
            "train.hold_seen",
            self.hold_seen,
            "false without a hold_character",
        )

    @property
    def split(self) -> dict[str, Any]:
        """What decides which games train: arguments of windows.split_games by name."""
        return {key: getattr(self, key) for key in ("holdout", "seed", "hold_character", "hold_seen")}


@dataclass(frozen=True)
class RunConfig:
    """Everything a run is reproduced from, its data aside."""

    model: ModelConfig = field(default_factory=MLPConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        horizon, chunk = self.train.losses.horizon, self.train.chunk
        fits = len(horizon) < chunk or not isinstance(self.model, Mamba2Config)
        _check(fits, "train.losses.horizon", horizon, f"fewer weights than train.chunk, which is {chunk}")

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists. The game is named where it is not the one that is meant without a name."""
        data = dataclasses.asdict(self)
        if self.model.game == DEFAULT_GAME:
            del data["model"]["game"]
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
    """An int stands for a float."""
    return isinstance(value, int | of) and not isinstance(value, bool)


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
        if all(_is_number(v, of) for v in value):
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
