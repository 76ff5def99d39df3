"""What every encoding can be asked to read beyond its table; a game's own flags are a subclass."""

from dataclasses import dataclass, fields

from wm_train.errors import WmTrainError


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What an encoding reads beyond its table; every one is off by default. A game adds its own (Game.flags).

    press_events  buttons that went down (Game.presses): `none`, of the inputs after the window (`next`), or of every
                  slot as well (`all`)
    lookahead     the Frame is predicted from the one `lookahead` frames before it, and from the inputs up to it
    """

    press_events: str = "none"
    lookahead: int = 1

    def __post_init__(self) -> None:
        if self.press_events not in ("none", "next", "all"):
            raise WmTrainError(f"flags: press_events is {self.press_events!r}, expected none, next or all")
        if not 1 <= self.lookahead <= 16:
            raise WmTrainError(f"flags: lookahead is {self.lookahead}, expected 1 to 16")

    @property
    def given(self) -> dict[str, bool | str | int]:
        """Those that are on, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}


NO_FLAGS = Flags()


def as_kind(kind: type[Flags], flags: Flags) -> Flags:
    """`flags` as a game's own kind; WmTrainError if they are another game's."""
    if type(flags) is kind:
        return flags
    if unknown := flags.given.keys() - {f.name for f in fields(kind)}:
        raise WmTrainError(f"flags: {', '.join(sorted(unknown))} are another game's, expected those of {kind.__name__}")
    return kind(**flags.given)  # type: ignore[arg-type]
