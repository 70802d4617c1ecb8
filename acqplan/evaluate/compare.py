"""Two files of predictions, compared image by image and object by object (`acqplan compare`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from acqplan.errors import ManifestError
from acqplan.evaluate.verdict import Answer, answer, sentence
from acqplan.statistics.clustered import ChiSquare, durkalski, interval, obuchowski, sign_flip
from acqplan.statistics.mcnemar import McNemar, mcnemar
from acqplan.statistics.power import equivalence
from acqplan.table import read_table

COLUMNS = ("image", "object", "label", "predicted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One row of a file of predictions.

    Attributes:
        line: Line of the file, the header being line 1.
        image: Name of the image; rows of two files are paired by it.
        object: Object that the image shows.
        label: True class.
        predicted: Class that the classifier chose.
    """

    line: int
    image: str
    object: str
    label: str
    predicted: str

    @property
    def correct(self) -> bool:
        """Whether the classifier was right."""
        return self.predicted == self.label


def read_predictions(path: Path) -> dict[str, Prediction]:
    """Read one file of predictions.

    Args:
        path: CSV in UTF-8 with a header; further columns are ignored.

    Returns:
        The predictions by image, in the order of the file; at least one.

    Raises:
        ManifestError: If the file is no proper table (see `acqplan.table.read_table`), is empty, repeats an image,
            or gives one object two labels; names file, line and remedy.
    """
    table = read_table(path, required=COLUMNS)
    columns = [table.columns[name] for name in COLUMNS]
    found: dict[str, Prediction] = {}
    label_of: dict[str, Prediction] = {}
    for row, (line, image, name, label, predicted) in enumerate(zip(table.lines, *columns, strict=True)):
        one = Prediction(line=line, image=image, object=name, label=label, predicted=predicted)
        if image in found:
            said = f"image '{image}' stands already in line {found[image].line}"
            raise table.error(row, said, "keep one prediction an image", asked=image)
        first = label_of.setdefault(name, one)
        if first.label != label:
            said = f"object '{name}' has label '{label}', but '{first.label}' in line {first.line}"
            raise table.error(row, said, "give each object one label", asked=label)
        found[image] = one
    if not found:
        raise ManifestError(f"{path}: no predictions below the header", "write one row an image", path=path)
    return found


def check_pairs(path_a: Path, a: dict[str, Prediction], path_b: Path, b: dict[str, Prediction]) -> None:
    """Hold two files to the same images, objects and labels.

    Raises:
        ManifestError: If an image is missing from one file, or has another object or label there.
    """
    for path, here, other, there in ((path_b, b, path_a, a), (path_a, a, path_b, b)):
        missing = [row for image, row in there.items() if image not in here]
        if missing:
            raise ManifestError(
                f"{path}: {len(missing):,} of the {len(there):,} images of {other} are missing, the first is "
                f"'{missing[0].image}' ({other}: line {missing[0].line})",
                "compare predictions on the same images",
            )
    for image, row in a.items():
        _check_same(path_a, row, path_b, b[image])


def _check_same(path_a: Path, row: Prediction, path_b: Path, other: Prediction) -> None:
    for column in ("object", "label"):
        here, there = getattr(row, column), getattr(other, column)
        if here != there:
            raise ManifestError(
                f"{path_b}: line {other.line}: image '{row.image}' has {column} '{there}', but '{here}' in "
                f"{path_a}, line {row.line}",
                f"make the {column}s of both files the same",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How two classifiers compare on the same images; a `Finding` that `sentence` can put in words.

    Attributes:
        a: Path of the first file, as given.
        b: Path of the second.
        n_images: Images in each.
        n_objects: Objects they show.
        n11: Images both classified correctly.
        n00: Images neither did.
        accuracy_a: Share of correct images of ``a``, mean over objects.
        accuracy_b: The same of ``b``.
        difference: ``accuracy_a - accuracy_b``.
        ci95: 95 % interval of the difference, over objects.
        p_object: Two-sided p of the sign-flip test on objects.
        p_equivalent: p that the difference is a point or more (two one-sided tests over objects): small if equal.
        mcnemar: McNemar's test on images, conditional on these objects.
        obuchowski: Obuchowski's test for clustered images.
        durkalski: Durkalski's test for clustered images.
        verdict: The answer, from ``p_object`` at 0.05.
    """

    a: str
    b: str
    n_images: int
    n_objects: int
    n11: int
    n00: int
    accuracy_a: float
    accuracy_b: float
    difference: float
    ci95: tuple[float, float]
    p_object: float
    p_equivalent: float
    mcnemar: McNemar
    obuchowski: ChiSquare
    durkalski: ChiSquare
    verdict: Answer

    @property
    def n01(self) -> int:
        """Images that only ``b`` classified correctly."""
        return self.mcnemar.n01

    @property
    def n10(self) -> int:
        """Images that only ``a`` classified correctly."""
        return self.mcnemar.n10

    @property
    def p_mcnemar(self) -> float:
        """McNemar's p as the thesis chooses it."""
        return self.mcnemar.p

    @property
    def p(self) -> float:
        """What decides the verdict: there is one pair of heads, and the objects are all that varies."""
        return self.p_object

    @property
    def n_seeds(self) -> int:
        """One pair of heads."""
        return 1

    @property
    def sentence(self) -> str:
        """The verdict in plain words."""
        return sentence(self)

    def to_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON; an infinite odds ratio is null."""
        ratio = self.mcnemar.odds_ratio
        return {
            "a": self.a,
            "b": self.b,
            "n_images": self.n_images,
            "n_objects": self.n_objects,
            "accuracy_a": self.accuracy_a,
            "accuracy_b": self.accuracy_b,
            "difference": self.difference,
            "ci95": list(self.ci95),
            "p_object": self.p_object,
            "p_equivalent": self.p_equivalent,
            "contingency": {"n11": self.n11, "n10": self.n10, "n01": self.n01, "n00": self.n00},
            "mcnemar": {
                "conditional_on": "these objects",
                "p": self.p_mcnemar,
                "p_exact": self.mcnemar.p_exact,
                "p_asymptotic": self.mcnemar.p_asymptotic,
                "p_mid": self.mcnemar.p_mid,
                "chi2": self.mcnemar.chi2,
                "odds_ratio": ratio if math.isfinite(ratio) else None,
            },
            "obuchowski": {"statistic": self.obuchowski.statistic, "p": self.obuchowski.p},
            "durkalski": {"statistic": self.durkalski.statistic, "p": self.durkalski.p},
            "verdict": self.verdict,
            "sentence": self.sentence,
        }


def compare(path_a: Path, path_b: Path) -> Comparison:
    """Compare two files of predictions on the same images.

    Args:
        path_a: CSV with the columns ``image,object,label,predicted``.
        path_b: The same images, in any order.

    Returns:
        All tests, the interval and the verdict.

    Raises:
        ManifestError: If a file is not valid, or the files do not show the same images, objects and labels.
    """
    a, b = read_predictions(path_a), read_predictions(path_b)
    check_pairs(path_a, a, path_b, b)
    images = sorted(a)
    _, places = np.unique([a[image].object for image in images], return_inverse=True)
    return _comparison(str(path_a), str(path_b), _correct(a, images), _correct(b, images), places)


def _correct(table: Mapping[str, Prediction], images: list[str]) -> Bool[np.ndarray, " images"]:
    return np.array([table[image].correct for image in images])


def _comparison(
    a: str,
    b: str,
    right_a: Bool[np.ndarray, " images"],
    right_b: Bool[np.ndarray, " images"],
    places: Int[np.ndarray, " images"],
) -> Comparison:
    n = np.bincount(places)
    per_a, per_b = _counts(right_a, places) / n, _counts(right_b, places) / n
    n01, n10 = _counts(~right_a & right_b, places), _counts(right_a & ~right_b, places)
    differences = (n10 - n01) / n
    difference, p_object = float(differences.mean()), sign_flip(differences)
    return Comparison(
        a=a,
        b=b,
        n_images=len(places),
        n_objects=len(n),
        n11=int((right_a & right_b).sum()),
        n00=int((~right_a & ~right_b).sum()),
        accuracy_a=float(per_a.mean()),
        accuracy_b=float(per_b.mean()),
        difference=difference,
        ci95=interval(differences),
        p_object=p_object,
        p_equivalent=equivalence(differences).p,
        mcnemar=mcnemar(right_a, right_b),
        obuchowski=obuchowski(n01.astype(np.int64), n10.astype(np.int64)),
        durkalski=durkalski(n01.astype(np.int64), n10.astype(np.int64), n),
        verdict=answer(difference, p_object),
    )


def _counts(which: Bool[np.ndarray, " images"], places: Int[np.ndarray, " images"]) -> Float[np.ndarray, " objects"]:
    """How many images of each object are meant."""
    return np.bincount(places, weights=which)
