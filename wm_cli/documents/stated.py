"""Numbers that the prose of docs/*.md states, as the pieces of text that must stand in each page.

What only training knows is imported inside the functions: torch is not loaded before.
"""

from collections.abc import Callable, Mapping

import numpy as np

from wm_cli.documents.game_documents import game_documents
from wm_cli.documents.markdown import power
from wm_cli.verbs.character_study import MIN_GAMES
from wm_cli.verbs.measuring import BARS
from wm_export.lower.asm.gather_asm import GATHER_BYTES_PER_WORD, GATHER_WORDS
from wm_export.lower.asm.matvec_asm import MATVEC_MAX_R
from wm_export.lower.asm.straight_asm import STRAIGHT_MAX_R
from wm_export.lower.cost import preset_cost
from wm_export.lower.lowering import lower
from wm_export.schema.accounts import discriminator
from wm_export.schema.instruction_set import UNDELEGATION
from wm_export.schema.limits import (
    ACCOUNT_MAX,
    CHUNK_BYTES,
    GROWTH,
    LOOKAHEAD,
    PIECE_BYTES,
    SESSION_MAX,
    TRANSACTION_BUDGET,
    TREE_LEVELS,
)
from wm_export.schema.records import Records
from wm_export.solana.blob import pack
from wm_export.solana.layout import chunks, pieces
from wm_live.session.commits import COMMITS, KEPT_COMMITS
from wm_live.session.instructions import SPONSORED_COMMITS
from wm_quant.presets import preset
from wm_train.config import MLPConfig
from wm_train.grid import arithmetic as grid
from wm_train.grid.arithmetic import GATHER_ROWS_MAX, HEAD_BOUND
from wm_train.measure.drift import APART, TAIL
from wm_train.measure.rollouts import HORIZONS
from wm_train.measure.speculation import DELAYS
from wm_train.shapes import parameter_count
from wm_train.world.fields import Kind
from wm_train.world.registry import find_game
from wm_train.world.step import codes

PROGRAM = lower(preset("mlp"))


def numeric_facts() -> tuple[str, ...]:
    """Of docs/numeric.md."""
    state = find_game().state
    flag_code = codes((next(f for f in state if f.kind is Kind.BINARY),), np.ones((1, 1), np.int64)).item()
    return (
        f"`{grid.FRAC_BITS}` fractional bits",
        f"`{1 << grid.FRAC_BITS}` is one unit",
        *(f"{g.lanes} lanes of {g.lane_bits} bits" for g in grid.WEIGHT_GRIDS.values()),
        *(f"{g.lanes * MATVEC_MAX_R} or {g.lanes * STRAIGHT_MAX_R} rows" for g in grid.WEIGHT_GRIDS.values()),
        f"tiles of {grid.TILE_COLUMNS} columns",
        f"code {flag_code} for 1",
        *(f"[-{g.weight_max}, {g.weight_max}]" for g in grid.WEIGHT_GRIDS.values()),
        *(f"a lane's partial sum, INT{g.bits} weights | {power(g.lane_bound)} |" for g in grid.WEIGHT_GRIDS.values()),
        f"rows in a gather | {GATHER_ROWS_MAX} |",
        *(f"an accumulator, INT{g.bits} weights | {power(g.acc_bound)} |" for g in grid.WEIGHT_GRIDS.values()),
        f"a head | {power(HEAD_BOUND)} |",
        f"multiples of 2^-{grid.SNAP_BITS} and clipped to +-{grid.SNAP_LIMIT:g}",
        f"width (at most {max(f.width for f in state)})",
        *game_documents().facts["numeric.md"],
    )


def program_facts() -> tuple[str, ...]:
    """Of docs/program.md."""
    return (
        f"{Records(find_game()).input_size} bytes: an i8 for each axis",
        f"{Records(find_game()).record_size} bytes",
        f"{CHUNK_BYTES} bytes each",
        f"{chunks(len(pack(PROGRAM).data)):,} chunks",
        f"pieces of {PIECE_BYTES // 1024} KiB",
        f"{pieces(len(pack(PROGRAM).data))} pieces",
        f"{LOOKAHEAD} frames ahead",
        f"{GROWTH:,} bytes at a time",
        f"{TREE_LEVELS} peaks",
        f"`{UNDELEGATION.hex()}`",
        f"{SESSION_MAX:,} bytes",
        f"{ACCOUNT_MAX:,} bytes",
        f"{TRANSACTION_BUDGET:,} compute units",
        f"`{discriminator('global', 'step').hex()}`",
        f"blocks of {GATHER_WORDS} words",
        f"{GATHER_BYTES_PER_WORD} entries",
        *(f"{g.lane_bits} bits" for g in grid.WEIGHT_GRIDS.values()),
        f"{preset_cost('mlp').cu_per_mac:.4f} compute units a multiply-accumulate",
    )


def guide_facts() -> tuple[str, ...]:
    """Of docs/guide.md."""
    from wm_train.fit.held_out import HELD_OUT_FRAMES
    from wm_train.fit.train import HELD_OUT_EVERY, SAVE_SECONDS, STARTED_LEARNING_RATE

    return (
        f"{parameter_count(MLPConfig()):,} parameters",
        *game_documents().facts["guide.md"],
        f"for {HORIZONS[0]}, {HORIZONS[1]} and {HORIZONS[2]} frames",
        f"{-BARS['action_change_points']:g} points of `action_change_acc`, {BARS['k10_percent']:g} %",
        f"a player {APART:g} game units away",
        f"outermost {TAIL:.2%}".replace("%", " %"),
        f"come {DELAYS[0]} to {DELAYS[-1]} frames late",
        f"at least {MIN_GAMES} games",
        f"every {SAVE_SECONDS:g} seconds",
        f"every {HELD_OUT_EVERY} steps",
        f"{HELD_OUT_FRAMES:,} frames",
        f"times {STARTED_LEARNING_RATE:g}",
        f"{preset_cost('mlp-int4').cu_per_mac:.4f} compute units a multiply-accumulate",
        f"instead of {preset_cost('mlp').cu_per_mac:.4f}",
        f"{preset_cost('mlp-int4').total_cu:,} instead of {preset_cost('mlp').total_cu:,}",
        f"{TRANSACTION_BUDGET:,} compute units",
        f"{COMMITS} commits over",
        f"leaves {KEPT_COMMITS} to",
        f"{SPONSORED_COMMITS} commits",
    )


#: Page -> the pieces of text that must stand in it.
FACTS: Mapping[str, Callable[[], tuple[str, ...]]] = {
    "numeric.md": numeric_facts,
    "program.md": program_facts,
    "guide.md": guide_facts,
}
