"""Program ids, and the derived addresses (PDAs) of accounts: nothing has to be stored to find them again."""

import hashlib

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_export.schema import seeds
from wm_export.schema.seeds import DERIVED

SYSTEM_PROGRAM = Pubkey.from_string(seeds.SYSTEM_PROGRAM)
LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
#: Loads programs whose code is in their own account and never changes.
FINAL_LOADER = Pubkey.from_string("BPFLoader2111111111111111111111111111111111")
#: The delegation program (DLP), on the base chain.
DELEGATION_PROGRAM = Pubkey.from_string(seeds.DELEGATION_PROGRAM)
#: The rollup's own program, its context, and the vault that holds the rent of ephemeral accounts.
MAGIC_PROGRAM = Pubkey.from_string(seeds.MAGIC_PROGRAM)
MAGIC_CONTEXT = Pubkey.from_string(seeds.MAGIC_CONTEXT)
EPHEMERAL_VAULT = Pubkey.from_string(seeds.EPHEMERAL_VAULT)

#: Characters of the manifest's hash that name a model in its address.
SEED_CHARACTERS = 32


def program_keypair(authority: Keypair, manifest_hash: bytes) -> Keypair:
    """The keypair of the program that `authority` deploys for a manifest: nothing but the authority's key is needed.

    Ed25519 signatures are deterministic, so the hash of one is a secret that only the authority can make again.
    """
    signature = authority.sign_message(b"wmq program " + manifest_hash)
    return Keypair.from_seed(hashlib.sha256(bytes(signature)).digest())


def model_address(authority: Pubkey, manifest_hash: bytes, program: Pubkey, shard: int = 0) -> Pubkey:
    """The account of a shard of a manifest's blob; the program accepts no other address."""
    return Pubkey.create_with_seed(authority, model_seed(manifest_hash, shard), program)


def model_seed(manifest_hash: bytes, shard: int = 0) -> str:
    """The seed of `model_address`; from shard 1 on the last character is no hexadecimal digit: `g`, `h` and so on."""
    seed = manifest_hash.hex()[:SEED_CHARACTERS]
    return seed[:-1] + chr(ord("f") + shard) if shard else seed


def session_address(program: Pubkey, model: Pubkey, creator: Pubkey, terms: bytes) -> Pubkey:
    """The account of the creator's session with these terms (session/terms.py)."""
    found = DERIVED["session"].seeds(bytes(model), bytes(creator), terms)
    return Pubkey.find_program_address(found, program)[0]


def scratch_address(program: Pubkey, session: Pubkey, nonce: int = 0) -> Pubkey:
    """What a session computes with, on the rollup."""
    return Pubkey.find_program_address(DERIVED["scratch"].seeds(bytes(session), numbers=(nonce,)), program)[0]


def pin_address(program: Pubkey, session: Pubkey, pinner: Pubkey, root: bytes) -> Pubkey:
    """Where a wallet keeps that the session has committed this root."""
    return Pubkey.find_program_address(DERIVED["pin"].seeds(bytes(session), bytes(pinner), root), program)[0]


def delegation_buffer(program: Pubkey, account: Pubkey) -> Pubkey:
    """Where an account's bytes lie while it is being delegated."""
    return Pubkey.find_program_address(DERIVED["buffer"].seeds(bytes(account)), program)[0]


def delegation_record(account: Pubkey) -> Pubkey:
    """DLP's record of a delegated account: validator, owner, slot."""
    return Pubkey.find_program_address(DERIVED["record"].seeds(bytes(account)), DELEGATION_PROGRAM)[0]


def delegation_metadata(account: Pubkey) -> Pubkey:
    """DLP's metadata of a delegated account: seeds, who gets the rent."""
    return Pubkey.find_program_address(DERIVED["metadata"].seeds(bytes(account)), DELEGATION_PROGRAM)[0]


def undelegate_buffer(account: Pubkey) -> Pubkey:
    """Where an account's bytes lie while it is being given back."""
    return Pubkey.find_program_address(DERIVED["undelegate_buffer"].seeds(bytes(account)), DELEGATION_PROGRAM)[0]
