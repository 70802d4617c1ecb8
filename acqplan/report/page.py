"""Pages: one self-contained HTML file each, made from templates, that needs no network and no script.

Templates escape whatever they are given; what may pass as it is are pictures that `plot` drew, and the colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from acqplan.advice.answers import Advice, advice_sentences
from acqplan.files import replacing
from acqplan.numbers import count_noun, count_range, duration, p_text, percent, points, printable, shortened
from acqplan.report.counts import positions
from acqplan.report.plot import curves, views
from acqplan.report.plot.style import colour_variables, svg_element, thousands
from acqplan.report.tables import learning_table
from acqplan.space import Shots

SMALL_DIAL = 1.7
"""Width of a small dial in inches."""

Content = dict[str, object]
"""What a template shows, by the names that it uses."""


def render(template: str, content: Content) -> str:
    """A page as text; the same content gives the same text.

    Args:
        template: Name of a file in ``templates``.
        content: What the template shows; a name that it lacks is an error.
    """
    return _environment().get_template(template).render(content, colours=Markup(colour_variables()))


@cache
def _environment() -> Environment:
    def without_control_characters(value: object) -> object:
        return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    environment = Environment(
        loader=PackageLoader("acqplan.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=without_control_characters,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for function in (count_noun, duration, p_text, percent, points, thousands):
        environment.filters[function.__name__] = function
    return environment


def write_page(path: Path, text: str) -> None:
    """Write a page.

    Raises:
        OutputError: If the file cannot be written.
    """
    with replacing(path) as handle:
        handle.write(text)


def small_dials(kind: str, parts: Mapping[str, Shots], note: str) -> Content:
    """Small dials side by side, drawn to one scale, and what they show."""
    most = max(1, views.most_shots(parts))
    drawings = []
    for number, (name, part) in enumerate(parts.items()):
        figure = views.dial(part, title=shortened(name, 18), most=most, size=SMALL_DIAL)
        drawings.append(svg_element(figure, name=f"{kind}{number}", alt=dial_words(part, name)))
    return {"drawings": drawings, "note": f"{note} Largest dot: {count_noun(most, 'shot')}."}


def dial_words(shots: Shots, whose: str) -> str:
    """A dial in words."""
    counts = positions(shots).n_shots
    taken = counts[counts > 0]
    if not len(taken):
        return f"{whose}: no shots."
    where = f"{len(taken):,} of {len(counts):,} positions"
    return f"{whose}: {len(shots):,} shots from {where}, {count_range(taken)} from each."


def advice_content(advice: Advice) -> Content:
    """The advice in words, its learning curve if one could be measured, and the curve in numbers."""
    drawing = None
    if advice.points:
        each = ", ".join(f"{percent(point.accuracy.estimate)} % with {point.images:,}" for point in advice.points)
        alt = f"Accuracy on objects left out: {each} images."
        drawing = svg_element(curves.learning_curve(advice), name="advice", alt=alt)
    sentences = [f"{sentence}." for sentence in advice_sentences(advice)]
    return {"found": advice, "sentences": sentences, "curve": drawing, "table": learning_table(advice)}
