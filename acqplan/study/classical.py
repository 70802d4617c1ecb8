"""The off-the-shelf recipe: a linear SVM or logistic regression of scikit-learn on features of length 1."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from acqplan.errors import AcqplanError, UsageError
from acqplan.heads.linear import NEVER, Head, Rows, as_rows, check_subsets, object_folds
from acqplan.progress import SILENT, Progress
from acqplan.rng import stream

Kind = Literal["svm", "logistic"]

# Iterations after which a head counts as not converged (1,000, the default of scikit-learn, are sometimes too few).
CEILING = 10_000


def train_classical(
    features: Float32[np.ndarray, "pool features"],
    targets: Int[np.ndarray, " pool"],
    groups: Int[np.ndarray, " pool"],
    subsets: Sequence[Rows],
    *,
    n_classes: int,
    kind: Kind = "svm",
    cost: float = 1.0,
    folds: int = 5,
    progress: Progress = SILENT,
) -> list[Head]:
    """Train one head on each of many subsets of a pool, as `acqplan.heads.exact.train_heads` does.

    Rows are divided by their length; then scikit-learn does the rest, without intercept. So the class of a row
    does not depend on its length, and a head predicts for features as they are what scikit-learn predicts for
    normalised ones. Its probabilities are scikit-learn's for rows as long as the training rows are on average;
    the probabilities of an SVM are the softmax of its margins, and not calibrated.

    Args:
        features: Features, shape ``[pool, features]``; rows in no subset are never looked at.
        targets: Class of each row, ``0 .. n_classes - 1``, shape ``[pool]``.
        groups: Object of each row, shape ``[pool]``.
        subsets: Rows to train each head on, of any lengths, each at least one.
        n_classes: Classes there are; classes absent from a subset get probability 0 from its head.
        kind: ``"svm"`` (squared hinge, one class against the rest) or ``"logistic"`` (multinomial).
        cost: scikit-learn's ``C``.
        folds: Folds for beliefs at most; with more objects per class, several are left out at once.
        progress: Hears of each head trained.

    Returns:
        Heads in the order of ``subsets``; their strength is ``1 / (rows * cost)``.

    Raises:
        UsageError: If shapes, classes, rows or settings are not as described.
        AcqplanError: If a feature of a subset is not finite, or a head does not converge.

    Source:
        A. S. Razavian et al., CVPR workshops 2014 (features off the shelf: length 1, linear SVM); no intercept is
        the default of LIBLINEAR itself.
    """
    if kind not in ("svm", "logistic"):
        raise UsageError(f"no head is of kind '{kind}'", "give svm or logistic")
    if not 0.0 < cost < float("inf"):
        raise UsageError(f"cost {cost}", "give scikit-learn's C, above 0")
    if folds < 2:
        raise UsageError(f"{folds} folds", "leaving objects out takes at least 2")
    rows, targets, groups = [as_rows(subset) for subset in subsets], np.asarray(targets), np.asarray(groups)
    check_subsets(features, targets, groups, rows, n_classes)
    fit = partial(_fit, kind=kind, cost=cost, n_classes=n_classes)
    heads = []
    with progress.task("training heads", len(rows)) as advance:
        for subset in rows:
            # 1. A head on rows of length 1.
            lengths, own = np.linalg.norm(features[subset], axis=1), targets[subset]
            inputs = features[subset] / np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]
            weight, bias = fit(inputs, own)
            # 2. Probabilities of each row by a head that never saw its object; equal where there is none.
            present = np.bincount(own, minlength=n_classes) > 0
            beliefs = np.tile((present / present.sum()).astype(np.float32), (len(own), 1))
            numbers = object_folds(own, groups[subset], folds)
            for number in range(int(numbers.max(initial=NEVER)) + 1):
                left = numbers == number
                unseen, its_bias = fit(inputs[~left], own[~left])
                head = Head(weight=unseen.astype(np.float32), bias=its_bias, strength=0.0, beliefs=beliefs)
                beliefs[left] = head.probabilities(inputs[left])
            # 3. The head for rows of the average length.
            weight = (weight / (float(lengths.mean()) or 1.0)).astype(np.float32)
            heads.append(Head(weight=weight, bias=bias, strength=1.0 / (len(subset) * cost), beliefs=beliefs))
            advance(1)
    return heads


def _fit(
    inputs: Float32[np.ndarray, "rows features"], targets: Rows, *, kind: Kind, cost: float, n_classes: int
) -> tuple[Float[np.ndarray, "features classes"], Float32[np.ndarray, " classes"]]:
    """Weights for normalised features, 0 for absent classes, and a bias of 0, minus infinity for these."""
    present = np.unique(targets)
    weight = np.zeros((inputs.shape[1], n_classes))
    bias = np.full(n_classes, -np.inf, dtype=np.float32)
    bias[present] = 0.0
    if len(present) > 1:
        if kind == "svm":
            seed = stream(0, "liblinear") % 2**32
            method = LinearSVC(C=cost, fit_intercept=False, dual="auto", max_iter=CEILING, random_state=seed)
        else:
            method = LogisticRegression(C=cost, fit_intercept=False, max_iter=CEILING)
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            try:
                found: np.ndarray = method.fit(inputs, targets).coef_
            except ConvergenceWarning as warning:
                raise AcqplanError(
                    f"{kind} of cost {cost:g} has not converged after {CEILING:,} iterations",
                    "give a smaller cost",
                ) from warning
        # of two classes scikit-learn gives one direction, that of the second: half of it for each
        weight[:, present] = (np.concatenate([-found, found]) / 2 if len(found) == 1 else found).T
    return weight, bias
