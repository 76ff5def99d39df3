"""Golden vectors of every op: what it reads and what it writes, of a few worlds.

`golden/<kind>.safetensors` holds the op's tensors (`tensor.<part>`), the vectors that it reads (`in.<name>`) and those
that it writes (`out.<name>`); its fields and the sizes of vectors are in the file's header, as JSON.

    python -m tests.wm_quant.golden_vectors KIND SEED      makes the file of a new op, by its `ref`
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.wm_quant.single import CASES, single
from wm_quant.interp import Trace, one_world
from wm_quant.ops.base import Op
from wm_quant.ops.kinds import OPS
from wm_quant.qnet import QNet

GOLDEN = Path(__file__).parent / "golden"


def write(kind: str, seed: int) -> None:
    """Make the file of one kind, by `ref`."""
    rng = np.random.default_rng(seed)
    case = CASES[kind](rng)
    net, op, values = case.net, case.op, case.values(rng, worlds=4)
    worlds = [op.ref(net, one_world(values, i)) for i in range(4)]
    written = {name: np.array([world[name] for world in worlds], np.int64) for name in worlds[0]}
    tensors = {f"tensor.{part}": net.tensor(op, part) for part in op.tensors(net)}
    tensors |= {f"in.{name}": value for name, value in values.items()}
    tensors |= {f"out.{name}": value for name, value in written.items()}
    meta = {"op": json.dumps({"kind": op.kind} | asdict(op)), "sizes": json.dumps(net.sizes)}
    whole = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    save_file(whole, GOLDEN / f"{kind}.safetensors", meta)


def read(kind: str) -> tuple[QNet, Op, Trace, Trace]:
    """Network, op, the vectors that it reads, and those that it must write."""
    with safe_open(GOLDEN / f"{kind}.safetensors", "numpy") as file:
        meta, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    fields: dict[str, Any] = json.loads(meta["op"])
    op = OPS[fields.pop("kind")](**fields)
    parts: dict[str, Trace] = {"tensor": {}, "in": {}, "out": {}}
    for name, array in arrays.items():
        group, _, key = name.partition(".")
        parts[group][key] = array
    sizes = {name: size for name, size in json.loads(meta["sizes"]).items() if name not in ("codes", op.out)}
    return single(op, parts["tensor"], sizes), op, parts["in"], parts["out"]


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]))
