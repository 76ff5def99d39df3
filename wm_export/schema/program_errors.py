"""Errors of the program: names and texts, in the order of their codes."""

from collections.abc import Mapping, Sequence

#: Code of the first, as Anchor counts.
FIRST_ERROR = 6000
#: Name -> what is wrong.
ERRORS: Mapping[str, str] = {
    "WrongTag": "the account does not start with the tag of its kind",
    "WrongVersion": "the account was written by another version of this program",
    "WrongLength": "the account is not as long as this world needs, or not as long as it says",
    "WrongManifest": "the account belongs to a model with another manifest",
    "WrongAccount": "the account is not the one that the session, or the address rule, names",
    "WrongProgram": "the program or account of the platform is not the one of that name",
    "SameAccount": "two accounts that are written are one",
    "NotEmpty": "the account to be made exists already",
    "WrongAuthority": "the signer is not the one who may do this",
    "KeyExpired": "the session key has expired",
    "WrongStatus": "the session is not in the state in which this can be done",
    "WrongFrame": "the frame is not the session's current one: already computed, or still to come",
    "WrongStep": "the step is not the next one of the frame",
    "WrongInput": "an input lies outside what a controller can send",
    "LateInput": "the frame of the input has been computed already",
    "EarlyInput": "the frame of the input is too far ahead",
    "TakenInput": "the player has sent an input for this frame already",
    "MissingInput": "a player has not sent an input for this frame yet",
    "WrongPlayer": "there is no such player",
    "WrongIds": "a stage or character lies outside its table",
    "WrongRecord": "a field of the Frame lies outside its range",
    "WrongStart": "the window is not the one that the session was created for",
    "WrongProof": "the record is not the one that the session has committed to",
    "WindowMissing": "the window has not been loaded whole",
    "ModelFrozen": "the model is frozen for ever",
    "ModelNotFrozen": "the model is not frozen yet",
    "WrongChunk": "no chunk of the blob, or of the memory, has this number and length",
    "ChunkMissing": "a chunk of the blob has not been written yet",
    "WrongDigest": "the bytes of the blob are not those of the manifest, or not hashed whole; or the memory is not "
    "what was committed",
    "Judged": "the dispute has its verdict already",
    "WrongTerms": "what is named is not what the session was created with",
    "Delegated": "the session is delegated: that can be done after it has come back to the base chain",
}


def error_name(code: int) -> str:
    """Name of one of the program's own errors, empty if it is none."""
    names: Sequence[str] = list(ERRORS)
    return names[code - FIRST_ERROR] if 0 <= code - FIRST_ERROR < len(names) else ""
