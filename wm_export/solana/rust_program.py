"""What of the program crate follows from the schema: errors, instructions and their decoder, account fields, seeds.

The files are committed, as no world changes them. `python -m wm_export.solana.rust_program` writes them again.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from wm_export.schema.accounts import ACCOUNTS, ENUMS, HASH, Account
from wm_export.schema.instruction_set import EVERY_INSTRUCTION, GROUPS, INPUT, Group, Instruction
from wm_export.schema.program_errors import ERRORS, FIRST_ERROR
from wm_export.schema.seeds import DERIVED, Derived
from wm_export.schema.types import BOOL, U8, U16, Address, Array, Enum, Field, List, Number, Type, Word
from wm_export.solana.rust_text import fill, rustfmt, upper
from wm_train.files import atomic_write_bytes

SOURCES = Path(__file__).resolve().parents[2] / "onchain" / "program" / "src"
#: Addresses that the program derives itself, or signs for.
OWN_SEEDS = ("session", "scratch", "pin", "buffer")
_HEADER = ("tag", "version", "reserved", "length")


def generated() -> dict[str, str]:
    """Path inside the crate's sources -> text."""
    holes: Mapping[str, tuple[str, Mapping[str, object]]] = {
        "error.rs": ("program_error.rs", _errors()),
        "instruction.rs": ("program_instruction.rs", _instructions()),
        "accounts/fields.rs": ("program_fields.rs", _fields()),
        "accounts/seeds.rs": ("program_seeds.rs", {"seeds": "\n".join(map(_seeds, OWN_SEEDS))}),
    }
    return {path: rustfmt(fill(template, found)) for path, (template, found) in holes.items()}


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _doc(text: str) -> str:
    return f"/// {_sentence(text)}"


# --- errors ---


def _errors() -> dict[str, object]:
    names = [f"{name} = {FIRST_ERROR}" if i == 0 else name for i, name in enumerate(ERRORS)]
    lines = (f"{_doc(text)}\n{name}," for name, text in zip(names, ERRORS.values(), strict=True))
    return {"first": FIRST_ERROR, "variants": "\n".join(lines)}


# --- instructions ---


def _instructions() -> dict[str, object]:
    rare = [one for one in EVERY_INSTRUCTION.values() if not one.every_frame]
    often = [one for one in EVERY_INSTRUCTION.values() if one.every_frame]
    return {
        "groups": "\n\n".join(map(_group, GROUPS)),
        "variants": "\n".join(map(_variant, EVERY_INSTRUCTION.values())),
        "tags": "\n".join(map(_tag, EVERY_INSTRUCTION.values())),
        "readers": "\n\n".join(map(_group_reader, GROUPS)),
        "every_frame": "\n".join(map(_arm, often)),
        "rare": "\n".join(map(_arm, rare)),
    }


def _argument(kind: Type) -> tuple[str, str]:
    """(Rust type in a decoded instruction, method of Reader) of an argument."""
    if isinstance(kind, Number):
        return kind.rust, kind.name
    if kind == INPUT:
        return "&'a Input", "array"
    if isinstance(kind, List):
        return ("&'a [u8]", "bytes") if kind.item == U8 else ("&'a [[u8; 32]]", "hashes")
    if isinstance(kind, Array) and kind.item == U16:
        return kind.rust, "u16s"
    if isinstance(kind, Array) and kind.item == INPUT:
        return kind.rust.replace(INPUT.rust, "Input"), "arrays"
    return f"&'a {kind.rust}", "array"


def _member(member: Field | Group) -> tuple[str, str]:
    if isinstance(member, Group):
        return f"{member.rust}<'a>", member.name
    return _argument(member.type)


def _group(group: Group) -> str:
    lines = [_doc(group.about), "#[derive(Clone, Copy, Debug, PartialEq, Eq)]", f"pub struct {group.rust}<'a> {{"]
    lines += [f"{_doc(member.about)}\npub {member.name}: {_member(member)[0]}," for member in group.members]
    return "\n".join([*lines, "}"])


def _read(members: tuple[Field | Group, ...], reader: str) -> str:
    return ", ".join(f"{member.name}: {reader}.{_member(member)[1]}()?" for member in members)


def _group_reader(group: Group) -> str:
    head = f"fn {group.name}(&mut self) -> Result<{group.rust}<'a>, ProgramError>"
    return f"{head} {{\nOk({group.rust} {{ {_read(group.members, 'self')} }})\n}}"


def _variant(one: Instruction) -> str:
    fields = ", ".join(f"{member.name}: {_member(member)[0]}" for member in one.members)
    return f"{_doc(one.about)}\n{_camel(one.name)}{f' {{ {fields} }}' if fields else ''},"


def _tag(one: Instruction) -> str:
    value = int.from_bytes(one.discriminator, "little")
    return f"/// `{one.name}`.\npub const {upper(one.name)}: u64 = 0x{value:016x};"


def _arm(one: Instruction) -> str:
    made = f"Instruction::{_camel(one.name)}"
    if one.members:
        made += f" {{ {_read(one.members, 'reader')} }}"
    if one.open_ended:
        made = f"{{ reader.0 = &[]; {made} }}"
    return f"tag::{upper(one.name)} => {made},"


# --- accounts ---


def _fields() -> dict[str, object]:
    return {
        "enums": "\n\n".join(map(_enum, ENUMS)),
        "accounts": "\n\n".join(map(_account, ACCOUNTS.values())),
    }


def _enum(kind: Enum) -> str:
    lines = [
        _doc(kind.about),
        "#[derive(Clone, Copy, Debug, PartialEq, Eq)]",
        "#[repr(u32)]",
        f"pub enum {kind.name} {{",
    ]
    names = [f"{name} = 0" if i == 0 else name for i, (name, _) in enumerate(kind.variants)]
    lines += [f"{_doc(about)}\n{name}," for name, (_, about) in zip(names, kind.variants, strict=True)]
    return "\n".join([*lines, "}"])


def _account(account: Account) -> str:
    place, name = account.name.lower(), account.name
    methods = [_method(place, field) for field in account.fields if field.name not in _HEADER]
    methods += [_section(place, section) for section in account.sections]
    methods += [_own_seeds(place)] if place in DERIVED and _known_by(account, DERIVED[place]) else []
    about = f"/// {account.about.removesuffix('.')}, its checks passed."
    body = "\n\n".join(methods)
    return f"{about}\npub struct {name}(pub(super) Checked);\n\nimpl {name} {{\n{body}\n}}"


def _getter(doc: str, name: str, returns: str, body: str) -> str:
    return f"{_doc(doc)}\n#[inline(always)]\npub fn {name}(&self) -> {returns} {{\n{body}\n}}"


def _setter(field: Field, takes: str, value: str, at: str) -> str:
    head = f"/// Sets `{field.name}`.\n#[inline(always)]\npub fn set_{field.name}(&mut self, value: {takes})"
    return f"{head} {{\nself.0.set({at}, {value});\n}}"


def _number(field: Field, at: str) -> Iterator[str]:
    rust = field.type.rust
    yield _getter(field.about, field.name, rust, f"self.0.get({at})")
    yield _setter(field, rust, "value", at)


def _bytes(field: Field, at: str) -> Iterator[str]:
    yield _getter(field.about, field.name, f"&{field.type.rust}", f"self.0.at({at})")
    yield _setter(field, f"&{field.type.rust}", "*value", at)


def _address(field: Field, at: str) -> Iterator[str]:
    yield from _bytes(field, at)
    head = f"/// Whether `{field.name}` is this address.\n#[inline(always)]"
    yield f"{head}\npub fn {field.name}_is(&self, address: &Address) -> bool {{\nself.0.names({at}, address)\n}}"


def _flag(field: Field, at: str) -> Iterator[str]:
    yield _getter(field.about, field.name, "bool", f"self.0.get::<u32>({at}) == 1")
    yield _setter(field, "bool", "u32::from(value)", at)


def _byte(field: Field, at: str) -> Iterator[str]:
    yield _getter(field.about, field.name, "u8", f"self.0.get::<u32>({at}) as u8")
    yield _setter(field, "u8", "u32::from(value)", at)


def _choice(field: Field, at: str) -> Iterator[str]:
    assert isinstance(field.type, Word)
    rust = field.type.low.rust
    head = f"/// Whether `{field.name}`, {field.about}, is this.\n#[inline(always)]"
    body = f"self.0.get::<u32>({at}) == {field.name} as u32"
    yield f"{head}\npub fn is(&self, {field.name}: {rust}) -> bool {{\n{body}\n}}"
    yield _setter(field, rust, "value as u32", at)


def _maker(kind: Type) -> Callable[[Field, str], Iterator[str]]:
    if isinstance(kind, Word):
        return _flag if kind.low == BOOL else _byte if kind.low == U8 else _choice
    if kind == HASH:
        return _bytes
    return _address if isinstance(kind, Address) else _number


def _method(place: str, field: Field) -> str:
    return "\n\n".join(_maker(field.type)(field, f"{place}::{upper(field.name)}"))


def _section(place: str, field: Field) -> str:
    at = f"{place}::{upper(field.name)}"
    if not (isinstance(field.type, Array) and field.type.item in (HASH, U8)):
        about = f"Where `{field.name}` lies: {field.about}"
        return _getter(about, f"{field.name}_area", "Area", f"self.0.area({at})")
    read = _getter(field.about, field.name, f"&{field.type.rust}", f"self.0.at({at})")
    head = f"/// The same, to be written.\n#[inline(always)]\npub fn {field.name}_mut(&mut self)"
    return f"{read}\n\n{head} -> &mut {field.type.rust} {{\nself.0.at_mut({at})\n}}"


# --- seeds ---


def _known_by(account: Account, rule: Derived) -> bool:
    """Whether an account's own fields are the seeds of its address."""
    return {*rule.names} <= {field.name for field in account.fields}


def _own_seeds(place: str) -> str:
    rule, rust = DERIVED[place], f"{_camel(place)}Seeds"
    parts = [f"{name}: *self.{name}()" for name in rule.accounts + rule.hashes]
    parts += [f"{name}: self.{name}().to_le_bytes()" for name in rule.numbers]
    return f"/// Seeds of its own address.\npub fn seeds(&self) -> {rust} {{\n{rust} {{ {', '.join(parts)} }}\n}}"


def _seeds(name: str) -> str:
    rule = DERIVED[name]
    names = rule.names
    fields = [f"/// Address of the {one}.\npub {one}: [u8; 32]," for one in rule.accounts]
    fields += [f"/// Hash `{one}`.\npub {one}: [u8; 32]," for one in rule.hashes]
    fields += [f"/// `{one}`, little-endian.\npub {one}: [u8; 8]," for one in rule.numbers]
    letters = [chr(ord("a") + i) for i in range(1 + len(names))]
    holes = {
        "name": name,
        "rust": f"{_camel(name)}Seeds",
        "words": ", ".join([f'`"{rule.label}"`', *names]),
        "fields": "\n".join(fields),
        "count": len(letters),
        "parts": ", ".join([f'b"{rule.label}"', *(f"&self.{one}" for one in names)]),
        "count_and_bump": 1 + len(letters),
        "letters": ", ".join(letters),
        "signer": ", ".join(f"Seed::from({letter})" for letter in letters),
    }
    return fill("program_seed.rs", holes)


if __name__ == "__main__":
    for path, text in generated().items():
        atomic_write_bytes(SOURCES / path, text.encode())
