"""`layout.rs`: where every byte of the accounts lies, as constants."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from wm_export.lower.memory import HASH_BYTES, Memory, Stretch
from wm_export.lower.world_lowering import HASHES
from wm_export.schema.accounts import DISPUTE, MODEL, PIN, PLAYER, SCRATCH, SESSION, Account
from wm_export.schema.limits import MEMORY_CHUNK_BYTES
from wm_export.solana.blob import Blob
from wm_export.solana.layout import Layout, Section
from wm_export.solana.rust_text import byte_rows, fill, upper


def _constants(entries: Mapping[str, int]) -> str:
    lines = [f"    /// Offset of `{name}`.\n    pub const {upper(name)}: usize = {at};" for name, at in entries.items()]
    return "\n".join(lines)


def _size(length: int | Sequence[int]) -> str:
    """Bytes of an account, or of the account of each shard."""
    if isinstance(length, int):
        return f"    /// Bytes in all.\n    pub const BYTES: usize = {length};\n"
    sizes = ", ".join(map(str, length))
    return f"    /// Bytes in all, by shard.\n    pub const BYTES: [usize; {len(length)}] = [{sizes}];\n"


def module(name: str, about: str, tag: bytes, entries: Mapping[str, int], length: int | Sequence[int]) -> str:
    """A module of constants: the offset of each entry, and bytes in all."""
    values = ", ".join(f"0x{byte:02x}" for byte in tag)
    tag_text = f"    /// First eight bytes.\n    pub const ACCOUNT_TAG: [u8; 8] = [{values}];\n" if tag else ""
    return f"/// {about}\npub mod {name} {{\n{tag_text}{_size(length)}{_constants(entries)}\n}}\n"


def _account(account: Account, places: Mapping[str, int], length: int | Sequence[int]) -> str:
    fields = {name: at for name, at in account.offsets.items() if name != "reserved"}
    return module(account.name.lower(), account.about, account.tag, {**fields, **places}, length)


def starts(sections: Mapping[str, Section]) -> dict[str, int]:
    """Where each section begins."""
    return {name: section.offset for name, section in sections.items()}


def _stretches(stretches: Iterable[Stretch]) -> str:
    return "\n".join(f"({start}, {length})," for start, length in stretches)


def _in_turn(kept: Memory, hashes: int) -> Iterator[str]:
    """What each op writes in turn; its stretches and its hashes lie behind those of the ops before."""
    first = 0
    for op in kept.in_turn:
        turns, each = len(op.turns), len(op.turns[0])
        yield f"InTurn {{ next: {op.next}, bias: {op.bias}, turns: {turns}, each: {each}, "
        yield f"stretches: {first}, hashes: {hashes} }},"
        first, hashes = first + turns * each, hashes + HASH_BYTES * turns


def _memory(kept: Memory, hashes: int) -> str:
    turns = [stretches for op in kept.in_turn for stretches in op.turns]
    holes = {
        "always": len(kept.always),
        "always_stretches": _stretches(kept.always),
        "ops": len(kept.in_turn),
        "in_turn": "\n".join(_in_turn(kept, hashes)),
        "hashes": hashes,
        "turns": len(turns),
        "most": max(map(len, turns), default=0),
        "stretches": sum(map(len, turns)),
        "turn_stretches": "\n".join(map(_stretches, turns)),
        "start": kept.start,
        "bytes": kept.size,
        "chunk_bytes": MEMORY_CHUNK_BYTES,
        "chunks": kept.chunks,
        "digest_bytes": kept.digest_size,
        "empty": byte_rows(kept.empty),
    }
    return fill("memory.rs", holes)


def accounts(where: Layout, blob: Blob) -> str:
    scratch = starts(where.scratch) | {"work": where.scratch_work}
    dispute = starts(where.dispute) | {"work": where.dispute_work}
    return "\n".join(
        [
            _account(MODEL, starts(where.model), where.model_bytes),
            module("blob", "Sections of the blob, each in its shard.", b"", starts(blob.sections), blob.sizes),
            _account(SESSION, starts(where.session), where.session_bytes),
            module("player", PLAYER.about, b"", PLAYER.offsets, PLAYER.size),
            _account(SCRATCH, scratch, where.scratch_bytes),
            _account(PIN, {}, PIN.size),
            _account(DISPUTE, dispute, where.dispute_bytes),
            module("work", "The work area, from its own first byte.", b"", starts(where.work), where.work_bytes),
            _memory(where.memory, where.work[HASHES].offset if where.memory.in_turn else 0),
        ]
    )
