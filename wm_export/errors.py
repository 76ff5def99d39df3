"""The one exception type of this package."""


class WmExportError(Exception):
    """Something cannot be exported, built or run. The text says what, expected, got and the next step."""
