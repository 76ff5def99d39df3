"""program_idls.py: what Anchor's own library makes of the IDLs."""

import json
import subprocess
from pathlib import Path

import numpy as np
from solders.pubkey import Pubkey

from wm_export.bolt.bolt_export import BoltExport


def test_anchors_library_reads_a_component(anchor: Path, exported: BoltExport) -> None:
    one = exported.sliced.components.named("motion")
    values = {it.name: np.array([-7 - i, 9 << i]) for i, it in enumerate(one.members)}
    authority = Pubkey.new_unique()
    idl = exported.workspace_folder / "target" / "idl" / "motion.json"
    script = Path(__file__).with_name("read_component.cjs")
    command = ["node", str(script), str(anchor), str(idl), one.account(values, bytes(authority)).hex()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["account"].pop("boltMetadata") == {"authority": str(authority)}
    assert list(found["account"].values()) == [[int(v) for v in values[it.name]] for it in one.members]
    assert {"initialize", "update", "delegate", "undelegate", "destroy"} <= set(found["methods"])
