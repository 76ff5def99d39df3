"""fields.py: the field table is sound, and its fixed point has the tie rule."""

from wm_train.melee.field_table import CONTROLS, STATE, STATE_INDEX
from wm_train.world.fields import Kind, fixed


def test_names_bits_and_ranges_are_sound() -> None:
    assert len({f.name for f in STATE + CONTROLS}) == len(STATE + CONTROLS)
    bits = [f.bit for f in CONTROLS if f.kind is Kind.BUTTON]
    assert len(set(bits)) == len(bits) and all(bit.bit_count() == 1 for bit in bits)
    assert all(f.lo < f.hi and f.step > 0 and f.scale > 0 for f in STATE + CONTROLS)
    assert all((f.vocab > 0) == (f.kind is Kind.CATEGORICAL) == (f.width > 0) for f in STATE + CONTROLS)
    limits = {
        name: (STATE[STATE_INDEX[name]].lo, STATE[STATE_INDEX[name]].hi) for name in ("percent", "stocks", "shield")
    }
    assert limits == {"percent": (0, 999), "stocks": (0, 4), "shield": (0, 60)}


def test_fixed_ties_go_toward_plus_infinity() -> None:
    assert [fixed(v) for v in (1, -1, 0.5 / 4096, -0.5 / 4096, -1.5 / 4096)] == [4096, -4096, 1, 0, -1]
