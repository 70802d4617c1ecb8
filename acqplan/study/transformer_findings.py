"""What the study of the spatial transformer found, as data: what was tested, and by how much two of them differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8

from acqplan.evaluate.results import weighted_shares
from acqplan.space import Shots
from acqplan.statistics.objects import TwoWay, two_way
from acqplan.study.softmax import SoftmaxSetting
from acqplan.study.transformer import AFFINE, HORIZON
from acqplan.study.transformer_training import EXPERIMENTS, Curves, TransformerSetting

# The set of the base head, whose test log-loss on smallNORB with VGG16 fc15 is in the thesis' table 4.1.
BASE_SET, REPORTED_BASE, REPORTED_BACKBONE = "A120E15", 0.3736, "vgg16:fc15"
# Searches by name: the thesis' own, what it suspected, and each with the same layers trained without a transformer.
THESIS, THESIS_CONTROL = "affine", "affine, control"
WIDE, WIDE_CONTROL = "wide search", "wide search, control"
HOMOGRAPHY = "projective"
CONTROLS = {THESIS: THESIS_CONTROL, WIDE: WIDE_CONTROL, HOMOGRAPHY: THESIS_CONTROL}
# Search, number of the experiment, set.
Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One experiment on one set, seed by seed, at the setting and epoch of the least validation loss.

    Attributes:
        losses: Log-loss of each test image, nats, shape ``[seeds, tests]``.
        correct: Whether each is classified correctly, shape ``[seeds, tests]``.
        settings: The setting chosen with each seed; none for the base head.
        curves: Its losses by epoch.
        parameters: Of each image's transformation, shape ``[seeds, tests, parameters]``; none without a transformer.
        pictures: Some test images as the first seed transforms them, shape ``[pictures, size, size]``.
    """

    losses: Float32[np.ndarray, "seeds tests"]
    correct: Bool[np.ndarray, "seeds tests"]
    settings: tuple[TransformerSetting, ...] = ()
    curves: tuple[Curves, ...] = ()
    parameters: Float32[np.ndarray, "seeds tests parameters"]
    pictures: UInt8[np.ndarray, "pictures size size"]

    @property
    def loss(self) -> float:
        """Mean test log-loss, nats."""
        return float(self.losses.mean(dtype=np.float64))

    @property
    def accuracy(self) -> float:
        """Share of the test images that are classified correctly."""
        return float(self.correct.mean())

    @property
    def displacement(self) -> float:
        """How far from its own place a pixel is taken, mean over pixels and test images, pixels; NaN without one."""
        if not self.parameters.size:
            return float("nan")
        return float(
            displacements(self.parameters.reshape(-1, self.parameters.shape[-1]), self.pictures.shape[-1]).mean()
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TransformerFindings:
    """What the whole study found.

    Attributes:
        rig: Kind of the rig: ``norb`` for the thesis' own images.
        backbone: Name and layer.
        seeds: The seeds.
        updates: Updates of each training.
        base: The base head of each seed; its pictures are the images as they are.
        base_settings: Its setting with each seed.
        cases: Everything that was trained.
        tests: The test images.
        train_images: Training images of each set.
        pictured: Rows in ``tests`` of the pictures.
    """

    rig: str
    backbone: str
    seeds: tuple[int, ...]
    updates: int
    base: Case
    base_settings: tuple[SoftmaxSetting, ...]
    cases: Mapping[Key, Case]
    tests: Shots
    train_images: Mapping[str, int]
    pictured: Int[np.ndarray, " pictures"]

    @property
    def is_thesis(self) -> bool:
        """Whether images and backbone are those of the thesis."""
        return self.rig == "norb" and self.backbone == REPORTED_BACKBONE

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of the sets that were trained on."""
        return tuple(dict.fromkeys(name for _, _, name in self.cases))

    def keys(self, search: str) -> list[Key]:
        """Everything trained with a search, by experiment, then by set."""
        return [key for key in self.cases if key[0] == search]

    def control(self, key: Key) -> Case:
        """The same layers trained on the same images without a transformer; the base head where none are trained."""
        search, experiment, name = key
        return self.base if EXPERIMENTS[experiment].is_base else self.cases[CONTROLS[search], experiment, name]

    def pairs(self, search: str) -> list[tuple[Case, Case]]:
        """Every case of a search with its control."""
        return [(self.cases[key], self.control(key)) for key in self.keys(search)]

    def loss_difference(self, pairs: Sequence[tuple[Case, Case]]) -> TwoWay:
        """Test log-loss of the first of each pair minus the second, mean over pairs, over objects and seeds."""
        return self._difference([a.losses.astype(np.float64) - b.losses for a, b in pairs])

    def gain_difference(self, search: str) -> TwoWay:
        """What a search gains on its controls in test log-loss, minus what the thesis' gains on its own."""
        thesis: list[Key] = [(THESIS, *key[1:]) for key in self.keys(search)]
        pairs = zip(self.pairs(search), ((self.cases[key], self.control(key)) for key in thesis), strict=True)
        return self._difference([(a.losses - b.losses) - (c.losses - d.losses) for (a, b), (c, d) in pairs])

    def accuracy_difference(self, pairs: Sequence[tuple[Case, Case]]) -> TwoWay:
        """The same of the share that is classified correctly."""
        return self._difference([a.correct.astype(np.float64) - b.correct for a, b in pairs])

    def _difference(self, images: Sequence[Float[np.ndarray, "seeds tests"]]) -> TwoWay:
        return two_way(weighted_shares(np.mean(images, axis=0), self.tests, None).T)


def displacements(parameters: Float32[np.ndarray, "images parameters"], size: int) -> Float[np.ndarray, " images"]:
    """Mean distance between where pixels are taken from and their own places, pixels.

    Args:
        parameters: As of `acqplan.study.transformer.SpatialTransformer`, shape ``[images, 6]`` or ``[images, 8]``.
        size: Height and width of the images, pixels.
    """
    matrices = np.zeros((len(parameters), 9))
    matrices[:, 8], matrices[:, : parameters.shape[1]] = 1.0, parameters
    places = np.linspace(-1.0, 1.0, 9)
    grid = np.stack([*map(np.ravel, np.meshgrid(places, places)), np.ones(len(places) ** 2)])
    mapped = matrices.reshape(-1, 3, 3) @ grid
    apart = mapped[:, :2] / np.maximum(mapped[:, 2:], HORIZON) - grid[:2]
    return np.linalg.norm(apart, axis=1).mean(axis=1) * size / 2.0


def mean_words(parameters: Float32[np.ndarray, "seeds tests parameters"], size: int) -> str:
    """The mean transformation in words: what of the image is shown, as shift, scale and turn.

    Args:
        parameters: As of `Case`.
        size: Height and width of the images, pixels.
    """
    mean = parameters.mean(axis=(0, 1), dtype=np.float64)
    across, down = mean[: len(AFFINE)].reshape(2, 3)
    scale = np.sqrt(abs(across[0] * down[1] - across[1] * down[0]))
    turn = np.degrees(np.arctan2(down[0] - across[1], across[0] + down[1]))
    shift = (across[2] * size / 2.0, down[2] * size / 2.0)
    return f"from {shift[0]:+.2f} px right, {shift[1]:+.2f} px down, {scale:.3f} of the size, turned {turn:+.2f}°"
