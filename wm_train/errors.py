"""What a user is shown where something cannot be done, and the one exception type of this package."""

#: Characters of a line that an error shows; of a longer one its beginning, and its end with the next step.
LINE_MAX, LINE_END = 2_000, 400


class ShownError(Exception):
    """An error as a user reads it. Whatever it quotes of others' files, names and answers: no character of it steers a
    terminal, and no line is endless."""

    def __str__(self) -> str:
        return "\n".join(map(_shown, super().__str__().split("\n")))


def _shown(line: str) -> str:
    if not line.isprintable():
        line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return line if len(line) <= LINE_MAX else f"{line[: LINE_MAX - LINE_END]} … {line[-LINE_END + 3 :]}"


class WmTrainError(ShownError):
    """Something wm_train was given cannot be used. The text says what, expected, got and the next step."""
