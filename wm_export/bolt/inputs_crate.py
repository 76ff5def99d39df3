"""The crate of system `inputs`: the window of a match, and what moves it on."""

from collections.abc import Iterable, Iterator

from wm_export.bolt.rust_pieces import Crate, checks, delegation, fill, gathered, members, spread, uses
from wm_export.bolt.slices import Slice, Sliced
from wm_export.lower.world_lowering import CODES, CONTROL_CODES, IDS
from wm_export.schema.limits import SESSION_IDS
from wm_export.schema.records import Records
from wm_export.solana.layout import session_vocab
from wm_export.solana.rust_network import bounds_table
from wm_export.solana.rust_rules import pieces, rule_holes
from wm_export.solana.rust_text import upper
from wm_train.world.fields import PLAYERS

#: Of code that players' sights are part of: rules that nobody reads are among them.
SIGHTS_ALLOW = "#![allow(unused_variables)] // what players see is recorded whole\n\n"


def inputs_crate(sliced: Sliced, own: Slice, address: str) -> Crate:
    """Path inside the crate -> text."""
    records, game = Records(sliced.net.world.game), sliced.net.world.game
    return {
        "src/lib.rs": fill(
            "inputs.rs",
            {
                "inputs_bytes": records.inputs_size,
                "session_id_places": SESSION_IDS,
                "frame_bytes": records.frame_size,
                "imports": uses(own.components, "delegation::*", "window::{place, Window, WindowError}"),
                "id": address,
                "players": PLAYERS,
                "input_bytes": records.input_size,
                "player_fields": len(game.state),
                "components": members(own.components),
                "keys": checks(own.components),
                "gather": gathered(sliced.components),
                "spread": spread(sliced.components),
            },
        ),
        "src/window.rs": fill("window.rs", _window(sliced)),
        "src/delegation.rs": delegation(
            "window", "it goes there empty, a match begins and ends there, and it comes back empty"
        ),
        "src/codes.rs": fill("codes.rs", _codes(sliced)),
    }


def _window(sliced: Sliced) -> dict[str, object]:
    world, every = sliced.net.world, sliced.components.every
    counts = {buffer.name: buffer.count for buffer in sliced.window_buffers}
    has_controls = CONTROL_CODES in counts
    controls = (
        "/// Codes of the inputs that the next Frame is made with.\n"
        f"pub controls: [i64; {counts.get(CONTROL_CODES)}],\n"
    )
    offsets = ["codes", "ids", *["controls"] * has_controls, *["bounds"] * bool(world.encoding.sights)]
    return {
        "slots": world.encoding.slots,
        "session_id_places": SESSION_IDS,
        "place_numbers": world.place_numbers,
        "place_seats": world.place_seats,
        "places": "\n".join(_places(sliced)),
        "components": len(every),
        "behind": "" if has_controls else "; then of the inputs that the next Frame is made with",
        "codes": counts[CODES],
        "ids": counts[IDS],
        "controls": controls if has_controls else "",
        "work": "\n".join(_work(offsets)),
        "programs": "\n".join(
            f"found[place::{upper(one.name)}] = of(&{one.name}::ID);" for one in sliced.components.every
        ),
    }


def _places(sliced: Sliced) -> Iterator[str]:
    for number, one in enumerate(sliced.components.every):
        yield f"/// `{one.name}`.\npub const {upper(one.name)}: usize = {number};"


def _work(names: Iterable[str]) -> Iterator[str]:
    yield "use super::{offset_of, Window};\n"
    for name in names:
        yield f"pub const {upper(name)}: usize = offset_of!(Window, {name});"


def _codes(sliced: Sliced) -> dict[str, object]:
    world, holes = sliced.net.world, rule_holes(sliced.net)
    vocab, game = session_vocab(sliced.net), world.game
    return {
        **holes,
        **pieces(holes),
        **bounds_table(world),
        "allowed": SIGHTS_ALLOW if world.encoding.sights else "",
        "axes": game.axes,
        "axis_ranges": ", ".join(f"({int(f.lo)}, {int(f.hi)})" for f in game.controls[: game.axes]),
        "session_ids": len(vocab),
        "session_vocab": ", ".join(map(str, vocab)),
    }
