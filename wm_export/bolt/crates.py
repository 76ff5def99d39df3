"""A composed world as a workspace in BOLT's own layout: templates with named holes, filled here.

    Anchor.toml, Cargo.toml, Cargo.lock, rustfmt.toml, package.json, tsconfig.json
    crates/wmq-kernels                 the kernels of every export
    programs/weights                   accounts of weights, of any network
    programs-ecs/components/NAME       a program for each component
    programs-ecs/systems/NAME          one for each system; `inputs` has the window
    target/idl/NAME.json               an IDL for each program, where Anchor's tools look for it
    tests/match.ts                     a match by bolt-sdk

The same text on every machine, and as rustfmt has it: what is recorded, and may be of any length, lies in modules that
rustfmt skips.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from wm_export.bolt.components import CLOCK, Component
from wm_export.bolt.inputs_crate import inputs_crate
from wm_export.bolt.lockfile import lockfile
from wm_export.bolt.program_addresses import WORLD, program_key, registry_address
from wm_export.bolt.program_idls import component_idl, system_idl, weights_idl
from wm_export.bolt.rust_pieces import Crate, fill
from wm_export.bolt.slices import INPUTS, LAWS, STEP_BYTES, Slice, Sliced
from wm_export.bolt.system_crates import laws_crate, learned_crate
from wm_export.schema.accounts import discriminator
from wm_export.schema.limits import PIECE_BYTES, SESSION_IDS
from wm_export.schema.records import Records
from wm_export.solana.sources import workspace_files
from wm_export.solana.svm import RENT_OVERHEAD, RENT_PER_BYTE

BOLT, BYTES, KERNELS, WEIGHTS = "bolt-lang", "bytemuck", "wmq-kernels", "weights"
#: Crates that a system may take from the workspace, by where they lie.
COMPONENTS, SYSTEMS, PROGRAMS, CRATES = "programs-ecs/components", "programs-ecs/systems", "programs", "crates"


@dataclass(frozen=True)
class Package:
    """A crate of the workspace that is a program.

    folder  of the workspace that it lies in
    needs   crates that it takes: of the workspace by their Package, of the registry by name
    """

    name: str
    folder: str
    about: str
    needs: tuple["str | Package", ...]
    texts: Mapping[str, str]

    @property
    def lib(self) -> str:
        """Its name in Rust, and of the program that is built."""
        return self.name.replace("-", "_")


@dataclass(frozen=True)
class Workspace:
    """The files of a world; `world` is the hash that addresses follow from (program_addresses.program_key)."""

    sliced: Sliced
    world: str

    def address(self, crate: str) -> str:
        """A program's."""
        return str(program_key(self.world, crate).pubkey())

    @cached_property
    def packages(self) -> tuple[Package, ...]:
        """Every program: components, weights, systems in the order of a frame."""
        return (*self._components.values(), self._weights, *self._systems)

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Path inside the workspace -> bytes."""
        kernels = {
            f"{CRATES}/{KERNELS}/{name.removeprefix('kernels/')}": data
            for name, data in workspace_files().items()
            if name.startswith("kernels/")
        }
        texts = {
            "Cargo.toml": fill("workspace.toml", {}),
            "Cargo.lock": lockfile(self.local),
            "Anchor.toml": fill("Anchor.toml", self._cluster()),
            "tests/fixtures/registry.json": json.dumps(_registry(), indent=1) + "\n",
        }
        texts |= {name: fill(name, {}) for name in ("package.json", "tsconfig.json")}
        texts["tests/match.ts"] = fill("match.ts", self._client())
        for package in self.packages:
            home = f"{package.folder}/{package.name}"
            texts[f"{home}/Cargo.toml"] = _manifest(package)
            texts |= {f"{home}/{name}": text for name, text in package.texts.items()}
        texts |= {f"target/idl/{lib}.json": text for lib, text in self._idls()}
        made = {name: text.encode() for name, text in texts.items()}
        return made | kernels | {"rustfmt.toml": workspace_files()["rustfmt.toml"]}

    def _idls(self) -> Iterator[tuple[str, str]]:
        """The name of each program in Rust, and its IDL."""
        for component in self.sliced.components.every:
            yield component.name, component_idl(component, self.address(component.crate))
        for system in self.sliced.systems:
            yield system.key, system_idl(system, self.address(system.crate))
        yield WEIGHTS, weights_idl(WEIGHTS, self.address(WEIGHTS))

    def _cluster(self) -> dict[str, object]:
        """What a local cluster is told."""
        return {"world": WORLD, "registry": registry_address(), "programs": "\n".join(self._addresses())}

    def _client(self) -> dict[str, object]:
        """What a client is told of the programs."""
        records, systems = Records(self.sliced.net.world.game), self.sliced.systems
        keys = [f'  {package.lib}: new PublicKey("{self.address(package.name)}"),' for package in self.packages]
        named = [f"  {one.key}: {json.dumps([it.name for it in one.components])}," for one in systems]
        return {
            "programs": "\n".join(keys),
            "systems": "\n".join(named),
            "learned": ", ".join(f'"{one.key}"' for one, _, _ in self.sliced.learned),
            "memories": "\n".join(f"  {one.key}: {made.memory_bytes}," for one, _, made in self.sliced.remembering),
            "step_bytes": STEP_BYTES,
            "session_ids": SESSION_IDS,
            "frame_bytes": records.frame_size,
            "inputs_bytes": records.inputs_size,
            "piece_bytes": PIECE_BYTES,
        }

    def _addresses(self) -> Iterator[str]:
        for package in sorted(self.packages, key=lambda one: one.lib):
            yield f'{package.lib} = "{self.address(package.name)}"'

    @property
    def local(self) -> dict[str, list[str]]:
        """Every crate of the workspace, and the crates that it takes."""
        own = {package.name: [_name(need) for need in package.needs] for package in self.packages}
        return own | {KERNELS: []}

    @cached_property
    def _components(self) -> dict[str, Package]:
        return {one.name: self._component(one) for one in self.sliced.components.every}

    def _component(self, one: Component) -> Package:
        more = fill("clock.rs", {"turns": len(self.sliced.systems)}) if one.name == CLOCK else ""
        lines = (f"/// {member.about}\npub {member.name}: {member.rust}," for member in one.members)
        holes = {"name": one.name, "about": one.about, "struct": one.struct, "members": "\n".join(lines)}
        text = fill("component.rs", holes | {"id": self.address(one.crate), "more": more})
        return Package(one.crate, COMPONENTS, f"Component of a match: {one.about}", (BOLT,), {"src/lib.rs": text})

    @cached_property
    def _weights(self) -> Package:
        text = fill("weights.rs", {"id": self.address(WEIGHTS), "piece_bytes": PIECE_BYTES})
        return Package(WEIGHTS, PROGRAMS, "Weights of networks, sealed", (BOLT, BYTES), {"src/lib.rs": text})

    @cached_property
    def _systems(self) -> tuple[Package, ...]:
        first, *others = self.sliced.systems
        inputs = self._system(first, inputs_crate(self.sliced, first, self.address(INPUTS)), [BYTES, KERNELS])
        found = [inputs]
        rows = {one.key: (row, made) for one, row, made in self.sliced.learned}
        for one in others:
            address, components = self.address(one.crate), self.sliced.components
            if one.key == LAWS:
                texts = laws_crate(components, one, self.sliced, address)
                found.append(self._system(one, texts, [KERNELS, inputs]))
            else:
                texts = learned_crate(components, one, *rows[one.key], address)
                keeps = [BYTES] if rows[one.key][1].memory.size else []
                found.append(self._system(one, texts, [*keeps, KERNELS, self._weights, inputs]))
        return tuple(found)

    def _system(self, one: Slice, texts: Crate, more: Iterable["str | Package"]) -> Package:
        needs = (BOLT, *more, *(self._components[component.name] for component in one.components))
        return Package(one.crate, SYSTEMS, f"System {one.key} of a match", needs, texts)


def _registry() -> dict[str, object]:
    """World's registry, as a test validator reads an account."""
    data = discriminator("account", "Registry") + bytes(8)
    account = {
        "lamports": (RENT_OVERHEAD + len(data)) * RENT_PER_BYTE,
        "data": [b64encode(data).decode(), "base64"],
        "owner": str(WORLD),
        "executable": False,
        "rentEpoch": 0,
    }
    return {"pubkey": str(registry_address()), "account": account}


def _name(need: "str | Package") -> str:
    return need if isinstance(need, str) else need.name


def _manifest(package: Package) -> str:
    """Its Cargo.toml."""
    lines = []
    for need in sorted(package.needs, key=_name):
        if isinstance(need, Package):
            folder = ".." if need.folder == package.folder else f"../../../{need.folder}"
            lines.append(f'{need.name} = {{ path = "{folder}/{need.name}", features = ["cpi"] }}')
        elif need == KERNELS:
            lines.append(f'{KERNELS} = {{ path = "../../../{CRATES}/{KERNELS}", features = ["std"] }}')
        elif need != BOLT:
            lines.append(f"{need}.workspace = true")
    holes = {"crate": package.name, "lib": package.lib, "about": package.about, "dependencies": "\n".join(lines)}
    return fill("crate.toml", holes)
