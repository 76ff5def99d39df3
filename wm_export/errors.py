"""The one exception type of this package."""

from wm_train.errors import ShownError


class WmExportError(ShownError):
    """Something cannot be exported, built or run. The text says what, expected, got and the next step."""
