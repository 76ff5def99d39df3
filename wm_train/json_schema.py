"""Schemas of JSON values: what a file must hold, written down once for each format.

A schema is a function of a value and of where that value stands; it raises SchemaError where the value does not fit.
Schemas are put together from smaller ones:

    GAME = record({"md5": text(pattern=MD5), "frames": integer(1, 1 << 20), "missing": list_of(text())})
"""

import re
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

from wm_train.naming import NAME

Schema = Callable[[object, str], None]

#: A digest in hex: of SHA-256, of MD5.
SHA256, MD5 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{32}")
#: A key of an object whose keys are not known: a line.
KEY = re.compile(r"[^\x00-\x1f\x7f-\xa0]{1,200}")
#: What `text` takes if nothing is said, in characters; a list and a mapping, in entries.
TEXT_MAX, ENTRIES_MAX = 4096, 1 << 20
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


class SchemaError(ValueError):
    """A value does not fit a schema. The text says where, expected and got, in one line."""


def fits(value: object, schema: Schema) -> bool:
    """Whether a value fits a schema."""
    try:
        schema(value, "")
    except SchemaError:
        return False
    return True


def refused(where: str, value: object, expected: str) -> SchemaError:
    """The error of a value that is not what was expected."""
    return SchemaError(f"{where or 'it'} is {shown(value)}, expected {expected}")


def shown(value: object) -> str:
    """A value as an error shows it: in one line, and short however large it is."""
    if isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "a list"
        return f"{kind} of {len(value)}"
    return f"{value!r:.60}"


def anything(value: object, where: str) -> None:
    """Whatever JSON can say: a part that its reader checks."""


def holds(accepts: Callable[[Any], bool], expected: str) -> Schema:
    """A value that `accepts` says yes to."""

    def check(value: object, where: str) -> None:
        if not accepts(value):
            raise refused(where, value, expected)

    return check


#: true or false.
boolean = holds(lambda value: type(value) is bool, "true or false")


def integer(low: int = INT64_MIN, high: int = INT64_MAX) -> Schema:
    """A whole number from `low` to `high`."""
    return holds(lambda value: type(value) is int and low <= value <= high, f"a whole number, {low} to {high}")


def number(low: float = -inf, high: float = inf) -> Schema:
    """A finite number from `low` to `high`, whole or not."""
    text = "a number" if (low, high) == (-inf, inf) else f"a number, {low:g} to {high:g}"
    return holds(lambda value: type(value) in (int, float) and -inf < value < inf and low <= value <= high, text)


#: A finite number above 0.
positive = holds(lambda value: type(value) in (int, float) and 0 < value < inf, "a number above 0")


def text(pattern: re.Pattern[str] | None = None, most: int = TEXT_MAX) -> Schema:
    """A text of at most `most` characters, which is all of `pattern`."""

    def accepts(value: object) -> bool:
        return isinstance(value, str) and len(value) <= most and (pattern is None or bool(pattern.fullmatch(value)))

    return holds(accepts, f"a text like {pattern.pattern}" if pattern else f"a text of at most {most} characters")


def one_of(*values: str) -> Schema:
    """One of these texts."""
    return holds(lambda value: isinstance(value, str) and value in values, " or ".join(values))


def nullable(schema: Schema) -> Schema:
    """null, or what fits `schema`."""

    def check(value: object, where: str) -> None:
        if value is not None:
            schema(value, where)

    return check


def list_of(schema: Schema, least: int = 0, most: int = ENTRIES_MAX) -> Schema:
    """A list of `least` to `most` values that fit `schema`."""
    is_list = holds(lambda value: isinstance(value, list) and least <= len(value) <= most, f"a list, {least} to {most}")

    def check(value: Any, where: str) -> None:
        is_list(value, where)
        for number, one in enumerate(value):
            schema(one, f"{where}[{number}]")

    return check


def row(*schemas: Schema) -> Schema:
    """A list of as many values as there are schemas, each of its own."""
    is_row = holds(lambda value: isinstance(value, list) and len(value) == len(schemas), f"a list of {len(schemas)}")

    def check(value: Any, where: str) -> None:
        is_row(value, where)
        for number, (one, schema) in enumerate(zip(value, schemas, strict=True)):
            schema(one, f"{where}[{number}]")

    return check


_is_object = holds(lambda value: isinstance(value, dict) and len(value) <= ENTRIES_MAX, "an object")


def mapping(schema: Schema, pattern: re.Pattern[str] = KEY) -> Schema:
    """An object whose keys are all of `pattern`, and whose values fit `schema`."""
    key_schema = text(pattern)

    def check(value: Any, where: str) -> None:
        _is_object(value, where)
        for key, one in value.items():
            key_schema(key, f"a key of {where or 'it'}")
            schema(one, _inside(where, key))

    return check


def record(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None, more: bool = False) -> Schema:
    """An object with the keys of `required`, and maybe those of `optional`; with `more`, any others too."""
    known = {**required, **(optional or {})}

    def check(value: Any, where: str) -> None:
        _is_object(value, where)
        for key, one in value.items():
            if key in known:
                known[key](one, _inside(where, key))
            elif not more:
                raise SchemaError(f"{where or 'it'} has a key {key!r:.60}, expected {', '.join(known)}")
        if lacking := required.keys() - value.keys():
            raise SchemaError(f"{where or 'it'} has no {', '.join(sorted(lacking))}")

    return check


def _inside(where: str, key: str) -> str:
    shown_key = key if NAME.fullmatch(key) else repr(key)
    return f"{where}.{shown_key}" if where else shown_key
