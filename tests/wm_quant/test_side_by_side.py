"""side_by_side.py: subsystems side by side in one QNet are, to the integer, what each of them is alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import random_corpus, random_window, small_parts, small_qnet
from wm_quant.convert import from_checkpoint
from wm_quant.errors import WmQuantError
from wm_quant.interp import Interpreter, RefInterpreter
from wm_quant.ops.put import Put
from wm_quant.prove import prove
from wm_quant.qnet import QNet, load_qnet, save_qnet, validate
from wm_quant.side_by_side import subsystems
from wm_train.composed import composed
from wm_train.measure.worlds import forced

PARENT = "ab" * 32
MLPS, MAMBAS = small_parts(), small_parts(recurrent=True, heads="lawful")
NETS = {"mlp": from_checkpoint(composed(MLPS), PARENT), "mamba2": from_checkpoint(composed(MAMBAS), PARENT)}
each = pytest.mark.parametrize("kind", NETS)


@each
def test_each_subsystem_comes_out_as_it_went_in(kind: str, tmp_path: Path) -> None:
    prove(NETS[kind])
    save_qnet(tmp_path, NETS[kind])
    loaded = load_qnet(tmp_path)
    assert loaded.ops == NETS[kind].ops and loaded.model == NETS[kind].model
    for key, net in subsystems(loaded).items():
        alone = from_checkpoint({"mlp": MLPS, "mamba2": MAMBAS}[kind][key], PARENT)
        validate(net)
        assert (net.model, net.ops, net.tensors.keys()) == (alone.model, alone.ops, alone.tensors.keys())
        for name, values in alone.tensors.items():
            assert net.tensors[name].dtype == values.dtype and (net.tensors[name] == values).all()


@each
def test_its_heads_are_those_of_its_subsystems(kind: str) -> None:
    net, world = NETS[kind], NETS[kind].world
    window = random_window(world.encoding, 5)
    trace, after = Interpreter(net).step(Interpreter(net).begin(window), window.following)
    for key, part in subsystems(net).items():
        alone = Interpreter(part)
        state = alone.begin(window)
        values = {name: trace[name] for name in ("codes", "ids")}
        heads = alone.network(state.bias, state.memory, values)["heads"]
        for head in part.world.heads:
            for player in (0, 1):
                own, joined = part.world.span(player, head.name), world.span(player, head.name)
                assert (heads[:, own] == trace["heads"][:, joined]).all(), (key, head.name)
    assert set(after.memory) == set(net.memories)


@each
def test_the_slow_twin_says_the_same(kind: str) -> None:
    net = NETS[kind]
    window = random_window(net.world.encoding, 2)
    one, other = (cls(net).step(cls(net).begin(window), window.following)[0] for cls in (Interpreter, RefInterpreter))
    assert one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


@each
def test_the_trained_networks_and_the_qnet_write_the_same_frames(kind: str) -> None:
    pytest.importorskip("torch")
    from wm_train.nets.predict import checkpoint_model

    checkpoint, net = composed({"mlp": MLPS, "mamba2": MAMBAS}[kind]), NETS[kind]
    corpus = random_corpus(encoding=net.world.encoding)
    t = corpus.windows(net.world.encoding)
    models = (checkpoint_model(checkpoint), Interpreter(net).model())
    trained, integers = (list(forced(model, corpus, net.world.encoding, t)) for model in models)
    for (at, frames), (same, others) in zip(trained, integers, strict=True):
        assert (at == same).all() and (frames == others).all()


def put(name: str) -> Put:
    (op,) = [op for op in NETS["mlp"].ops if op.name == name]
    assert isinstance(op, Put)
    return op


def broken(changed: Put) -> QNet:
    return replace(NETS["mlp"], ops=tuple(changed if op.name == changed.name else op for op in NETS["mlp"].ops))


def test_heads_that_are_not_put_together_whole_are_refused() -> None:
    second, last = put("damage_and_knockback.put0"), put("shield_and_grab.put1")
    with pytest.raises(WmQuantError, match=f"puts values at {second.at + 1} of `heads`, expected at {second.at}"):
        validate(broken(replace(second, at=second.at + 1)))
    with pytest.raises(WmQuantError, match="values from 9000 on, of "):
        validate(broken(replace(second, first=9000)))
    with pytest.raises(WmQuantError, match="values are put into `heads`, expected "):
        validate(broken(replace(last, count=1)))


def test_a_network_of_one_is_no_composed_one() -> None:
    with pytest.raises(WmQuantError, match="this QNet is one mlp, expected one of subsystems"):
        subsystems(small_qnet())
