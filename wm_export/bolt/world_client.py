"""Instructions of BOLT's World, as Anchor encodes them: registry, world, entity, components, apply."""

from collections.abc import Sequence
from dataclasses import dataclass

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from wm_export.bolt.program_addresses import WORLD, component_address, entity_address, registry_address, world_address
from wm_export.schema.accounts import discriminator

SYSTEM_PROGRAM = Pubkey.default()
INSTRUCTIONS = Pubkey.from_string("Sysvar1nstructions1111111111111111111111111")


def written(address: Pubkey, signs: bool = False) -> AccountMeta:
    """An account that an instruction writes."""
    return AccountMeta(address, signs, True)


def shown(address: Pubkey, signs: bool = False) -> AccountMeta:
    """An account that it reads."""
    return AccountMeta(address, signs, False)


def _instruction(name: str, accounts: Sequence[AccountMeta], arguments: bytes = b"") -> Instruction:
    return Instruction(WORLD, discriminator("global", name) + arguments, list(accounts))


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

    def opening(self) -> list[Instruction]:
        """The registry, the world, and the entity; the registry is there already on a public cluster."""
        payer, system = written(self.payer, signs=True), shown(SYSTEM_PROGRAM)
        registry = written(registry_address())
        return [
            _instruction("initialize_registry", (registry, payer, system)),
            _instruction("initialize_new_world", (payer, written(self.world), registry, system)),
            _instruction("add_entity", (payer, written(self.entity), written(self.world), system), b"\0"),
        ]

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
