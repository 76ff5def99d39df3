"""The one exception type of this package."""


class WmQuantError(Exception):
    """Something wm_quant was given cannot be used. The text says what, expected, got and the next step."""
