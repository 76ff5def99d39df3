"""A whole page: one file of HTML that loads nothing from anywhere, light or dark as the reader's system is."""

from importlib.resources import files
from pathlib import Path

from wm_cli.page.markup import contents, escape

TEMPLATES = Path(__file__).resolve().parent / "templates"


def document(title: str, intro: str, body: str, script: str = "") -> str:
    """The page with this title; `intro` stands below it, then links to the sections of `body`."""
    theme = files("wm_live.watch") / "pages" / "theme.css"
    style = theme.read_text() + (TEMPLATES / "report.css").read_text()
    script = f"<script>{script}</script>" if script else ""
    policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
        f"<header><h1>{escape(title)}</h1>{intro}{contents(body)}</header><main>{body}</main>{script}</body></html>\n"
    )
