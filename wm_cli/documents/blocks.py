"""Which generated table stands in which page, and the rewriting of all of them."""

from collections.abc import Callable, Mapping
from functools import partial

from wm_cli.documents import folders, glossary, guide_tables, op_table, program_tables, world_tables
from wm_cli.documents.game_documents import game_documents
from wm_cli.documents.markdown import DOCS, split_at_block

#: (page, name of its markers) -> the text between them.
BLOCKS: Mapping[tuple[str, str], Callable[[], str]] = {
    ("numeric.md", "fields"): world_tables.fields_table,
    ("numeric.md", "controls"): world_tables.controls_table,
    ("numeric.md", "encodings"): world_tables.encodings_table,
    ("numeric.md", "flags"): world_tables.flags_table,
    ("numeric.md", "heads"): world_tables.heads_table,
    ("numeric.md", "subsystems"): world_tables.subsystems_table,
    **{("numeric.md", name): partial(world_tables.game_table, name) for name in game_documents().tables},
    ("numeric.md", "bounds"): world_tables.bounds_table,
    ("numeric.md", "ops"): op_table.ops_table,
    ("program.md", "mamba2"): program_tables.mamba2_table,
    ("program.md", "model"): program_tables.model_account_table,
    ("program.md", "session"): program_tables.session_account_table,
    ("program.md", "player"): program_tables.player_table,
    ("program.md", "scratch"): program_tables.scratch_account_table,
    ("program.md", "pin"): program_tables.pin_account_table,
    ("program.md", "dispute"): program_tables.dispute_account_table,
    ("program.md", "work"): program_tables.work_table,
    ("program.md", "instructions"): program_tables.instructions_table,
    ("program.md", "blob"): program_tables.blob_table,
    ("program.md", "errors"): program_tables.errors_table,
    ("program.md", "kernels"): program_tables.formulas_table,
    ("program.md", "cost"): program_tables.preset_cost_table,
    ("design.md", "folders"): folders.folders_table,
    ("glossary.md", "glossary"): glossary.glossary_table,
    ("guide.md", "config"): guide_tables.config_table,
    ("guide.md", "verbs"): guide_tables.verbs_table,
}


def rewrite_documents() -> list[str]:
    """Write every table between its markers; the names of the pages that changed."""
    changed = []
    for (page, name), make in BLOCKS.items():
        path = DOCS / page
        before, found, after = split_at_block(path.read_text(), name)
        if found != (text := make() + "\n"):
            path.write_text(before + text + after)
            changed.append(page)
    return sorted(set(changed))
