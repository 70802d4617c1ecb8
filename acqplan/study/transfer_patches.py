"""Crops, rotations and patches: the best features again, trained on altered images or asked about parts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.evaluate.results import weighted_shares
from acqplan.features.extractor import Extractor
from acqplan.heads.linear import Head
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

    def read(sources: Sequence[AlteredSource]) -> Float32[np.ndarray, "alterations shots features"]:
        found = []
        for source in sources:
            readings = read_layers(f"{best.backbone}, altered", extractor.on(source), shots, progress=progress)
            found.append(next(reading.features for reading in readings if reading.layer == best.layer))
        return np.stack(found)

    pieces = tiles(extractor.source)
    used = {"plain": read(pieces[:1])}
    if augment:
        used["augmented"] = read(varied(extractor.source))
    if patches:
        used["patches"] = read(pieces)
    accuracy = {name: np.full((len(shots.objects), 1 + max(side.split for side in sides), 2), np.nan) for name in used}
    heads = list[Arrays]()
    with progress.task("heads on altered images", len(sides)) as advance:
        for number, side in enumerate(sides):
            kept = cells.load(f"altered-{number}") or {}
            for name, features in used.items():
                if f"{name}-weight" not in kept:
                    head = _trained(features[:TRAINED], shots, side, by_object(shots, sides))
                    kept |= {f"{name}-weight": head.weight, f"{name}-bias": head.bias}
                    cells.save(f"altered-{number}", kept)
                asked = features if name == "patches" else features[:1]
                said = np.log(np.maximum(_chances(kept, name, asked[:, side.test]), 1e-12)).sum(axis=0)
                tests = shots.take(side.test)
                right = said.argmax(axis=1) == tests.class_rows
                accuracy[name][np.unique(tests.object_rows), side.split, number % 2] = weighted_shares(
                    right, tests, None
                )
            heads.append(kept)
            advance(1)
    # where both sides test an object (views are split), its accuracy is the mean of the two
    means = {name: _mean(table) for name, table in accuracy.items()}
    evidence = []
    if patches:
        chances = _chances(heads[0], "patches", used["patches"][:, sides[0].test])
        evidence = _evidence(extractor.source, pieces, shots, sides[0].test, chances)
    return AlteredFindings(
        images=ALTERED,
        accuracy={name: two_way(table) for name, table in means.items()},
        gain={name: two_way(table - means["plain"]) for name, table in means.items() if name != "plain"},
        evidence=evidence,
    )


def _mean(table: Float[np.ndarray, "objects splits sides"]) -> Float[np.ndarray, "objects splits"]:
    there = np.isfinite(table).sum(axis=2)
    return np.divide(np.nansum(table, axis=2), there, out=np.full(there.shape, np.nan), where=there > 0)


def _trained(features: Float32[np.ndarray, "copies shots features"], shots: Shots, side: Side, objects: bool) -> Fitted:
    copies, rows = len(features), side.train
    groups = shots.object_rows[rows] if objects else rows
    stacked = features[:, rows].reshape(copies * len(rows), -1)
    targets, own = np.tile(shots.class_rows[rows], copies), np.tile(groups, copies)
    return fit(USUAL, stacked, targets, own, n_classes=len(shots.objects.classes))


def _chances(kept: Arrays, name: str, features: np.ndarray) -> Float32[np.ndarray, "alterations tests classes"]:
    """Probability of each class by each alteration."""
    weight = kept[f"{name}-weight"]
    head = Head(
        weight=weight, bias=kept[f"{name}-bias"], strength=0.0, beliefs=np.empty((0, weight.shape[1]), np.float32)
    )
    return head.probabilities(features.reshape(-1, len(weight))).reshape(*features.shape[:2], -1)


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
