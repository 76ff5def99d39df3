"""What a stranger may do to an artifact: to the bytes of a file, to the values in it, and to the files of a folder.

Everything follows from the `Random` that is handed in.
"""

import io
import json
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from zipfile import ZipFile

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

Mutation = Callable[[Random, bytes], bytes]

DEEP = 100_000
#: Values that stand for others, as JSON (and so as YAML).
TOKENS = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e308", "5e-324", "-0.0", "0.5", "1e2", "0", "1", "-1", "255",
    "65536", str(2**31), str(2**53 + 1), str(2**63 - 1), str(-(2**63)), str(2**63), str(2**64 - 1), str(2**64),
    "9" * 5_000, "true", "false", "null", '""', '"a"', '"0"', '"NaN"', '"\\u0000"', '"\\ud800"', '"\\u202e\\u2066"',
    '"../../../../tmp/evil"', '"/etc/passwd"', '"\\u001b[2J\\u001b]0;x\\u0007"', '"[bold red]x[/bold red]"',
    '"<script>alert(1)</script>"', '"a\\nb"', '"$(id)"', '"a b"', '"fn"', '"__class__"', '"\\u4e2d\\ud83d\\ude00"',
    '"' + "x" * 5_000 + '"', '"' + "0" * 64 + '"', "[]", "{}", "[null]", "[[]]", '{"": {}}', '{"a": 1, "a": 2}',
    '{"kind": []}', "[1, 2, 3]", "[" + "1, " * 1_999 + "1]", "[" * 40 + "]" * 40, "[" * DEEP + "]" * DEEP,
    '{"a":' * 40 + "1" + "}" * 40, "[" * DEEP,
)  # fmt: skip
NAMES = ("", "a", "../evil", "a/b", "\x00", "\x1b[2J", "[bold]", "<b>", "__proto__", "x" * 5_000, "\u202e", "sha256",
         "format", "kind", "name")  # fmt: skip
_HOLE, _TWIN = "@@HOLE@@", "@@TWIN@@"
#: Numbers that a length or an offset may be overwritten with.
_NUMBERS = [struct.pack("<Q", n) for n in (0, 1, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)]


def mutate_bytes(rng: Random, raw: bytes) -> bytes:
    """One to three changes of bytes that mean nothing to who makes them."""
    for _ in range(rng.randint(1, 3)):
        raw = rng.choice(_BYTES)(rng, raw)
    return raw


def _place(rng: Random, raw: bytes) -> int:
    """Somewhere; at the ends as often as between them, because headers are there."""
    if not raw:
        return 0
    near = min(len(raw), 64)
    return rng.choice([rng.randrange(len(raw)), rng.randrange(near), len(raw) - 1 - rng.randrange(near)])


def _flip(rng: Random, raw: bytes) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.randint(1, 8) if raw else 0):
        out[_place(rng, raw)] ^= 1 << rng.randrange(8)
    return bytes(out)


def _truncate(rng: Random, raw: bytes) -> bytes:
    return raw[: _place(rng, raw)]


def _insert(rng: Random, raw: bytes) -> bytes:
    at = _place(rng, raw)
    return raw[:at] + rng.randbytes(rng.randint(1, 40)) + raw[at:]


def _remove(rng: Random, raw: bytes) -> bytes:
    at = _place(rng, raw)
    return raw[:at] + raw[at + rng.randint(1, 40) :]


def _overwrite(rng: Random, raw: bytes) -> bytes:
    at, new = _place(rng, raw), rng.choice(_NUMBERS)[: rng.choice([1, 2, 4, 8])]
    return raw[:at] + new + raw[at + len(new) :]


def _repeat(rng: Random, raw: bytes) -> bytes:
    at = _place(rng, raw)
    return raw[:at] + raw[at : at + rng.randint(1, 200)] * rng.randint(2, 50) + raw[at:]


def _swap(rng: Random, raw: bytes) -> bytes:
    at = _place(rng, raw)
    return raw[at:] + raw[:at]


_BYTES: tuple[Mutation, ...] = (_flip, _flip, _truncate, _insert, _remove, _overwrite, _overwrite, _repeat, _swap)


def mutate_json(rng: Random, raw: bytes) -> bytes:
    """One to three changes of a JSON text that its syntax says where to make."""
    if rng.random() < 0.1:
        return rng.choice(_TEXTS)(rng, raw)
    data = json.loads(raw)
    for _ in range(rng.randint(0, 2)):
        data = change_value(rng, data)
    return _with_token(rng, data) if rng.random() < 0.6 else json.dumps(change_value(rng, data)).encode()


_TEXTS: tuple[Mutation, ...] = (
    lambda rng, raw: b"\xef\xbb\xbf" + raw,
    lambda rng, raw: raw.decode().encode("utf-16"),
    lambda rng, raw: raw + rng.choice([b"]", b"{}", b"\x00", b"\xff"]),
    lambda rng, raw: rng.choice(TOKENS).encode(),
    lambda rng, raw: b"",
    mutate_bytes,
)


def _nodes(data: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything inside."""
    found: list[tuple[Any, Any]] = []
    if hasattr(data, "tensor_data_names"):  # a tensor of torchao's is an object of parts
        data = vars(data)
    if isinstance(data, dict | list):
        for key in list(data) if isinstance(data, dict) else range(len(data)):
            found += [(data, key), *_nodes(data[key])]
    return found


def _with_token(rng: Random, data: Any) -> bytes:
    """The text with one value of it replaced by a token, or one key doubled or renamed."""
    nodes = _nodes(data)
    if not nodes:
        return rng.choice(TOKENS).encode()
    holder, key = rng.choice(nodes)
    token = rng.choice(TOKENS)
    if isinstance(holder, dict) and rng.random() < 0.1:
        holder[_TWIN + str(key)] = holder[key]
    else:
        holder[key] = _HOLE
    return json.dumps(data).replace(f'"{_HOLE}"', token).replace(_TWIN, "").encode()


def change_value(rng: Random, data: Any) -> Any:
    """Values, or the text with them, changed in one place: gone, renamed, added, near, or of another place."""
    nodes = _nodes(data)
    if not nodes:
        return data
    holder, key = rng.choice(nodes)
    rng.choice(_VALUES)(rng, holder, key, nodes)
    return data


def _drop(rng: Random, holder: Any, key: Any, nodes: Any) -> None:
    del holder[key]


def _rename(rng: Random, holder: Any, key: Any, nodes: Any) -> None:
    if isinstance(holder, dict):
        holder[rng.choice(NAMES)] = holder.pop(key)


def _add(rng: Random, holder: Any, key: Any, nodes: Any) -> None:
    if isinstance(holder, dict):
        holder[rng.choice(NAMES)] = rng.choice([None, 1, "x", [], {}])
    else:
        holder.append(holder[key])


def _near(rng: Random, holder: Any, key: Any, nodes: Any) -> None:
    value = holder[key]
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int | float):
        holder[key] = rng.choice([value + 1, value - 1, -value, value * 2, value * 10**6, float(value), str(value)])
    elif isinstance(value, str):
        holder[key] = rng.choice([value.upper(), value[:-1], value + "0", value + "\n", f"../{value}", value[::-1]])
    elif isinstance(value, list):
        holder[key] = rng.choice([value[:-1], value * 2, value[::-1], [value]])


def _elsewhere(rng: Random, holder: Any, key: Any, nodes: Any) -> None:
    other, name = rng.choice(nodes)
    if isinstance(other, list) and name >= len(other):
        return
    # a copy: values that hold themselves are no JSON
    holder[key] = json.loads(json.dumps(other[name]))


_VALUES: tuple[Callable[[Random, Any, Any, Any], None], ...] = (_drop, _rename, _add, _near, _near, _elsewhere)


def mutate_yaml(rng: Random, raw: bytes) -> bytes:
    """A config as JSON (which is YAML) with changes, or as text with what YAML alone can say."""
    if rng.random() < 0.6:
        return mutate_json(rng, json.dumps(yaml.safe_load(raw)).encode())
    lines = raw.decode().splitlines() or [""]
    lines.insert(rng.randint(0, len(lines)), rng.choice(_YAML_LINES))
    return "\n".join(lines).encode()


_BOMB = "a: &a [1,1,1,1,1,1,1,1]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)
)
_YAML_LINES = (
    _BOMB, "x: &x {y: *x}", "<<: {model: 1}", "model: !!python/object/apply:os.system ['touch ran']",
    "? [a, b]\n: 1", "? {a: 1}\n: 1", "train: .nan", "train: {minutes: .inf}", "train: {steps: 0x7fffffffffffffffff}",
    "train: {steps: 1_000}", "train: {seed: 1e3}", "model: 2026-01-01", "model: !!binary aGk=", "model: !!set {a, b}",
    "--- 1\n--- 2", "%YAML 9.9", "\t", "model: {model: {model: {model: 1}}}", "[" * 3_000, "{a: " * 3_000, "null: 1",
    "1: 2", "model: ~", "train: {losses: {horizon: [.nan]}}", "train: {losses: {horizon: [1, [2]]}}",
    "model: {bits: {heads: 4.0}}", "model: {bits: {[1]: 4}}", "model: {arch: [mlp]}", "model: {game: {}}",
    "model: {flags: {lookahead: 9999999999999999999}}", "train: {minutes: 1}", "train: {steps: 60:30:10}",
    "model: !!timestamp 1", "!!map {}", "model: !<tag:yaml.org,2002:python/name:os.system> x", "- 1", "a" * 60_000,
)  # fmt: skip


def mutate_safetensors(rng: Random, raw: bytes) -> bytes:
    """The header as JSON with changes, its length made right or not; or bytes."""
    (length,) = struct.unpack("<Q", raw[:8])
    if rng.random() < 0.4 or length > len(raw):
        return mutate_bytes(rng, raw)
    header = mutate_json(rng, raw[8 : 8 + length])
    said = len(header) if rng.random() < 0.9 else rng.choice([0, 2**31, 2**63, 2**64 - 1, len(header) + 1])
    return struct.pack("<Q", said) + header + raw[8 + length :]


def mutate_npy(rng: Random, raw: bytes) -> bytes:
    """The header's text with changes."""
    end = raw.index(b"\n") + 1
    header = raw[10:end].decode("latin-1")
    change = rng.choice(["'|O'", "'<i8'", "__import__('os').system('touch ran')", "True", "(10**9,)", "(-1,)", "(((",
                         "'" + "x" * 70_000 + "'", "{}", "lambda: 0", "\x00"])  # fmt: skip
    part = rng.choice(re.findall(r"'[^']*'|\([^()]*\)|\d+|False", header))
    new = header.replace(part, change, 1).encode("latin-1")
    length = len(new) if rng.random() < 0.8 else rng.randrange(1 << 16)
    return raw[:8] + struct.pack("<H", min(length, 65_535)) + new + raw[end:]


def mutate_parquet(rng: Random, raw: bytes) -> bytes:
    """What the file says of itself, or its table, with changes; or bytes."""
    if rng.random() < 0.5:
        return mutate_bytes(rng, raw)
    table = pq.read_table(io.BytesIO(raw))
    return rng.choice(_TABLES)(rng, table)


def _packed(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _other_words(rng: Random, table: pa.Table) -> bytes:
    words = dict(table.schema.metadata)
    key = rng.choice(sorted(words))
    words[key] = mutate_json(rng, words[key]) if words[key].startswith(b"{") else rng.choice(TOKENS).encode()
    return _packed(table.replace_schema_metadata(words))


def _other_column(rng: Random, table: pa.Table) -> bytes:
    at = rng.randrange(table.num_columns)
    rows, name = table.num_rows, table.column_names[at]
    column = rng.choice([
        pa.array([None] * rows, pa.int32()), pa.array([float("nan")] * rows), pa.array([2**63 - 1] * rows),
        pa.array(["x"] * rows), pa.array([[1]] * rows), pa.array([None] * rows, table.schema.field(at).type),
    ])  # fmt: skip
    return _packed(table.set_column(at, name, column))


def _other_rows(rng: Random, table: pa.Table) -> bytes:
    return _packed(rng.choice([table.slice(0, 0), table.slice(1), pa.concat_tables([table] * 3)]))


def _other_columns(rng: Random, table: pa.Table) -> bytes:
    at = rng.randrange(table.num_columns)
    named = table.column_names
    named[at] = rng.choice(NAMES)
    return _packed(rng.choice([table.remove_column(at), table.rename_columns(named)]))


_TABLES: tuple[Callable[[Random, pa.Table], bytes], ...] = (
    _other_words, _other_words, _other_column, _other_rows, _other_columns,
)  # fmt: skip


def mutate_pt(rng: Random, raw: bytes) -> bytes:
    """What torch has saved, with changes; or bytes, of the file or of the pickle in it."""
    import torch

    if (kind := rng.random()) < 0.5:
        return mutate_bytes(rng, raw) if kind < 0.25 else _other_pickle(rng, raw)
    data = torch.load(io.BytesIO(raw), weights_only=True)
    for _ in range(rng.randint(1, 2)):
        holder, key = rng.choice(_nodes(data))
        holder[key] = rng.choice([
            None, 0, -1, 2**60, 0.5, float("nan"), float("inf"), "x", [], {}, (), torch.zeros(3), torch.zeros(0),
            torch.full((2, 2), float("nan")), torch.zeros(3, dtype=torch.int8), torch.zeros(1).expand(2**40), [1, 2],
            {"a": torch.zeros(1)}, (1, "x"), torch.zeros(3, dtype=torch.complex64), True,
        ])  # fmt: skip
        if rng.random() < 0.2:
            del holder[key]
    out = io.BytesIO()
    torch.save(data, out)
    return out.getvalue()


def _other_pickle(rng: Random, raw: bytes) -> bytes:
    """A zip whose checksums are right."""
    out = io.BytesIO()
    with ZipFile(io.BytesIO(raw)) as given, ZipFile(out, "w") as packed:
        for name in given.namelist():
            entry = given.read(name)
            packed.writestr(name, mutate_bytes(rng, entry) if name.endswith("/data.pkl") else entry)
    return out.getvalue()


#: What is done to a file, by its ending; to all others what mutate_bytes does.
BY_SUFFIX: dict[str, Mutation] = {
    ".json": lambda rng, raw: mutate_json(rng, raw) if rng.random() < 0.85 else mutate_bytes(rng, raw),
    ".yaml": mutate_yaml,
    ".safetensors": mutate_safetensors,
    ".npy": lambda rng, raw: mutate_npy(rng, raw) if rng.random() < 0.5 else mutate_bytes(rng, raw),
    ".parquet": mutate_parquet,
    ".pt": mutate_pt,
}


def mutate_file(rng: Random, path: Path) -> None:
    """Change what a file holds."""
    path.write_bytes(BY_SUFFIX.get(path.suffix, mutate_bytes)(rng, path.read_bytes()))


def mutate_folder(rng: Random, path: Path, named: Path, outside: Path) -> None:
    """Change what a file is: gone, a link (to a copy of it in `outside` too), a folder, a pipe, enormous, or not alone;
    or make its folder a link, unless that is the folder `named` by the user, which may be one."""
    rng.choice(_FOLDERS if path.parent != named else _FILES)(rng, path, outside)


def _gone(rng: Random, path: Path, outside: Path) -> None:
    path.unlink()


def _linked(rng: Random, path: Path, outside: Path) -> None:
    shutil.copy2(path, outside / path.name)
    path.unlink()
    path.symlink_to(rng.choice([outside / path.name, outside / path.name, outside / "nothing", path, outside]))


def _folder_linked(rng: Random, path: Path, outside: Path) -> None:
    """The folder that the file is in."""
    folder = path.parent
    shutil.copytree(folder, outside / folder.name, dirs_exist_ok=True)
    shutil.rmtree(folder)
    folder.symlink_to(outside / folder.name)


def _a_folder(rng: Random, path: Path, outside: Path) -> None:
    path.unlink()
    path.mkdir()


def _a_pipe(rng: Random, path: Path, outside: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _enormous(rng: Random, path: Path, outside: Path) -> None:
    os.truncate(path, rng.choice([1 << 35, 1 << 40]))


def _company(rng: Random, path: Path, outside: Path) -> None:
    names = ("\x1b[2J", "[bold]x", ".hidden", "a b", "é", f"{path.stem}2{path.suffix}", f"{path.name}.part")
    beside = path.parent / rng.choice(names)
    rng.choice([lambda: beside.write_bytes(b"x"), lambda: beside.symlink_to(outside), beside.mkdir])()


_FILES: tuple[Callable[[Random, Path, Path], None], ...] = (
    _gone, _linked, _linked, _a_folder, _a_pipe, _enormous, _company, _company,
)  # fmt: skip
_FOLDERS = (*_FILES, _folder_linked, _folder_linked)
