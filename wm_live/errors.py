"""The one exception of wm_live."""

from wm_train.errors import ShownError


class WmLiveError(ShownError):
    """A client of a deployed world cannot do its work; the text says what, expected, got, and the next step."""
