"""Contact sheets: small images in rows, each with its words, as data, as a figure, and as addresses for a page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from acqplan.images import jpeg_of
from acqplan.numbers import printable, shortened
from acqplan.report.plot.style import LIGHT, new_figure
from acqplan.rig.source import Image

# Images in a row of a figure; inches of a cell, of its words, and of the name of a group.
COLUMNS = 12
CELL, WORDS, HEADING = 1.0, 0.36, 0.34
# Letters that a cell is wide.
LETTERS = 15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Thumbnail:
    """A small image with its words.

    Attributes:
        pixels: Grey or colour, bytes.
        words: Up to two lines below it, e.g. object and view.
    """

    pixels: Image
    words: tuple[str, ...]

    @property
    def address(self) -> str:
        """The image as a JPEG within a page."""
        return f"data:image/jpeg;base64,{base64.b64encode(jpeg_of(self.pixels)).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """A contact sheet.

    Attributes:
        name: Of its file, without ``.png``.
        title: What it shows.
        note: How it was put together.
        groups: Rows of images by what they have in common, e.g. a class; "" for a group without a name.
    """

    name: str
    title: str
    note: str
    groups: Mapping[str, Sequence[Thumbnail]]


def contact_sheet(sheet: Sheet) -> Figure:
    """A sheet as a figure, twelve images a row."""
    rows = {
        name: [group[at : at + COLUMNS] for at in range(0, len(group), COLUMNS)] for name, group in sheet.groups.items()
    }
    high = sum(HEADING * bool(name) + (CELL + WORDS) * len(lines) for name, lines in rows.items())
    top, width = high + 2 * HEADING, COLUMNS * CELL
    with new_figure(width, top, laid_out=False) as figure:
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), xlim=(0, width), ylim=(top, 0))
        axes.set_axis_off()
        axes.text(0.08, HEADING, printable(sheet.title), fontsize=13, fontweight="bold", va="bottom")
        axes.text(0.08, 1.2 * HEADING, printable(sheet.note), fontsize=8, color=LIGHT["soft"], va="top")
        y = 2 * HEADING
        for name, lines in rows.items():
            if name:
                axes.text(0.08, y + HEADING / 2, printable(name), fontsize=10, fontweight="bold", va="center")
                y += HEADING
            for line in lines:
                for column, thumbnail in enumerate(line):
                    _draw(axes, thumbnail, column * CELL, y)
                y += CELL + WORDS
    return figure


def _draw(axes: Axes, thumbnail: Thumbnail, x: float, y: float) -> None:
    """One image in its cell, its sides in proportion, with its words below."""
    high, wide = thumbnail.pixels.shape[:2]
    scale = 0.92 * CELL / max(high, wide)
    left, bottom = x + (CELL - wide * scale) / 2, y + 0.96 * CELL
    extent = (left, left + wide * scale, bottom, bottom - high * scale)
    axes.imshow(thumbnail.pixels, extent=extent, cmap="gray", vmin=0, vmax=255, aspect="auto")
    for number, words in enumerate(thumbnail.words):
        colour = LIGHT["soft" if number else "ink"]
        place = x + CELL / 2, y + CELL + 0.15 * number
        axes.text(*place, shortened(words, LETTERS), fontsize=7.5, color=colour, ha="center", va="top")
