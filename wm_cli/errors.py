"""The one exception of wm_cli, and what the verbs' outermost group knows when it ends in one."""

from wm_train.errors import ShownError


class WmCliError(ShownError):
    """A verb cannot do its work; the text says what, expected, got, and the next step."""


#: Exit code after Ctrl-C: a signal that ended a program is told as 128 and its number.
INTERRUPTED = 130
#: Key in a context's `meta`: the words of the command line, as they were typed.
WORDS = "wm_cli.words"
