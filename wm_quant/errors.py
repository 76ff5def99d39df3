"""The one exception type of this package."""

from wm_train.errors import ShownError


class WmQuantError(ShownError):
    """Something wm_quant was given cannot be used. The text says what, expected, got and the next step."""
