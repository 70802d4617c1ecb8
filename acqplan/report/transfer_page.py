"""What the study of transfer leaves behind: report.html, pictures, results.csv and findings.json; its words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from acqplan import __version__
from acqplan.numbers import count_noun, duration, p_text, percent, points
from acqplan.progress import SILENT, Progress
from acqplan.report.page import STYLE, TEMPLATES
from acqplan.report.plot import Drawings
from acqplan.report.plot.style import svg_element
from acqplan.report.plot.transfer import heat_picture, map_picture, ways_picture
from acqplan.report.result import save_study
from acqplan.report.tables import NONE, Column, Table
from acqplan.study.transfer import TransferFindings, Way
from acqplan.study.transfer_heads import USUAL

COLUMNS = ("backbone", "layer", "head", "split", "object", "label", "accuracy")
# Ways that a page shows before all of them.
MOST = 15


def save_transfer(
    found: TransferFindings, out: Path, *, facts: Mapping[str, str] | None = None, progress: Progress = SILENT
) -> list[Path]:
    """Write report.html, the pictures, results.csv and findings.json, all at one moment; see `save_study`."""
    drawings: Drawings = {"ways": partial(ways_picture, found), "maps": partial(map_picture, found)}
    if found.altered is not None and found.altered.evidence:
        drawings["evidence"] = partial(heat_picture, found)
    return save_study(
        out,
        document=document(found),
        columns=COLUMNS,
        rows=_rows(found),
        page=partial(page_text, found, facts=facts),
        drawings=drawings,
        others=["evidence"],
        progress=progress,
    )


def _rows(found: TransferFindings) -> Iterator[tuple[object, ...]]:
    """A row for each way, split and test object."""
    objects = found.shots.objects
    for way in found.ways:
        for row, split in np.argwhere(np.isfinite(way.accuracy)).tolist():
            about = (way.reading.backbone, way.reading.layer, str(way.recipe), split)
            yield *about, objects.names[row], objects.labels[row], f"{way.accuracy[row, split]:.6f}"


def document(found: TransferFindings) -> dict[str, Any]:
    """Everything that was found, as JSON."""
    return {
        "study": "transfer",
        "acqplan": __version__,
        "rig": found.rig,
        "tested": found.tested,
        "images": found.images,
        "splits": found.protocol.splits,
        "sentences": sentences(found),
        "altered": None
        if found.altered is None
        else {name: {"accuracy": level.mean} for name, level in found.altered.accuracy.items()},
        "ways": [
            {
                "backbone": way.reading.backbone,
                "layer": way.reading.layer,
                "head": str(way.recipe),
                "accuracy": way.mean.mean,
                "ci95": [way.mean.low, way.mean.high],
                "same_as_best": bool(same),
                "seconds_head": way.seconds,
                "seconds_image": way.reading.seconds,
            }
            for way, same in zip(found.ways, found.same, strict=True)
        ],
    }


def _level(way: Way) -> str:
    return f"{percent(way.mean.mean)} % ({percent(max(way.mean.low, 0.0))} to {percent(min(way.mean.high, 1.0))})"


def sentences(found: TransferFindings) -> list[str]:
    """The answer in words: the best way, how far the next and the usual one are, what each choice is worth."""
    best, others = found.best, found.ways[1:]
    said = [
        f"{best} is the most accurate of {count_noun(len(found.ways), 'way')} on {found.tested}: {_level(best)} with "
        f"{found.images:,} images; of the others {int(found.same.sum()) - 1} are not told from it."
    ]
    if others:
        ahead = best.less(others[0])
        said.append(f"The next, {others[0]}, is {_behind(ahead.mean, ahead.low, ahead.high)}.")
    if found.usual is not None and found.usual is not best:
        ahead = best.less(found.usual)
        said.append(
            f"What acqplan uses unless asked, {found.usual}, reaches {percent(found.usual.mean.mean)} %: it is "
            f"{_behind(ahead.mean, ahead.low, ahead.high)}."
        )
    said.append(
        "What each choice is worth, best less worst, in points: "
        + ", ".join(f"{name} {points(span)}" for name, span in spans(found).items())
        + "."
    )
    if found.tested == "new views":
        said.append(
            "Every label has one object here, so that heads were tested on new views of the very objects they were "
            "trained on. That answers another question: nothing is known about new objects."
        )
    return said


def _behind(mean: float, low: float, high: float) -> str:
    return f"{points(-mean)} points from it ({points(-high)} to {points(-low)})"


def spans(found: TransferFindings) -> dict[str, float]:
    """Best less worst of each choice, the others at their best: backbone, layer of the best backbone, head on it."""
    best = found.best

    def span(ways: list[Way], key: str) -> float:
        groups: dict[object, float] = {}
        for way in ways:
            own = {"backbone": way.reading.backbone, "layer": way.reading.layer, "head": way.recipe.head}[key]
            groups[own] = max(groups.get(own, 0.0), way.mean.mean)
        return max(groups.values()) - min(groups.values())

    of_backbone = [way for way in found.ways if way.reading.backbone == best.reading.backbone]
    of_layer = [way for way in of_backbone if way.reading is best.reading]
    every = {
        "backbone": span(list(found.ways), "backbone"),
        "layer": span(of_backbone, "layer"),
        "head": span(of_layer, "head"),
    }
    return {name: value for name, value in every.items() if value > 0.0}


def ways_table(
    ways: Sequence[Way],
    same: Bool[np.ndarray, " ways"],
    usual: Way | None,
    tested: str,
    *,
    most: int | None = None,
) -> Table:
    """Ways with intervals, the most accurate first; the usual one is there in any case.

    Args:
        ways: The ways.
        same: Of each whether no difference from the first was found.
        usual: What acqplan uses unless asked.
        tested: What accuracies are about.
        most: How many are shown.
    """
    shown = sorted({*range(min(most or len(ways), len(ways))), *([] if usual is None else [list(ways).index(usual)])})
    rows, kinds = [], []
    for row in shown:
        way, behind = ways[row], ways[0].less(ways[row])
        rows.append(
            [
                str(way.reading),
                str(way.recipe),
                f"{percent(way.mean.mean)} ± {percent(way.mean.high - way.mean.mean)}",
                points(-behind.mean) if row else NONE,
                f"{points(-behind.high)} to {points(-behind.low)}" if row else "",
                p_text(behind.p) if row else NONE,
                "same" if same[row] else "behind",
                f"{way.seconds:.2f}",
                f"{1000 * way.reading.seconds:.1f}" if np.isfinite(way.reading.seconds) else NONE,
            ]
        )
        kinds.append("own" if way is usual else "no" if same[row] else "")
    columns = [
        Column(name="backbone and layer", short="backbone:layer, head", text=True, width=42),
        Column(name="head", short="", text=True, below=True),
        Column(name=f"accuracy on {tested}, %", short="accuracy\n%"),
        Column(name="from the best, points", short="points"),
        Column(name="95 % interval", short="", below=True),
        Column(name="p"),
        Column(name="told from the best?", short="best?", text=True),
        Column(name="seconds a head", short="s/head"),
        Column(name="ms a forward pass"),
    ]
    footnote = (
        "± and intervals: 95 % over objects and splits. same: no difference from the best was found at "
        ".05. Bold: what acqplan uses unless asked."
    )
    return Table(columns=columns, rows=rows, kinds=kinds, label="ways", footnote=footnote)


def _consistency_table(found: TransferFindings) -> Table:
    rows = []
    for reading in found.readings:
        said = found.consistency[str(reading)]
        usual = next(
            (way for way in found.ways if way.reading is reading and way.recipe == USUAL),
            next(way for way in found.ways if way.reading is reading),
        )
        shares = (said.neighbours, said.by_chance, said.of_class, said.of_object, said.of_view)
        rows.append([str(reading), percent(usual.mean.mean), *map(percent, shares)])
    names = (
        "backbone and layer",
        "accuracy, %",
        "nearest images of the class, %",
        "by chance, %",
        "variance between classes, %",
        "between objects of a class, %",
        "between images of an object, %",
    )
    of = "other objects" if found.tested == "new objects" else "all others"
    return Table(
        columns=[Column(name=name, text=not number) for number, name in enumerate(names)],
        rows=rows,
        label="what features show",
        footnote=f"Nearest images: the five nearest among those of {of}. Features of length 1.",
    )


def _altered_table(found: TransferFindings) -> Table:
    assert found.altered is not None
    names = {
        "plain": "whole images",
        "augmented": "trained on turned and cut copies as well",
        "patches": "scores summed over patches of three sizes",
    }
    rows = []
    for name, level in found.altered.accuracy.items():
        gain = found.altered.gain.get(name)
        gained = [NONE, "", NONE]
        if gain is not None:
            gained = [points(gain.mean), f"{points(gain.low)} to {points(gain.high)}", p_text(gain.p)]
        rows.append([names[name], f"{percent(level.mean)} ± {percent(level.high - level.mean)}", *gained])
    columns = ("use", "accuracy, %", "gain, points", "95 % interval", "p")
    return Table(
        columns=[Column(name=name, text=not number) for number, name in enumerate(columns)],
        rows=rows,
        label="altered images",
        footnote=f"{found.best.reading}, {USUAL}, on {found.altered.images} images of each object.",
    )


def page_text(found: TransferFindings, *, facts: Mapping[str, str] | None = None) -> str:
    """The page as text; the same findings give the same text."""
    best, worth, protocol = found.best, spans(found), found.protocol
    heated = found.altered is not None and len(found.altered.evidence) > 0
    tiles = [
        (f"{percent(best.mean.mean)} %", f"on {found.tested}", str(best)),
        (f"{int(found.same.sum())} of {len(found.ways)}", "ways are the best within noise", "over objects and splits"),
    ]
    if "backbone" in worth:
        tiles.append((points(worth["backbone"]), "points, best against worst backbone", "each at its best"))
    made = {
        "rig": found.rig,
        "shots": f"{len(found.shots):,} of {count_noun(len(found.shots.objects), 'object')} and "
        f"{len(found.shots.objects.classes)} classes",
        "training": f"{found.images:,} images a head, as many of each train object, views at random",
        "splits": f"{protocol.splits}, each used from both sides; the test decides nothing",
        "choices": "strengths and costs by left-out train objects (log-loss)",
        "time": f"{duration(sum(way.seconds for way in found.ways) * 2 * protocol.splits)} of heads on one core",
        "acqplan": __version__,
        **(facts or {}),
    }
    return TEMPLATES.get_template("transfer.html").render(
        headline=f"{best} uses the images best: {percent(best.mean.mean)} % on {found.tested}.",
        sentences=sentences(found),
        tiles=tiles,
        ways=svg_element(ways_picture(found), name="ways", alt="Accuracy of every way"),
        best=ways_table(found.ways, found.same, found.usual, found.tested, most=MOST),
        every=ways_table(found.ways, found.same, found.usual, found.tested),
        n_ways=len(found.ways),
        maps=svg_element(map_picture(found), name="maps", alt="Maps of features by class and by view"),
        n_mapped=len(found.maps[0].rows),
        consistency=_consistency_table(found),
        altered=None if found.altered is None else _altered_table(found),
        heat=None if not heated else svg_element(heat_picture(found), name="heat", alt="Where the evidence lies"),
        facts=made,
        notes=[
            f"The best of {len(found.ways)} ways is chosen with hindsight, on the objects that it is measured on: that "
            "flatters it by a little; the ways that are the same within noise are the honest answer. acqplan advise "
            "--transfer chooses by captured images alone.",
            "A way is told from the best if the test over objects and splits says so at .05, each on its own: one of "
            "twenty ways that are as good is called behind.",
            "length 1: rows divided by their length. power: each feature becomes the root of its size with its sign. "
            "PCA: standardised, 128 principal components of the training rows.",
        ],
        colours=STYLE,
    )
