"""Shapes that fit a budget: the largest network of each kind whose frame costs no more, by predicted cost.

There is no model of costs here: each shape is lowered, with zeros for weights, and cost.py counts its kernels exactly.
The compiled code around them is the estimate of unmetered.py until a program is built.

A Variant is a shape without its width: layers, state, bits, heads. Of each the widest that fits is found by halving,
since cost grows with the width. What no other one beats is the frontier.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import gcd
from typing import Any

from wm_export.errors import WmExportError
from wm_export.lower.balance import balanced_cuts
from wm_export.lower.cost import Cost, cost
from wm_export.lower.lowered_program import Program
from wm_export.lower.lowering import lower, need_lowerings
from wm_export.lower.plan import cut
from wm_export.lower.unmetered import estimated, known_overheads
from wm_export.schema.limits import ACCOUNT_MAX, SESSION_MAX, SHARDS_MAX
from wm_export.scope import check_flags
from wm_export.solana.blob import shard_sizes
from wm_export.solana.layout import Layout, layout
from wm_quant.presets import untrained
from wm_train.config import Mamba2Config, MLPConfig, ModelConfig, one_network
from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import WEIGHT_GRIDS
from wm_train.shapes import parameter_count

#: What a design varies, by the name that `--set` takes, and what it tries; `ends` are the bits of the first layer and
#: the heads, `middle` those of the layers between.
_BITS: Mapping[str, tuple[Any, ...]] = {
    "ends": tuple(sorted((bits for bits in WEIGHT_GRIDS if bits >= 8), reverse=True)),
    "middle": tuple(sorted((bits for bits in WEIGHT_GRIDS if bits <= 8), reverse=True)),
}
AXES: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "mamba2": {"n_layers": (1, 2, 3, 4, 6), "d_state": (16, 32, 64), "headdim": (64,), **_BITS},
    # How many times the second hidden layer's width the first has.
    "mlp": {"slots": (5, 10), "narrow": (1, 2, 4), **_BITS},
}
#: Widths of the first hidden layer of an MLP, and the least and the largest of a Mamba-2's residual stream.
MLP_WIDTHS = range(64, 4097, 64)
STREAM = 64, 1024
#: Apart from each other, where heads of channels allow it.
WIDTH_STEP = 16
Variant = Mapping[str, Any]


@dataclass(frozen=True)
class Limits:
    """What a frame may cost: so many transactions of at most `budget` compute units each."""

    budget: int
    transactions: int = 1


@dataclass(frozen=True)
class Candidate:
    """A shape, and what it would be on chain.

    cost       of a frame; kernels are exact, and so is the code around them if it is `committed`, else an estimate
    state      integers kept from frame to frame
    """

    model: ModelConfig
    parameters: int
    program: Program
    cost: Cost
    committed: bool
    state: int

    @cached_property
    def transactions(self) -> tuple[int, ...]:
        """Compute units of each, of the most expensive frame."""
        return tuple(self.cost.worst)

    @property
    def kernel_cu(self) -> int:
        """What of them is exact in any case."""
        return sum(op.kernel_cu for op in self.cost.ops)

    @property
    def around_cu(self) -> int:
        """What of them is compiled code around kernels, and the hash tree."""
        return self.cu - self.kernel_cu - self.cost.memory

    @property
    def cuts(self) -> tuple[str, ...]:
        """Where transactions part, as `wmq export --cut` takes it."""
        return self.program.cuts

    @cached_property
    def accounts(self) -> Layout:
        """Sizes of its accounts."""
        return layout(self.program, shard_sizes(self.program))

    @property
    def cu(self) -> int:
        """Compute units of the most expensive frame."""
        return sum(self.transactions)

    def fits(self, limits: Limits) -> bool:
        """Whether its transactions keep the budget and its accounts the limits of the chain."""
        return (
            max(self.transactions) <= limits.budget
            and len(self.accounts.shards) <= SHARDS_MAX
            and self.accounts.scratch_bytes <= ACCOUNT_MAX
            and self.accounts.session_bytes <= SESSION_MAX
        )


def priced(model: ModelConfig, transactions: int = 1) -> Candidate:
    """What a shape would cost in so many transactions. WmExportError where no program holds it."""
    net = untrained(model)
    whole = program = lower(net)
    overheads, committed = known_overheads(model, whole)
    frame = cost(whole, overheads)
    if transactions > 1:
        program = cut(whole, balanced_cuts(whole, transactions))
        frame, committed = cost(program, estimated(program)), False
    return Candidate(model, parameter_count(model), program, frame, committed, sum(net.memories.values()))


def variants(arch: str, heads: Sequence[str], given: Mapping[str, Sequence[Any]]) -> list[Variant]:
    """Every combination of heads and of what AXES tries; `given` has other values for some of them."""
    axes = {"heads": tuple(heads)} | {name: tuple(given.get(name, values)) for name, values in AXES[arch].items()}
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def shape(base: ModelConfig, variant: Variant, width: int) -> ModelConfig:
    """The model of a Variant and a width; encoding and flags are those of `base`. Where that has heads in turn, one is
    written in each frame. WmTrainError for one that is none."""
    base = one_network(base)
    if isinstance(base, Mamba2Config):
        own = {name: variant[name] for name in ("heads", "n_layers", "d_state", "headdim")}
        every = base.expand * width // variant["headdim"] if base.write_every else 0
        model: MLPConfig | Mamba2Config = replace(base, d_model=width, bits={}, write_every=every, **own)
    else:
        hidden = (width, max(8, width // variant["narrow"]))
        model = replace(base, hidden=hidden, slots=variant["slots"], heads=variant["heads"], bits={})
    first, *middle, last = model.layers
    bits = {first: variant["ends"], **dict.fromkeys(middle, variant["middle"]), last: variant["ends"]}
    return replace(model, bits=bits)


def widths_of(base: ModelConfig, variant: Variant) -> Sequence[int]:
    """The widths that a Variant is tried in: all that its heads of channels divide."""
    if not isinstance(base, Mamba2Config):
        return MLP_WIDTHS
    step = variant["headdim"] // gcd(variant["headdim"], base.expand)
    step *= max(1, WIDTH_STEP // step)
    least, most = STREAM
    return range(-(-least // step) * step, most + 1, step)


def widest(base: ModelConfig, variant: Variant, limits: Limits) -> Candidate | None:
    """The widest shape of a Variant that fits; None if not even the narrowest does. WmTrainError for a Variant that no
    network has."""
    widths = widths_of(base, variant)
    shape(base, variant, widths[0])
    best, low, high = None, 0, len(widths)
    while low < high:
        middle = (low + high) // 2
        found = _priced(base, variant, widths[middle], limits)
        if found is None:
            high = middle
        else:
            best, low = found, middle + 1
    return best


def _priced(base: ModelConfig, variant: Variant, width: int, limits: Limits) -> Candidate | None:
    """A shape that fits; None for one that does not, or that no program holds."""
    try:
        found = priced(shape(base, variant, width), limits.transactions)
        return found if found.fits(limits) else None
    except (WmExportError, WmTrainError):
        return None


def search(
    base: ModelConfig, tried: Sequence[Variant], limits: Limits, moved: Callable[[], None] = lambda: None
) -> Iterator[Candidate]:
    """The widest shape of each Variant that fits, one after the other; `moved` is called after each Variant.

    WmExportError if no network like `base` can be exported.
    """
    need_lowerings(untrained(base))
    check_flags(untrained(base))
    for variant in tried:
        if found := widest(base, variant, limits):
            yield found
        moved()


def frontier(found: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that none beats, most parameters for the budget first.

    One beats another if it has as many parameters or more, costs no more, has weights of as many bits, keeps as much
    from frame to frame and has as many layers, with the same heads; and is better in one of these.
    """
    rows = [(one, _merits(one)) for one in found]
    kept = [one for one, own in rows if not any(_beats(other, own) for rival, other in rows if rival is not one)]
    return sorted(kept, key=lambda one: (-one.parameters, one.cu))


def _merits(one: Candidate) -> tuple[str, tuple[int, ...]]:
    model = one_network(one.model)
    first, middle, *_ = (model.bits.get(layer, 8) for layer in model.layers)
    depth = model.n_layers if isinstance(model, Mamba2Config) else model.slots
    return model.heads, (one.parameters, -one.cu, first, middle, one.state, depth)


def _beats(one: tuple[str, tuple[int, ...]], other: tuple[str, tuple[int, ...]]) -> bool:
    return one[0] == other[0] and one[1] != other[1] and all(a >= b for a, b in zip(one[1], other[1], strict=True))
