"""Exploits, by the class of attack that they belong to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.security.harness import World

Attack = Callable[[World], bool]


@dataclass(frozen=True)
class Exploit:
    """One attack.

    about     the class it belongs to: one of sealevel-attacks, or a risk of this program
    run       does it, and says whether harm was done
    stage     where it begins
    error     what the program answers
    off       checks that the weakened program lacks: with these gone the attack does harm
    behind    what stops it even then, if something does: the runtime, or how the program is built. Then no harm is done
    keeps     it is about a world whose network keeps something from frame to frame
    """

    about: str
    run: Attack
    stage: str
    error: str
    off: tuple[str, ...]
    behind: str = ""
    keeps: bool = False

    @property
    def name(self) -> str:
        """The attack in words."""
        return self.run.__name__


EXPLOITS: list[Exploit] = []


def exploit(
    about: str,
    stage: str,
    error: str,
    also: Sequence[str] = (),
    behind: str = "",
    fixed: bool = False,
    keeps: bool = False,
) -> Callable[[Attack], Attack]:
    """Register an attack. `also` are checks behind the first one, which must be gone too before harm is done.

    A first one that is `fixed` cannot be switched off: it is no `require`.
    """

    def keep(run: Attack) -> Attack:
        EXPLOITS.append(Exploit(about, run, stage, error, (*(() if fixed else (error,)), *also), behind, keeps))
        return run

    return keep
