"""Pages: each one self-contained document, and what a browser may do in it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from starlette.responses import HTMLResponse

from acqplan.report.palette import DARK, LIGHT
from acqplan.service.reference import reference

HERE = Path(__file__).parent
SCRIPTS = ("talk.js", "picture.js", "curve.js", "page.js")


def live_page() -> HTMLResponse:
    """The live page, self-contained; it may load from here alone, and run its own script alone."""
    return _page(_part("page.html"), "\n".join(map(_part, SCRIPTS)))


def reference_page(schema: dict[str, Any]) -> HTMLResponse:
    """The routes as a page, without a script.

    Args:
        schema: The OpenAPI document.
    """
    title = (
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>acqplan over HTTP</title><link rel=icon href='data:,'>"
    )
    width = '<meta name=viewport content="width=device-width, initial-scale=1">'
    return _page(f"{title}{width}<style>$style</style><main>{reference(schema)}</main>", "")


def _page(markup: str, script: str) -> HTMLResponse:
    style = f"{_colours()}\n{_part('page.css')}"
    content = markup.replace("$style", style).replace("$script", script)
    policy = (
        "default-src 'none'; connect-src 'self'; img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; style-src {_source(style)}; script-src {_source(script)}"
    )
    return HTMLResponse(content, headers={"Content-Security-Policy": policy})


@cache
def _part(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """A hash that lets a browser take this text in a page, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _colours() -> str:
    light, dark = (";".join(f"--{name}:{colour}" for name, colour in theme.items()) for theme in (LIGHT, DARK))
    return f":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}"
