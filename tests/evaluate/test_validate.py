"""What a validation holds: every arm at every budget, paired by seed, and verdicts by object."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from acqplan.evaluate.experiment import OPPONENTS, SEEDS, Material, examine, judging_shots, train_on
from acqplan.evaluate.recommend import Recommendation, recommend
from acqplan.evaluate.replay import Arm, replay
from acqplan.evaluate.task import split_objects
from acqplan.evaluate.verdict import Record
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.progress import SILENT, Progress
from acqplan.rig.rendered import toy_rig
from acqplan.rig.spec import Rig
from acqplan.space import Circle, Interval, Objects, Shots, Space
from acqplan.space.shots import is_among

SPACE = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 60))),
        Interval(name="elevation", values=(30.0, 60.0), unit="deg"),
    )
)
BUDGET = 45


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Recommendation:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACQPLAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        rig = toy_rig(space=SPACE, n_instances=3, workers=1)
        return recommend(Rig(source=rig), BUDGET, strategy="sobol", seed=7, backbone="histogram")


def records(result: Recommendation) -> dict[tuple[str, int], list[Record]]:
    assert result.validation is not None
    table: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for record in result.validation.records:
        table[record.strategy, record.budget].append(record)
    return table


def test_every_arm_is_judged_at_every_budget_on_the_same_seeds(result: Recommendation) -> None:
    table = records(result)
    assert {name for name, _ in table} == {"sobol", *OPPONENTS}
    budgets = {budget for _, budget in table}
    assert max(budgets) == BUDGET
    assert len(table) == len(budgets) * (1 + len(OPPONENTS))
    for judged in table.values():
        assert sorted(record.seed for record in judged) == list(range(7, 7 + SEEDS))


def test_a_record_holds_the_share_right_of_each_test_object(result: Recommendation) -> None:
    tested = split_objects(toy_rig(space=SPACE, n_instances=3, workers=1).objects, seed=7).test
    for judged in records(result).values():
        for record in judged:
            assert sorted(record.per_object) == sorted(tested)
            assert record.accuracy == pytest.approx(np.mean(list(record.per_object.values())))
            assert 0 < record.images <= record.budget


def test_an_opponent_has_a_verdict_that_follows_from_the_records(result: Recommendation) -> None:
    assert result.validation is not None
    table = records(result)
    assert [verdict.b for verdict in result.validation.verdicts] == list(OPPONENTS)
    for verdict in result.validation.verdicts:
        mine, other = (np.mean([record.accuracy for record in table[name, BUDGET]]) for name in (verdict.a, verdict.b))
        assert (verdict.a, verdict.budget, verdict.n_objects) == ("sobol", BUDGET, 5)
        assert verdict.difference == pytest.approx(mine - other)
        assert verdict.ci95[0] <= verdict.difference <= verdict.ci95[1]
        assert 0.0 <= verdict.p_object <= 1.0
        assert 0.0 <= verdict.p_mcnemar <= 1.0
    assert len(result.sentences) == len(OPPONENTS)


def test_validation_json_has_the_agreed_keys(result: Recommendation, tmp_path: Path) -> None:
    assert result.validation is not None
    result.validation.write_json(tmp_path / "validation.json")
    document = json.loads((tmp_path / "validation.json").read_text(), parse_constant=pytest.fail)
    assert set(document) == {"records", "verdicts", "kept_aside"}
    assert {"strategy", "budget", "seed", "accuracy", "per_object"} <= set(document["records"][0])
    assert set(document["verdicts"][0]) == {
        "a", "b", "budget", "difference", "ci95", "p", "p_object", "p_equivalent", "p_mcnemar", "p_obuchowski",
        "p_durkalski", "n01", "n10", "n_objects", "n_seeds", "verdict", "per_object",
    }  # fmt: skip


OBJECTS = Objects(names=("a-0", "a-1", "b-0", "b-1"), labels=("a", "a", "b", "b"))
SHOTS = Shots.every(SPACE, OBJECTS)


def see(shots: Shots, *, progress: Progress = SILENT) -> np.ndarray:
    """Features that tell the classes apart."""
    return np.column_stack([shots.class_rows, shots.coordinates / 360.0]).astype(np.float32)


def only(*names: str) -> Shots:
    return SHOTS.take(np.flatnonzero(np.isin(SHOTS.names, names)))


def test_an_arm_is_as_good_beside_others_as_alone() -> None:
    train, start = only("a-0", "b-0"), History.empty(SHOTS)
    test = Material(shots=only("a-1", "b-1"), features=see(only("a-1", "b-1")))
    arms = [Arm(strategy=find_strategy(name), budget=12, seed=0) for name in ("lattice", "random-shots")]
    runs = replay(arms, train, start, see)
    images, failures, predicted = examine(runs, start, test)
    assert (images.tolist(), failures) == ([12, 12], ("", ""))
    for place, run in enumerate(runs):
        images, failures, alone = examine([run], start, test)
        assert (images.tolist(), failures) == ([12], ("",))
        np.testing.assert_array_equal(alone[0], predicted[place])
    np.testing.assert_array_equal(predicted[0], test.shots.class_rows)


def test_histories_with_the_same_shots_share_a_head() -> None:
    history = History(shots=only("a-0", "b-0"), features=see(only("a-0", "b-0")))
    first, second = train_on([history, history])
    assert first is second


@pytest.mark.parametrize("most", [10, 24, 108])
def test_a_test_is_spread_over_views_and_lights_alike_for_each_object(most: int) -> None:
    rig = toy_rig(n_instances=2, workers=1)
    every = rig.shots().narrow(np.arange(0, 10, 2))
    tested = judging_shots(every, most, seed=3)
    counts = np.bincount(tested.object_rows)
    assert (counts <= most).all()
    assert (counts >= 0.9 * most).all()  # two poses of a lattice may share a view and its light
    assert is_among(tested, every).all()
    for number in range(5):
        views = tested.coordinates[tested.object_rows == number]
        poses = np.unique(views[:, :2], axis=0)
        assert len(poses) <= most // 2  # each pose under two lights, so that it is rendered once
        for column in (0, 2):  # azimuths and lights are met evenly
            shares = np.unique(views[:, column], return_counts=True)[1]
            assert shares.max() - shares.min() <= max(3, 0.35 * shares.mean())


def test_a_small_test_is_taken_whole() -> None:
    every = toy_rig(space=SPACE, n_instances=2, workers=1).shots()
    assert judging_shots(every, 12, seed=0) is every
    assert len(judging_shots(every, 6, seed=0)) == 6 * 10


def test_a_recommendation_says_how_many_shots_judge_it(result: Recommendation) -> None:
    rig = toy_rig(space=SPACE, n_instances=3, workers=1)
    few = recommend(Rig(source=rig), BUDGET, strategy="sobol", seed=7, backbone="histogram", test_views=6)
    assert few.validation is not None
    assert result.validation is not None
    assert few.validation.kept_aside["shots"] == 6 * 5
    assert few.validation.kept_aside["of_shots"] == result.validation.kept_aside["shots"] == 12 * 5
    assert "judged by 6 of its shots" in few.validation.kept_aside["words"][-1]
    assert np.array_equal(few.plan.shots.coordinates, result.plan.shots.coordinates)
