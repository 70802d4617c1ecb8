"""Two files of predictions, compared image by image and object by object."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acqplan.errors import ManifestError
from acqplan.evaluate.verdict import Answer, answer, sentence
from acqplan.numbers import shortened
from acqplan.statistics.clustered import ChiSquare, McNemar, durkalski, equivalence, mcnemar, obuchowski, sign_flip
from acqplan.statistics.judging import class_interval
from acqplan.statistics.objects import interval
from acqplan.table import read_table

COLUMNS = ("image", "object", "label", "predicted")
# So much of each vocabulary is in an error.
MOST_LETTERS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How two classifiers compare on the same images; `sentence` puts it in words.

    Attributes:
        a: Path of the first file, as given.
        b: Path of the second.
        n_images: Images in each.
        n_objects: Objects they show.
        n11: Images both classified correctly.
        n00: Images neither did.
        accuracy_a: Share of correct images of ``a``, mean over objects.
        accuracy_b: Share of correct images of ``b``, mean over objects.
        ci95_a: 95 % interval of the first, for other objects of these classes (`class_interval`).
        ci95_b: That of the second.
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
    ci95_a: tuple[float, float]
    ci95_b: tuple[float, float]
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
            "ci95_a": list(self.ci95_a),
            "ci95_b": list(self.ci95_b),
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


def compare(a: Path | str, b: Path | str) -> Comparison:
    """Compare two files of predictions on the same images: ``acqplan compare``.

    Args:
        a: CSV with the columns ``image,object,label,predicted``.
        b: The same images, in any order.

    Returns:
        All tests, the interval and the verdict.

    Raises:
        ManifestError: If a file is not valid, predicts a class that no image has, or the files do not show the same
            images, objects and labels.
    """
    tables = _read_predictions(Path(a)), _read_predictions(Path(b))
    # Both files must show the same images, objects and labels.
    for (path, here), (other, there) in (((b, tables[1]), (a, tables[0])), ((a, tables[0]), (b, tables[1]))):
        missing = [row for image, row in there.items() if image not in here]
        if missing:
            raise ManifestError(
                f"{path}: {len(missing):,} of the {len(there):,} images of {other} are missing, the first is "
                f"'{missing[0].image}' ({other}: line {missing[0].line})",
                "compare predictions on the same images",
            )
    for image, row in tables[0].items():
        same = tables[1][image]
        for column, mine, theirs in (("object", row.object, same.object), ("label", row.label, same.label)):
            if mine != theirs:
                raise ManifestError(
                    f"{b}: line {same.line}: image '{image}' has {column} '{theirs}', but '{mine}' in {a}, line "
                    f"{row.line}",
                    f"make the {column}s of both files the same",
                )
    for path, table in zip((a, b), tables, strict=True):
        _check_classes(path, table.values())
    # Images are paired by name; every object counts the same, however many images show it.
    images = sorted(tables[0])
    names, first, places = np.unique(
        [tables[0][image].object for image in images], return_index=True, return_inverse=True
    )
    labels = np.array([tables[0][images[row]].label for row in first])
    right_a, right_b = (np.array([table[image].correct for image in images]) for table in tables)

    n = np.bincount(places)
    n11, n10, n01 = (
        np.bincount(places, weights=one) for one in (right_a & right_b, right_a & ~right_b, ~right_a & right_b)
    )
    differences = (n10 - n01) / n
    difference, p_object = float(differences.mean()), sign_flip(differences)
    return Comparison(
        a=str(a),
        b=str(b),
        n_images=len(images),
        n_objects=len(names),
        n11=int(n11.sum()),
        n00=int((n - n11 - n10 - n01).sum()),
        accuracy_a=float(((n11 + n10) / n).mean()),
        accuracy_b=float(((n11 + n01) / n).mean()),
        ci95_a=class_interval((n11 + n10) / n, labels)[1:],
        ci95_b=class_interval((n11 + n01) / n, labels)[1:],
        difference=difference,
        ci95=interval(differences),
        p_object=p_object,
        p_equivalent=equivalence(differences).p,
        mcnemar=mcnemar(right_a, right_b),
        obuchowski=obuchowski(n01, n10),
        durkalski=durkalski(n01, n10, n),
        verdict=answer(difference, p_object),
    )


def _check_classes(path: Path | str, predictions: Collection[_Prediction]) -> None:
    """Refuse a predicted class that is no label: a class written in two ways would count as wrong everywhere."""
    labels = {one.label for one in predictions}
    foreign = next((one for one in predictions if one.predicted not in labels), None)
    if foreign is None:
        return
    known, found = (
        shortened(", ".join(sorted(names)), MOST_LETTERS) for names in (labels, {one.predicted for one in predictions})
    )
    raise ManifestError(
        f"{path}: line {foreign.line}: predicted class '{shortened(foreign.predicted, 40)}' is the label of no image; "
        f"labels: {known}; predicted: {found}",
        "write classes in one way in both columns",
        path=path,
        line=foreign.line,
        asked=foreign.predicted,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prediction:
    """One row of a file of predictions, with its line, the header being line 1."""

    line: int
    image: str
    object: str
    label: str
    predicted: str

    @property
    def correct(self) -> bool:
        return self.predicted == self.label


def _read_predictions(path: Path) -> dict[str, _Prediction]:
    """The predictions of a file by image, in its order; at least one.

    Raises:
        ManifestError: If the file is no proper table (see `read_table`), is empty, repeats an image, or gives one
            object two labels; names file, line and remedy.
    """
    table = read_table(path, required=COLUMNS)
    found: dict[str, _Prediction] = {}
    label_of: dict[str, _Prediction] = {}
    for row, (line, *values) in enumerate(zip(table.lines, *map(table.column, COLUMNS), strict=True)):
        one = _Prediction(line=line, **dict(zip(COLUMNS, values, strict=True)))
        if one.image in found:
            said = f"image '{one.image}' appears already in line {found[one.image].line}"
            raise table.error(row, said, "keep one prediction per image", asked=one.image)
        first = label_of.setdefault(one.object, one)
        if first.label != one.label:
            said = f"object '{one.object}' has label '{one.label}', but '{first.label}' in line {first.line}"
            raise table.error(row, said, "give each object one label", asked=one.label)
        found[one.image] = one
    if not found:
        raise ManifestError(f"{path}: no predictions below the header", "write one row per image", path=path)
    return found
