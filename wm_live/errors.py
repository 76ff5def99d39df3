"""The one exception of wm_live."""


class WmLiveError(Exception):
    """A client of a deployed world cannot do its work; the text says what, expected, got, and the next step."""
