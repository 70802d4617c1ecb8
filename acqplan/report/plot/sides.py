"""Dials of several strategies side by side, drawn to one scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from acqplan.numbers import printable, shortened
from acqplan.report.plot.dial import draw_dial, is_round
from acqplan.report.plot.style import drawing, new_figure
from acqplan.report.standing import in_order
from acqplan.report.summary import positions
from acqplan.space import Shots

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

MOST_DIALS = 12
COLUMNS = 6
HEADING = 0.3
"""Inches above a row of dials."""


def taken_shots(findings: Findings) -> dict[str, Shots]:
    """What each strategy took in the first block under the primary budget; strategies that failed are left out."""
    shots, block = findings.results.shots, findings.results.blocks[0]
    names = [name for name in in_order(findings) if name in block.taken]
    return {name: shots.take(block.taken[name]) for name in names[:MOST_DIALS]}


def first_object(parts: Mapping[str, Shots]) -> tuple[str, dict[str, Shots]]:
    """The first object that every strategy photographed, and each strategy's shots of it; nothing if there is none."""
    common = set.intersection(*(set(part.object_rows.tolist()) for part in parts.values())) if parts else set()
    if not common:
        return "", {}
    row = min(common)
    name = next(iter(parts.values())).objects.names[row]
    return name, {strategy: part.take(np.flatnonzero(part.object_rows == row)) for strategy, part in parts.items()}


def most_shots(parts: Mapping[str, Shots]) -> int:
    """The largest count at one position in any of them: the scale of all dials."""
    return max((int(positions(part).n_shots.max()) for part in parts.values()), default=1)


def strategy_dials(findings: Findings, *, width: float = 10.0) -> Figure:
    """All objects together, and one object, for every strategy: what staggering looks like."""
    every = taken_shots(findings)
    name, single = first_object(every)
    groups = {"All objects together": every, f"Of these only {printable(name)}": single}
    columns = max(min(COLUMNS, len(every)), 3)
    rows = -(-max(len(every), 1) // columns)
    tall = rows * (width / columns * (1.0 if _any_round(every) else 0.7) + HEADING)
    drawn = {title: parts for title, parts in groups.items() if parts}
    with drawing():
        figure = new_figure(width, max(len(drawn), 1) * (HEADING + tall), laid_out=False)
        if drawn:
            strips = figure.subfigures(2 * len(drawn), 1, height_ratios=[HEADING, tall] * len(drawn), squeeze=False)
            for number, (title, parts) in enumerate(drawn.items()):
                strips[2 * number, 0].text(0.02, 0.1, title, fontsize=11, fontweight="bold")
                _side_by_side(strips[2 * number + 1, 0].subfigures(rows, columns, squeeze=False), parts)
    return figure


def _side_by_side(cells: np.ndarray, parts: Mapping[str, Shots]) -> None:
    most = most_shots(parts)
    for cell, (strategy, part) in zip(cells.ravel(), parts.items(), strict=False):
        draw_dial(cell, part, small=True, title=shortened(strategy, 18), most=most)


def _any_round(parts: Mapping[str, Shots]) -> bool:
    return any(is_round(part.space) for part in parts.values())
