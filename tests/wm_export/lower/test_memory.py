"""The digest of what a network keeps: every byte of it counts, and a frame hashes anew all that it has written."""

import hashlib
from typing import Any

import numpy as np
import pytest

from tests.factories import random_window, small_mamba2, small_qnet
from tests.wm_quant.single import CASES
from wm_export.errors import WmExportError
from wm_export.lower import memory as module
from wm_export.lower.chunked_lowering import places_kept, turns_kept
from wm_export.lower.cost import memory_cu
from wm_export.lower.lowering import lower
from wm_export.lower.memory import HASH_BYTES, Memory, memory
from wm_quant.interp import Interpreter
from wm_quant.qnet import QNet

FRAMES = 7


def turning(every: int = 2) -> QNet:
    """Two layers of four heads."""
    return small_qnet(small_mamba2(d_state=4, write_every=every))


def regions(net: QNet, kept: Memory) -> list[bytes]:
    """What is kept before a first frame and after each."""
    interpreter, rng = Interpreter(net), np.random.default_rng(0)
    state = interpreter.begin(random_window(net.world.encoding, 1))
    found = [kept.pack(state.memory)]
    for _ in range(FRAMES):
        following = rng.integers(0, 2, (1, 2, len(net.world.game.controls))).astype(np.int8)
        state = interpreter.step(state, following)[1]
        found.append(kept.pack(state.memory))
    return found


@pytest.mark.parametrize("every", [1, 2, 4])
def test_every_byte_is_in_one_turn_or_in_none(every: int) -> None:
    kept = memory(lower(turning(every)))
    stretches = sorted([*kept.always, *(one for op in kept.in_turn for turn in op.turns for one in turn)])
    assert [at for at, _ in stretches] == [0, *np.cumsum([length for _, length in stretches])[:-1]]
    assert sum(length for _, length in stretches) == kept.size and kept.turns == 2 * every


@pytest.mark.parametrize("every", [1, 2, 4])
def test_a_frame_writes_what_is_in_no_turn_and_in_its_own(every: int) -> None:
    """So hashes that are made anew for its own turn alone are those of the whole region."""
    net = turning(every)
    kept = memory(lower(net))
    before, *after = regions(net, kept)
    hashes = [kept.hashes(before)[at : at + HASH_BYTES] for at in range(0, HASH_BYTES * kept.turns, HASH_BYTES)]
    for frame, region in enumerate(after):
        true = kept.hashes(region)
        for op in range(2):
            own = op * every + frame % every
            hashes[own] = true[HASH_BYTES * own :][:HASH_BYTES]
        assert b"".join(hashes) == true
        always = b"".join(region[at : at + length] for at, length in kept.always)
        assert kept.digest(region) == hashlib.sha256(always + true).digest()


def test_the_digest_is_another_whichever_byte_is_another() -> None:
    kept = memory(lower(turning()))
    region = np.random.default_rng(1).bytes(kept.size)
    digests = {kept.digest(region[:at] + bytes([region[at] ^ 1]) + region[at + 1 :]) for at in range(kept.size)}
    assert len(digests | {kept.digest(region)}) == kept.size + 1


@pytest.mark.parametrize("seed", range(12))
def test_any_memory_is_written_in_the_turn_that_it_says_itself(seed: int) -> None:
    """Also one that no frame has left, such as a liar may have committed."""
    rng = np.random.default_rng(seed)
    case = CASES["ssm_chunked"](rng)
    shape = case.op.chunk(case.net)  # type: ignore[attr-defined]
    turns = turns_kept(shape).stretches
    values = case.values(rng, worlds=1)
    said = int(rng.integers(-3, shape.every + 3))
    values[case.op.kept][0, 0] = said
    after: Any = case.op.run(case.net, values)[case.op.kept]
    turn = min(max(said, 0), shape.every - 1)
    assert after[0, 0] == (turn + 1) % shape.every
    places = places_kept(shape)
    written = set(places[np.flatnonzero(after[0] != values[case.op.kept][0])].tolist())
    others = [one for number, each in enumerate(turns) if number != turn for one in each]
    assert written and not any(written & set(range(at, at + count)) for at, count in others)


def test_a_network_without_turns_hashes_its_region_as_it_is() -> None:
    program = lower(small_qnet(small_mamba2()))
    kept = memory(program)
    region = np.random.default_rng(2).bytes(kept.size)
    assert kept.digest(region) == hashlib.sha256(region).digest() and not kept.hashes(region)
    assert "hashes" not in program.buffers and memory_cu(program) == 85 + kept.size // 2


def test_a_frame_hashes_a_turn_of_each_op_and_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    program = lower(turning())
    kept = memory(program)
    x, states, b = 4 * 12, 4 * 12 * 4, 4 * 4
    turn = sorted([b, x, x, x, x, states, states])
    assert [sorted(parts) for parts in kept.hashed[:2]] == [turn, turn]
    assert sum(kept.hashed[2]) == sum(length for _, length in kept.always) + HASH_BYTES * 4
    assert memory_cu(program) == 3 * 85 + sum(max(10, part // 2) for parts in kept.hashed for part in parts)
    monkeypatch.setattr(module, "STRETCHES_MAX", len(kept.always))
    with pytest.raises(WmExportError, match="stretches to hash, expected"):
        memory(program)
