"""Pictures of studies: sets of views against each other, and the accuracy of every design."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from acqplan.report.plot.style import HEAT, LIGHT, new_figure
from acqplan.study.norb_sets import FULL_SET, RANDOM_SETS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acqplan.study.norb_findings import LayerFindings
    from acqplan.study.norb_surface import Surface

COLOURS = ("green", "plum", "gold", "slate")
# Accuracy below which a number in a cell is written dark on light.
DARK_FROM = 0.6
# Numbers of images that are joined by lines.
LINES = (30, 90, 270, 810, 2_430)


def set_accuracy(layers: Sequence[LayerFindings], *, width: float = 5.6) -> Figure:
    """Accuracy of each even and random set, a panel per layer: the thesis' figures 4.1 and 4.2.

    Marks are filled in the colour of the winner where McNemar's test finds a difference at the thesis' level, and
    grey where it finds none; the line is that of the full set. All panels have the same axes.
    """
    # The largest sets first; of equally large ones in the order of the tables.
    names = sorted(RANDOM_SETS, key=lambda name: -layers[0].tested["even", name].train_images)
    with new_figure(width, 0.6 + 2.9 * len(layers)) as figure:
        panels = figure.subplots(len(layers), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, layer in zip(panels, layers, strict=True):
            wins = dict(zip(RANDOM_SETS, (pair.wins[0] for pair in layer.pairs), strict=True))
            full = 100.0 * layer.tested["even", FULL_SET].correct[0].mean()
            axes.axhline(full, color=LIGHT["ink"], linewidth=1, linestyle="--")
            axes.annotate(
                "full set", (1.0, full), (2, 3), xycoords=("axes fraction", "data"), textcoords="offset points",
                fontsize=8.5, ha="right", color=LIGHT["soft"],
            )  # fmt: skip
            for rule, mark, colour, sign in (("even", "o", "accent", 1), ("random", "^", "rust", -1)):
                heights = [100.0 * layer.tested[rule, name].correct[0].mean() for name in names]
                axes.plot(range(len(names)), heights, color=LIGHT[colour], linewidth=0.8, alpha=0.5, zorder=2)
                for place, (name, height) in enumerate(zip(names, heights, strict=True)):
                    shade = LIGHT["faint" if wins[name] == 0 else colour]
                    edge = LIGHT[colour if wins[name] in (0, sign) else "faint"]
                    fill = shade if wins[name] in (0, sign) else LIGHT["ground"]
                    axes.plot(place, height, mark, color=fill, markeredgecolor=edge, markersize=7.5, zorder=3)
                axes.plot([], [], mark, color=LIGHT[colour], label=f"{rule} ahead")
            axes.plot([], [], "o", color=LIGHT["ground"], markeredgecolor=LIGHT["faint"], label="behind")
            axes.plot([], [], "s", color=LIGHT["faint"], label="no difference (McNemar, .01)")
            axes.set_title(f"{layer.backbone}: accuracy on all test images, %")
            axes.grid(axis="y")
        panels[-1].set_xticks(
            range(len(names)),
            [f"{name}\n{layers[0].tested['even', name].train_images:,}" for name in names],
            rotation=55,
            fontsize=8,
        )
        panels[-1].set_xlabel("set, and images that heads were trained on (smaller to the right)", fontsize=9)
        figure.legend(
            *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8.5
        )
    return figure


def strategy_accuracy(layer: LayerFindings, *, width: float = 5.6) -> Figure:
    """Accuracy against training images of even sets, random sets and strategies, means over seeds."""
    rules = list(dict.fromkeys(rule for rule, _ in layer.tested))
    looks = {"even": ("accent", "o"), "random": ("rust", "^")}
    with new_figure(width, 3.6) as figure:
        axes = figure.add_subplot()
        for number, rule in enumerate(rules):
            colour, mark = looks.get(rule, (COLOURS[(number - 2) % len(COLOURS)], "D"))
            arms = sorted(
                (arm for (its, name), arm in layer.tested.items() if its == rule and name != FULL_SET),
                key=lambda arm: arm.train_images,
            )
            images = [arm.train_images for arm in arms]
            heights = [100.0 * arm.correct.mean() for arm in arms]
            line = "" if rule in looks else "-"
            axes.plot(images, heights, f"{mark}{line}", color=LIGHT[colour], markersize=5, linewidth=1.6, label=rule)
        full = 100.0 * layer.tested["even", FULL_SET].correct.mean()
        axes.axhline(full, color=LIGHT["ink"], linewidth=1, linestyle="--", label="full set")
        axes.set_xscale("log")
        ticks = sorted({layer.tested["even", name].train_images for name in RANDOM_SETS})
        axes.minorticks_off()
        axes.set_xticks(ticks[::2], [f"{tick:,}" for tick in ticks[::2]], fontsize=8)
        axes.grid(axis="y")
        axes.set_title("Accuracy on all test images, %")
        axes.set_xlabel("training images (log scale); mean over seeds", fontsize=9)
        axes.legend(frameon=False, fontsize=8.5, ncols=2)
    return figure


def surface_map(surface: Surface, *, width: float = 8.4) -> Figure:
    """Accuracy by numbers of azimuths and elevations, a row per lights and objects, a column per placement.

    Below each accuracy its images; lines join designs of as many images, i.e. of equal cost.
    """
    mean = surface.accuracy.mean(axis=1)
    low, high = float(mean.min()), float(mean.max())
    kinds = sorted({(int(objects), int(lights)) for _, _, lights, objects in surface.designs})
    colours = LinearSegmentedColormap.from_list("heat", [LIGHT[name] for name in HEAT])
    with new_figure(width, 0.7 + 2.0 * len(kinds)) as figure:
        panels = figure.subplots(len(kinds), len(surface.placements), sharex=True, sharey=True, squeeze=False)
        azimuths, elevations = (sorted(set(surface.designs[:, column].tolist())) for column in (0, 1))
        for row, (objects, lights) in enumerate(kinds):
            mine = (surface.designs[:, 3] == objects) & (surface.designs[:, 2] == lights)
            for column, placement in enumerate(surface.placements):
                axes: Axes = panels[row, column]
                grid = np.full((len(elevations), len(azimuths)), np.nan)
                for (azimuth, elevation, *_), found in zip(surface.designs[mine], mean[column][mine], strict=True):
                    grid[elevations.index(elevation), azimuths.index(azimuth)] = found
                axes.imshow(grid, origin="lower", aspect="auto", cmap=colours, vmin=low, vmax=high)
                images = surface.classes * objects * lights * np.outer(elevations, azimuths)
                for (y, x), found in np.ndenumerate(grid):
                    if math.isfinite(found):
                        strong = (found - low) / max(high - low, 1e-9) > DARK_FROM
                        shade = LIGHT["ground" if strong else "ink"]
                        axes.text(x, y + 0.12, f"{100 * found:.0f}", ha="center", va="center", fontsize=9, color=shade)
                        cost = f"{images[y, x]:,}"
                        axes.text(x, y - 0.28, cost, ha="center", va="center", fontsize=6, color=shade, alpha=0.8)
                reached = np.where(np.isfinite(grid), images, np.nan)
                axes.contour(reached, levels=LINES, colors=LIGHT["rust"], linewidths=0.9, linestyles="--")
                axes.set_xticks(range(len(azimuths)), [str(count) for count in azimuths], fontsize=8)
                axes.set_yticks(range(len(elevations)), [str(count) for count in elevations], fontsize=8)
                axes.tick_params(length=0)
                axes.spines[:].set_visible(False)
                light = f"{lights} light{'s' * (lights > 1)}"
                if row == 0:
                    axes.set_title(placement, fontsize=10)
                if column == 0:
                    axes.set_ylabel(f"{objects} objects a class\n{light}\nelevations", fontsize=8.5)
                if row == len(kinds) - 1:
                    axes.set_xlabel("azimuths", fontsize=8.5)
    return figure
