"""Instructions of BOLT's World, as Anchor encodes them: registry, world, entity, components, apply."""

from collections.abc import Sequence
from dataclasses import dataclass

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from wm_export.bolt.program_addresses import WORLD, component_address, entity_address, registry_address, world_address
from wm_export.schema import seeds
from wm_export.schema.accounts import discriminator
from wm_export.schema.seeds import DERIVED

SYSTEM_PROGRAM = Pubkey.default()
DELEGATION_PROGRAM = Pubkey.from_string(seeds.DELEGATION_PROGRAM)
MAGIC_PROGRAM, MAGIC_CONTEXT = (Pubkey.from_string(text) for text in (seeds.MAGIC_PROGRAM, seeds.MAGIC_CONTEXT))
#: How often a rollup would commit a delegated account by itself: never, in a match's time.
COMMIT_PERIOD_MS = 2**32 - 1
INSTRUCTIONS = Pubkey.from_string("Sysvar1nstructions1111111111111111111111111")


def written(address: Pubkey, signs: bool = False) -> AccountMeta:
    """An account that an instruction writes."""
    return AccountMeta(address, signs, True)


def shown(address: Pubkey, signs: bool = False) -> AccountMeta:
    """An account that it reads."""
    return AccountMeta(address, signs, False)


def _instruction(name: str, accounts: Sequence[AccountMeta], arguments: bytes = b"") -> Instruction:
    return Instruction(WORLD, discriminator("global", name) + arguments, list(accounts))


def worlds_so_far(registry: bytes) -> int:
    """How many worlds there are, by the registry's data: a tag of 8 bytes, then their number."""
    return int.from_bytes(registry[8:16], "little")


def bytes_argument(raw: bytes) -> bytes:
    """A `Vec<u8>` as an argument."""
    return len(raw).to_bytes(4, "little") + raw


@dataclass(frozen=True)
class Scene:
    """A world of World, and an entity in it; `payer` pays and signs."""

    payer: Pubkey
    world_number: int = 0
    entity_number: int = 0

    @property
    def world(self) -> Pubkey:
        """Address of the world."""
        return world_address(self.world_number)

    @property
    def entity(self) -> Pubkey:
        """Address of the entity."""
        return entity_address(self.world_number, self.entity_number)

    def registry(self) -> Instruction:
        """Makes the registry, once on a cluster."""
        accounts = (written(registry_address()), written(self.payer, signs=True), shown(SYSTEM_PROGRAM))
        return _instruction("initialize_registry", accounts)

    def world_made(self) -> Instruction:
        """Makes the world; its number is that of worlds so far (`worlds_so_far`)."""
        accounts = (
            written(self.payer, signs=True),
            written(self.world),
            written(registry_address()),
            shown(SYSTEM_PROGRAM),
        )
        return _instruction("initialize_new_world", accounts)

    def entity_made(self) -> Instruction:
        """Makes the entity; its number is that of the world's entities so far."""
        payer, system = written(self.payer, signs=True), shown(SYSTEM_PROGRAM)
        return _instruction("add_entity", (payer, written(self.entity), written(self.world), system), b"\0")

    def component(self, program: Pubkey) -> Instruction:
        """Makes the entity's component of a program; the payer alone may have it written."""
        accounts = [
            written(self.payer, signs=True),
            written(component_address(program, self.entity)),
            shown(self.entity),
            shown(program),
            shown(self.payer),
            shown(INSTRUCTIONS),
            shown(SYSTEM_PROGRAM),
        ]
        return _instruction("initialize_component", accounts)

    def apply(
        self, system: Pubkey, components: Sequence[Pubkey], extras: Sequence[AccountMeta], arguments: bytes = b""
    ) -> Instruction:
        """Applies a system to the entity's components of these programs; `extras` are what it reads beside them."""
        accounts = [shown(system), shown(self.payer, signs=True), shown(INSTRUCTIONS), shown(self.world)]
        for program in components:
            accounts += [shown(program), written(component_address(program, self.entity))]
        return _instruction("apply", (*accounts, shown(WORLD), *extras), bytes_argument(arguments))

    def delegate(self, program: Pubkey, account: Pubkey, validator: Pubkey) -> Instruction:
        """Gives a component, or the window, to a rollup's validator."""

        def of(seed: str, owner: Pubkey) -> Pubkey:
            return Pubkey.find_program_address(DERIVED[seed].seeds(bytes(account)), owner)[0]

        accounts = [
            written(self.payer, signs=True),
            shown(self.entity),
            written(account),
            shown(program),
            written(of("buffer", program)),
            written(of("record", DELEGATION_PROGRAM)),
            written(of("metadata", DELEGATION_PROGRAM)),
            shown(DELEGATION_PROGRAM),
            shown(SYSTEM_PROGRAM),
        ]
        arguments = COMMIT_PERIOD_MS.to_bytes(4, "little") + b"\1" + bytes(validator)
        return Instruction(program, discriminator("global", "delegate") + arguments, accounts)

    def undelegate(self, program: Pubkey, account: Pubkey) -> Instruction:
        """On a rollup: has an account committed to the base chain and given back."""
        accounts = [written(self.payer, signs=True), written(account), written(MAGIC_CONTEXT), shown(MAGIC_PROGRAM)]
        return Instruction(program, discriminator("global", "undelegate"), accounts)
