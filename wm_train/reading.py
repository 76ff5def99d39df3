"""Files that anyone may have written. Size first, then syntax, then schema: nothing in them is believed before.

The only module that turns a file's text into values. Whatever is wrong with a file ends in one line of the exception
that its format names; the file is opened once, is a regular one, and is not read beyond its format's size.
"""

import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from wm_train.json_schema import INT64_MAX, INT64_MIN, Schema, SchemaError, shown

if TYPE_CHECKING:
    from yaml import SafeLoader

#: A number of more characters fits 64 bits in no spelling that wmq writes.
_INTEGER_CHARACTERS = 20
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
#: How numbers are written in YAML 1.2: 1e-3 is one, while 1:30 and 010, which YAML 1.1 reads as 90 and 8, are not.
_YAML_NUMBERS = {
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(?:0|[1-9][0-9_]*)$"),
    "tag:yaml.org,2002:float": re.compile(
        r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))$"
        r"|\.(?:nan|NaN|NAN)$"
    ),
}
#: A config, or a sweep: what a person writes.
YAML_MAX_BYTES = 1 << 16
#: Lists and objects of an honest JSON file lie no deeper in each other.
_MOST_DEPTH = 32


class UnreadableError(Exception):
    """A file cannot be read. reason: unreadable, not_a_file or too_large; detail: more words."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Artifact:
    """What is known of a file before it is opened.

    error      the exception of whoever reads it: of its text
    again      the next step where it is not as it should be
    max_bytes  more are not read
    linked     whether it may be a symbolic link: a file that the user has named, not one in an artifact's folder
    """

    error: type[Exception]
    again: str
    max_bytes: int
    linked: bool = False

    def refuse(self, path: Path, why: object) -> Exception:
        """The error of a file, in one line."""
        return self.error(f"{path}: {one_line(why)}; {self.again}")

    def read(self, path: Path) -> bytes:
        """The file's bytes."""
        try:
            return read_file(path, self.max_bytes, self.linked)
        except UnreadableError as error:
            raise self.refuse(path, f"cannot be read: {error}") from None

    def check(self, path: Path) -> None:
        """The exception, unless `path` may be given to a library that opens it by itself."""
        try:
            found = os.stat(path, follow_symlinks=self.linked)
        except (OSError, ValueError) as error:
            raise self.refuse(path, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
        if not stat.S_ISREG(found.st_mode) or found.st_size > self.max_bytes:
            raise self.refuse(path, f"expected a regular file of at most {self.max_bytes} bytes, not a link")


@dataclass(frozen=True, kw_only=True)
class JsonArtifact(Artifact):
    """A file in JSON. schema: of the whole file. format: of a file that names its own, with the key `format`."""

    schema: Schema
    format: str = ""


def one_line(text: object, most: int = 400) -> str:
    """A text of others as a part of a line: no control characters, not long."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())[:most]


def read_file(path: Path, max_bytes: int, linked: bool) -> bytes:
    """The bytes of a file of at most `max_bytes`, opened as by `open_file`. Raises UnreadableError."""
    with open_file(path, linked) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise UnreadableError("too_large", f"expected at most {max_bytes} bytes, got {size}")
        try:
            return file.read(size)
        except OSError as error:
            raise _unreadable(error) from None


def open_file(path: Path, linked: bool) -> BinaryIO:
    """A regular file, open to be read, not through a link unless it may be `linked`. Raises UnreadableError."""
    # O_NONBLOCK: opening a pipe must not wait for a writer. The check is on what was opened, not on its name.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if linked else os.O_NOFOLLOW)
    try:
        if not linked and path.is_symlink():
            raise UnreadableError("not_a_file", "expected a file, got a link")
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as error:
        raise _unreadable(error) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnreadableError("not_a_file", "expected a regular file")
    return open(descriptor, "rb")


def _unreadable(error: OSError | ValueError) -> UnreadableError:
    """ValueError: a zero byte in the name."""
    words = error.strerror if isinstance(error, OSError) else str(error)
    return UnreadableError("unreadable", words or type(error).__name__)


def read_json(path: Path, about: JsonArtifact) -> Any:
    """What a JSON file holds, fit to its schema; else the exception that `about` names."""
    return parse_json(about.read(path), path, about)


def parse_json(raw: bytes, path: Path, about: JsonArtifact) -> Any:
    """`read_json` of bytes at hand, which came from `path`.

    UTF-8 without doubled keys, NaN, infinities, integers past 64 bits and halves of surrogate pairs.
    """
    try:
        data = _plain_json(raw)
        _check_format(data, about.format)
    except ValueError as error:
        raise about.refuse(path, error) from None
    check_json(data, about.schema, path, about)
    return data


def check_json(data: object, schema: Schema, path: Path, about: Artifact, where: str = "") -> None:
    """The exception that `about` names, unless `data`, found in `path` under the key `where`, fits a schema."""
    try:
        schema(data, where)
    except SchemaError as error:
        raise about.refuse(path, error) from None


def _check_format(data: object, wanted: str) -> None:
    if wanted and (not isinstance(data, dict) or data.get("format") != wanted):
        got = shown(data.get("format") if isinstance(data, dict) else data)
        raise SchemaError(f"expected format {wanted}, got {got}")


def _plain_json(raw: bytes) -> Any:
    text = raw.decode("utf-8")
    try:
        data = json.loads(
            text, object_pairs_hook=_unique, parse_int=_integer, parse_float=_finite, parse_constant=_no_constant
        )
    except json.JSONDecodeError as error:
        raise SchemaError(f"expected JSON, got {error}") from None
    except RecursionError:
        raise _too_deep() from None
    _check_depth(data)
    if _SURROGATE.search(text):
        json.dumps(data, ensure_ascii=False).encode("utf-8")  # a pair is a character, a half of one is none
    return data


def _too_deep() -> SchemaError:
    return SchemaError(f"expected JSON, got one that is nested deeper than {_MOST_DEPTH}")


def _check_depth(data: object) -> None:
    """Code that calls itself for what is inside, as that of json.dumps, fails on depths that the parser passes."""
    layer = [data]
    for _ in range(_MOST_DEPTH):
        layer = [one for part in layer for one in _parts(part) if isinstance(one, list | dict)]
    if layer:
        raise _too_deep()


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) < len(pairs):
        keys = [key for key, _ in pairs]
        raise SchemaError(f"the key {next(k for k in keys if keys.count(k) > 1)!r:.60} stands twice in one object")
    return data


def _integer(digits: str) -> int:
    value = int(digits) if len(digits) <= _INTEGER_CHARACTERS else INT64_MAX + 1
    if not INT64_MIN <= value <= INT64_MAX:
        raise SchemaError(f"the number {digits:.30} does not fit 64 bits")
    return value


def _finite(digits: str) -> float:
    if not isfinite(value := float(digits)):
        raise SchemaError(f"the number {digits:.30} is no finite one")
    return value


def _no_constant(name: str) -> float:
    raise SchemaError(f"expected finite numbers, got {name}")


def parse_arrays(raw: bytes, path: Path, about: Artifact) -> dict[str, NDArray[Any]]:
    """Arrays by name of a safetensors file's bytes, which came from `path`."""
    try:
        return load(raw)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise about.refuse(path, f"expected safetensors, got {error!r}") from None


def read_yaml(path: Path, error: type[Exception]) -> Any:
    """What a YAML file that the user has named holds: plain values, without aliases, tags, doubled keys, and numbers
    that are not finite or do not fit 64 bits; else `error`."""
    import yaml

    about = Artifact(error, "mend the file", YAML_MAX_BYTES, linked=True)
    try:
        data = yaml.load(about.read(path).decode("utf-8"), _yaml_loader())
        _check_numbers(data)
    except (ValueError, RecursionError, yaml.YAMLError) as failure:
        raise about.refuse(path, f"cannot be read as YAML: {failure}") from None
    return data


def _yaml_loader() -> "type[SafeLoader]":
    import yaml

    class PlainLoader(yaml.SafeLoader):
        """A SafeLoader without what makes a small file large, or hides a line."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            if isinstance(event, yaml.AliasEvent) or event.tag is not None:
                raise SchemaError(f"line {event.start_mark.line + 1}: expected no alias and no tag")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    raise SchemaError(f"line {key.start_mark.line + 1}: the key {key.value!r:.60} stands twice")
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    PlainLoader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in known if tag not in _YAML_NUMBERS]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for tag, pattern in _YAML_NUMBERS.items():
        PlainLoader.add_implicit_resolver(tag, pattern, list("-+.0123456789"))
    return PlainLoader


def _check_numbers(value: object) -> None:
    if isinstance(value, dict):
        for key, one in value.items():
            _check_numbers(key)
            _check_numbers(one)
    elif isinstance(value, list | tuple | set):
        for one in value:
            _check_numbers(one)
    elif (isinstance(value, float) and not isfinite(value)) or (
        isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX
    ):
        raise SchemaError(f"the number {value!r:.30} is not finite, or does not fit 64 bits")
