"""Cargo.lock of a BOLT workspace: the crates of the registry, the same in every export, and those of the workspace."""

from collections.abc import Mapping, Sequence
from pathlib import Path

#: Version of the workspace's own crates.
LOCAL_VERSION = "0.1.0"
#: What BOLT 0.2.4 is built with: made by cargo, without crates of a workspace.
REGISTRY = Path(__file__).parent / "templates" / "registry.lock"
_PACKAGE = "[[package]]\n"


def lockfile(local: Mapping[str, Sequence[str]]) -> str:
    """The lock of a workspace whose own crates depend on these, by name."""
    head, *packages = REGISTRY.read_text().split(_PACKAGE)
    packages = [package.strip() + "\n" for package in packages]
    packages += [_package(name, sorted(needs)) for name, needs in local.items()]
    return head + "\n".join(_PACKAGE + package for package in sorted(packages, key=_name))


def _package(name: str, needs: Sequence[str]) -> str:
    listed = "".join(f' "{need}",\n' for need in needs)
    needed = f"dependencies = [\n{listed}]\n" if needs else ""
    return f'name = "{name}"\nversion = "{LOCAL_VERSION}"\n{needed}'


def _name(package: str) -> str:
    """What cargo sorts packages by; those of one name are in its order already."""
    return package.partition('"')[2].partition('"')[0]
