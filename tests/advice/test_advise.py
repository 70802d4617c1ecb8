"""Advice: known answers on made-up features, invariances, and honest silence where nothing can be told."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from jaxtyping import Int

from acqplan.advice.advise import advise_history
from acqplan.advice.answers import Advice, read_worth
from acqplan.advice.foreseen import foresee
from acqplan.advice.sentences import advice_in_short, advice_sentences, worded
from acqplan.advice.spend import Outlay
from acqplan.errors import UsageError
from acqplan.plan.base import History
from acqplan.rng import generator
from acqplan.space import Circle, Interval, Objects, Shots, Space

SPACE = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 5))),
        Interval(name="elevation", values=(30.0, 45.0, 60.0), unit="deg"),
    )
)
WIDTH = 40


def captured(
    n_images: int,
    *,
    n_objects: int = 5,
    n_classes: int = 3,
    signal: float = 1.0,
    between: float = 0.0,
    noise: float = 1.0,
    seed: int = 0,
) -> History:
    """Random views of each object, seen as class + object + noise of these sizes in every feature."""
    random = generator(seed, "captured")
    labels = tuple(f"class-{row % n_classes}" for row in range(n_objects * n_classes))
    names = tuple(f"object-{row:02d}" for row in range(len(labels)))
    every = Shots.every(SPACE, Objects(names=names, labels=labels))
    rows = [row * SPACE.n_views + random.permutation(SPACE.n_views)[:n_images] for row in range(len(labels))]
    shots = every.take(np.concatenate(rows))
    classes = signal * random.normal(size=(n_classes, WIDTH))[every.objects.class_rows]
    seen = (classes + between * random.normal(size=classes.shape))[shots.object_rows]
    features = seen + noise * random.normal(size=(len(shots), WIDTH))
    return History(shots=shots, features=features.astype(np.float32))


@pytest.fixture(scope="module")
def flat() -> Advice:
    """Objects that differ, all of whose views look the same: some are mistaken whatever is captured of them."""
    return advise_history(captured(12, n_objects=8, signal=0.5, between=1.0, noise=0.1), accuracies=(1.0, 0.3))


@pytest.fixture(scope="module")
def history() -> History:
    """Few images, objects that differ and views that do."""
    return captured(5, n_objects=4, noise=1.5, between=0.3, signal=0.5)


@pytest.fixture(scope="module")
def ordinary(history: History) -> Advice:
    return advise_history(history)


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers(part)]
    if isinstance(value, list):
        return [number for part in value for number in numbers(part)]
    return [float(value)] if isinstance(value, int | float) else []


def is_whole(advice: Advice) -> bool:
    """Whether every number can be written, and every sentence says something."""
    document = json.loads(json.dumps(advice.to_dict(), allow_nan=False))
    words = " ".join(advice_sentences(advice))
    return all(map(math.isfinite, numbers(document))) and "nan" not in words and "inf" not in words


def test_a_flat_curve_says_stop(flat: Advice) -> None:
    assert flat.end.answer == "stop"
    assert flat.end.confidence is not None
    assert flat.end.confidence >= 0.5
    assert flat.end.agreement is not None
    assert flat.end.agreement > 0.95
    assert flat.points[-1].accuracy.estimate < 0.99, "it is flat below the top"
    assert is_whole(flat)


def test_a_steep_curve_says_go_on() -> None:
    advice = advise_history(captured(12, signal=0.35, noise=2.0))
    assert advice.end.answer == "go on"
    assert advice.end.gain is not None
    assert advice.end.gain.estimate > 0.02
    first, last = advice.points[0].accuracy, advice.points[-1].accuracy
    assert last.estimate > first.estimate + 0.05
    assert is_whole(advice)


def test_objects_that_differ_more_than_their_views_say_more_objects() -> None:
    advice = advise_history(captured(6, n_classes=10, signal=0.4, between=1.0, noise=0.1, seed=2))
    assert advice.next.answer == "more objects"
    assert advice.next.extra is not None
    assert advice.next.extra.low > 0.0


def test_objects_of_a_class_that_are_alike_say_more_views() -> None:
    answers = []
    for seed in range(3):
        advice = advise_history(captured(3, n_objects=20, signal=0.5, noise=2.0, seed=seed))
        assert advice.next.views is not None
        assert advice.next.views.low > 0.0
        answers.append(advice.next.answer)
    assert answers.count("more views") > answers.count("more objects") == 0


def test_the_order_of_rows_changes_nothing(history: History, ordinary: Advice) -> None:
    order = generator(0, "order").permutation(len(history))
    assert advise_history(chosen(history, order)) == ordinary


def test_names_of_objects_change_nothing(history: History, ordinary: Advice) -> None:
    objects = history.shots.objects
    renamed = Objects(names=tuple(f"{99 - row}" for row in range(len(objects))), labels=objects.labels)
    assert advise_history(replace(history, shots=replace(history.shots, objects=renamed))) == ordinary


def test_objects_without_an_image_change_no_measured_point(history: History, ordinary: Advice) -> None:
    objects = history.shots.objects
    more = Objects(names=(*objects.names, "later"), labels=(*objects.labels, "unseen"))
    assert advise_history(replace(history, shots=replace(history.shots, objects=more))).points == ordinary.points


SILENT = {
    "one object a class": (captured(8, n_objects=1), "one object of each class"),
    "one class": (captured(8, n_classes=1), "one class is captured"),
    "guessing": (captured(4, signal=0.0), "guessing"),
}


def test_three_judged_objects_are_too_few() -> None:
    history = captured(8, n_objects=3, n_classes=2)
    advice = advise_history(chosen(history, np.flatnonzero(~np.isin(history.shots.object_rows, [1, 3]))))
    assert advice.judged == 3
    assert "at least 4" in advice.end.reason
    assert is_whole(advice)


def chosen(history: History, rows: Int[np.ndarray, " rows"]) -> History:
    assert history.features is not None
    return History(shots=history.shots.take(rows), features=history.features[rows])


@pytest.mark.parametrize("case", SILENT)
def test_what_cannot_be_told_is_not_told(case: str) -> None:
    history, reason = SILENT[case]
    advice = advise_history(history, accuracies=(0.9,))
    assert advice.end.answer == advice.next.answer == "cannot tell"
    assert reason in advice.end.reason
    assert reason in advice_sentences(advice)[0]
    assert advice.reach == ()
    assert advice.surface is None
    assert is_whole(advice)


def test_one_image_of_each_object_tells_what_objects_add_and_not_when_to_stop() -> None:
    advice = advise_history(captured(1, n_objects=8))
    assert advice.end.answer == "cannot tell"
    assert "one image each" in advice.end.reason
    assert advice.next.exchange is not None
    assert is_whole(advice)


def test_one_view_that_each_object_has_is_told_of_and_not_drawn() -> None:
    history = captured(1, n_objects=8, noise=3.0)
    one = Space(axes=(Circle(name="azimuth", values=(0.0,)),))
    shots = replace(history.shots, space=one, coordinates=np.zeros((len(history), 1)))
    advice = advise_history(replace(history, shots=shots))
    assert advice.end.answer == "stop"
    assert "every view" in advice.end.reason
    assert advice.surface is not None
    assert advice.surface.is_flat
    assert advice.best is not None
    assert advice.best.objects > 0
    assert is_whole(advice)


def test_objects_of_unequal_numbers_of_images_are_told_of() -> None:
    history = captured(20, n_objects=6)
    own = [np.flatnonzero(history.shots.object_rows == one)[: one + 1] for one in range(18)]
    advice = advise_history(chosen(history, np.concatenate(own)))
    assert advice.images == sum(range(1, 19))
    assert advice.points[-1].images == advice.images
    assert is_whole(advice)


def test_equal_features_are_told() -> None:
    history = captured(8)
    advice = advise_history(replace(history, features=np.ones((len(history), 3), dtype=np.float32)))
    assert advice.end.answer == "cannot tell"
    assert "no difference" in advice.end.reason
    assert is_whole(advice)


def test_what_is_perfect_stops_and_leaves_nothing_to_choose() -> None:
    advice = advise_history(captured(6, signal=5.0, noise=0.1), accuracies=(0.95,))
    assert (advice.end.answer, advice.next.answer) == ("stop", "cannot tell")
    assert "neither" in advice.next.reason
    assert all(reach.images == reach.smallest for reach in advice.reach)
    assert advice.smallest_difference is None
    assert is_whole(advice)


def test_two_objects_a_class_cannot_show_what_an_object_adds() -> None:
    advice = advise_history(captured(8, n_objects=2, noise=1.5))
    assert advice.next.answer == "cannot tell"
    assert "three objects" in advice.next.reason
    assert advice.next.objects is None
    assert is_whole(advice)


def test_an_accuracy_above_the_saturation_is_never_reached(flat: Advice) -> None:
    never, soon, saturation = flat.reach
    assert math.isinf(never.images)
    assert soon.images == soon.low == soon.smallest
    assert saturation.share == 0.99
    assert "not expected even with all views" in " ".join(advice_sentences(flat))


def test_what_is_worth_going_on_for_can_be_asked_of_a_doubling_or_of_some_images(history: History) -> None:
    gains = []
    for text in ("0.5/30", "0.5/doubling", "0.5"):
        end = advise_history(history, **read_worth(text)).end
        assert end.gain is not None
        gains.append(end.gain.estimate)
    assert gains == sorted(gains)
    assert gains[0] < gains[-1]
    assert read_worth("0.2/100") == {"margin": 0.002, "within": 100}
    for wrong in ("", "much", "0/100", "0.5/", "0.5/half", "0.5/0", "0.5/1.5"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_worth(wrong)


def test_one_sided_costs_decide_what_is_bought() -> None:
    history = captured(6, n_classes=10, signal=0.4, between=1.0, noise=0.1, seed=2)
    cheap = advise_history(history, outlay=Outlay(money=600.0, image_cost=1.0, object_cost=0.0)).best
    dear = advise_history(history, outlay=Outlay(money=600.0, image_cost=1.0, object_cost=500.0)).best
    assert cheap is not None
    assert dear is not None
    assert (cheap.objects > 0, dear.objects) == (True, 0)
    assert cheap.extra is not None
    assert cheap.extra.low > 0.0
    assert cheap.cost <= 600.0 * (1 + 1e-9)


def test_before_anything_is_captured_simulated_rigs_are_named() -> None:
    advice = foresee(captured(4).shots)
    words = advice_sentences(advice)
    assert all("simulated rigs" in sentence for sentence in words)
    assert "worth" in words[0]
    assert advice.points == ()
    assert is_whole(advice)
    assert advice_sentences(foresee(captured(4, n_classes=1).shots))[0].startswith("cannot tell")


def test_all_views_captured_leave_nothing_to_go_on_for() -> None:
    few = Space(axes=(Circle(name="azimuth", values=(0.0, 90.0, 180.0, 270.0)),))
    history = captured(4, noise=1.5)
    coordinates = np.tile(few.views(), (len(history) // 4, 1))
    shots = replace(history.shots, space=few, coordinates=coordinates)
    advice = advise_history(replace(history, shots=shots))
    assert advice.capacity == advice.images
    assert (advice.end.answer, advice.end.confidence) == ("stop", 1.0)
    assert is_whole(advice)


def test_fewer_test_objects_find_larger_differences_only(history: History) -> None:
    few, many = (advise_history(history, test_objects=number).smallest_difference for number in (5, 50))
    assert few is not None
    assert many is not None
    assert few > many


def test_smaller_differences_take_more_test_objects(history: History, ordinary: Advice) -> None:
    apart, objects = zip(*ordinary.objects_to_tell, strict=True)
    assert apart == (0.01, 0.02, 0.05)
    assert objects[0] > objects[1] > objects[2]
    assert (
        f"1, 2 and 5 points take {objects[0]:,}, {objects[1]:,} and {objects[2]:,} test"
        in advice_sentences(ordinary)[-1]
    )
    found = advise_history(history, test_objects=objects[2]).smallest_difference
    assert found is not None
    assert 0.04 < found <= 0.05
    older = {name: value for name, value in asdict(ordinary).items() if name != "objects_to_tell"}
    assert Advice.of(older) == replace(ordinary, objects_to_tell=()), "of a campaign that was advised before"


BAD = [{"accuracies": (1.5,)}, {"accuracies": (math.nan,)}, {"shares": (0.0,)}, {"margin": 0.0}, {"test_objects": -1}]


@pytest.mark.parametrize("wrong", BAD)
def test_arguments_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        advise_history(captured(2), **wrong)  # type: ignore[arg-type]


def test_shots_without_features_are_refused() -> None:
    with pytest.raises(UsageError, match="without features"):
        advise_history(replace(captured(2), features=None))


def test_advice_is_told_and_read_again_with_what_never_happens(flat: Advice) -> None:
    assert any(math.isinf(reach.images) for reach in flat.reach)
    silent = advise_history(captured(3, n_objects=1))
    for advice in (flat, silent):
        assert Advice.of(json.loads(json.dumps(asdict(advice)))) == advice
        json.dumps(worded(advice), allow_nan=False)


@pytest.mark.parametrize(("n_objects", "known"), [(1, False), (2, True)])
def test_accuracy_on_new_objects_is_known_where_a_class_has_two(n_objects: int, known: bool) -> None:
    advice = advise_history(captured(6, n_objects=n_objects))
    assert (len(advice.points) > 0) is known
    assert advice_sentences(advice)[: len(advice_in_short(advice))] == advice_in_short(advice)
    assert len(advice_in_short(advice)) == (2 if known else 1)
