"""The first sentence and number of a result, over everything that can become of a plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acqplan.advice.answers import Buy, Stop
from acqplan.advice.sentences import advice_headline
from acqplan.evaluate.headline import WAYS, few_would_do
from acqplan.evaluate.recommend import Recommendation
from acqplan.evaluate.verdict import Answer, Validation
from acqplan.statistics.objects import Estimate
from tests.report.conftest import PLANS, recommended, some_advice, some_validation

GAINS = {"even": 0.098, "random": 0.044, "even-staggered": 0.012, "random-shots": 0.0}
NONE: Answer = "no difference found"


def judged(**answers: Answer) -> Recommendation:
    """A recommendation whose verdicts are these, none found by default."""
    base = some_validation()
    verdicts = []
    for verdict in base.verdicts:
        answer = answers.get(verdict.b.replace("-", "_"), NONE)
        gain = -GAINS[verdict.b] if answer == "worse" else GAINS[verdict.b]
        verdicts.append(replace(verdict, difference=gain, verdict=answer))
    return recommended(PLANS["toys"], replace(base, verdicts=verdicts))


def test_what_is_better_and_where_no_difference_was_found_are_both_said() -> None:
    first = judged(even="better").headline
    assert first.task == "Take these 2,430 images: 97 or 98 of each of 25 objects."
    assert first.finding.startswith(
        "Better than one even grid (2,160 images) by 9.8 points; no difference found against "
    )
    for way in ("random shots", "staggered grids", "one random set (2,160 images)"):
        assert way in first.finding
    assert "no better" not in first.finding, "no difference found does not mean equal"


def test_better_than_all_names_each_the_strongest_first() -> None:
    finding = judged(even="better", random="better", even_staggered="better", random_shots="better").headline.finding
    assert finding.startswith("Better than all 4 other ways: ")
    assert "no difference" not in finding
    assert finding.index("random shots by 0.0") < finding.index("one even grid")


def test_losses_come_first() -> None:
    finding = judged(even="worse", random_shots="better").headline.finding
    assert finding.startswith("Worse than one even grid (2,160 images) by 9.8 points; better than random shots by ")
    assert judged(
        even="worse", random="worse", even_staggered="worse", random_shots="worse"
    ).headline.finding.startswith("Worse than all 4 other ways: ")


def test_no_difference_from_any_is_said_of_all() -> None:
    finding = judged().headline.finding
    assert finding.startswith("No difference found against any of 4 other ways: ")
    assert all(way in finding for way in WAYS.values())


def test_the_number_is_the_accuracy_on_new_objects_where_it_was_examined() -> None:
    result = judged()
    mine = [one.accuracy for one in result.validation.records if (one.strategy, one.budget) == ("auto", 2430)]  # type: ignore[union-attr]
    assert result.headline.number == f"{100 * np.mean(mine):.1f} %"
    assert result.headline.about.startswith("right on new objects (95 % interval ")
    views = Validation(records=result.validation.records, verdicts=(), kept_aside={"tested": "new views"})  # type: ignore[union-attr]
    assert recommended(result.plan, views).headline.about.startswith("right on new views (")
    assert recommended(result.plan, views).headline.finding == ""


def test_without_a_test_the_number_is_that_of_objects_left_out_and_gains_are_not_claimed() -> None:
    first = recommended(PLANS["toys"], advice=some_advice()).headline
    assert first.number == "90.7 %"
    assert "objects left out in turn, with these images" in first.about
    assert first.finding.startswith("What they gain over other ways of choosing is not measured.")


def test_images_captured_before_are_not_taken_for_those_of_the_plan() -> None:
    plan = replace(PLANS["live"], captured=60)
    first = recommended(plan, advice=some_advice(images=60, capacity=600)).headline
    assert first.task.endswith("beside the 60 captured before.")
    assert "with the 60 images captured so far" in first.about
    assert "images already reach" not in first.finding


@pytest.mark.parametrize(("seconds", "number"), [(905.0, "15 min 05 s"), (None, "240")])
def test_where_nothing_was_captured_the_number_is_time_or_images(seconds: float | None, number: str) -> None:
    plan = replace(PLANS["live"], predicted=None, route_seconds=seconds)
    assert recommended(plan).headline.number == number


def test_few_images_would_do_only_where_larger_parts_agree_and_it_is_few() -> None:
    advice = some_advice(images=1600, points=5)  # 100, 200, 400, 800, 1600 images

    def said(*accuracies: float, answer: Stop = "stop") -> str:
        points = [
            replace(point, accuracy=replace(point.accuracy, estimate=accuracy))
            for point, accuracy in zip(advice.points, accuracies, strict=True)
        ]
        return few_would_do(replace(advice, points=tuple(points), end=replace(advice.end, answer=answer)))

    assert said(0.7, 0.8, 0.87, 0.89, 0.9) == "800 images already reach 98 % of what all do, on objects left out."
    assert said(0.7, 0.895, 0.85, 0.895, 0.9).startswith("800 images"), "200 were luck: 400 did worse"
    assert said(0.5, 0.6, 0.7, 0.8, 0.9) == ""
    assert said(0.9, 0.9, 0.9, 0.9, 0.9).startswith("100 images already reach as much as all")
    assert said(0.9, 0.9, 0.9, 0.9, 0.9, answer="cannot tell").startswith("100 images")
    assert said(0.9, 0.9, 0.9, 0.9, 0.9, answer="go on") == ""
    assert few_would_do(some_advice(points=0)) == ""


def test_advice_begins_with_what_to_do_and_what_gains_more() -> None:
    advice = some_advice()
    assert (
        advice_headline(advice)
        == "Go on: the curve still rises (all further images of these objects: +2.1 points (+0.4 to +3.8))."
    )
    gain = Estimate(estimate=0.014, low=0.001, high=0.032, level=0.8)
    best = Buy(asked=90, objects=5, images=90, shots=4.0, cost=90, unit="images", accuracy=gain, extra=gain)
    bought = advice_headline(replace(advice, best=best))
    more = "New objects gain more than new views: 90 images of 5 more objects of each class"
    assert bought.endswith(f"{more}, +1.4 points (+0.1 to +3.2) beyond as many views.")
    unsure = replace(best, extra=replace(gain, low=-0.001))
    assert "New objects may gain more than new views" in advice_headline(replace(advice, best=unsure))
    simulated = replace(advice, judged=0, best=best)
    assert advice_headline(simulated).startswith(
        "Nothing is captured, so whether to stop cannot be told. Simulated rigs say"
    )
