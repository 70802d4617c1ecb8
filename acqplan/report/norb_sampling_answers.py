"""What the study of sets of views found, in words and as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from acqplan import __version__
from acqplan.numbers import count_noun, points
from acqplan.statistics.objects import mean_interval
from acqplan.study.norb_findings import LEVEL, REPORTED, Contrast
from acqplan.study.norb_sampling import NorbSampling
from acqplan.study.norb_sets import DENSE_AZIMUTH, DENSE_ELEVATION, RANDOM_SETS
from acqplan.study.norb_surface import Surface

FACTORS = ("azimuths", "elevations", "lights", "objects per class")
# Numbers of images at which the best design is shown have at least so many designs to choose from.
CHOICES = 3


def document(study: NorbSampling) -> dict[str, Any]:
    """Everything that was found, as JSON."""

    def compared(contrast: Contrast) -> dict[str, Any]:
        found = contrast.difference
        return {
            "a": contrast.a,
            "b": contrast.b,
            "train_images": contrast.train_images,
            "difference": found.mean,
            "ci95": [found.low, found.high],
            "p": found.p,
            "mcnemar": [{"n10": test.n10, "n01": test.n01, "p": test.p} for test in contrast.tests],
            "wins_mcnemar": list(contrast.wins),
            "win_objects": contrast.object_win,
        }

    return {
        "study": "norb-sampling",
        "acqplan": __version__,
        "rig": study.rig,
        "seeds": list(study.protocol.seeds),
        "updates": study.protocol.updates,
        "sentences": sentences(study),
        "answers": answers(study),
        "layers": [
            {
                "backbone": layer.backbone,
                "accuracy": {
                    f"{arm.rule} {arm.name}": [float(share) for share in arm.correct.mean(axis=1)]
                    for arm in layer.tested.values()
                },
                "wins_mcnemar": [layer.wins(place) for place in range(len(study.protocol.seeds))],
                "wins_objects": layer.object_wins(),
                "reported": REPORTED.get(layer.backbone),
                "view_gaps": {" ".join(key): gap for key, gap in layer.gaps.items()},
                "pairs": [compared(pair) for pair in layer.pairs],
                "dense": {rule: compared(pair) for rule, pair in layer.dense.items()},
                "against_even": {
                    rule: [compared(pair) for pair in pairs] for rule, pairs in layer.against_even.items()
                },
                "surface": {
                    "designs": layer.surface.designs.tolist(),
                    "images": layer.surface.images.tolist(),
                    "accuracy": {
                        name: layer.surface.accuracy[number].mean(axis=0).round(6).tolist()
                        for number, name in enumerate(layer.surface.placements)
                    },
                },
            }
            for layer in study.layers
        ],
    }


def sentences(study: NorbSampling) -> list[str]:
    """The thesis' question answered, a sentence per layer and finding."""
    found = []
    for layer in study.layers:
        even, random = layer.wins()
        by_seed = [layer.wins(place) for place in range(len(study.protocol.seeds))]
        seeds = ", ".join(f"{a}:{b}" for a, b in by_seed)
        over = "{}:{}".format(*layer.object_wins())
        found.append(
            f"{layer.backbone}: of {len(layer.pairs)} pairs even sets win {even} and random sets {random} by McNemar's "
            f"test at {LEVEL:g} with the first seed ({seeds} over the seeds), and {over} by the test over objects and "
            "seeds."
        )
        for rule, pair in layer.dense.items():
            low, high = points(pair.difference.low), points(pair.difference.high)
            word = {1: "beats", -1: "loses to", 0: "is not told from"}[pair.object_win]
            found.append(
                f"{layer.backbone}, {rule} sets: azimuth dense ({DENSE_AZIMUTH}) {word} elevation dense "
                f"({DENSE_ELEVATION}) at {pair.train_images:,} training images: {points(pair.difference.mean)} points "
                f"({low} to {high})."
            )
        gaps, dense_gaps = layer.gaps, [layer.gaps["even", name] for name in (DENSE_AZIMUTH, DENSE_ELEVATION)]
        nearer = sum(
            (gaps["even", name] < gaps["random", name]) == (pair.difference.mean > 0)
            for name, pair in zip(RANDOM_SETS, layer.pairs, strict=True)
        )
        found.append(
            f"{layer.backbone}, why: a view that {DENSE_AZIMUTH} leaves out lies {dense_gaps[0]:.2f} of the way to "
            f"another object of its class from the nearest view that is taken, one that {DENSE_ELEVATION} leaves out "
            f"{dense_gaps[1]:.2f}. In {nearer} of the {len(layer.pairs)} pairs the set that leaves smaller gaps is the "
            "more accurate one."
        )
    if study.rig != "norb":
        reported = ", ".join(f"{name} {even}:{random}" for name, (even, random) in REPORTED.items())
        found.append(
            f"These are not the thesis' images ({study.rig}, not smallNORB): its wins, {reported}, and its win of "
            f"{DENSE_AZIMUTH} on every network are no measure for the numbers here."
        )
    return found


def doublings(surface: Surface) -> dict[str, list[tuple[float, float]]]:
    """What doubling each of `FACTORS` adds in points, by placement: estimate and half its 95 % interval over seeds.

    The least-squares plane of accuracy over the logarithms of the four numbers: it is the same for all designs, though
    a factor is worth less where there is much of it.
    """
    varied = np.ptp(surface.designs, axis=0) > 0
    columns = np.column_stack([np.ones(len(surface.designs)), np.log2(surface.designs[:, varied])])
    found = {}
    for number, name in enumerate(surface.placements):
        slopes = 100.0 * np.linalg.lstsq(columns, surface.accuracy[number].T, rcond=None)[0][1:]
        # of one seed nothing is known about others: half of everything is infinite
        ends = (mean_interval(own, lowest=-np.inf, highest=np.inf) for own in slopes)
        filled = iter([(mean, (high - low) / 2.0) for mean, low, high in ends])
        found[name] = [next(filled) if there else (np.nan, np.nan) for there in varied]
    return found


def plus_minus(half: float) -> str:
    """Half an interval behind its estimate; nothing where it is not known."""
    return f" ± {half:.1f}" if np.isfinite(half) else ""


def best_designs(surface: Surface) -> list[tuple[int, dict[str, tuple[str, float]]]]:
    """For each number of images with several designs the best one of each placement, in words, and its accuracy."""
    images, mean = surface.images, surface.accuracy.mean(axis=1)
    found = []
    for count in np.unique(images).tolist():
        mine = np.flatnonzero(images == count)
        if len(mine) < CHOICES:
            continue
        best = {}
        for number, name in enumerate(surface.placements):
            row = int(mine[np.argmax(mean[number][mine])])
            azimuths, elevations, lights, objects = surface.designs[row].tolist()
            words = f"{azimuths} × {elevations} × {lights}, {objects} a class"
            if name == "lattice":
                words = f"{azimuths * elevations * lights} an object, {objects} a class"
            best[name] = (words, float(mean[number][row]))
        found.append((int(count), best))
    return found


def answers(study: NorbSampling) -> list[str]:
    """The question that the thesis left open, answered for each layer."""
    found = []
    for layer in study.layers:
        of_even = doublings(layer.surface)["even"]
        known = [
            (name, worth, half) for name, (worth, half) in zip(FACTORS, of_even, strict=True) if np.isfinite(worth)
        ]
        known.sort(key=lambda factor: -factor[1])
        listed = ", ".join(f"{name} {points(worth / 100)}{plus_minus(half)}" for name, worth, half in known)
        found.append(f"{layer.backbone}: with one grid for all objects, doubling is worth, in points: {listed}.")
        gains = [best["lattice"][1] - best["even"][1] for _, best in best_designs(layer.surface)]
        if gains:
            found.append(
                f"{layer.backbone}: the lattice is ahead of the best grid that hindsight finds at as many images by "
                f"{points(float(np.mean(gains)))} points on average ({points(min(gains))} to {points(max(gains))} over "
                f"{count_noun(len(gains), 'number')} of images)."
            )
    return found
