"""What softmax heads are trained on, with which settings, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from acqplan.errors import UsageError
from acqplan.heads.linear import Head


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DataSet:
    """Rows of a pool: those that teach, and those that choose the epoch.

    Attributes:
        train: Rows to train on, shape ``[train]``, at least one.
        validation: Rows of other objects, shape ``[validation]``, at least one, none of them in ``train``.
    """

    train: Int[np.ndarray, " train"]
    validation: Int[np.ndarray, " validation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxSetting:
    """Hyper-parameters and seed of one head.

    Attributes:
        dropout: Share of the inputs that are set to zero at an update.
        rate: Learning rate of Adam.
        variance: Share of variance that principal components keep; ``None`` for the features themselves.
        seed: Of start, order of images and dropout. Heads of one seed share these draws, so that their
            settings are compared on equal terms.
    """

    dropout: float
    rate: float
    variance: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.dropout < 1.0:
            raise UsageError(f"dropout {self.dropout}", "give a share from 0 to below 1, e.g. 0.5")
        if not 0.0 < self.rate < float("inf"):
            raise UsageError(f"rate {self.rate}", "give a learning rate above 0, e.g. 1e-5")
        if self.variance is not None and not 0.0 < self.variance <= 1.0:
            raise UsageError(f"variance {self.variance}", "give the share that PCA keeps, e.g. 0.9, or None for no PCA")

    def __str__(self) -> str:
        pca = "no PCA" if self.variance is None else f"PCA {self.variance:.0%}"
        return f"{pca}, dropout {self.dropout:g}, rate {self.rate:g}, seed {self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftmaxFit:
    """A trained softmax head at its best epoch; PCA is already folded in.

    Attributes:
        setting: What it was trained with.
        weight: Shape ``[features, classes]``; 0 for classes that were absent from training.
        bias: Shape ``[classes]``; minus infinity for absent classes.
        best_epoch: The epoch of the least validation loss, the first of equals, counted from 1.
        losses: Mean cross-entropy on the validation rows after each epoch, nats, shape ``[epochs]``; the
            last epoch ends with the last update, and may be a part of one.
    """

    setting: SoftmaxSetting
    weight: Float32[np.ndarray, "features classes"]
    bias: Float32[np.ndarray, " classes"]
    best_epoch: int
    losses: Float[np.ndarray, " epochs"]

    @property
    def loss(self) -> float:
        """Mean cross-entropy on the validation rows at the best epoch, nats."""
        return float(self.losses[self.best_epoch - 1])

    @property
    def head(self) -> Head:
        """The head, of strength 0 (no L2) and with beliefs of no rows: no object was ever left out."""
        beliefs = np.empty((0, len(self.bias)), dtype=np.float32)
        return Head(weight=self.weight, bias=self.bias, strength=0.0, beliefs=beliefs)
