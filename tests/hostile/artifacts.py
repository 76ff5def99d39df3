"""Every loader of wmq: a small artifact that it takes, made once, and what a verb does with one that somebody has sent.

An artifact lies in the folder `named` of a case's folder, as a user would name it; what may change is in `changed`.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from solders.keypair import Keypair
from solders.litesvm import LiteSVM
from solders.pubkey import Pubkey

from tests.factories import (
    game_name,
    random_checkpoint,
    random_inputs,
    random_window,
    small_mamba2,
    small_model,
    small_parts,
    small_qnet,
    write_dataset,
)
from tests.records import RECORD_BYTES
from tests.wm_cli.page.test_report import CU, DRIFT, PARITY, SPECULATION, evaluation
from wm_cli import project
from wm_export.bolt.bolt_export import export_bolt, open_bolt
from wm_export.lower.lowering import lower
from wm_export.onnx.graph import export_onnx
from wm_export.onnx.runtime import OrtRunner
from wm_export.schema.accounts import SESSION
from wm_export.schema.limits import ACCOUNT_VERSION
from wm_export.schema.sbpf import DEFAULT_ARCH
from wm_export.schema.types import U32
from wm_export.solana.build_record import RECORD, check_built, keep_record
from wm_export.solana.export import Wanted, export_programs, open_export, program_names
from wm_export.solana.metering import predicted
from wm_export.solana.sources import cache_folder
from wm_export.solana.toolchain import BuildInfo
from wm_live.chain.wallet import load_keypair
from wm_live.errors import WmLiveError
from wm_live.localnet.base_chain.chain import Chain
from wm_live.localnet.base_chain.genesis import Genesis, read_programs
from wm_live.localnet.base_chain.ledger import Ledger
from wm_live.session.commitments import FORMAT as COMMITS_FORMAT
from wm_live.session.commitments import Commit, commits_beside, subject_of
from wm_live.session.last_commit import FORMAT, last_commit
from wm_live.session.log import About, Agreed, new_log, open_log, read_log
from wm_quant.convert import from_checkpoint
from wm_quant.interp import Interpreter
from wm_quant.prove import prove
from wm_quant.qnet import QNet, load_qnet, save_qnet
from wm_train.checkpoint import digest, load_checkpoint, save_checkpoint
from wm_train.composed import composed
from wm_train.config import ModelConfig, RunConfig, TrainConfig, load_config
from wm_train.errors import WmTrainError
from wm_train.files import LOCK_NAME, atomic_write_json
from wm_train.games.corpus import load_corpus, split_games, usable_games
from wm_train.games.dataset import open_dataset, read_game, read_header, stored_types
from wm_train.games.encoded import encode
from wm_train.games.overlap import use_of_dataset, use_of_split
from wm_train.games.recordings import RecordingError
from wm_train.games.store import StoredGames
from wm_train.melee.replays import read_replay
from wm_train.reading import Artifact, parse_arrays
from wm_train.world.encoding import Encoding
from wm_train.writer import one_writer

V22 = Encoding("v2.2")
PROGRAMS = ("first", "second")
MODELS: Mapping[str, ModelConfig] = {
    "mlp": small_model(), "smallest": small_model("v1", "published", 1), "mamba2": small_mamba2(n_layers=1)
}  # fmt: skip
GOLDEN = Path(__file__).parents[1] / "wm_quant" / "golden"
SPLIT = {"train": [game_name(1), game_name(2)], "valid": [game_name(3)], "skipped": [], "fingerprint": "ab" * 32}
CONFIG = RunConfig(model=small_model(), train=TrainConfig(steps=2, batch=8, holdout=0.4))
YAML = """model: {encoding: v2.2, slots: 3, heads: gated, hidden: [64, 32], bits: {heads: 4}, flags: {lookahead: 2}}
train: {steps: 20, batch: 8, minutes: 0.5, losses: {action: 2.0, value: huber, horizon: [0.5, 0.25]}, holdout: 0.25}
"""
SWEEP = """base: base.yaml
space: {train.learning_rate: {loguniform: [0.001, 0.01]}, train.batch: {choice: [8, 16]}, model.slots: {grid: [2, 3]}}
metric: held_out
trials: 2
minutes: 0.5
"""


#: What signing meets in a file that has been changed; then nothing is signed.
UNSIGNED = (ValueError, OSError, RecursionError, TypeError, LookupError, AttributeError)


@dataclass(frozen=True)
class Loader:
    """A loader.

    make     writes an artifact into a case's folder, below `named`
    load     does with it what verbs do; may raise the packages' errors, and nothing else
    changed  what a stranger may change, as patterns below the case's folder
    sign     makes hashes right that a stranger would have made right
    linked   whether what the user has named is a file, which may be a link
    weight   how often it is taken, beside others
    """

    make: Callable[[Path], object]
    load: Callable[[Path], object]
    changed: Sequence[str] = ("**/*",)
    sign: Callable[[Path], None] = lambda folder: None
    named: str = "named"
    linked: bool = False
    weight: int = 4


def _rehash(folder: Path, about: str, file: str) -> None:
    """The key `sha256` of a JSON file, as that of the file beside it."""
    with suppress(*UNSIGNED):
        text = (folder / about).read_text()
        old = json.loads(text)["sha256"]
        new = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        (folder / about).write_text(text.replace(f'"{old}"', f'"{new}"'))


# ------------------------------------------------------------------------------------------------------ games and runs


def _make_dataset(case: Path) -> None:
    write_dataset(case / "named", [40, 30, 35])


def _load_dataset(case: Path) -> None:
    meta = open_dataset(case / "named")
    use_of_dataset("dataset", meta)
    split_games(meta.path, V22, 0.4, 0)
    load_corpus(meta.path, usable_games(meta.path, V22), V22)
    for game in meta.games:
        read_header(meta.path, game.md5)
        every = stored_types(meta.game.columns, meta.game.lists)
        lacks = {name for name in every if name.removeprefix("p0_").removeprefix("p1_") in game.missing}
        read_game(meta, game.md5, set(every) - lacks)


def _sign_dataset(case: Path) -> None:
    """The sizes of files, as meta.json says them."""
    path = case / "named" / "meta.json"
    with suppress(*UNSIGNED):
        data = json.loads(path.read_text())
        for game in data["games"]:
            game["bytes"] = (case / "named" / f"{game['md5']}.parquet").stat().st_size
        path.write_text(json.dumps(data))


def _make_encoded(case: Path) -> None:
    _make_dataset(case)
    encode(case / "named", V22, 1)


def _load_encoded(case: Path) -> None:
    games = StoredGames(case / "named", usable_games(case / "named", V22), V22)
    games.corpus(range(len(games.names)))
    games.take(np.arange(int(games.lengths.sum())))


def _make_replay(case: Path) -> None:
    """The parts of a replay's file, without a game; test_replays.py has real ones."""
    (case / "a.slp").write_bytes(b"{U\x03raw[$U#l\x00\x00\x00\x00" + bytes(300) + b"U\x08metadata{}}")


def _load_replay(case: Path) -> None:
    with suppress(RecordingError):
        read_replay(case / "a.slp")


def _make_run(name: str) -> Callable[[Path], None]:
    def make(case: Path) -> None:
        for folder in (case / "named", case / "named" / "best"):
            folder.mkdir()
            save_checkpoint(folder, replace(random_checkpoint(MODELS[name]), split=SPLIT))

    return make


def _load_run(case: Path) -> None:
    from wm_train.nets.predict import checkpoint_model

    for run in (case / "named", case / "named" / "best"):
        checkpoint = load_checkpoint(run)
        checkpoint_model(checkpoint)
        prove(from_checkpoint(checkpoint, digest(run)))
        use_of_split("run", checkpoint.split, checkpoint.config.train.holdout)


def _sign_run(case: Path) -> None:
    for run in (case / "named", case / "named" / "best"):
        _rehash(run, "run.json", "model.safetensors")


def _make_resume(case: Path) -> None:
    write_dataset(case / "dataset", [20, 15])
    _train(case, stop=True)


def _train(case: Path, stop: bool = False) -> None:
    """Train two steps, or go on; `stop` breaks off and leaves the state of the beginning."""
    from wm_train.fit.train import Job, train

    def report(progress: object) -> None:
        if stop:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        train(Job(case / "dataset", case / "named", CONFIG, resume=not stop), report)


def _make_weights(case: Path) -> None:
    """A network of torchao's, as one is saved that has been quantized; with a few tensors, so that each is met."""
    import torch

    from wm_train.nets import ao
    from wm_train.nets.predict import trained_network

    net = trained_network(random_checkpoint(MODELS["smallest"]))
    ao.quantize_(net, ao.Int8DynamicActivationInt8WeightConfig(set_inductor_config=False))
    torch.save(net.state_dict(), case / "weights.pt")


def _load_weights(case: Path) -> None:
    from wm_train.fit.weights import read_weights

    read_weights(case / "weights.pt", MODELS["smallest"])


def _load_config(case: Path) -> None:
    load_config(case / "config.yaml")


def _load_sweep(case: Path) -> None:
    from wm_train.fit.sweep import load_sweep

    load_sweep(case / "sweep.yaml")


def _make_lock(case: Path) -> None:
    (case / "named").mkdir()
    (case / "named" / LOCK_NAME).write_text('{"pid": 12, "verb": "train", "since": "2026-01-01T00:00:00Z"}')


def _load_lock(case: Path) -> None:
    """Once while another has the lock, as its file says, and once while nobody has."""
    import fcntl

    path = case / "named" / LOCK_NAME
    if path.is_file() and not path.is_symlink():
        with path.open("rb") as held, suppress(WmTrainError):
            fcntl.flock(held, fcntl.LOCK_EX)
            with one_writer(case / "named", "train"):
                raise AssertionError("two writers")
    with one_writer(case / "named", "train"):
        pass


# ------------------------------------------------------------------------------------------------ networks and exports


def _make_qnet(name: str) -> Callable[[Path], None]:
    return lambda case: save_qnet(case / "named", _net(name))


@cache
def _net(name: str) -> QNet:
    return small_qnet(MODELS[name])


def _load_qnet(case: Path) -> None:
    net = load_qnet(case / "named")
    prove(net)
    encoding = net.world.encoding
    inputs = random_inputs(np.random.default_rng(0), 1, fields=encoding.controls)
    Interpreter(net).step(Interpreter(net).begin(random_window(encoding, 1)), inputs)
    if net.model.arch == "mlp":
        lower(net)


def _sign_qnet(case: Path) -> None:
    _rehash(case / "named", "qnet.json", "qnet.safetensors")


def _load_golden(case: Path) -> None:
    path, about = case / "named" / "lut.safetensors", Artifact(WmTrainError, "make it again", 1 << 20)
    parse_arrays(about.read(path), path, about)


def _make_golden(case: Path) -> None:
    (case / "named").mkdir()
    (case / "named" / "lut.safetensors").write_bytes((GOLDEN / "lut.safetensors").read_bytes())


def _make_export(case: Path) -> None:
    export_programs({name: Wanted(_net("smallest")) for name in PROGRAMS}, case / "named")
    for sources in ("onchain", *(f"programs/{name}/world" for name in PROGRAMS)):
        shutil.rmtree(case / "named" / sources)  # test_hostile_sources.py changes those


def _load_export(case: Path) -> None:
    for name in program_names(case / "named"):
        open_export(case / "named", name)


def _sign_export(case: Path) -> None:
    for name in PROGRAMS:
        _rehash(case / "named" / "programs" / name / "qnet", "qnet.json", "qnet.safetensors")


def _make_bolt(case: Path) -> None:
    parts = small_parts(encoding="v1", slots=1)
    export_bolt(from_checkpoint(composed(parts), "ab" * 32), case / "named")
    shutil.rmtree(case / "named" / "bolt" / "workspace")


def _make_build(case: Path) -> None:
    """What a build leaves, without a build."""
    _make_export(case)
    made = open_export(case / "named", "first")
    made.program.parent.mkdir(parents=True)
    names = made.lowered.names
    overheads = {"ops": dict.fromkeys(names, 100), "steps": [5_000] * len(made.lowered.plan), "merge": 200,
                 "peak": 300, "toolchain": "none"}  # fmt: skip
    atomic_write_json(made.program.parent / "overheads.json", overheads)
    for path in (made.program, made.meter):
        path.write_bytes(b"\x7fELF" + bytes(200))
    keep_record(made, BuildInfo(DEFAULT_ARCH, "none", (), "", 0))


def _load_build(case: Path) -> None:
    made = open_export(case / "named", "first")
    check_built(made, "program.so", "meter.so")
    predicted(made)


def _sign_build(case: Path) -> None:
    """As if this user's `wmq build` had made it: so that what is behind the record is reached."""
    folder = case / "named" / "programs" / "first" / "build"
    path = folder / RECORD
    with suppress(*UNSIGNED):
        text = path.read_text()
        for name, old in json.loads(text)["files"].items():
            text = text.replace(old, hashlib.sha256((folder / name).read_bytes()).hexdigest())
        path.write_text(text)
    with suppress(OSError):
        (cache_folder() / "builds" / hashlib.sha256(path.read_bytes()).hexdigest()).touch()


def _make_onnx(case: Path) -> None:
    (case / "named").mkdir()
    export_onnx(_net("smallest"), case / "named" / "world.onnx")


def _load_onnx(case: Path) -> None:
    net = _net("smallest")
    state = Interpreter(net).begin(random_window(net.world.encoding, 1))
    OrtRunner(case / "named" / "world.onnx").step(state, np.zeros((1, 2, len(net.world.game.controls)), np.int8))


# ------------------------------------------------------------------------------------------- wallets, chains, sessions


def _make_keypair(case: Path) -> None:
    path = case / "payer.json"
    path.write_text(json.dumps(list(bytes(Keypair.from_seed(bytes(range(32)))))))
    path.chmod(0o600)


def _make_log(case: Path) -> None:
    somebody = str(Keypair.from_seed(bytes(32)).pubkey())
    agreed = Agreed(somebody, "7", somebody, somebody)
    about = About(somebody, somebody, somebody, "ab" * 32, (1, 2, 3, 0), 2, agreed=agreed)
    with new_log(case / "named", about) as log:
        for number in range(9):
            log.append(bytes([number]) * RECORD_BYTES)
        log.intend(3, bytes(log.codec.inputs_size))
    kept = {"format": FORMAT, "frames": 5, "root": "ab" * 32, "ended": False}
    (case / "named" / "committed.json").write_text(json.dumps(kept))
    data = bytearray(SESSION.size)
    data[SESSION.place("tag")], data[SESSION.place("version")] = SESSION.tag, U32.pack(ACCOUNT_VERSION)
    commit = Commit(subject_of(about), 10**6, bytes(data)).to_json()
    (case / "named" / "commits.json").write_text(json.dumps({"format": COMMITS_FORMAT, "commits": [commit]}))


def _load_log(case: Path) -> None:
    log = read_log(case / "named")
    log.tree.root()
    if log.about.agreed is not None:
        log.agreed_address()
    last_commit(case / "named")
    commits_beside(case / "named", subject_of(log.about))
    with open_log(case / "named") as log:
        log.intended(3)
        log.append(bytes(RECORD_BYTES))
        log.intend(9, bytes(log.codec.inputs_size))


def _on_chain(case: Path) -> Iterator[Chain]:
    genesis = Genesis()
    with closing(Ledger(case / "named" / "ledger.bin", genesis.digest())) as ledger:
        yield Chain(genesis, ledger, 400)


def _make_ledger(case: Path) -> None:
    for chain in _on_chain(case):
        for number in range(20, 25):
            chain.airdrop(Pubkey.from_bytes(bytes([number]) * 32), 1_000_000)


def _load_ledger(case: Path) -> None:
    for chain in _on_chain(case):
        chain.account(Pubkey.from_bytes(bytes([20]) * 32))


def _make_programs(case: Path) -> None:
    (case / "named").mkdir()
    (case / "named" / f"{Pubkey.from_bytes(bytes(range(32)))}.so").write_bytes(b"\x7fELF" + bytes(400))


def _load_programs(case: Path) -> None:
    genesis = Genesis(read_programs([case / "named"]))
    with suppress(WmLiveError):  # no program is one of these
        genesis.load_into(LiteSVM())


# ------------------------------------------------------------------------------------------------------ kept figures


def _make_figures(case: Path) -> None:
    with _in(case):
        save_qnet(project.QNET, _net("smallest"))
        kept = {f"evaluate-{form}": evaluation(0.25, form=form) for form in ("qnet", "qat", "float", "ptq")}
        kept |= {"cu": CU, "parity": PARITY, "rollout-qnet": DRIFT, "speculate-qnet": SPECULATION}
        kept |= {"build": {"size": 54_321, "toolchain": "debian", "versions": ["rustc 9", "linker 3"]}}
        for name, figures in kept.items():
            project.keep_figures(name, figures)


def _load_figures(case: Path) -> None:
    from wm_cli.page.report import write_report

    with _in(case):
        write_report(Path("report.html"), project.DATASET)


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


LOADERS: Mapping[str, Loader] = {
    "dataset": Loader(_make_dataset, _load_dataset, sign=_sign_dataset),
    "encodings": Loader(_make_encoded, _load_encoded, ("named/encoded/**/*",)),
    "encode": Loader(_make_encoded, lambda case: encode(case / "named", V22, 1), weight=2),
    "replay": Loader(_make_replay, _load_replay, named="", linked=True, weight=2),
    "run": Loader(_make_run("mlp"), _load_run, sign=_sign_run, weight=2),
    "run of a mamba2": Loader(_make_run("mamba2"), _load_run, sign=_sign_run, weight=1),
    "resume": Loader(
        _make_resume,
        _train,
        ("named/resume.pt", "named/resume.pt", "named/manifest.json"),
        weight=1,
    ),
    "weights": Loader(_make_weights, _load_weights, named="", linked=True, weight=2),
    "config": Loader(lambda case: (case / "config.yaml").write_text(YAML), _load_config, named="", linked=True),
    "sweep": Loader(
        lambda case: [(case / name).write_text(text) for name, text in (("base.yaml", YAML), ("sweep.yaml", SWEEP))],
        _load_sweep,
        named="",
        linked=True,
    ),
    "lock": Loader(_make_lock, _load_lock, weight=1),
    "QNet": Loader(_make_qnet("mlp"), _load_qnet, sign=_sign_qnet),
    "QNet of a mamba2": Loader(_make_qnet("mamba2"), _load_qnet, sign=_sign_qnet),
    "golden vectors": Loader(_make_golden, _load_golden),
    "export": Loader(
        _make_export,
        _load_export,
        ("named/manifest.json",) * 3 + ("named/programs/*/blob.bin", "named/programs/*/qnet/*"),
        sign=_sign_export,
    ),
    "export to BOLT": Loader(
        _make_bolt,
        lambda case: open_bolt(case / "named"),
        ("named/manifest.json",) * 3 + ("named/bolt/weights/*", "named/bolt/qnet/*"),
        sign=lambda case: _rehash(case / "named" / "bolt" / "qnet", "qnet.json", "qnet.safetensors"),
        weight=1,
    ),
    "build": Loader(_make_build, _load_build, ("named/programs/first/build/*",), sign=_sign_build),
    "ONNX graph": Loader(_make_onnx, _load_onnx, linked=True, weight=2),
    "keypair": Loader(_make_keypair, lambda case: load_keypair(case / "payer.json"), named="", linked=True),
    "session log": Loader(_make_log, _load_log),
    "ledger": Loader(_make_ledger, _load_ledger),
    "programs": Loader(_make_programs, _load_programs, linked=True, weight=1),
    "figures": Loader(_make_figures, _load_figures, ("figures/*.json",), named="figures", weight=4),
}
