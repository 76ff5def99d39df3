"""Pieces of Rust text that every generated file is made of: templates with named holes, addresses, layout."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from string import Template

from wm_export.errors import WmExportError
from wm_export.solana.sources import ONCHAIN
from wm_train.naming import constant_of

#: A name in generated code. Names of artifacts are stricter (wm_train/naming.py); games have some in upper case.
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,80}")
#: Words that no function of network.rs can have as a name: Rust's own, and what is there anyway.
# fmt: off
_TAKEN = frozenset((
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn", "else",
    "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match",
    "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static", "struct", "super", "trait",
    "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual", "where", "while", "yield", "addresses",
    "session_bias", "kernels",
))
# fmt: on
_COMMENT, _HOLE = re.compile(r"//.*"), re.compile(r"\$\{(\w+)\}")

TEMPLATES = Path(__file__).parent / "templates"
RUSTFMT = ONCHAIN / "rustfmt.toml"


def word(name: str) -> str:
    """`name`, if it is one word and so cannot end the comment, the text or the item that it is put into."""
    if not _WORD.fullmatch(name):
        raise WmExportError(f"{name!r:.60} is no name for generated code, expected letters, digits, _ and .")
    return name


def upper(name: str) -> str:
    return constant_of(word(name))


def function_name(routine: str) -> str:
    """The function of a routine."""
    name = word(routine).replace(".", "_")
    if name in _TAKEN:
        raise WmExportError(f"{routine} is a word of Rust, or of the generated crate; name the op otherwise")
    return name


def quoted(name: str) -> str:
    return f'"{word(name)}"'


def at(start: str, area: str, name: str, cast: str = "", extra: int | str = 0) -> str:
    """Address of `name` in the area that begins at `start`, `extra` bytes further (a number or an expression), as a
    pointer to `cast`."""
    plus = f" + {extra}" if extra else ""
    return f"{start}.add({area}::{upper(name)}{plus})" + (f" as {cast}" if cast else "")


def call(function: str, *arguments: object) -> str:
    return f"{function}({', '.join(map(str, arguments))});"


def byte_rows(data: bytes) -> str:
    rows = ["    " + ", ".join(f"0x{b:02x}" for b in data[i : i + 8]) + "," for i in range(0, len(data), 8)]
    return "\n".join(rows)


def fill(template: str, holes: Mapping[str, object], folder: Path = TEMPLATES) -> str:
    """A template of a folder with its holes filled. What fills one inside a comment stays in that comment."""
    text = (folder / f"{template}.tmpl").read_text()
    for name in (hole for comment in _COMMENT.findall(text) for hole in _HOLE.findall(comment)):
        if not str(holes[name]).isprintable():
            raise WmExportError(f"{template}: {str(holes[name])!r:.60} does not fit one line of a comment")
    return Template(text).substitute(holes)


def indented(text: str) -> str:
    """Rust whose lines that a hole was filled with stand as deep as the braces around them."""
    depth, lines = 0, []
    for line in text.splitlines():
        code = line.split("//")[0]
        shut = len(code) - len(code.lstrip("})]"))
        lines.append("    " * max(depth - shut, 0) + line if line and not line.startswith(" ") else line)
        depth += sum(map(code.count, "{([")) - sum(map(code.count, "})]"))
    return "\n".join(lines) + "\n"


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
