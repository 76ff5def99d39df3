"""Where programs and accounts of a match lie: addresses of an export's programs, and those that World derives."""

import hashlib

from solders.keypair import Keypair
from solders.pubkey import Pubkey

WORLD = Pubkey.from_string("WorLD15A7CrDwLcLy4fRqtaTb9fbd8o8iqiEMUDse2n")


def program_key(world: str, crate: str) -> Keypair:
    """The key of a program of an export: the same wherever the world is exported, so everybody can make it. It is good
    for networks of one's own; `anchor keys sync` puts keys of one's own in its place.

    world   sha256 of the QNet's tensors, in hex
    """
    return Keypair.from_seed(hashlib.sha256(f"wmq bolt {world} {crate}".encode()).digest())


def registry_address() -> Pubkey:
    """World's registry."""
    return Pubkey.find_program_address([b"registry"], WORLD)[0]


def world_address(number: int) -> Pubkey:
    """World number `number`."""
    return Pubkey.find_program_address([b"world", number.to_bytes(8, "big")], WORLD)[0]


def entity_address(world: int, number: int) -> Pubkey:
    """Entity `number` of a world."""
    seeds = [b"entity", world.to_bytes(8, "big"), number.to_bytes(8, "big"), b""]
    return Pubkey.find_program_address(seeds, WORLD)[0]


def component_address(program: Pubkey, entity: Pubkey) -> Pubkey:
    """An entity's component of a program."""
    return Pubkey.find_program_address([b"", bytes(entity)], program)[0]


def window_address(inputs: Pubkey, entity: Pubkey) -> Pubkey:
    """The window of a match."""
    return Pubkey.find_program_address([b"window", bytes(entity)], inputs)[0]


def memory_address(system: Pubkey, entity: Pubkey) -> Pubkey:
    """What a system's network keeps in a match."""
    return Pubkey.find_program_address([b"memory", bytes(entity)], system)[0]
