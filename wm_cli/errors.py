"""The one exception of wm_cli."""

from wm_train.errors import ShownError


class WmCliError(ShownError):
    """A verb cannot do its work; the text says what, expected, got, and the next step."""


#: Exit code after Ctrl-C.
INTERRUPTED = 130
