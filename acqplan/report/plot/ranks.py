"""Ranks of strategies over budgets, 1 the best."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from acqplan.report.palette import LIGHT
from acqplan.report.plot.accuracy import EndLabel, label_ends
from acqplan.report.plot.curves import LABEL, budget_axis, label_colour, looks
from acqplan.report.plot.style import drawing, new_figure
from acqplan.report.standing import drawn
from acqplan.report.summary import shortened

if TYPE_CHECKING:
    from acqplan.evaluate.benchmark.findings import Findings


def rank_curves(findings: Findings, *, width: float = 5.6) -> Figure:
    """Mean rank over objects at every budget, the best at the top, names at the ends of the lines."""
    design, names = findings.results.design, drawn(findings)
    standings = {standing.strategy: standing for standing in findings.standings if standing.strategy in names}
    styles = looks(findings, names)
    height = max(3.0, LABEL * len(standings) / 0.8)
    with drawing():
        figure = new_figure(width, height)
        axes = figure.add_subplot()
        labels = []
        for name, standing in standings.items():
            axes.plot(design.budgets, standing.ranks, **styles[name])
            strong = name in (design.primary, design.baseline)
            text = f"{shortened(name, 18)} {standing.ranks[-1]:.1f}"
            end = (design.budgets[-1], standing.ranks[-1])
            labels.append(EndLabel(text=text, x=end[0], y=end[1], colour=label_colour(findings, name), strong=strong))
        budget_axis(axes, design.budgets)
        axes.invert_yaxis()
        label_ends(axes, labels, gap=LABEL / (height * 0.75))
        axes.set_title("Mean rank over objects (1 the best)")
        axes.set_xlabel("images allowed (log scale)", fontsize=9, color=LIGHT["soft"])
    return figure
