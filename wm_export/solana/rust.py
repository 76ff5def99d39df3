"""QNet and field table -> the generated crate `wmq-world`: templates with named holes, filled here."""

from typing import Any

from wm_export.lower.kernels import kernel_named
from wm_export.lower.lowered_program import Program
from wm_export.schema.limits import (
    ACCOUNT_VERSION,
    CHUNK_BYTES,
    GROWTH,
    LOOKAHEAD,
    PIECE_BYTES,
    SESSION_IDS,
    TREE_LEVELS,
)
from wm_export.solana.blob import Blob
from wm_export.solana.layout import chunks, digest, layout, pieces, session_vocab
from wm_export.solana.rust_kernels import kernel_sources
from wm_export.solana.rust_layout import accounts
from wm_export.solana.rust_network import bounds_table, network, step
from wm_export.solana.rust_rules import rules
from wm_export.solana.rust_text import byte_rows, fill, indented
from wm_quant.qnet import QNet
from wm_train.world.fields import PLAYERS

SOURCES = ("lib.rs", "layout.rs", "network.rs", "rules.rs", "step.rs")


def generate(net: QNet, program: Program, blob: Blob, manifest_hash: bytes) -> dict[str, str]:
    """Path inside the crate -> text, of every file of the generated crate: the same on every machine, with rustfmt or
    without."""
    where = layout(program, blob.sizes)
    vocab, game, records = session_vocab(net), net.world.game, where.records
    holes: dict[str, Any] = {
        "lib.rs": {},
        "layout.rs": {
            "manifest_hash": byte_rows(manifest_hash),
            "shards": len(blob.shards),
            "blob_digests": "\n".join(f"[\n{byte_rows(digest(shard))}\n]," for shard in blob.shards),
            "account_version": ACCOUNT_VERSION,
            "players": PLAYERS,
            "slots": net.world.encoding.slots,
            "lookahead": LOOKAHEAD,
            "peaks": TREE_LEVELS,
            "growth": GROWTH,
            "chunk_bytes": CHUNK_BYTES,
            "chunks": ", ".join(str(chunks(size)) for size in blob.sizes),
            "piece_bytes": PIECE_BYTES,
            "pieces": ", ".join(str(pieces(size)) for size in blob.sizes),
            "frame_bytes": records.frame_size,
            "record_bytes": records.record_size,
            "input_bytes": records.input_size,
            "axes": game.axes,
            "axis_ranges": ", ".join(f"({int(f.lo)}, {int(f.hi)})" for f in game.controls[: game.axes]),
            "session_id_places": SESSION_IDS,
            "session_ids": len(vocab),
            "session_vocab": ", ".join(map(str, vocab)),
            "accounts": accounts(where, blob),
        },
        "network.rs": network(program, blob) | bounds_table(net.world),
        "rules.rs": rules(net),
        "step.rs": step(program, blob),
    }
    called = kernel_sources([kernel_named(name) for name in program.kernels()])
    filled = {f"src/{name}": indented(fill(name, holes[name])) for name in SOURCES}
    return {"Cargo.toml": fill("Cargo.toml", {})} | filled | called
