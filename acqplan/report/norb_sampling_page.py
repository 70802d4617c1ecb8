"""What the study of sets of views leaves behind: report.html, pictures, results.csv and findings.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from acqplan import __version__
from acqplan.evaluate.results import weighted_shares
from acqplan.numbers import p_text, percent, points
from acqplan.progress import SILENT, Progress
from acqplan.report.norb_sampling_answers import (
    FACTORS,
    answers,
    best_designs,
    document,
    doublings,
    plus_minus,
    sentences,
)
from acqplan.report.page import STYLE, TEMPLATES
from acqplan.report.plot import Drawings
from acqplan.report.plot.study import set_accuracy, strategy_accuracy, surface_map
from acqplan.report.plot.style import svg_element
from acqplan.report.result import save_study
from acqplan.report.tables import NONE, Column, Table
from acqplan.study.norb_findings import LEVEL, REPORTED, Contrast, LayerFindings
from acqplan.study.norb_sampling import NorbSampling
from acqplan.study.norb_sets import DENSE_AZIMUTH, DENSE_ELEVATION, IMAGES, RANDOM_SETS
from acqplan.study.norb_surface import Surface

WORDS = {1: "ahead", -1: "behind", 0: "no difference found"}
COLUMNS = (
    "backbone",
    "rule",
    "set",
    "seed",
    "images",
    "train_images",
    "object",
    "label",
    "accuracy",
    "setting",
    "loss",
)


def save_norb_sampling(
    study: NorbSampling, out: Path, *, facts: Mapping[str, str] | None = None, progress: Progress = SILENT
) -> list[Path]:
    """Write report.html, the pictures, results.csv and findings.json, all at one moment; see `save_study`."""
    drawings: Drawings = {"sets": partial(set_accuracy, study.layers)}
    for number, layer in enumerate(study.layers):
        drawings[f"designs-{number}"] = partial(surface_map, layer.surface)
        drawings[f"strategies-{number}"] = partial(strategy_accuracy, layer)
    page = partial(page_text, study, facts=facts)
    return save_study(
        out,
        document=document(study),
        columns=COLUMNS,
        rows=_rows(study),
        page=page,
        drawings=drawings,
        progress=progress,
    )


def _rows(study: NorbSampling) -> Iterator[tuple[object, ...]]:
    """A row for each arm, seed and test object."""
    for layer, arm in ((its, arm) for its in study.layers for arm in its.tested.values()):
        objects, rows = layer.tests.objects, np.unique(layer.tests.object_rows)
        shares = weighted_shares(arm.correct, layer.tests, None)
        for seed, setting, loss, of_seed in zip(study.protocol.seeds, arm.settings, arm.losses, shares, strict=True):
            about = (layer.backbone, arm.rule, arm.name, seed, arm.images, arm.train_images)
            for row, share in zip(rows, of_seed, strict=True):
                tested = (objects.names[row], objects.labels[row], f"{share:.6f}")
                yield *about, *tested, str(setting), f"{loss:.6f}"


def page_text(study: NorbSampling, *, facts: Mapping[str, str] | None = None) -> str:
    """The page as text; the same study gives the same text."""
    first = study.layers[0]
    even, random = first.wins()
    layers = []
    for number, layer in enumerate(study.layers):
        layers.append(
            {
                "name": layer.backbone,
                "pairs": _pairs_table(layer),
                "surface": svg_element(
                    surface_map(layer.surface), name=f"surface{number}", alt="Accuracy of every design"
                ),
                "strategies": svg_element(
                    strategy_accuracy(layer), name=f"strategies{number}", alt="Accuracy against training images"
                ),
                "best": _best_table(layer.surface),
                "doublings": _doublings_table(layer.surface),
                "against": _against_table(layer),
            }
        )
    protocol = study.protocol
    made = {
        "rig": study.rig,
        "heads": f"softmax, Adam, batch 8, {protocol.updates:,} updates, best epoch by validation cross-entropy",
        "settings": f"{len(protocol.settings)} per set and seed: "
        + "; ".join(dict.fromkeys(str(setting).rsplit(", seed", 1)[0] for setting in protocol.settings)),
        "seeds": ", ".join(map(str, protocol.seeds)),
        "train, validation, test": "instances 4, 6, 9; 7, 8; 0, 1, 2, 3, 5 of each class",
        "acqplan": __version__,
        **(facts or {}),
    }
    dense = first.dense["even"]
    return TEMPLATES.get_template("norb_sampling.html").render(
        headline=f"Even sets of views win {even} of {len(first.pairs)} pairs against random ones, and lose {random} "
        f"({first.backbone}).",
        sentences=sentences(study),
        tiles=[
            (f"{even}:{random}", "pairs, even:random", "McNemar at .01, first seed"),
            ("{}:{}".format(*first.object_wins()), "pairs, even:random", "over objects and seeds"),
            (points(dense.difference.mean), f"points, {DENSE_AZIMUTH} against {DENSE_ELEVATION}", "even sets"),
        ],
        sets=svg_element(set_accuracy(study.layers), name="sets", alt="Accuracy of even and random sets"),
        wins=_wins_table(study),
        dense=_dense_table(study),
        answers=answers(study),
        layers=layers,
        n_seeds=len(protocol.seeds),
        facts=made,
        notes=[
            "McNemar's test takes the test objects, the heads and the one random draw of each set as given: it asks "
            "whether these two heads differ on these images. The test over objects and seeds asks whether the rules "
            "differ on other objects with other draws; it is the one to trust for a claim about rules.",
            f"The thesis' table prints A60E15 as a second A60E5; here it is the set of {IMAGES['A60E15']:,} images.",
            "An accuracy is that of the setting and the epoch chosen on the validation objects, on all test images.",
        ],
        colours=STYLE,
    )


def _wins_table(study: NorbSampling) -> Table:
    rows = []
    for layer in study.layers:
        reported = REPORTED.get(layer.backbone)
        rows.append(
            [
                layer.backbone,
                "{}:{}".format(*layer.wins()),
                ", ".join("{}:{}".format(*layer.wins(place)) for place in range(len(study.protocol.seeds))),
                "{}:{}".format(*layer.object_wins()),
                NONE if reported is None else "{}:{}".format(*reported),
            ]
        )
    names = ("features", "McNemar, first seed", "McNemar, every seed", "objects and seeds", "the thesis, on smallNORB")
    return Table(
        columns=[Column(name=name, text=not number) for number, name in enumerate(names)],
        rows=rows,
        caption=f"Wins even:random of {len(RANDOM_SETS)} pairs at {LEVEL:g}",
        label="wins",
    )


def _contrast_cells(pair: Contrast) -> list[str]:
    found = pair.difference
    tests = ", ".join({1: "+", -1: "−", 0: "="}[win] for win in pair.wins)
    return [
        points(found.mean), f"{points(found.low)} to {points(found.high)}", p_text(found.p), tests,
        WORDS[pair.object_win],
    ]  # fmt: skip


CONTRAST_COLUMNS = [
    Column(name="difference, points"),
    Column(name="95 % interval"),
    Column(name="p, objects and seeds"),
    Column(name="McNemar by seed (+ ahead, − behind, = none)"),
    Column(name="objects and seeds", text=True),
]


def _pairs_table(layer: LayerFindings) -> Table:
    rows = []
    for name, pair in zip(RANDOM_SETS, layer.pairs, strict=True):
        own = [percent(float(layer.tested[rule, name].correct.mean())) for rule in ("even", "random")]
        rows.append([name, f"{pair.train_images:,}", *own, *_contrast_cells(pair)])
    heads = [Column(name=name) for name in ("set", "training images", "even, %", "random, %")]
    return Table(columns=[*heads, *CONTRAST_COLUMNS], rows=rows, label=f"pairs of {layer.backbone}")


def _dense_table(study: NorbSampling) -> Table:
    rows = [
        [layer.backbone, rule, *_contrast_cells(pair)] for layer in study.layers for rule, pair in layer.dense.items()
    ]
    heads = [Column(name="features", text=True), Column(name="sets", text=True)]
    caption = f"{DENSE_AZIMUTH} minus {DENSE_ELEVATION}, 2,430 training images"
    return Table(columns=[*heads, *CONTRAST_COLUMNS], rows=rows, caption=caption, label="dense azimuth")


def _against_table(layer: LayerFindings) -> Table:
    rows = [
        [rule, name, f"{pair.train_images:,}", *_contrast_cells(pair)]
        for rule, pairs in layer.against_even.items()
        for name, pair in zip(RANDOM_SETS, pairs, strict=True)
    ]
    heads = [Column(name=name, text=True) for name in ("strategy", "even set", "training images")]
    return Table(columns=[*heads, *CONTRAST_COLUMNS], rows=rows, label=f"strategies of {layer.backbone}")


def _best_table(surface: Surface) -> Table:
    rows = []
    for images, best in best_designs(surface):
        cells = [cell for words, found in best.values() for cell in (words, percent(found))]
        rows.append([f"{images:,}", *cells])
    names = [name for placement in surface.placements for name in (f"best {placement}", "%")]
    return Table(
        columns=[Column(name=name) for name in ("images", *names)],
        rows=rows,
        caption="The best design at each number of images, found with hindsight on the test objects",
        footnote="azimuths × elevations × lights, objects of a class",
        label="best designs",
    )


def _doublings_table(surface: Surface) -> Table:
    rows = [
        [
            name,
            *(NONE if not np.isfinite(worth) else f"{points(worth / 100)}{plus_minus(half)}" for worth, half in worths),
        ]
        for name, worths in doublings(surface).items()
    ]
    return Table(
        columns=[Column(name=name) for name in ("placement", *FACTORS)],
        rows=rows,
        caption="What doubling each number adds, points (± 95 % over seeds)",
        footnote="Least squares over the logarithms of the four numbers.",
        label="doublings",
    )
