"""The exception of wm_live, and one that the verbs add the next step to."""

from pathlib import Path

from wm_train.errors import ShownError


class WmLiveError(ShownError):
    """A client of a deployed world cannot do its work; the text says what, expected, got, and the next step."""


class OtherExportError(WmLiveError):
    """A log, a session or a model is not of the export that it is held against.

    manifest  hash of the manifest that it is of, in hex
    export    the folder of the one it is held against
    """

    def __init__(self, what: str, manifest: str, export: Path, expected: str) -> None:
        self.manifest, self.export = manifest, export
        super().__init__(f"{what}: not of {export}, its manifest: got {manifest}, expected {expected}")
