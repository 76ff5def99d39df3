"""What a session's transactions take from its creator on the base chain, at most; announced before any is signed."""

from wm_live.chain.fees import SIGNATURE_FEE, rent_exempt
from wm_live.chain.guard import SPARE_SIGNATURES, Budget
from wm_live.session.instructions import DeployedWorld

#: Of the delegation program: bytes of its record and, at most, of its metadata, whose rent comes back; and its fee.
DELEGATION_BYTES, DELEGATION_FEE = (96, 512), 300_000


#: Of the wallet as payer, for one commit or for giving a session back: tried again while a frame is computed.
ROLLUP_SIGNATURES = 20


def request() -> Budget:
    """One transaction that moves nothing."""
    return Budget(0, 1 + SPARE_SIGNATURES)


def creation(world: DeployedWorld) -> Budget:
    """The session's rent, and the deposit for its scratch account; both come back when it is closed."""
    return Budget(rent_exempt(world.layout.session_bytes) + world.deposit, 1 + SPARE_SIGNATURES)


def delegation() -> Budget:
    """What the delegation program takes of who delegates."""
    return Budget(sum(map(rent_exempt, DELEGATION_BYTES)) + DELEGATION_FEE, 1 + SPARE_SIGNATURES)


def opening(world: DeployedWorld) -> int:
    """Lamports that bringing a session to its first frame takes at most."""
    return creation(world).at_most + request().at_most + delegation().at_most


def committing(commits: int) -> int:
    """Lamports that so many commits take at most: nothing of an honest rollup, fees of one that lies."""
    return commits * SIGNATURE_FEE * ROLLUP_SIGNATURES


def ending() -> int:
    """Lamports that ending a session and taking it back takes at most."""
    return committing(1) + request().at_most


def closing() -> int:
    """Lamports that the same takes with the closing of it; its rent comes back."""
    return ending() + request().at_most
