"""Pictures of the study of the spatial transformer: losses by epoch, and what it does to images."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from acqplan.report.plot.style import LIGHT, new_figure
from acqplan.study.transformer_findings import (
    HOMOGRAPHY,
    THESIS,
    THESIS_CONTROL,
    WIDE,
    WIDE_CONTROL,
    Case,
    Key,
    TransformerFindings,
)
from acqplan.study.transformer_training import EXPERIMENTS

COLOURS = {THESIS: "accent", THESIS_CONTROL: "slate", WIDE: "green", WIDE_CONTROL: "gold", HOMOGRAPHY: "plum"}
# Pixels between images, and their shade; how much changes are strengthened.
GAP, PAPER, STRENGTH = 4, 255, 2


def loss_curves(found: TransformerFindings, name: str, *, width: float = 8.4) -> Figure:
    """Losses by epoch on one set, a panel per experiment, first seed: the thesis' figure 4.3.

    Solid the validation loss, dotted the training loss (with dropout), a dot where the epoch was chosen.
    """
    experiments = sorted({experiment for _, experiment, its in found.cases if its == name})
    columns = min(len(experiments), 3)
    rows = -(-len(experiments) // columns)
    with new_figure(width, 0.7 + 2.5 * rows) as figure:
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        labels = {}
        for axes, experiment in zip(panels, experiments, strict=False):
            for (search, its, of_set), case in found.cases.items():
                if (its, of_set) != (experiment, name):
                    continue
                curves, colour = case.curves[0], LIGHT[COLOURS[search]]
                epochs = np.arange(len(curves.validation))
                (labels[search],) = axes.plot(epochs, curves.validation, color=colour, linewidth=1.6)
                axes.plot(epochs[1:] - 0.5, curves.training, ":.", color=colour, linewidth=1.2, markersize=3)
                axes.plot(curves.best_epoch, curves.loss, "o", color=colour, markersize=4.5)
            axes.set_title(f"{experiment}: {EXPERIMENTS[experiment]}", fontsize=8.5)
            axes.grid(axis="y")
            axes.locator_params("x", integer=True)
            axes.set_xlabel("epoch", fontsize=8.5)
        for axes in panels[len(experiments) :]:
            axes.remove()
        panels[0].set_ylabel("cross-entropy, nats", fontsize=8.5)
        (dotted,) = panels[0].plot([], [], ":.", color=LIGHT["soft"])
        handles = {f"validation, {search}": line for search, line in labels.items()} | {"training": dotted}
        figure.legend([*handles.values()], [*handles], loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def transformed_images(found: TransformerFindings, key: Key, *, width: float = 9.6) -> Figure:
    """Test images as they are, as they are transformed, and the difference: the thesis' figure 4.4."""
    case, originals = found.cases[key], found.base.pictures.astype(np.int64)
    changes = np.clip(128 + STRENGTH * (case.pictures - originals), 0, 255)
    sheet = np.concatenate([_side_by_side(row) for row in (originals, case.pictures, changes)])
    shots = found.tests.take(found.pictured)
    side = originals.shape[-1] + GAP
    with new_figure(width, 0.3 + 0.92 * width * sheet.shape[0] / sheet.shape[1]) as figure:
        axes = figure.add_subplot()
        axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_xticks([side * (0.5 + column) for column in range(len(originals))], shots.names, fontsize=6.5)
        axes.set_yticks(
            [side * (0.5 + row) for row in range(3)], ["original", "transformed", f"change × {STRENGTH}"], fontsize=8
        )
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure


def _side_by_side(images: np.ndarray) -> np.ndarray:
    framed = np.pad(images, ((0, 0), (0, GAP), (0, GAP)), constant_values=PAPER)
    return np.concatenate([*framed], axis=1)


def pictured_cases(found: TransformerFindings) -> dict[Key, Case]:
    """Of every experiment and search with a transformer the set of the least validation loss, with the first seed."""
    cases: dict[tuple[str, int], Key] = {}
    for key, case in found.cases.items():
        best = cases.get(key[:2])
        if case.parameters.size and (best is None or case.curves[0].loss < found.cases[best].curves[0].loss):
            cases[key[:2]] = key
    return {key: found.cases[key] for key in cases.values()}
