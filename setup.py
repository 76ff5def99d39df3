"""Puts the Rust workspace and the scripts into a wheel; all else about the package stands in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from wm_export.solana.sources import PACKAGED, copy_all  # noqa: E402


class BuildPy(build_py):
    """The packages, then what they need and is no Python. An editable install reads it from the repository."""

    def run(self) -> None:
        """Build."""
        super().run()
        if not self.editable_mode:
            copy_all(Path(self.build_lib) / PACKAGED.relative_to(ROOT))


setup(cmdclass={"build_py": BuildPy})
