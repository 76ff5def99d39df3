"""Node URLs as they may be shown: providers put API keys into user names, paths and queries."""

from urllib.parse import urlsplit

#: A part of a path of this many characters is taken for a key.
KEY_CHARACTERS = 12
HIDDEN = "***"


def is_local(url: str) -> bool:
    """Whether a node is on this machine."""
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def redacted(url: str) -> str:
    """`url` without what may be a secret: user, password, query, fragment, and long parts of its path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    if not parts.netloc:
        return url if len(url) < KEY_CHARACTERS else HIDDEN
    host = parts.netloc.rpartition("@")[2]
    path = "/".join(HIDDEN if len(part) >= KEY_CHARACTERS else part for part in parts.path.split("/"))
    rest = f"?{HIDDEN}" if parts.query or parts.fragment else ""
    return f"{parts.scheme}://{HIDDEN + '@' if '@' in parts.netloc else ''}{host}{path}{rest}"


def without_secrets(text: str, url: str) -> str:
    """A message of a library about `url`, with each part of the URL that `redacted` hides left out."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    keys = [part for part in parts.path.split("/") if len(part) >= KEY_CHARACTERS]
    secrets = [parts.netloc.rpartition("@")[0], parts.password, parts.username, parts.query, parts.fragment, *keys]
    for secret in sorted({one for one in secrets if one}, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
