"""How all plots look, and how they become files: no global state of matplotlib is left changed."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from acqplan.files import replacing
from acqplan.report.palette import LIGHT
from acqplan.report.summary import printable

SETTINGS: Any = {
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10.0,
    "axes.edgecolor": LIGHT["faint"],
    "axes.labelcolor": LIGHT["soft"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LIGHT["faint"],
    "grid.linewidth": 0.5,
    "grid.alpha": 0.7,
    "text.color": LIGHT["ink"],
    "text.parse_math": False,  # an object may be called $x^$
    "xtick.color": LIGHT["faint"],
    "ytick.color": LIGHT["faint"],
    "xtick.labelcolor": LIGHT["soft"],
    "ytick.labelcolor": LIGHT["soft"],
    "svg.fonttype": "none",  # the page's own font; text stays text
    "svg.hashsalt": "acqplan",  # the same figure gives the same bytes
}


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """Draw in this style: matplotlib's settings are put back at the end."""
    with mpl.rc_context(SETTINGS), warnings.catch_warnings():
        # Names in scripts that the font lacks show as boxes in a PNG; the page shows them right.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def new_figure(width: float, height: float, *, laid_out: bool = True) -> Figure:
    """An empty figure of this size in inches; one that lays itself out is drawn twice."""
    return Figure(figsize=(width, height), layout="constrained" if laid_out else None, facecolor=LIGHT["ground"])


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG at 150 dots an inch; the same figure gives the same bytes."""
    picture = io.BytesIO()
    with drawing():
        figure.savefig(picture, format="png", dpi=150, metadata={"Software": None})
    with replacing(path, "wb") as handle:
        handle.write(picture.getvalue())


def svg_element(figure: Figure, *, name: str, alt: str, colours: Mapping[str, str] = LIGHT) -> str:
    """A figure as an ``<svg>`` element that takes its colours from the page's variables.

    Args:
        figure: The figure.
        name: Set before all identifiers, so that several pictures can share a page.
        alt: What a reader who cannot see the picture is told; escaped here.
        colours: Colours to be replaced by variables of these names.
    """
    text = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with drawing():
        figure.savefig(text, format="svg", dpi=200, transparent=True, metadata=nothing)
    drawn = re.sub(r"<[^>]+>", _rounded, text.getvalue())
    body = _identified(re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL), name)
    for variable, colour in colours.items():
        body = body.replace(colour, f"var(--{variable})")
    body = body[body.index("<svg") :]
    # Without width and height the page's style decides the size; the viewBox keeps the proportions.
    sized = re.sub(r'\s(width|height)="[^"]*pt"', "", body, count=2)
    return sized.replace("<svg", f'<svg role="img" aria-label="{escape(printable(alt))}"', 1)


def _rounded(tag: re.Match[str]) -> str:
    """Numbers of a tag to a hundredth of a point: half the size of the page, and the same picture."""
    return re.sub(r"(\.\d\d)\d+", r"\1", tag.group())


def _identified(svg: str, name: str) -> str:
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', svg)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", svg)


def bare(axes: Axes) -> None:
    """Remove frame, ticks and grid."""
    axes.set_frame_on(False)
    axes.tick_params(length=0)


def thousands(number: float) -> str:
    """``2,430``."""
    return f"{number:,.0f}"
