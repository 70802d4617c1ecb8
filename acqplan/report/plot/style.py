"""How all plots look, and how they become files: no global state of matplotlib is left changed."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from acqplan.files import replacing
from acqplan.numbers import printable

COLOURS = {
    "ground": ("#ffffff", "#12171c"),
    "panel": ("#f5f7f9", "#1a2128"),
    "ink": ("#1b2126", "#e6ebf0"),
    "soft": ("#56616b", "#a3afba"),
    "faint": ("#c3cbd2", "#404b55"),
    "accent": ("#0b62a8", "#62b5f5"),
    "rust": ("#c4520f", "#f08c52"),
    "green": ("#14795a", "#4fc79d"),
    "plum": ("#96478a", "#d78fcb"),
    "gold": ("#8f6b00", "#d9b548"),
    "slate": ("#6a7680", "#8f9ba6"),
    "heat1": ("#cbe0f1", "#21405a"),
    "heat2": ("#95c1e2", "#2c638f"),
    "heat3": ("#559ccd", "#4490cb"),
    "heat4": ("#2373b3", "#7abaea"),
    "heat5": ("#0a4a82", "#c9e5fd"),
}
"""Colours on white and on near-black, by the name of the page's variable.

No two of a palette are equal, so that a page can swap those of a plot. The ramp of heat is reversed on near-black, so
that many shots stand out from the ground.
"""

LIGHT: Mapping[str, str] = {name: light for name, (light, _) in COLOURS.items()}
DARK: Mapping[str, str] = {name: dark for name, (_, dark) in COLOURS.items()}

# Few shots to many.
HEAT = ("heat1", "heat2", "heat3", "heat4", "heat5")
# Colours of the strategies that are not the primary one.
OTHERS = ("rust", "green", "plum", "gold", "slate")
ANSWER_COLOURS = {"better": "green", "worse": "rust", "no difference found": "slate"}


def strategy_colours(strategies: Sequence[str], primary: str, baseline: str | None = None) -> dict[str, str]:
    """A colour name for each strategy: the primary one gets the accent, the others take turns.

    Where there is a baseline, it gets rust and all others are muted, so that these two are seen first.
    """
    others = [name for name in dict.fromkeys(strategies) if name not in (primary, baseline)]
    palette = OTHERS if baseline is None else ("slate",)
    colours = {name: palette[number % len(palette)] for number, name in enumerate(others)}
    return {**colours, **({} if baseline is None else {baseline: "rust"}), primary: "accent"}


def heat_step(count: int, most: int) -> int:
    """Which fifth of the largest count this is, 0 to 4."""
    return max(0, min(4, -(-5 * count // max(most, 1)) - 1))


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


@contextlib.contextmanager
def new_figure(width: float, height: float, *, laid_out: bool = True) -> Iterator[Figure]:
    """An empty figure of this size in inches, to draw on in this style; one that lays itself out is drawn twice."""
    with drawing():
        yield Figure(figsize=(width, height), layout="constrained" if laid_out else None, facecolor=LIGHT["ground"])


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure as PNG at 150 dots per inch; the same figure gives the same bytes."""
    picture = io.BytesIO()
    with drawing():
        figure.savefig(
            picture, format="png", dpi=150, metadata={"Software": None}, pil_kwargs={"compress_level": 3}
        )  # half the time of 6, and as small
    with replacing(path, "wb") as handle:
        handle.write(picture.getvalue())


def svg_element(figure: Figure, *, name: str, alt: str) -> Markup:
    """A figure as an ``<svg>`` element that takes its colours from the page's variables.

    Args:
        figure: The figure.
        name: Set before all identifiers, so that several pictures can share a page.
        alt: The picture in words, for readers who cannot see it; escaped here.
    """
    text = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with drawing():
        figure.savefig(text, format="svg", dpi=200, transparent=True, metadata=nothing)
    # Numbers of tags to a hundredth of a point: half the size of the page, and the same picture.
    drawn = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag.group()), text.getvalue())
    body = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    # Identifiers of several pictures on one page must differ.
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", body)
    # The page's variables in place of our colours: dark mode then needs no second drawing.
    for variable, colour in LIGHT.items():
        body = body.replace(colour, f"var(--{variable})")
    body = body[body.index("<svg") :]
    # Without width and height the page's style decides the size; the viewBox keeps the proportions.
    sized = re.sub(r'\s(width|height)="[^"]*pt"', "", body, count=2)
    return Markup(sized.replace("<svg", f'<svg role="img" aria-label="{escape(printable(alt))}"', 1))


def bare(axes: Axes) -> None:
    """Remove frame, ticks and grid."""
    axes.set_frame_on(False)
    axes.tick_params(length=0)
