"""Types of the interface. Each knows its bytes (Borsh: little-endian, lists with a u32 length in front), its Rust type,
its name in both IDL specifications, and its words in the documents.

`pack` and `unpack` are inverse: numbers are ints, addresses and byte arrays are bytes, enums are a variant's name.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from wm_export.errors import WmExportError


@dataclass(frozen=True)
class Dialect:
    """How an IDL specification writes what the two write differently."""

    address: str
    defined_by_name: bool

    def defined(self, name: str) -> dict[str, Any]:
        """A reference to a type that stands in the IDL's own list."""
        return {"defined": name if self.defined_by_name else {"name": name}}


#: Anchor up to 0.29, and from 0.30 on.
OLD = Dialect("publicKey", defined_by_name=True)
NEW = Dialect("pubkey", defined_by_name=False)


class Type(Protocol):
    """What every type has. `size` is in bytes and 0 for what has none of its own, lists and named counts."""

    @property
    def size(self) -> int: ...

    @property
    def rust(self) -> str: ...

    @property
    def words(self) -> str: ...

    def idl(self, dialect: Dialect) -> Any: ...

    def pack(self, value: Any) -> bytes: ...

    def unpack(self, raw: bytes) -> Any: ...

    def sized(self, sizes: Mapping[str, int]) -> "Type": ...


@dataclass(frozen=True)
class Number:
    """An integer (or a bool, one byte)."""

    name: str
    code: str

    @property
    def size(self) -> int:
        """Bytes."""
        return struct.calcsize("<" + self.code)

    @property
    def rust(self) -> str:
        """Rust's name for it, which is the IDL's too."""
        return self.name

    @property
    def words(self) -> str:
        """In the documents."""
        return self.name

    def idl(self, dialect: Dialect) -> Any:
        """The same in both."""
        return self.name

    def pack(self, value: Any) -> bytes:
        """WmExportError if the value does not fit."""
        try:
            return struct.pack("<" + self.code, value)
        except struct.error as error:
            raise WmExportError(f"{self.name}: got {value!r}, which does not fit ({error})") from None

    def unpack(self, raw: bytes) -> Any:
        """The number in exactly `size` bytes."""
        return struct.unpack("<" + self.code, raw)[0]

    def sized(self, sizes: Mapping[str, int]) -> "Number":
        """Nothing to fill in."""
        return self


U8, U16, U32, U64 = Number("u8", "B"), Number("u16", "H"), Number("u32", "I"), Number("u64", "Q")
I8, I32, I64, BOOL = Number("i8", "b"), Number("i32", "i"), Number("i64", "q"), Number("bool", "?")


@dataclass(frozen=True)
class Address:
    """An address, 32 bytes."""

    size: int = 32
    rust: str = "[u8; 32]"
    words: str = "address"

    def idl(self, dialect: Dialect) -> Any:
        """`publicKey`, later `pubkey`."""
        return dialect.address

    def pack(self, value: Any) -> bytes:
        """Of 32 bytes, or of what has them (a Pubkey)."""
        raw = bytes(value)
        if len(raw) != self.size:
            raise WmExportError(f"address of {self.size} bytes expected, got {len(raw)}")
        return raw

    def unpack(self, raw: bytes) -> bytes:
        """Its bytes."""
        return raw

    def sized(self, sizes: Mapping[str, int]) -> "Address":
        """Nothing to fill in."""
        return self


@dataclass(frozen=True)
class Count:
    """A number of elements with the name it has in Rust; `value` 0 for one that the game decides."""

    name: str
    value: int = 0


@dataclass(frozen=True)
class Array:
    """`count` elements, one after the other."""

    item: Type
    count: int | Count

    @property
    def length(self) -> int:
        """Elements; 0 where the game decides and `sized` has not filled it in."""
        return self.count.value if isinstance(self.count, Count) else self.count

    @property
    def size(self) -> int:
        """Bytes."""
        return self.length * self.item.size

    @property
    def rust(self) -> str:
        """By the count's name, if it has one."""
        return f"[{self.item.rust}; {self.count.name if isinstance(self.count, Count) else self.count}]"

    @property
    def words(self) -> str:
        """`6 bytes`, `4 x u16`."""
        return f"{self.length} bytes" if self.item == U8 else f"{self.length} x {self.item.words}"

    def idl(self, dialect: Dialect) -> Any:
        """Element type and count."""
        return {"array": [self.item.idl(dialect), self.length]}

    def pack(self, value: Any) -> bytes:
        """Of elements, or of their bytes. WmExportError unless there are as many as it holds, where that is known."""
        raw = isinstance(value, bytes) or self.item == U8
        expected = self.size if raw else self.length
        if expected and len(value) != expected:
            what = "bytes" if raw else f"x {self.item.words}"
            raise WmExportError(f"array of {expected} {what} expected, got {len(value)}")
        return bytes(value) if raw else b"".join(self.item.pack(one) for one in value)

    def unpack(self, raw: bytes) -> Any:
        """Bytes of a byte array, else a tuple."""
        if self.item == U8:
            return raw
        width = self.item.size
        return tuple(self.item.unpack(raw[i * width : (i + 1) * width]) for i in range(self.length))

    def sized(self, sizes: Mapping[str, int]) -> "Array":
        """The same with every count filled in that the game decides."""
        open_count = isinstance(self.count, Count) and not self.count.value
        count = Count(self.count.name, sizes[self.count.name]) if open_count else self.count  # type: ignore[union-attr]
        return Array(self.item.sized(sizes), count)


@dataclass(frozen=True)
class List:
    """Any number of elements, counted by a u32 in front."""

    item: Type
    size: int = 0

    @property
    def rust(self) -> str:
        """A slice of the instruction's data."""
        return f"[{self.item.rust}]"

    @property
    def words(self) -> str:
        """In the documents."""
        return "bytes" if self.item == U8 else f"list of {self.item.words}"

    def idl(self, dialect: Dialect) -> Any:
        """`bytes`, or a vector."""
        return "bytes" if self.item == U8 else {"vec": self.item.idl(dialect)}

    def pack(self, value: Any) -> bytes:
        """Count and elements; bytes are elements already."""
        packed = value if self.item == U8 and isinstance(value, bytes) else b"".join(map(self.item.pack, value))
        return U32.pack(len(value)) + packed

    def unpack(self, raw: bytes) -> Any:
        """The elements after the count."""
        return Array(self.item, U32.unpack(raw[:4])).unpack(raw[4:])

    def sized(self, sizes: Mapping[str, int]) -> "List":
        """Nothing to fill in."""
        return self


@dataclass(frozen=True)
class Enum:
    """One of some names, in a byte: variants as (name, what it means), from 0 on."""

    name: str
    about: str
    variants: Sequence[tuple[str, str]]
    size: int = 1

    @property
    def rust(self) -> str:
        """Its own name."""
        return self.name

    @property
    def names(self) -> tuple[str, ...]:
        """Variants as Python and the documents write them."""
        return tuple(name.lower() for name, _ in self.variants)

    @property
    def words(self) -> str:
        """Every variant with its number."""
        return ", ".join(f"{i} {name}" for i, name in enumerate(self.names))

    def idl(self, dialect: Dialect) -> Any:
        """By name."""
        return dialect.defined(self.name)

    def pack(self, value: Any) -> bytes:
        """WmExportError for a name that it does not have."""
        if value not in self.names:
            raise WmExportError(f"{self.name}: got {value!r}, expected one of {', '.join(self.names)}")
        return U8.pack(self.names.index(value))

    def unpack(self, raw: bytes) -> str:
        """WmExportError for a number that it does not have."""
        if raw[0] >= len(self.variants):
            raise WmExportError(f"{self.name}: got {raw[0]}, expected 0 to {len(self.variants) - 1}")
        return self.names[raw[0]]

    def sized(self, sizes: Mapping[str, int]) -> "Enum":
        """Nothing to fill in."""
        return self


@dataclass(frozen=True)
class Word:
    """A smaller type in the low bytes of a u32, the others zero: what a program reads and writes in one go."""

    low: Type
    size: int = 4
    rust: str = "u32"

    @property
    def padding(self) -> int:
        """Zero bytes behind it."""
        return self.size - self.low.size

    @property
    def words(self) -> str:
        """In the documents."""
        return f"u32: {self.low.words}"

    def idl(self, dialect: Dialect) -> Any:
        """That of its low bytes; who lists fields lists the padding."""
        return self.low.idl(dialect)

    def pack(self, value: Any) -> bytes:
        """Value and padding."""
        return self.low.pack(value) + bytes(self.padding)

    def unpack(self, raw: bytes) -> Any:
        """WmExportError unless the rest is zero."""
        if any(raw[self.low.size :]):
            raise WmExportError(f"{self.low.words}: got {U32.unpack(raw)}")
        return self.low.unpack(raw[: self.low.size])

    def sized(self, sizes: Mapping[str, int]) -> "Word":
        """Nothing to fill in."""
        return self


@dataclass(frozen=True)
class Field:
    """A named value. `about` says what is in it: a clause, for documents and Rust."""

    name: str
    type: Type
    about: str = ""


@dataclass(frozen=True)
class Struct:
    """Fields one after the other, without gaps."""

    name: str
    about: str
    fields: Sequence[Field]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(field.type.size for field in self.fields)

    @property
    def rust(self) -> str:
        """Its own name."""
        return self.name

    @property
    def words(self) -> str:
        """In the documents."""
        return self.name.lower()

    @property
    def offsets(self) -> dict[str, int]:
        """Offset of every field from the first byte."""
        out, at = {}, 0
        for field in self.fields:
            out[field.name] = at
            at += field.type.size
        return out

    def idl(self, dialect: Dialect) -> Any:
        """By name."""
        return dialect.defined(self.name)

    def field(self, name: str) -> Field:
        """The field of that name; WmExportError if there is none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise WmExportError(f"{self.name} has no field {name!r}; it has {', '.join(f.name for f in self.fields)}")

    def place(self, name: str) -> slice:
        """Where a field's bytes lie."""
        start = self.offsets[self.field(name).name]
        return slice(start, start + self.field(name).type.size)

    def read(self, raw: bytes | bytearray, name: str) -> Any:
        """A field's value; WmExportError if it ends early or the bytes are none of its values."""
        place = self.place(name)
        if len(raw) < place.stop:
            raise WmExportError(f"{self.name}: {len(raw)} bytes, {name} ends at {place.stop}")
        return self.field(name).type.unpack(bytes(raw[place]))

    def write(self, data: bytearray, name: str, value: Any) -> None:
        """Set a field in place."""
        data[self.place(name)] = self.field(name).type.pack(value)

    def pack(self, value: Any) -> bytes:
        """From a mapping by field name; a field that is left out is zero. WmExportError for one that there is not."""
        data = bytearray(self.size)
        for name, one in value.items():
            self.write(data, name, one)
        return bytes(data)

    def unpack(self, raw: bytes) -> dict[str, Any]:
        """Every field by name."""
        return {field.name: self.read(raw, field.name) for field in self.fields}

    def sized(self, sizes: Mapping[str, int]) -> "Struct":
        """The same with every count filled in that the game decides."""
        fields = [Field(field.name, field.type.sized(sizes), field.about) for field in self.fields]
        return Struct(self.name, self.about, fields)


def is_there(kind: Type, sizes: Mapping[str, int]) -> bool:
    """Whether a type has bytes in a world with these counts: what one has nothing of is an array without elements."""
    known = kind.sized(sizes)
    return not isinstance(known, Array) or known.length > 0


def elements(kind: Type) -> tuple[int, int]:
    """(bytes of an element, elements) of a sized type, nested arrays taken apart."""
    if not isinstance(kind, Array):
        return kind.size, 1
    width, count = elements(kind.item)
    return width, count * kind.length
