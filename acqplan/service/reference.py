"""The routes in words, from the OpenAPI document: for people, offline, and without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

CODE = re.compile(r"(`+)(.+?)\1")


def reference(schema: dict[str, Any]) -> str:
    """All routes as HTML.

    Args:
        schema: The OpenAPI document.
    """
    about = f"<h1>acqplan over HTTP</h1><p>{_words(schema['info']['description'])}</p>"
    more = "<p>As a document for programs: <a href=openapi.json>openapi.json</a></p>"
    routes = [
        _route(schema, f"{method.upper()} {path}", route)
        for path, methods in schema["paths"].items()
        for method, route in methods.items()
    ]
    return about + more + "".join(routes)


def _route(schema: dict[str, Any], name: str, route: dict[str, Any]) -> str:
    parameters = [_item(one["name"], one.get("description", "")) for one in route.get("parameters", [])]
    told = "".join([*parameters, *_fields(schema, route)])
    statuses = ", ".join(sorted(route["responses"]))
    about = f"<h2><code>{escape(name)}</code></h2><p>{_words(route.get('description', ''))}</p>"
    return f"<section>{about}<ul>{told}</ul><p class=soft>Statuses: {statuses}.</p></section>"


def _fields(schema: dict[str, Any], route: dict[str, Any]) -> Iterator[str]:
    """Keys of a JSON body, or what another body is."""
    body = route.get("requestBody", {})
    document = body.get("content", {}).get("application/json")
    if document is None:
        if body:
            yield f"<li>Body: {_words(body['description'])}</li>"
        return
    found = re.search(r"#/components/schemas/(\w+)", str(document))
    assert found is not None, f"a body without a name: {document}"
    question = schema["components"]["schemas"][found[1]]
    for name, field in question["properties"].items():
        needed = "" if name in question.get("required", []) else " May be left out."
        yield _item(f'"{name}"', f"{field.get('description', '')}{needed}")


def _item(name: str, about: str) -> str:
    return f"<li><code>{escape(name)}</code> {_words(about)}</li>"


def _words(text: str) -> str:
    """Text as HTML, with its code marked."""
    return CODE.sub(r"<code>\2</code>", escape(text))
