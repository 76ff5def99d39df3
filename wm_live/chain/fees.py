"""What a Solana chain takes, in lamports: computed here, and never asked of a node."""

from wm_export.solana.svm import RENT_OVERHEAD, RENT_PER_BYTE

__all__ = ["RENT_PER_BYTE", "SIGNATURE_FEE", "rent_exempt"]

#: For each signature of a transaction; no client here ever offers more for being first.
SIGNATURE_FEE = 5_000


def rent_exempt(size: int) -> int:
    """Lamports that make an account of `size` bytes exempt from rent."""
    return (RENT_OVERHEAD + size) * RENT_PER_BYTE
