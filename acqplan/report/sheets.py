"""Contact sheets of a recommendation: what was captured, what comes next, what heads get wrong, and all objects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import reduce

import numpy as np

from acqplan.evaluate.recommend import Recommendation
from acqplan.evaluate.verdict import Predictions
from acqplan.images import thumbnail
from acqplan.numbers import count_noun
from acqplan.progress import SILENT, Progress, Titled
from acqplan.report.counts import picture_axes
from acqplan.report.plot.contact import Sheet, Thumbnail
from acqplan.rig.source import Image, Shrinkable, Source
from acqplan.rng import generator
from acqplan.space import Shots
from acqplan.space.kernel import distances

# Longer side of an image, pixels: with these numbers of images a page stays below 2 MB.
EDGE = 112
OF_CLASS, MOST_CLASSES, MOST_MISTAKES, WORST, BEST, NEXT = 12, 10, 36, 36, 12, 12
# An image of a sheet: its group, its row among the shots, and the words below it.
Cell = tuple[str, int, tuple[str, ...]]


def contact_sheets(result: Recommendation, progress: Progress = SILENT) -> list[Sheet]:
    """Every sheet that there are images for; none before anything is captured.

    Args:
        result: What was recommended. Images are shown of shots that were captured, and of the test.
        progress: Hears about the images.

    Raises:
        ImageError: If an image cannot be used any more.
    """
    if not result.captured:
        return []
    taken = reduce(Shots.join, (shots for _, shots in result.captured))
    sheets = [_of_classes(result, taken, progress)]
    if result.plan.captured == len(taken):  # nothing of the plan was taken
        sheets.append(_next(result, taken, progress))
    predictions = result.predictions
    if predictions is not None and len(predictions.shots):
        sheets += [_mistakes(result, predictions, progress), _objects(result, predictions, progress)]
    return [sheet for sheet in sheets if sheet.groups]


def images_of(captured: Sequence[tuple[Source, Shots]], shots: Shots, progress: Progress = SILENT) -> list[Image]:
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


def _sheet(result: Recommendation, shots: Shots, cells: Sequence[Cell], progress: Progress, **about: str) -> Sheet:
    groups: dict[str, list[Thumbnail]] = {}
    images = images_of(result.captured, shots.take([row for _, row, _ in cells]), progress)
    for (group, _, words), pixels in zip(cells, images, strict=True):
        groups.setdefault(group, []).append(Thumbnail(pixels=pixels, words=words))
    return Sheet(groups=groups, **about)


def _of_classes(result: Recommendation, taken: Shots, progress: Progress) -> Sheet:
    """Some captured images of each class, in order of azimuth, the first and the last among them."""
    across, cells = picture_axes(taken.space)[0], list[Cell]()
    for label in taken.objects.classes[:MOST_CLASSES]:
        mine = np.flatnonzero(np.array(taken.labels) == label)
        mine = mine[np.argsort(taken.coordinates[mine, across], kind="stable")]
        some = np.unique(np.linspace(0, len(mine) - 1, OF_CLASS).round().astype(int)) if len(mine) else []
        cells += [(label, int(row), _words(taken, row)) for row in mine[some]]
    n = len(taken.objects.classes)
    note = f"Up to {OF_CLASS} images of each class, of {count_noun(len(taken), 'captured image')}."
    return _sheet(
        *(result, taken, cells, progress),
        name="images",
        title=f"Captured, in order of {taken.space.names[across]}",
        note=f"{note} The first {MOST_CLASSES} of {n} classes." if n > MOST_CLASSES else note,
    )


def _next(result: Recommendation, taken: Shots, progress: Progress) -> Sheet:
    """The first shots to take of each class, each by the captured image that is most like it."""
    plan, cells = result.plan.shots, list[Cell]()
    for label in plan.objects.classes[:MOST_CLASSES]:
        for row in np.flatnonzero(np.array(plan.labels) == label)[:NEXT]:
            alike = np.array(taken.names) == plan.names[row]
            like = np.flatnonzero(alike if alike.any() else np.array(taken.labels) == label)
            if len(like):
                apart = distances(plan.space, plan.coordinates[[row]], taken.coordinates[like])[0]
                cells.append((label, int(like[apart.argmin()]), _words(plan, row)))
    note = (
        "These are not the images to come: each is the captured image that is nearest to the shot named below it, of "
        "the same object or else of its class."
    )
    return _sheet(result, taken, cells, progress, name="next", title="What comes next", note=note)


def _mistakes(result: Recommendation, predictions: Predictions, progress: Progress) -> Sheet:
    """Images taken for another class, by their true class: one of each object in turn, the worst object first."""
    shots, classes = predictions.shots, predictions.shots.objects.classes
    wrong = [rows for _, _, rows in _by_object(predictions)]
    turns = sorted((turn, place, row) for place, rows in enumerate(wrong) for turn, row in enumerate(rows))
    cells = [
        (classes[shots.class_rows[row]], row, (_words(shots, row)[0], f"→ {classes[predictions.predicted[row]]}"))
        for *_, row in turns[:MOST_MISTAKES]
    ]
    note = (
        f"{count_noun(len(cells), 'mistake')} of {len(turns):,} in {len(shots):,} images of {predictions.whose}, by "
        "true class; below each, its object and what the head takes it for."
    )
    return _sheet(result, shots, cells, progress, name="mistakes", title="What the head gets wrong", note=note)


def _objects(result: Recommendation, predictions: Predictions, progress: Progress) -> Sheet:
    """Objects that were examined, the worst first, each by a mistake if there is one."""
    shots, classes, found = predictions.shots, predictions.shots.objects.classes, _by_object(predictions)
    shown = found if len(found) <= WORST + BEST else [*found[:WORST], *found[-BEST:]]
    cells = []
    for share, thing, wrong in shown:
        mine = np.flatnonzero(shots.object_rows == thing)
        said = Counter(classes[predictions.predicted[row]] for row in wrong).most_common(1)
        words = f"{100 * share:.0f} %{f' → {said[0][0]}' if said else ''}"
        cells.append(("", wrong[0] if wrong else int(mine[len(mine) // 2]), (shots.objects.names[thing], words)))
    part = "" if shown is found else f" The {WORST} worst and the {BEST} best."
    return _sheet(
        *(result, shots, cells, progress),
        name="worst",
        title=f"{count_noun(len(found), 'object')}, the worst first",
        note="Below each object the share of its images that one head gets right, and what it takes most of the others "
        f"for ({predictions.whose}). The picture is a mistake, if there is one.{part}",
    )


def _by_object(predictions: Predictions) -> list[tuple[float, int, list[int]]]:
    """Share that is right, object, and rows that are wrong in an order drawn by lot, of each object; worst first."""
    order = generator(0, "mistakes").permutation(len(predictions.shots))
    things, right = predictions.shots.object_rows[order], predictions.is_right[order]
    parts = [(int(thing), things == thing) for thing in np.unique(things)]
    return sorted((float(right[mine].mean()), thing, order[mine & ~right].tolist()) for thing, mine in parts)


def _words(shots: Shots, row: int) -> tuple[str, str]:
    """Object and view of a shot: ``cup-03``, ``40° 30° L2``."""
    view = shots.space.view(shots.coordinates[row])
    said = [
        value if isinstance(value, str) else f"{value:g}{'°' if axis.unit == 'deg' else ''}"
        for axis, value in zip(shots.space.axes, view.values(), strict=True)
    ]
    return shots.objects.names[shots.object_rows[row]], " ".join(said)
