"""Where things lie on a chain. Every address is derived, so that nobody has to keep a list of them."""

import hashlib

from solders.keypair import Keypair
from solders.pubkey import Pubkey

SYSTEM_PROGRAM = Pubkey.from_string("11111111111111111111111111111111")
LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
#: The delegation program (DLP), on the base chain.
DELEGATION_PROGRAM = Pubkey.from_string("DELeGGvXpWV2fqJUhqcF5ZSYMS4JTLjteaAMARRSaeSh")
#: The rollup's own program, its context, and the vault that holds the rent of ephemeral accounts.
MAGIC_PROGRAM = Pubkey.from_string("Magic11111111111111111111111111111111111111")
MAGIC_CONTEXT = Pubkey.from_string("MagicContext1111111111111111111111111111111")
EPHEMERAL_VAULT = Pubkey.from_string("MagicVau1t999999999999999999999999999999999")

#: Characters of the manifest's hash that name a model in its address.
SEED_CHARACTERS = 32


def program_keypair(authority: Keypair, manifest_hash: bytes) -> Keypair:
    """The keypair of the program that `authority` deploys for a manifest: nothing but the authority's key is needed.

    Ed25519 signatures are deterministic, so the hash of one is a secret that only the authority can make again.
    """
    signature = authority.sign_message(b"wmq program " + manifest_hash)
    return Keypair.from_seed(hashlib.sha256(bytes(signature)).digest())


def model_address(authority: Pubkey, manifest_hash: bytes, program: Pubkey) -> Pubkey:
    """The account of a manifest's blob; the program accepts no other address."""
    return Pubkey.create_with_seed(authority, model_seed(manifest_hash), program)


def model_seed(manifest_hash: bytes) -> str:
    """The seed of `model_address`."""
    return manifest_hash.hex()[:SEED_CHARACTERS]


def session_address(program: Pubkey, model: Pubkey, creator: Pubkey, number: int) -> Pubkey:
    """The account of the creator's session `number`."""
    seeds = [b"session", bytes(model), bytes(creator), number.to_bytes(8, "little")]
    return Pubkey.find_program_address(seeds, program)[0]


def scratch_address(program: Pubkey, session: Pubkey) -> Pubkey:
    """What a session computes with, on the rollup."""
    return Pubkey.find_program_address([b"scratch", bytes(session)], program)[0]


def delegation_buffer(program: Pubkey, account: Pubkey) -> Pubkey:
    """Where an account's bytes lie while it is being delegated."""
    return Pubkey.find_program_address([b"buffer", bytes(account)], program)[0]


def delegation_record(account: Pubkey) -> Pubkey:
    """DLP's record of a delegated account: validator, owner, slot."""
    return Pubkey.find_program_address([b"delegation", bytes(account)], DELEGATION_PROGRAM)[0]


def delegation_metadata(account: Pubkey) -> Pubkey:
    """DLP's metadata of a delegated account: seeds, who gets the rent."""
    return Pubkey.find_program_address([b"delegation-metadata", bytes(account)], DELEGATION_PROGRAM)[0]


def undelegate_buffer(account: Pubkey) -> Pubkey:
    """Where an account's bytes lie while it is being given back."""
    return Pubkey.find_program_address([b"undelegate-buffer", bytes(account)], DELEGATION_PROGRAM)[0]
