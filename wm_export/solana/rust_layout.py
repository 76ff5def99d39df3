"""`layout.rs`: where every byte of the accounts lies, as constants."""

from collections.abc import Mapping, Sequence

from wm_export.lower.memory import Memory
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


def _module(name: str, about: str, tag: bytes, entries: Mapping[str, int], length: int | Sequence[int]) -> str:
    values = ", ".join(f"0x{byte:02x}" for byte in tag)
    tag_text = f"    /// First eight bytes.\n    pub const ACCOUNT_TAG: [u8; 8] = [{values}];\n" if tag else ""
    return f"/// {about}\npub mod {name} {{\n{tag_text}{_size(length)}{_constants(entries)}\n}}\n"


def _account(account: Account, places: Mapping[str, int], length: int | Sequence[int]) -> str:
    fields = {name: at for name, at in account.offsets.items() if name != "reserved"}
    return _module(account.name.lower(), account.about, account.tag, {**fields, **places}, length)


def _starts(sections: Mapping[str, Section]) -> dict[str, int]:
    return {name: section.offset for name, section in sections.items()}


def _memory(kept: Memory) -> str:
    holes = {
        "start": kept.start,
        "bytes": kept.size,
        "chunk_bytes": MEMORY_CHUNK_BYTES,
        "chunks": kept.chunks,
        "digest_bytes": kept.digest_size,
        "empty": byte_rows(kept.empty),
    }
    return fill("memory.rs", holes)


def accounts(where: Layout, blob: Blob) -> str:
    scratch = _starts(where.scratch) | {"work": where.scratch_work}
    dispute = _starts(where.dispute) | {"work": where.dispute_work}
    return "\n".join(
        [
            _account(MODEL, _starts(where.model), where.model_bytes),
            _module("blob", "Sections of the blob, each in its shard.", b"", _starts(blob.sections), blob.sizes),
            _account(SESSION, _starts(where.session), where.session_bytes),
            _module("player", PLAYER.about, b"", PLAYER.offsets, PLAYER.size),
            _account(SCRATCH, scratch, where.scratch_bytes),
            _account(PIN, {}, PIN.size),
            _account(DISPUTE, dispute, where.dispute_bytes),
            _module("work", "The work area, from its own first byte.", b"", _starts(where.work), where.work_bytes),
            _memory(where.memory),
        ]
    )
