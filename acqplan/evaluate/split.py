"""Splits into train and test: by object, so that no object is on both sides."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from acqplan.errors import SplitError, nearest
from acqplan.rng import generator
from acqplan.space import Objects, Shots


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Which objects teach and which examine.

    Attributes:
        train: Names of the train objects, in the order of the table they come from.
        test: Names of the test objects, in the same order; none of them is a train object.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        both = sorted(set(self.train) & set(self.test))
        if both:
            raise SplitError(f"object '{both[0]}' is in both train and test", "put it on one side")


def split_objects(
    objects: Objects, *, test_fraction: float = 0.5, test: tuple[str, ...] | None = None, seed: int = 0
) -> Split:
    """Split by object, every class on both sides.

    Args:
        objects: All objects with their labels.
        test_fraction: Share of each class that is tested on; halves are rounded towards train, and at
            least one object of a class goes to each side.
        test: Names of the test objects, to choose them by hand; ``test_fraction`` and ``seed`` then do nothing.
        seed: Seed of the draw; the order of ``objects`` does not matter.

    Returns:
        The split, objects in the order of the table.

    Raises:
        SplitError: If a class has one object only or is missing on a side, a name is unknown or repeated,
            or the fraction is not between 0 and 1.
    """
    _check_counts(objects)
    chosen = _drawn(objects, test_fraction, seed) if test is None else _named(objects, test)
    split = Split(
        train=tuple(name for name in objects.names if name not in chosen),
        test=tuple(name for name in objects.names if name in chosen),
    )
    _check_classes(objects, split)
    return split


def check_disjoint(train: Shots, test: Shots) -> None:
    """Refuse shots of one object on both sides.

    Raises:
        SplitError: If train and test shots share an object; names it.
    """
    both = sorted(set(train.names) & set(test.names))
    if both:
        raise SplitError(f"shots of object '{both[0]}' are in both train and test", "split by object")


def _check_counts(objects: Objects) -> None:
    for label in objects.classes:
        if objects.labels.count(label) == 1:
            name = objects.names[objects.labels.index(label)]
            raise SplitError(
                f"label '{label}' has one object only ('{name}'): it cannot be in both train and test",
                "add another object of this label, or leave the label out",
            )


def _drawn(objects: Objects, fraction: float, seed: int) -> set[str]:
    if not 0.0 < fraction < 1.0:
        raise SplitError(f"test_fraction is {fraction:g}", "give a number between 0 and 1, e.g. 0.5")
    chosen: set[str] = set()
    for label in objects.classes:
        names = sorted(name for name, its in zip(objects.names, objects.labels, strict=True) if its == label)
        n_test = min(max(math.ceil(len(names) * fraction - 0.5), 1), len(names) - 1)
        order = generator(seed, "split", label).permutation(len(names))
        chosen.update(names[place] for place in order[:n_test])
    return chosen


def _named(objects: Objects, test: Iterable[str]) -> set[str]:
    chosen: set[str] = set()
    for name in test:
        if name not in objects.names:
            raise SplitError(f"test object '{name}' is unknown", nearest(name, objects.names))
        if name in chosen:
            raise SplitError(f"test object '{name}' stands twice", "name it once")
        chosen.add(name)
    return chosen


def _check_classes(objects: Objects, split: Split) -> None:
    label_of = dict(zip(objects.names, objects.labels, strict=True))
    for side, names in (("train", split.train), ("test", split.test)):
        missing = sorted(set(objects.classes) - {label_of[name] for name in names})
        if missing:
            raise SplitError(f"no object of label '{missing[0]}' is in {side}", "move one of its objects there")
