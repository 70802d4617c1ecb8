"""Parts that all pages share: frame, tiles, tables, lists, figures. All text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template

from acqplan.numbers import printable
from acqplan.report.plot.style import DARK, LIGHT


def page(*, title: str, kicker: str, headline: str, lead: str, tiles: Iterable[tuple[str, str, str]], body: str) -> str:
    """A page that needs no network and no script.

    Args:
        title: Of the window.
        kicker: What kind of page it is.
        headline: What it says, in one sentence.
        lead: HTML below the headline.
        tiles: Number, what it counts, and more about it.
        body: HTML of the sections.
    """
    room = files("acqplan.report")
    return Template((room / "page.html").read_text(encoding="utf-8")).substitute(
        title=text(f"{title} – acqplan"),
        style=f"{_colours()}\n{(room / 'page.css').read_text(encoding='utf-8')}",
        kicker=text(kicker),
        headline=text(headline),
        lead=lead,
        tiles="".join(_tile(*tile) for tile in tiles),
        body=body,
    )


def text(words: str) -> str:
    """Words as HTML, without characters that would break it."""
    return escape(printable(words))


def _colours() -> str:
    light, dark = (";".join(f"--{name}:{colour}" for name, colour in theme.items()) for theme in (LIGHT, DARK))
    return f":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}"


def _tile(number: str, what: str, more: str) -> str:
    return f"<li><b>{text(number)}</b> <span>{text(what)}</span> <small>{text(more)}</small></li>"


def section(title: str, body: str, *, kind: str = "") -> str:
    """A section with its heading; nothing if there is no body."""
    marked = f' class="{kind}"' if kind else ""
    return f"<section{marked}><h2>{text(title)}</h2>{body}</section>" if body else ""


def paragraphs(*sentences: str) -> str:
    """Each as a paragraph; empty ones are left out."""
    return "".join(f"<p>{text(sentence)}</p>" for sentence in sentences if sentence)


def bullets(sentences: Iterable[str], *, kind: str = "") -> str:
    """A list; nothing if it is empty."""
    items = "".join(f"<li>{text(sentence)}</li>" for sentence in sentences)
    marked = f' class="{kind}"' if kind else ""
    return f"<ul{marked}>{items}</ul>" if items else ""


def folded(summary: str, body: str) -> str:
    """What opens at a click."""
    return f"<details><summary>{text(summary)}</summary>{body}</details>"


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Keys and values."""
    return f"<dl>{''.join(f'<dt>{text(key)}</dt><dd>{text(value)}</dd>' for key, value in pairs)}</dl>"


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    label: str,
    caption: str = "",
    kinds: Sequence[str] = (),
) -> str:
    """A table that a narrow window scrolls sideways.

    Args:
        columns: Names of the columns.
        rows: Cells of each row.
        label: What the scrolling region is called.
        caption: Written above.
        kinds: Class of each row; none by default.
    """
    drawn = f"<table>{_head(columns, caption)}<tbody>{''.join(_rows(columns, rows, kinds))}</tbody></table>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="{text(label)}">{drawn}</div>'


def cards(columns: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str = "", kinds: Sequence[str]) -> str:
    """A table whose rows become cards in a narrow window; each cell says which column it is of."""
    body = "".join(_rows(columns, rows, kinds))
    return f'<table class="verdict">{_head(columns, caption)}<tbody>{body}</tbody></table>'


def _head(columns: Sequence[str], caption: str) -> str:
    names = "".join(f'<th scope="col">{text(name)}</th>' for name in columns)
    return (f"<caption>{text(caption)}</caption>" if caption else "") + f"<thead><tr>{names}</tr></thead>"


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]], kinds: Sequence[str]) -> Iterable[str]:
    for number, row in enumerate(rows):
        cells = "".join(
            f'<td data-label="{text(name)}">{text(cell)}</td>' for name, cell in zip(columns, row, strict=True)
        )
        yield f'<tr class="{kinds[number]}">{cells}</tr>' if kinds else f"<tr>{cells}</tr>"


def figure(svg: str, caption: str = "", *, kind: str = "") -> str:
    """A picture with words below it."""
    words = f"<figcaption>{text(caption)}</figcaption>" if caption else ""
    marked = f' class="{kind}"' if kind else ""
    return f"<figure{marked}>{svg}{words}</figure>"
