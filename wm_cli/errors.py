"""The one exception of wm_cli."""


class WmCliError(Exception):
    """A verb cannot do its work; the text says what, expected, got, and the next step."""
