"""All exploits, in the order of the table in docs/threats.md."""

from tests.security import base_risks, memory_risks, model_risks, sealevel, world_risks
from tests.security.registry import EXPLOITS

__all__ = ["EXPLOITS", "base_risks", "memory_risks", "model_risks", "sealevel", "world_risks"]
