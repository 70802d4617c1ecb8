"""Heads, and what is done to features before them; in the end each is a linear classifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Int

from acqplan.errors import UsageError, nearest
from acqplan.heads.exact import COMPONENTS, FOLDS, STRENGTHS, train_heads
from acqplan.heads.linear import NEVER, object_folds, out_of_object_loss
from acqplan.heads.prepare import fit_preparation
from acqplan.study.classical import Kind, train_classical
from acqplan.study.softmax import DataSet, SoftmaxSetting, train_softmax

HeadName = Literal["softmax", "logistic", "svm", "ridge", "mean", "dropout", "tuned"]
HEADS: tuple[HeadName, ...] = ("softmax", "logistic", "svm", "ridge", "mean", "dropout")
# What is chosen among by left-out objects: scikit-learn's C of rows of length 1, and its alpha over the mean squared
# length of a row.
COSTS = {"logistic": (3.0, 30.0, 300.0), "svm": (1.0, 3.0, 10.0)}
ALPHAS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
# The weakest strength of the exact head is left out: on 40 images of COIL-20 it converged in 9 of 12 cases.
CONVERGING = STRENGTHS[:-1]
# What scores that are no logits are multiplied by, to be judged as such.
TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
# Updates and setting of the head with dropout; its epoch is chosen by a fifth of the train objects.
UPDATES = 1_500
DROPOUT = SoftmaxSetting(dropout=0.5, rate=1e-3)

Rows = Float32[np.ndarray, "rows features"]
Numbers = Int[np.ndarray, " rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A head, and what is done to features before it.

    Attributes:
        head: ``softmax`` (exact), ``logistic``, ``svm`` (linear), ``ridge``, ``mean`` (nearest class mean),
            ``dropout`` (softmax by Adam with dropout), or ``tuned`` (softmax on stages that are fine-tuned with it).
        power: Whether each feature becomes the root of its size, with its sign.
        unit: Whether each row is divided by its length; always so for ``logistic`` and ``svm``.
        pca: Whether features are standardised and cut to the leading principal components of the training rows.
        stages: How many of the last stages of the backbone are fine-tuned.
    """

    head: HeadName
    power: bool = False
    unit: bool = False
    pca: bool = False
    stages: int = 0

    def __str__(self) -> str:
        if self.stages:
            return f"softmax, last {f'{self.stages} stages' if self.stages > 1 else 'stage'} fine-tuned"
        names = {"svm": "linear SVM", "mean": "nearest class mean", "dropout": "softmax with dropout"}
        parts = (("power", self.power), ("length 1", self.unit), ("PCA", self.pca))
        return ", ".join([names.get(self.head, self.head), *(name for name, there in parts if there)])

    def by_row(self, features: Rows) -> Rows:
        """What this does to each row on its own."""
        if self.power:
            features = np.sign(features) * np.sqrt(np.abs(features))
        if self.unit:
            features = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        return np.ascontiguousarray(features, dtype=np.float32)


# The head of every other command, by which backbones are compared first.
USUAL = Recipe(head="softmax", pca=True)
RECIPES = (
    USUAL,
    Recipe(head="softmax"),
    Recipe(head="softmax", power=True, pca=True),
    Recipe(head="softmax", unit=True, pca=True),
    Recipe(head="dropout"),
    Recipe(head="logistic", unit=True),
    Recipe(head="svm", unit=True),
    Recipe(head="svm", power=True, unit=True),
    Recipe(head="ridge"),
    Recipe(head="ridge", pca=True),
    Recipe(head="ridge", power=True, unit=True),
    Recipe(head="mean"),
    Recipe(head="mean", unit=True),
    Recipe(head="mean", power=True, unit=True),
)
# Left out where minutes count: what trains longest.
QUICK_RECIPES = tuple(recipe for recipe in RECIPES if recipe.pca or recipe.head not in ("softmax", "dropout"))


def find_recipes(heads: Sequence[str], among: Sequence[Recipe]) -> tuple[Recipe, ...]:
    """Those recipes whose head is named; all without names.

    Raises:
        UsageError: If there is no such head; names the nearest.
    """
    for name in heads:
        if name not in HEADS:
            raise UsageError(f"no head is called '{name}'", nearest(name, HEADS))
    return tuple(recipe for recipe in among if not heads or recipe.head in heads)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A linear classifier behind what its recipe does to each row.

    Attributes:
        recipe: What it is.
        weight: Shape ``[features, classes]``.
        bias: Shape ``[classes]``; minus infinity for classes that no training row has.
    """

    recipe: Recipe
    weight: Float32[np.ndarray, "features classes"]
    bias: Float32[np.ndarray, " classes"]

    def scores(self, features: Rows) -> Float32[np.ndarray, "rows classes"]:
        """Score of each class, the largest that of the answer; for softmax and logistic the logits."""
        return self.recipe.by_row(features) @ self.weight + self.bias


def fit(recipe: Recipe, features: Rows, targets: Numbers, groups: Numbers, *, n_classes: int) -> Fitted:
    """Train a recipe; whatever it has to choose is chosen by leaving out groups of these rows.

    Args:
        recipe: What to train.
        features: Training rows, shape ``[rows, features]``.
        targets: Class of each row, shape ``[rows]``.
        groups: Object of each row, shape ``[rows]``; rows of one group are never on both sides of a choice.
        n_classes: Classes there are.
    """
    rows = recipe.by_row(features)
    trained = {"softmax": _softmax, "dropout": _dropout, "ridge": _ridge, "mean": _mean}.get(recipe.head, _classical)
    weight, bias = trained(recipe, rows, targets, groups, n_classes)
    return Fitted(recipe=recipe, weight=weight.astype(np.float32), bias=bias.astype(np.float32))


Linear = tuple[np.ndarray, np.ndarray]


def _softmax(recipe: Recipe, rows: Rows, targets: Numbers, groups: Numbers, n_classes: int) -> Linear:
    components = COMPONENTS if recipe.pca else min(rows.shape)
    every = [np.arange(len(rows))]
    head = train_heads(
        rows, targets, groups, every, n_classes=n_classes, strengths=CONVERGING, components=components, cores=1
    )[0]
    return head.weight, head.bias


def _dropout(recipe: Recipe, rows: Rows, targets: Numbers, groups: Numbers, n_classes: int) -> Linear:
    left = object_folds(targets, groups, FOLDS) == 0
    if not left.any():
        return _softmax(recipe, rows, targets, groups, n_classes)
    scale = float(np.square(rows).mean()) ** 0.5 or 1.0
    data = DataSet(train=np.flatnonzero(~left), validation=np.flatnonzero(left))
    found = train_softmax(rows / scale, targets, [data], [DROPOUT], n_classes=n_classes, updates=UPDATES)[0][0]
    return found.weight / scale, found.bias


def _classical(recipe: Recipe, rows: Rows, targets: Numbers, groups: Numbers, n_classes: int) -> Linear:
    # 1. As many numbers a row as there are rows say the same: lengths and angles stay, and so do the weights.
    basis, turned = np.linalg.qr(rows.T)
    # 2. The cost whose heads do best on objects that they never saw.
    kind: Kind = "svm" if recipe.head == "svm" else "logistic"
    heads = [
        train_classical(
            np.ascontiguousarray(turned.T), targets, groups, [np.arange(len(rows))],
            n_classes=n_classes, kind=kind, cost=cost,
        )[0]
        for cost in COSTS[kind]
    ]  # fmt: skip
    found = heads[_least([np.log(np.maximum(head.beliefs, 1e-30)) for head in heads], targets, groups)]
    return basis @ found.weight, found.bias


def _least(scores: Sequence[np.ndarray], targets: Numbers, groups: Numbers) -> int:
    """Whose scores of left-out rows have the least log-loss, each at its best temperature; else the middle one."""
    out = object_folds(targets, groups, FOLDS) != NEVER
    if not out.any():
        return len(scores) // 2

    def loss(found: np.ndarray) -> float:
        found = found[out] - found[out].max(axis=1, keepdims=True)
        warmed = (np.exp(warmth * found) for warmth in TEMPERATURES)
        shares = (chances / chances.sum(axis=1, keepdims=True) for chances in warmed)
        return min(out_of_object_loss(chances, targets[out], groups[out]) for chances in shares)

    return int(np.argmin([loss(found) for found in scores]))


def _ridge(recipe: Recipe, rows: Rows, targets: Numbers, groups: Numbers, n_classes: int) -> Linear:
    """One against the rest by least squares, as scikit-learn's RidgeClassifier."""
    folds = object_folds(targets, groups, FOLDS)
    scores = np.zeros((len(ALPHAS), len(rows), n_classes))
    for number in range(int(folds.max(initial=NEVER)) + 1):
        left = folds == number
        for place, (weight, bias) in enumerate(_ridges(recipe, rows[~left], targets[~left], n_classes)):
            scores[place, left] = rows[left] @ weight + bias
    return list(_ridges(recipe, rows, targets, n_classes))[_least(list(scores), targets, groups)]


def _ridges(recipe: Recipe, rows: Rows, targets: Numbers, n_classes: int) -> Iterator[Linear]:
    """Ridge of each of `ALPHAS` times the mean squared length of a row, by one decomposition of the rows' products."""
    # 1. The inputs, and the linear map that makes them.
    if recipe.pca:
        prepared = fit_preparation(torch.from_numpy(rows), COMPONENTS)
        projection, mean = prepared.projection.double().numpy(), prepared.mean.double().numpy()
    else:
        # softened as in `acqplan.heads.prepare`: features that hardly vary stay quiet
        mean, spread = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        projection = np.diag(1.0 / (spread + max(spread.mean(), 1e-12)))
    inputs = (rows - mean) @ projection if recipe.pca else (rows - mean) * projection.diagonal()
    # 2. Targets of one against the rest, centred, so that there is no intercept left.
    marks = np.where(targets[:, None] == np.arange(n_classes), 1.0, -1.0)
    values, vectors = np.linalg.eigh(inputs @ inputs.T)
    values, turned = np.maximum(values, 0.0), vectors.T @ (marks - marks.mean(axis=0))
    absent = np.bincount(targets, minlength=n_classes) == 0
    for alpha in ALPHAS:
        strength = max(alpha * float(values.sum()) / len(rows), 1e-12)
        weight = inputs.T @ (vectors @ (turned / (values + strength)[:, None]))
        weight = projection @ weight if recipe.pca else weight * projection.diagonal()[:, None]
        yield weight, np.where(absent, -np.inf, marks.mean(axis=0) - mean @ weight)


def _mean(recipe: Recipe, rows: Rows, targets: Numbers, groups: Numbers, n_classes: int) -> Linear:
    means = np.zeros((n_classes, rows.shape[1]), dtype=np.float64)
    bias = np.full(n_classes, -np.inf)
    present = np.unique(targets)
    for target in present:
        means[target] = rows[targets == target].mean(axis=0, dtype=np.float64)
    bias[present] = -0.5 * (means[present] ** 2).sum(axis=1)
    return means.T, bias
