"""Contact sheets: what was captured, what comes next, what heads get wrong, and all objects, the worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce

import numpy as np

from acqplan.evaluate.recommend import Recommendation
from acqplan.evaluate.verdict import Predictions
from acqplan.images import thumbnail
from acqplan.numbers import count_noun, percent
from acqplan.progress import SILENT, Progress, Titled
from acqplan.report.counts import picture_axes
from acqplan.report.plot.contact import Sheet, Thumbnail
from acqplan.rig.source import Image, Shrinkable, Source
from acqplan.rng import generator
from acqplan.space import Shots
from acqplan.space.kernel import distances

# Longer side of an image, pixels: with these numbers of images a page stays below 2 MB.
EDGE = 112
OF_CLASS, MOST_CLASSES, MOST_MISTAKES, WORST, BEST = 12, 10, 36, 36, 12
# Shots that were captured, and where their images are, in parts.
Captured = Sequence[tuple[Source, Shots]]
# An image of a sheet: its group, its row among the shots, and the words below it.
Cell = tuple[str, int, tuple[str, str]]


def contact_sheets(result: Recommendation, progress: Progress = SILENT) -> list[Sheet]:
    """Every sheet of a recommendation that there are images for: of captured shots, and of the test.

    Raises:
        ImageError: If an image cannot be used any more.
    """
    if not result.captured:
        return []
    sheets, predictions = [captured_sheet(result.captured, progress)], result.predictions
    if 0 < sum(len(shots) for _, shots in result.captured) <= result.plan.captured:
        sheets.append(_next(result, progress))  # nothing of the plan was taken
    if predictions is not None and len(predictions.shots):
        sheets += [_mistakes(result, predictions, progress), _objects(result, predictions, progress)]
    return [sheet for sheet in sheets if sheet.groups]


def captured_sheet(captured: Captured, progress: Progress = SILENT) -> Sheet:
    """Some images of each class in order of azimuth, the first and the last among them."""
    taken = reduce(Shots.join, (shots for _, shots in captured))
    across, classes, cells = picture_axes(taken.space)[0], taken.objects.classes, list[Cell]()
    for number, label in enumerate(classes[:MOST_CLASSES]):
        mine = np.flatnonzero(taken.class_rows == number)
        mine = mine[np.argsort(taken.coordinates[mine, across], kind="stable")]
        some = np.unique(np.linspace(0, max(len(mine) - 1, 0), min(OF_CLASS, len(mine))).round().astype(int))
        cells += [(label, int(row), _words(taken, row)) for row in mine[some]]
    note = f"Up to {OF_CLASS} images of each class, of {count_noun(len(taken), 'captured image')}."
    more = f" The first {MOST_CLASSES} of {len(classes)} classes." if len(classes) > MOST_CLASSES else ""
    title = f"Captured, in order of {taken.space.names[across]}"
    return _sheet(captured, taken, cells, progress, name="images", title=title, note=note + more)


def _next(result: Recommendation, progress: Progress) -> Sheet:
    """The first shots to take of each class, each by the captured image that is most like it."""
    plan, taken, cells = result.plan.shots, result.captured[0][1], list[Cell]()
    for number, label in enumerate(plan.objects.classes[:MOST_CLASSES]):
        for row in np.flatnonzero(plan.class_rows == number)[:OF_CLASS]:
            words = _words(plan, row)
            alike = np.array(taken.names) == words[0]
            like = np.flatnonzero(alike if alike.any() else np.array(taken.labels) == label)
            if len(like):
                apart = distances(plan.space, plan.coordinates[[row]], taken.coordinates[like])[0]
                cells.append((label, int(like[apart.argmin()]), words))
    note = (
        "Not the images to come, but of each shot to take the nearest captured image of its object, or else its class."
    )
    return _sheet(result.captured, taken, cells, progress, name="next", title="What comes next", note=note)


def _mistakes(result: Recommendation, predictions: Predictions, progress: Progress) -> Sheet:
    """Images taken for another class, by their true class: one of each object in turn, the worst object first."""
    shots, classes = predictions.shots, predictions.shots.objects.classes
    wrong = enumerate(rows for _, _, rows in _by_object(predictions))
    turns = sorted((turn, place, row) for place, rows in wrong for turn, row in enumerate(rows))
    cells = [
        (classes[shots.class_rows[row]], row, (_words(shots, row)[0], f"→ {classes[predictions.predicted[row]]}"))
        for *_, row in turns[:MOST_MISTAKES]
    ]
    note = f"{len(cells):,} of {count_noun(len(turns), 'mistake')} in {len(shots):,} images of {predictions.whose}"
    note += ", by true class; below each its object, and what the head takes it for."
    title = "What the head gets wrong"
    return _sheet(result.captured, shots, cells, progress, name="mistakes", title=title, note=note)


def _objects(result: Recommendation, predictions: Predictions, progress: Progress) -> Sheet:
    """Objects that were examined, the worst first, each by a mistake if there is one."""
    shots, classes, found = predictions.shots, predictions.shots.objects.classes, _by_object(predictions)
    shown, cells = found if len(found) <= WORST + BEST else [*found[:WORST], *found[-BEST:]], list[Cell]()
    for share, thing, wrong in shown:
        row = wrong[0] if wrong else int(np.argmax(shots.object_rows == thing))
        said = Counter(classes[predictions.predicted[one]] for one in wrong).most_common(1)
        cells.append(("", row, (_words(shots, row)[0], f"{percent(share)} %{f', else {said[0][0]}' if said else ''}")))
    note = f"The share of its images that one head gets right ({predictions.whose}), and what it takes most others for."
    part = "" if shown is found else f" The {WORST} worst and the {BEST} best."
    title = f"{count_noun(len(found), 'object')}, the worst first"
    return _sheet(result.captured, shots, cells, progress, name="worst", title=title, note=note + part)


def _by_object(predictions: Predictions) -> list[tuple[float, int, list[int]]]:
    """Share that is right, object, and rows that are wrong in an order drawn by lot, of each object; worst first."""
    order = generator(0, "mistakes").permutation(len(predictions.shots))
    things, right = predictions.shots.object_rows[order], predictions.is_right[order]
    parts = [(int(thing), things == thing) for thing in np.unique(things)]
    return sorted((float(right[mine].mean()), thing, order[mine & ~right].tolist()) for thing, mine in parts)


def _sheet(captured: Captured, shots: Shots, cells: Sequence[Cell], progress: Progress, **about: str) -> Sheet:
    groups: dict[str, list[Thumbnail]] = {}
    images = _images(captured, shots.take([row for _, row, _ in cells]), progress)
    for (group, _, words), pixels in zip(cells, images, strict=True):
        groups.setdefault(group, []).append(Thumbnail(pixels=pixels, words=words))
    return Sheet(groups=groups, **about)


def _images(captured: Captured, shots: Shots, progress: Progress) -> list[Image]:
    """Small images of shots, each from the part that holds it; what no part holds, the last source has."""
    part_of = {pair: part for part, (_, held) in enumerate(captured) for pair in held.pairs()}
    parts = np.array([part_of.get(pair, len(captured) - 1) for pair in shots.pairs()])
    found: dict[int, Image] = {}
    for part, (source, _) in enumerate(captured):
        rows = np.flatnonzero(parts == part)
        small = source.shrunk(EDGE) if isinstance(source, Shrinkable) else source
        for row, pixels in small.capture(shots.take(rows), progress=Titled(progress=progress, title="contact sheets")):
            found[int(rows[row])] = thumbnail(pixels, edge=EDGE)
    return [found[row] for row in range(len(shots))]


def _words(shots: Shots, row: int) -> tuple[str, str]:
    """Object and view of a shot: ``cup-03``, ``40° 30° L2``."""
    said = [
        value if isinstance(value, str) else f"{value:g}{'°' if axis.unit == 'deg' else ''}"
        for axis, value in zip(shots.space.axes, shots.space.view(shots.coordinates[row]).values(), strict=True)
    ]
    return shots.objects.names[shots.object_rows[row]], " ".join(said)
