import numpy as np
import pytest

from acqplan.evaluate.verdict import Record, Validation
from acqplan.report.compared import Compared
from acqplan.statistics.objects import two_way


def test_strategies_are_compared_at_the_largest_budget(validation: Validation) -> None:
    compared = Compared.of_validation(validation, "auto")
    assert compared.budget == 2430
    assert len(compared.at(compared.budget)) == len(compared.drawn) == 5
    assert (compared.n_objects, compared.n_seeds) == (25, 5)


def test_accuracies_are_means_over_seeds_with_intervals_over_objects_and_seeds() -> None:
    per_object = [{"a": 0.8, "b": 0.6, "c": 0.4}, {"a": 1.0, "b": 0.6, "c": 0.6}]
    records = [
        Record(strategy="auto", budget=9, images=9, seed=seed, accuracy=0.0, per_object=values)
        for seed, values in enumerate(per_object)
    ]
    compared = Compared.of_validation(Validation(records=records, verdicts=[]), "auto")
    (point,) = compared.points
    mean = two_way(np.array([[0.8, 1.0], [0.6, 0.6], [0.4, 0.6]]))
    assert (compared.n_seeds, compared.n_objects) == (2, 3)
    assert [point.low, point.accuracy, point.high] == pytest.approx([max(mean.low, 0), 2 / 3, min(mean.high, 1)])


def test_one_object_has_no_interval() -> None:
    record = Record(strategy="even", budget=5, images=4, seed=0, accuracy=0.5, per_object={"a": 0.5})
    (point,) = Compared.of_validation(Validation(records=[record], verdicts=[]), "even").points
    assert point.low == point.accuracy == point.high == 0.5


def test_without_a_baseline_others_are_ordered_by_accuracy(validation: Validation) -> None:
    compared = Compared.of_validation(validation, "even")
    there = compared.at(compared.budget)
    others = compared.order[1:]
    assert compared.order[0] == "even"
    assert others == sorted(others, key=lambda name: -there[name].accuracy)
