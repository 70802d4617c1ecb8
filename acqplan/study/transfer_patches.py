"""Crops, rotations and patches: the best features again, trained on altered images or asked about parts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.evaluate.results import weighted_shares
from acqplan.features.extractor import Extractor
from acqplan.files import digest_bytes
from acqplan.progress import SILENT, Progress
from acqplan.rig.altered import AlteredSource
from acqplan.rig.source import Image, Source
from acqplan.rng import generator
from acqplan.space import Shots
from acqplan.statistics.objects import TwoWay, two_way
from acqplan.study.cells import Arrays, Cells
from acqplan.study.transfer_features import LayerFeatures, Side, by_object, read_layers
from acqplan.study.transfer_heads import USUAL, Fitted, fit

# Shots of each object that are altered, altered copies of each, and how far they are turned and cut.
ALTERED, COPIES, TURN, LEAST = 8, 4, 15.0, 0.8
# Sizes of patches and how many of each lie side by side; heads are trained on the first two, and all are asked.
TILES = ((1.0, 1), (2.0 / 3.0, 2), (0.5, 3))
TRAINED = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvidenceMap:
    """Where in an image the evidence for its class lies.

    Attributes:
        image: The image.
        heat: Mean probability of its class over the patches around a pixel, shape ``[height, width]``.
        label: Its class.
    """

    image: Image
    heat: Float[np.ndarray, "height width"]
    label: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AlteredFindings:
    """What altered images gain.

    Attributes:
        images: Images of each object.
        accuracy: Accuracy of each use: ``plain``, ``augmented``, ``patches``.
        gain: That less ``plain``.
        evidence: A test image of each class.
    """

    images: int
    accuracy: Mapping[str, TwoWay]
    gain: Mapping[str, TwoWay]
    evidence: Sequence[EvidenceMap]


def few_shots(shots: Shots) -> Shots:
    """So many shots of each object, drawn once."""
    order = generator(0, "transfer", "altered").permutation(len(shots))
    kept = [order[shots.object_rows[order] == number][:ALTERED] for number in np.unique(shots.object_rows)]
    return shots.take(np.sort(np.concatenate(kept)))


def tiles(source: Source) -> list[AlteredSource]:
    """Patches of every size, the whole image first."""
    return [
        AlteredSource(source=source, top=float(top), left=float(left), size=size)
        for size, count in TILES
        for top, left in product(np.linspace(0.0, 1.0 - size, count), repeat=2)
    ]


def varied(source: Source) -> list[AlteredSource]:
    """The whole image, and copies turned and cut by lot."""
    draw, found = generator(0, "transfer", "augment"), [AlteredSource(source=source)]
    for _ in range(COPIES):
        size = float(draw.uniform(LEAST, 1.0))
        top, left = draw.uniform(0.0, 1.0 - size, 2).tolist()
        found.append(
            AlteredSource(source=source, top=top, left=left, size=size, degrees=float(draw.uniform(-TURN, TURN)))
        )
    return found


def altered_images(
    extractor: Extractor,
    best: LayerFeatures,
    shots: Shots,
    sides: Sequence[Side],
    *,
    augment: bool,
    patches: bool,
    cells: Cells,
    progress: Progress = SILENT,
) -> AlteredFindings:
    """Train the usual head on altered images, and ask it about patches whose scores are summed.

    Args:
        extractor: The source and the backbone.
        best: The layer that is read.
        shots: The shots to be altered.
        sides: Rows of these that are trained on and tested on.
        augment: Whether heads are trained on turned and cut copies.
        patches: Whether heads are asked about patches.
        cells: Where finished sides are kept.
        progress: Hears of images and heads.
    """
    pieces = tiles(extractor.source)
    asked = {"plain": pieces[:1], "augmented": varied(extractor.source), "patches": pieces}
    wanted = {"plain": True, "augmented": augment, "patches": patches}
    used = {name: _read(extractor, best, shots, asked[name], progress) for name, there in wanted.items() if there}
    # where both sides test an object (views are split), its accuracy is the mean of the two
    accuracy = {name: np.full((len(shots.objects), 1 + max(side.split for side in sides), 2), np.nan) for name in used}
    objects, first = by_object(shots, sides), dict[str, Fitted]()
    with progress.task("heads on altered images", len(sides)) as advance:
        for number, side in enumerate(sides):
            tests = shots.take(side.test)
            for name, features in used.items():
                # a head that a stopped run has trained is kept, for these very features
                cell = f"altered-{digest_bytes(str(best).encode())[:8]}-{number}-{name}"
                head = _kept(cells.load(cell)) or _trained(features[:TRAINED], shots, side, objects)
                cells.save(cell, {"weight": head.weight, "bias": head.bias})
                first.setdefault(name, head)
                summed = _logarithms(head, features if name == "patches" else features[:1])[:, side.test].sum(axis=0)
                shares = weighted_shares(summed.argmax(axis=1) == tests.class_rows, tests, None)
                accuracy[name][np.unique(tests.object_rows), side.split, number % 2] = shares
            advance(1)
    means = {name: _mean(table) for name, table in accuracy.items()}
    evidence = []
    if patches:
        chances = np.exp(_logarithms(first["patches"], used["patches"][:, sides[0].test]))
        evidence = _evidence(extractor.source, pieces, shots, sides[0].test, chances)
    return AlteredFindings(
        images=ALTERED,
        accuracy={name: two_way(table) for name, table in means.items()},
        gain={name: two_way(table - means["plain"]) for name, table in means.items() if name != "plain"},
        evidence=evidence,
    )


def _read(
    extractor: Extractor, best: LayerFeatures, shots: Shots, sources: Sequence[AlteredSource], progress: Progress
) -> Float32[np.ndarray, "alterations shots features"]:
    """Features of altered images at the layer that is read."""
    found = []
    for source in sources:
        readings = read_layers(f"{best.backbone}, altered", extractor.on(source), shots, progress=progress)
        found.append(next(reading.features for reading in readings if reading.layer == best.layer))
    return np.stack(found)


def _kept(found: Arrays | None) -> Fitted | None:
    return None if found is None else Fitted(recipe=USUAL, weight=found["weight"], bias=found["bias"])


def _mean(table: Float[np.ndarray, "objects splits sides"]) -> Float[np.ndarray, "objects splits"]:
    there = np.isfinite(table).sum(axis=2)
    return np.divide(np.nansum(table, axis=2), there, out=np.full(there.shape, np.nan), where=there > 0)


def _trained(features: Float32[np.ndarray, "copies shots features"], shots: Shots, side: Side, objects: bool) -> Fitted:
    copies, rows = len(features), side.train
    groups = shots.object_rows[rows] if objects else rows
    stacked = features[:, rows].reshape(copies * len(rows), -1)
    targets, own = np.tile(shots.class_rows[rows], copies), np.tile(groups, copies)
    return fit(USUAL, stacked, targets, own, n_classes=len(shots.objects.classes))


def _logarithms(
    head: Fitted, features: Float32[np.ndarray, "alterations rows features"]
) -> Float[np.ndarray, "alterations rows classes"]:
    """Logarithm of the probability of each class, by each alteration; very small ones count as 1e-12."""
    scores = np.stack([head.scores(rows) for rows in features]).astype(np.float64)
    scores -= scores.max(axis=2, keepdims=True)
    return np.maximum(scores - np.log(np.exp(scores).sum(axis=2, keepdims=True)), np.log(1e-12))


def _evidence(
    source: Source,
    pieces: Sequence[AlteredSource],
    shots: Shots,
    tests: Int[np.ndarray, " tests"],
    chances: Float32[np.ndarray, "pieces tests classes"],
) -> list[EvidenceMap]:
    """The first test image of each class, with the probability of its class where patches lie."""
    classes = shots.class_rows[tests]
    places = [int(np.flatnonzero(classes == number)[0]) for number in np.unique(classes)]
    found = []
    for row, image in sorted(source.capture(shots.take(tests[places])), key=lambda taken: taken[0]):
        place = places[row]
        sums = np.zeros((2, *image.shape[:2]))
        for piece, chance in zip(pieces, chances[:, place, classes[place]], strict=True):
            where = piece.where(*image.shape[:2])
            # a patch counts most at its middle, so that edges of patches do not look like edges of things
            heights, widths = (np.hanning(part.stop - part.start + 2)[1:-1] for part in where)
            sums[(0, *where)] += chance * np.outer(heights, widths)
            sums[(1, *where)] += np.outer(heights, widths)
        label = shots.objects.classes[classes[place]]
        found.append(EvidenceMap(image=image, heat=sums[0] / sums[1], label=label))
    return found
