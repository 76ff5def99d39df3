"""The one exception type of this package."""


class WmTrainError(Exception):
    """Something wm_train was given cannot be used. The text says what, expected, got and the next step."""
