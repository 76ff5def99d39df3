"""rust_rules.py: the generated rules read as a person would write them."""

import re

import pytest

from tests.factories import small_model, small_qnet
from wm_export.solana.rust_rules import RustTarget, rules
from wm_export.solana.rust_text import fill
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.melee import MeleeFlags
from wm_train.melee.rules import HEAD_SETS
from wm_train.world.fields import PLAYERS
from wm_train.world.flags import NO_FLAGS, Flags

KINDS = [
    ("v1", "published", NO_FLAGS),
    ("v2", "gated", NO_FLAGS),
    ("v2.1", "two_level", NO_FLAGS),
    ("v2.1", "lawful", NO_FLAGS),
    ("v2.1", "lawful_grouped", MeleeFlags(geometry=True, reach=True)),
    ("v2.2", "integrated", MeleeFlags(state_age_as_embed=True, geometry=True)),
]


def written(encoding: str, heads: str, flags: Flags) -> str:
    """`rules.rs` of a small world, not yet formatted."""
    return fill("rules.rs", rules(small_qnet(small_model(encoding, heads, flags=flags))))


def body(text: str, function: str) -> str:
    """What stands in a function's `unsafe` block."""
    return text[text.index(f"fn {function}(") :].split("unsafe {", 1)[1].split("\n    }\n}", 1)[0]


@pytest.mark.parametrize(("encoding", "heads", "flags"), KINDS)
def test_a_function_of_one_player_is_called_for_each(encoding: str, heads: str, flags: Flags) -> None:
    text = written(encoding, heads, flags)
    for whole, one in (("encode_inputs", "encode_player"), ("decode", "decode_player"), ("push", "push_player")):
        assert text.count(f"fn {one}(") == 1
        assert body(text, whole).count(f"{one}(") == text.count(f"{one}(") - 1 == PLAYERS


@pytest.mark.parametrize(("encoding", "heads", "flags"), KINDS)
def test_every_variable_has_a_name_of_the_world(encoding: str, heads: str, flags: Flags) -> None:
    lines = body(written(encoding, heads, flags), "decode_player").split("\n")
    names = [name for line in lines for name in re.findall(r"let (\w+) =", line)]
    known = set(STATE_INDEX) | {head.name for head in HEAD_SETS[heads].heads}
    laws = {law.key for law in HEAD_SETS[heads].laws}
    assert len(names) == len(set(names))
    for name in names:
        kind, _, of = name.partition("_")
        own = kind in laws or name in ("frozen", "teleport", "step_x", "step_y")
        assert of in known if kind in ("now", "head", "group", "next", "inside") else own
        assert sum(len(re.findall(rf"\b{name}\b", line)) for line in lines) > 1, f"{name} is never used"


@pytest.mark.parametrize(("encoding", "heads", "flags"), KINDS)
def test_each_subsystem_has_its_paragraph(encoding: str, heads: str, flags: Flags) -> None:
    comments = re.findall(r"^// (.*)$", body(written(encoding, heads, flags), "decode_player"), re.MULTILINE)
    laws = [law.name for law in HEAD_SETS[heads].laws]
    expected = [*(part.name for part in HEAD_SETS[heads].subsystems), "inside their ranges", *laws]
    assert comments == expected + (["what is written back"] if laws else [])


@pytest.mark.parametrize(("encoding", "heads", "flags"), KINDS)
def test_what_no_rule_writes_is_left_alone(encoding: str, heads: str, flags: Flags) -> None:
    places = re.findall(r"write\(player, fields::(\w+),", body(written(encoding, heads, flags), "decode_player"))
    assert places == [name.upper() for name in STATE_INDEX if name in HEAD_SETS[heads].writes]


def test_parentheses_stand_where_rust_needs_them() -> None:
    target = RustTarget()
    total = target.binary("+", target.binary("-", "a", "b"), 1)
    assert total == "a - b + 1"
    assert target.binary("-", "c", total) == "c - (a - b + 1)"
    assert target.binary("<<", target.binary(">>", total, 2), 2) == "((a - b + 1) >> 2) << 2"
    assert target.where(target.binary(">", total, 0), "a", total) == "select(gt(a - b + 1, 0), a, a - b + 1)"
    assert target.name("total", total) == "total" and target.name("other", "total") == "total"
    assert target.lines == ["let total = a - b + 1;"]
