"""Pieces of Rust text that every generated file is made of: templates with named holes, addresses, rustfmt."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from string import Template

from wm_export.errors import WmExportError
from wm_export.solana.sources import ONCHAIN

TEMPLATES = Path(__file__).parent / "templates"
RUSTFMT = ONCHAIN / "rustfmt.toml"


def upper(name: str) -> str:
    return name.upper().replace(".", "_")


def at(start: str, area: str, name: str, cast: str = "", extra: int = 0) -> str:
    """Address of `name` in the area that begins at `start`, `extra` bytes further, as a pointer to `cast`."""
    plus = f" + {extra}" if extra else ""
    return f"{start}.add({area}::{upper(name)}{plus})" + (f" as {cast}" if cast else "")


def call(function: str, *arguments: object) -> str:
    return f"{function}({', '.join(map(str, arguments))});"


def byte_rows(data: bytes) -> str:
    rows = ["    " + ", ".join(f"0x{b:02x}" for b in data[i : i + 8]) + "," for i in range(0, len(data), 8)]
    return "\n".join(rows)


def fill(template: str, holes: Mapping[str, object]) -> str:
    return Template((TEMPLATES / f"{template}.tmpl").read_text()).substitute(holes)


def rustfmt(text: str) -> str:
    """Formatted Rust, if this machine has rustfmt; else as it is."""
    if shutil.which("rustfmt") is None:
        return text
    done = subprocess.run(
        ["rustfmt", "--edition", "2021", "--config-path", str(RUSTFMT)],
        input=text,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise WmExportError(
            f"rustfmt refused generated code (this is a fault of wmq, please report it): {done.stderr[-500:]}"
        )
    return done.stdout
