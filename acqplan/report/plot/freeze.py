"""Pictures of the study of freezing: accuracy by layer and by images, and how general each layer is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from acqplan.numbers import count_noun, points
from acqplan.report.plot.style import HEAT, LIGHT, new_figure

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.axes import Axes

    from acqplan.study.freeze_depth import FreezeDepth

WAYS = (("the rest fine-tuned", True, "accent", "o"), ("the rest random", False, "rust", "^"))
# Panels beside each other.
COLUMNS = 3
# Opacity of the largest gain or loss.
STRONGEST = 0.65


def depth_curves(study: FreezeDepth) -> Figure:
    """Accuracy against the number of frozen layers, a panel per number of images: the source's figure 6.1.

    Marks are means over repeats and directions, bars their standard errors.
    """
    images = study.images[::-1]
    rows = -(-len(images) // COLUMNS)
    with new_figure(9.2, 0.9 + 2.5 * rows) as figure:
        panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
        for number, axes in enumerate(panels.flat):
            if number >= len(images):
                axes.set_visible(False)
                continue
            n = images[number]
            for name, tuned, colour, mark in WAYS:
                _line(
                    axes,
                    study.layers,
                    [study.frozen(layer, n, tuned=tuned) for layer in study.layers],
                    colour,
                    mark,
                    name,
                )
                level = 100.0 * study.frozen(0, n, tuned=tuned).mean()
                word = "all fine-tuned (FTall)" if tuned else "all random (base)"
                axes.axhline(level, color=LIGHT[colour], linewidth=1, linestyle="--", label=word)
            axes.set_title(f"{count_noun(n, 'image')} per class")
            axes.set_xticks(study.layers)
            axes.grid(axis="y")
            if number % COLUMNS == 0:
                axes.set_ylabel("accuracy, %")
            axes.set_xlabel("frozen layers", fontsize=9)
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def image_curves(study: FreezeDepth) -> Figure:
    """Accuracy against images per class, a line per number of frozen layers, the rest fine-tuned: figure 6.2."""
    with new_figure(5.6, 3.8) as figure:
        axes = figure.add_subplot()
        values = [study.frozen(0, n, tuned=False) for n in study.images]
        _line(axes, study.images, values, "slate", "s", "all random")
        values = [study.frozen(0, n, tuned=True) for n in study.images]
        _line(axes, study.images, values, "ink", "o", "0 frozen")
        for place, layer in enumerate(study.layers):
            colour = HEAT[round(place * (len(HEAT) - 1) / max(len(study.layers) - 1, 1))]
            values = [study.frozen(layer, n, tuned=True) for n in study.images]
            _line(axes, study.images, values, colour, "D", f"{layer} frozen", size=3.5)
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks(study.images, [f"{n:,}" for n in study.images])
        axes.grid(axis="y")
        axes.set_title("Accuracy, %; the rest fine-tuned")
        axes.set_xlabel("training images per class (log scale)", fontsize=9)
        figure.legend(loc="outside right upper", frameon=False, fontsize=8.5)
    return figure


def freezing_map(study: FreezeDepth) -> Figure:
    """What freezing adds in points, by layers and images per class: the source's rule at a glance."""
    with new_figure(9.2, 1.3 + 0.32 * len(study.layers)) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (name, tuned, *_) in zip(panels, WAYS, strict=True):
            gains = study.gains(tuned=tuned).mean(axis=-1)
            reach = max(float(np.abs(gains).max()), 1e-9)
            for (y, x), gain in np.ndenumerate(gains):
                # lets the ground shine through, so that the words on it are read in the dark too
                colour, strength = LIGHT["accent" if gain > 0 else "rust"], STRONGEST * abs(gain) / reach
                axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, color=colour, alpha=strength, linewidth=0))
                axes.text(x, y, points(gain), ha="center", va="center", fontsize=8.5)
            axes.set_xlim(-0.5, len(study.images) - 0.5)
            axes.set_ylim(-0.5, len(study.layers) - 0.5)
            axes.set_xticks(range(len(study.images)), [f"{n:,}" for n in study.images])
            axes.set_yticks(range(len(study.layers)), [str(layer) for layer in study.layers])
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
            axes.set_title(f"{name}, points", fontsize=10)
            axes.set_xlabel("training images per class", fontsize=9)
        panels[0].set_ylabel("frozen layers", fontsize=9)
    return figure


def generality(study: FreezeDepth) -> Figure:
    """Accuracy after transfer to the own classes and to others, layer by layer, frozen and fine-tuned."""
    most = study.images[-1]
    lines = (
        ("BnB: own, frozen", "self", True, "slate", "s"),
        ("BnB+: own, fine-tuned", "self", False, "green", "D"),
        ("AnB: others', frozen", "source", True, "rust", "^"),
        ("AnB+: others', fine-tuned", "source", False, "accent", "o"),
    )
    with new_figure(5.6, 3.8) as figure:
        axes = figure.add_subplot()
        for name, origin, is_frozen, colour, mark in lines:
            values = [study.of(origin, layer, layer * is_frozen, most) for layer in study.layers]  # type: ignore[arg-type]
            _line(axes, study.layers, values, colour, mark, name)
        level = 100.0 * study.frozen(0, most, tuned=False).mean()
        axes.axhline(level, color=LIGHT["ink"], linewidth=1, linestyle="--", label="all random (base)")
        axes.set_xticks(study.layers)
        axes.grid(axis="y")
        axes.set_title(f"Accuracy, %, {most:,} images per class")
        axes.set_xlabel("layers that are transferred; the rest starts at random", fontsize=9)
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8.5)
    return figure


def _line(
    axes: Axes,
    places: tuple[int, ...],
    values: list[Float[np.ndarray, " units"]],
    colour: str,
    mark: str,
    name: str,
    *,
    size: float = 5.0,
) -> None:
    """Means in percent, joined, with their standard errors."""
    means = [100.0 * value.mean() for value in values]
    errors = [100.0 * value.std(ddof=1) / len(value) ** 0.5 if len(value) > 1 else 0.0 for value in values]
    axes.errorbar(
        places, means, errors, fmt=f"{mark}-", color=LIGHT[colour], markersize=size, linewidth=1.4, label=name
    )
