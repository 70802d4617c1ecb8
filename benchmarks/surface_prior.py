"""What design surfaces are like, from simulated rigs: ``python benchmarks/surface_prior.py --images simulated``.

``python -m benchmarks.toyshop.rigs --out simulated`` renders members of 44 families. A simulated rig is a few of these
families, drawn by lot or alike, as a backbone sees them, half of them with noise that belongs to an object or to an
image. Heads of every design give its surface; the laws of `acqplan.plan.surface.Prior` are fitted to
all surfaces by expectation and maximisation, and printed. None of the rigs of the tests is looked at. Every surface is
kept, so that a run that was cut off goes on.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import machine, options, say, write
from jaxtyping import Float, Int

from acqplan.features.extractor import Extractor
from acqplan.heads.exact import train_heads
from acqplan.plan.surface import SIMULATED, plane_of
from acqplan.rig.folder import FolderSource
from acqplan.rng import generator
from acqplan.runtime import Runtime

DESIGNS = np.array(list(itertools.product((1, 2, 3, 4, 6, 8, 10), (1, 2, 4, 8, 16, 32))), dtype=np.float64)
CLASSES, NOISES = (2, 3, 4, 5, 6, 8, 12), (0.0, 0.3, 0.7, 1.2)
TESTS, DRAWS, STRENGTH = 4, 5, 1e-3
WIDTH = 256  # principal components kept of a backbone's features
BACKBONES = {"histogram": None, "toynet": None, "mobilenet_v2": "mobilenet_v2.safetensors"}
CORRELATIONS = (0.0, 0.03, 0.1, 0.25, 0.5)
# The smallest error that is told from none, and of the noise of a surface what its designs do not share.
LEAST, OWN = 2e-3, 0.7
PASSES = 25
# Real rigs are not simulated ones: standard deviations of the weights are so many times wider, and that of the level so
# much beside; no law is less likely than so.
WIDER, VAGUE, UNLIKELY = 1.5, 1.5, 0.03


def main() -> None:
    """Measure what is not kept, fit, print, write JSON."""
    asked = options(
        __doc__,
        ("--images", {"type": Path, "required": True, "help": "folder of `benchmarks.toyshop.rigs`"}),
        ("--rigs", {"type": int, "default": 80, "help": "of each backbone"}),
        ("--shared", {"type": Path, "default": Path(os.environ.get("ACQPLAN_SHARED", "../shared"))}),
    )
    about = machine(asked.device)
    say(about)
    surfaces, chance = [], []
    for backbone, file in BACKBONES.items():
        if file and not (asked.shared / "weights" / file).exists():
            print(f"{backbone}: left out, no weights")
            continue
        weights = asked.shared / "weights" / file if file else None
        for number in range(1 if asked.quick else asked.rigs):
            kept = asked.images / "surfaces" / f"{backbone}-{number}.npz"
            if not kept.exists():
                rig = _rig(_seen(asked.images, backbone, weights, asked.device), backbone, number)
                kept.parent.mkdir(exist_ok=True)
                np.savez(kept, errors=_errors(rig, number), classes=rig.targets.max() + 1)
                print(backbone, number, flush=True)
            found = np.load(kept)
            surfaces.append(found["errors"])
            chance.append(1.0 - 1.0 / float(found["classes"]))
    fitted = fit_laws(np.stack(surfaces), np.array(chance))
    for name, value in fitted.items():
        print(name, value)
    write("surface_prior", asked, about, {"rigs": len(surfaces), **fitted})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """Images of some objects as a backbone sees them.

    Attributes:
        features: Shape ``[images, features]``.
        targets: Class of each, from 0, shape ``[images]``.
        objects: Object of each, shape ``[images]``.
    """

    features: Float[np.ndarray, "images features"]
    targets: Int[np.ndarray, " images"]
    objects: Int[np.ndarray, " images"]


_SEEN: dict[str, Seen] = {}


def _seen(images: Path, backbone: str, weights: Path | None, device: str) -> Seen:
    """All images, features standardised and projected on their principal components."""
    if backbone not in _SEEN:
        source = FolderSource.open(images / "manifest.csv")
        shots = source.shots()
        features = Extractor.open(source, backbone=backbone, weights=weights, runtime=Runtime.detect(device))(shots)
        features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
        _, vectors = np.linalg.eigh(features.T @ features)
        projected = features @ vectors[:, ::-1][:, :WIDTH]
        _SEEN[backbone] = Seen(features=projected, targets=shots.class_rows, objects=shots.object_rows)
    return _SEEN[backbone]


def _rig(seen: Seen, backbone: str, number: int) -> Seen:
    """A few families, half of the time such as look alike; odd numbers with noise of objects and of images."""
    draw, every = generator(number, "simulated rig", backbone), np.unique(seen.targets)
    n_classes = int(draw.choice(CLASSES))
    chosen = draw.permutation(every)[:n_classes]
    if draw.random() < 0.5:
        means = np.stack([seen.features[seen.targets == one].mean(axis=0) for one in every])
        near = np.argsort(((means - means[chosen[0]]) ** 2).sum(axis=1))[: 2 * n_classes]
        chosen = np.concatenate([near[:1], draw.permutation(near[1:])[: n_classes - 1]])
    rows = np.flatnonzero(np.isin(seen.targets, chosen))
    features, names = seen.features[rows], np.unique(seen.objects[rows], return_inverse=True)[1]
    spread, (of_image, of_object) = features.std(axis=0), draw.choice(NOISES, 2) * (number % 2)
    features = features + of_image * spread * draw.normal(size=features.shape)
    features += of_object * spread * draw.normal(size=(names.max() + 1, features.shape[1]))[names]
    targets = np.searchsorted(np.sort(chosen), seen.targets[rows])
    return Seen(features=features.astype(np.float32), targets=targets, objects=seen.objects[rows])


def _errors(rig: Seen, number: int) -> Float[np.ndarray, "draws designs"]:
    """Error of each design on new objects; the designs of a draw are nested."""
    members = [np.unique(rig.objects[rig.targets == one]) for one in np.unique(rig.targets)]
    found = np.zeros((DRAWS, len(DESIGNS)))
    for repeat in range(DRAWS):
        draw = generator(number, "simulated surface", repeat)
        place, shot = np.full(len(rig.objects), -1), np.zeros(len(rig.objects), dtype=np.int64)
        for mine in members:
            for position, one in enumerate(draw.permutation(mine)):
                own = np.flatnonzero(rig.objects == one)
                place[own], shot[own] = position - TESTS, draw.permutation(len(own))
        tests = np.flatnonzero(place < 0)
        rows = [np.flatnonzero((place >= 0) & (place < k) & (shot < m)) for k, m in DESIGNS]
        heads = train_heads(
            rig.features, rig.targets, rig.targets, rows, n_classes=len(members), known=[STRENGTH] * len(rows)
        )
        found[repeat] = [(head.predict(rig.features[tests]) != rig.targets[tests]).mean() for head in heads]
    return found


def fit_laws(errors: Float[np.ndarray, "rigs draws designs"], chance: Float[np.ndarray, " rigs"]) -> dict[str, list]:
    """Weights, means and covariances of the laws, by expectation and maximisation over the rigs that are not solved.

    Args:
        errors: Errors of each rig.
        chance: Error of guessing on each.
    """
    mean, sd = errors.mean(axis=1), errors.std(axis=1, ddof=1) / errors.shape[1] ** 0.5
    kept = mean[:, -1] > 2.0 * LEAST
    logs = np.log((mean[kept] + LEAST) / chance[kept, None])
    noise = OWN * np.maximum(sd[kept] / (mean[kept] + LEAST), 0.02)
    apart = ((np.log2(DESIGNS)[:, None] - np.log2(DESIGNS)[None]) ** 2).sum(axis=-1)
    bend = SIMULATED.bend**2 * np.exp(-0.5 * apart / SIMULATED.reach**2)
    inverses = [np.linalg.inv(bend + np.diag(one**2)) for one in noise]
    planes = [plane_of(DESIGNS, correlation) for correlation in CORRELATIONS]
    n_laws = len(planes)
    weights = np.full(n_laws, 1.0 / n_laws)
    means, spreads = np.tile([-0.3, -0.4, -0.3], (n_laws, 1)), np.tile(np.diag([0.3, 0.2, 0.2]) ** 2, (n_laws, 1, 1))
    for _ in range(PASSES):
        fit, error = np.zeros((len(logs), n_laws, 3)), np.zeros((len(logs), n_laws, 3, 3))
        evidence = np.tile(np.log(weights), (len(logs), 1))
        for law, rig in itertools.product(range(n_laws), range(len(logs))):
            before, across = np.linalg.inv(spreads[law]), planes[law].T @ inverses[rig]
            error[rig, law] = np.linalg.inv(across @ planes[law] + before)
            fit[rig, law] = error[rig, law] @ (across @ logs[rig] + before @ means[law])
            off = logs[rig] - planes[law] @ means[law]
            pull = across @ off
            evidence[rig, law] -= 0.5 * (off @ inverses[rig] @ off - pull @ error[rig, law] @ pull)
            evidence[rig, law] -= 0.5 * (np.linalg.slogdet(spreads[law])[1] - np.linalg.slogdet(error[rig, law])[1])
        shares = np.exp(evidence - evidence.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        weights = np.maximum(shares.mean(axis=0), 1e-3)
        weights /= weights.sum()
        for law in range(n_laws):
            share = shares[:, law] + 0.05
            means[law] = share @ fit[:, law] / share.sum()
            off = fit[:, law] - means[law]
            scatter = np.einsum("r,rij->ij", share, error[:, law] + off[:, :, None] * off[:, None])
            spreads[law] = (scatter + 3.0 * np.diag([0.1, 0.05, 0.05]) ** 2) / (share.sum() + 3.0)
    weights = np.maximum(weights, UNLIKELY)
    spreads = WIDER**2 * spreads.round(4)
    spreads[:, 0, 0] += VAGUE**2
    return {
        "correlations": list(CORRELATIONS),
        "weights": (weights / weights.sum()).round(3).tolist(),
        "means": means.round(3).tolist(),
        "covariances": spreads.round(4).tolist(),
    }


if __name__ == "__main__":
    main()
