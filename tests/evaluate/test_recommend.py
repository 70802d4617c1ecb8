"""The main job as a library: what is planned, charged, kept aside and predicted."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from acqplan.advice.advise import advise_history
from acqplan.advice.sentences import advice_sentences
from acqplan.errors import BackboneError, BudgetError, BudgetSpent, SpaceExhausted, SplitError
from acqplan.evaluate.recommend import advise, recommend
from acqplan.evaluate.task import Task, check_budgets, split_objects
from acqplan.features.extractor import Extractor
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.plan.rounds import PILOT_SHARE
from acqplan.plan.route import Times
from acqplan.rig.rendered import RenderedSource, toy_rig
from acqplan.rig.source import LiveSource
from acqplan.rig.spec import Rig, open_rig
from acqplan.runtime import Runtime
from acqplan.space import Circle, Interval, Objects, Space
from tests.cli.conftest import manifest, written

SPACE = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 45))),
        Interval(name="elevation", values=(30.0, 50.0, 70.0), unit="deg"),
    )
)


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACQPLAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def toys() -> RenderedSource:
    """Ten toys, 24 views each."""
    return toy_rig(space=SPACE, n_instances=2, workers=1)


@dataclass
class Heard:
    """Who listens, and remembers the titles of the tasks."""

    titles: list[str] = field(default_factory=list)

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        self.titles.append(name)
        yield lambda _: None


def test_test_objects_are_never_planned(toys: RenderedSource) -> None:
    result = recommend(Rig(source=toys), 30, backbone="histogram")
    split = split_objects(toys.objects)
    assert set(result.plan.shots.names) == set(result.candidates.names) == set(split.train)
    assert result.validation is not None
    kept = result.plan.to_dict()["kept_aside"]
    assert kept == split.to_dict()
    assert result.validation.to_dict()["kept_aside"] == kept | {"shots": 120, "of_shots": 120}
    assert split.to_dict()["words"] == [f"5 objects kept aside to judge the plan: {', '.join(split.test)}"]


def test_the_only_object_of_a_label_is_planned_and_not_tested(toys: RenderedSource) -> None:
    labels = tuple("unique" if name == "car-00" else name[:-3] for name in toys.objects.names)
    mixed = replace(toys, objects=Objects(names=toys.objects.names, labels=labels))
    result = recommend(Rig(source=mixed), 40, backbone="histogram")
    assert result.validation is not None
    assert "car-00" in result.plan.shots.names
    assert "car-00" not in result.validation.records[0].per_object
    words = "trained on and not tested, as the only objects of their labels: car-00, car-01"
    assert result.plan.kept_aside["words"][1] == words


def test_objects_that_are_each_a_label_are_tested_on_views_that_no_strategy_may_take(toys: RenderedSource) -> None:
    names = toys.objects.names
    result = recommend(Rig(source=replace(toys, objects=Objects(names=names, labels=names))), 60, backbone="histogram")
    assert result.validation is not None
    assert set(result.plan.shots.names) == set(names)
    assert set(result.validation.records[0].per_object) == set(names)
    assert len(result.candidates) == len(names) * SPACE.n_views // 2
    assert "about new views of these objects, not about new objects" in result.plan.kept_aside["words"][0]
    assert {verdict.n_objects for verdict in result.validation.verdicts} == {len(names)}


def test_without_a_test_share_all_objects_are_planned_and_nothing_is_validated(toys: RenderedSource) -> None:
    result = recommend(Rig(source=toys, test_fraction=0.0), 30, backbone="histogram")
    assert len(set(result.plan.shots.names)) == 10
    assert result.validation is None
    assert result.sentences == ()


def test_the_pilot_of_a_strategy_that_learns_is_paid_from_the_budget(toys: RenderedSource) -> None:
    plan = recommend(
        Rig(source=toys), 100, strategy="benchmarks.ideas:Allocate", backbone="histogram", validate=False
    ).plan
    assert len(plan) == 100
    assert np.bincount(plan.rounds).tolist() == [round(share * 100) for share in (PILOT_SHARE, 0.4, 0.5)]


@pytest.mark.parametrize("strategy", ["auto", "lattice", "random-shots"])
def test_a_strategy_that_does_not_learn_takes_all_at_once(strategy: str, toys: RenderedSource) -> None:
    result = recommend(Rig(source=toys), 35, strategy=strategy, backbone="histogram", validate=False)
    start = History.empty(result.candidates)
    chosen = find_strategy(strategy).propose(result.candidates, start, 35, 0)
    assert set(result.plan.rounds.tolist()) == {0}
    assert sorted(result.plan.shots.pairs()) == sorted(result.candidates.take(chosen.rows).pairs())


def test_accuracy_is_predicted_from_siblings_alone(toys: RenderedSource) -> None:
    lonely = Rig(source=toys)  # one object a class is left to train on
    assert recommend(lonely, 30, backbone="histogram").plan.predicted is None
    pairs = Rig(source=toys, test_fraction=0.0)
    predicted = recommend(pairs, 60, backbone="histogram", validate=False).plan.predicted
    assert predicted is not None
    accuracy, low, high = predicted
    assert 0.0 <= low <= accuracy <= high <= 1.0


def test_the_advice_is_that_of_the_captured_images_and_predicts_the_accuracy(toys: RenderedSource) -> None:
    setup = Rig(source=toys, test_fraction=0.0)
    result = recommend(setup, 60, backbone="histogram", accuracies=(0.9,), validate=False)
    assert result.advice is not None
    eye = Extractor.open(toys, backbone="histogram", weights=None, runtime=Runtime.detect("cpu"))
    captured = History(shots=result.plan.shots, features=eye(result.plan.shots))
    assert result.advice == advise_history(captured, accuracies=(0.9,))
    last = result.advice.points[-1]
    assert (last.images, result.plan.predicted) == (60, (last.accuracy.estimate, last.accuracy.low, last.accuracy.high))
    told = json.loads(json.dumps(result.to_dict()))["advice"]
    assert told["sentences"] == list(advice_sentences(result.advice))
    assert result.advice == advise(setup, budget=60, accuracies=(0.9,), backbone="histogram")


def test_the_advice_looks_at_no_image_of_the_test(toys: RenderedSource) -> None:
    advice = recommend(Rig(source=toys), 40, backbone="histogram").advice
    assert advice is not None
    assert (advice.objects, advice.end.answer) == (5, "cannot tell"), "one object a class is left to train on"


@pytest.mark.parametrize("strategy", ["even", "random"])
def test_a_factorial_design_may_leave_images_unspent_and_the_plan_says_so(strategy: str, toys: RenderedSource) -> None:
    plan = recommend(Rig(source=toys), 47, strategy=strategy, backbone="histogram", validate=False).plan
    assert plan.to_dict()["budget"] == 47
    assert len(plan) < 47
    assert len(plan.to_csv().splitlines()) == len(plan) + 1


def test_each_step_of_the_work_is_heard_under_its_title(
    toys: RenderedSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path))
    heard = Heard()
    recommend(Rig(source=toys), 40, seed=5, backbone="histogram", progress=heard)
    assert heard.titles == [
        "planning", "loading torch", "other strategies", "images", "length scales", "training heads"
    ]  # fmt: skip
    recommend(Rig(source=toys, test_fraction=0.0), 40, backbone="histogram", validate=False, progress=heard)
    assert "sub-designs" in heard.titles


@pytest.mark.parametrize(("strategy", "is_first"), [("auto", True), ("variance", False)])
def test_the_plan_is_told_before_its_images_are_taken_unless_the_rule_learns_from_them(
    strategy: str, is_first: bool, toys: RenderedSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "cache"))
    heard, told = Heard(), []
    result = recommend(
        Rig(source=toys),
        50,
        strategy=strategy,
        backbone="histogram",
        on_plan=lambda early: told.append((early, list(heard.titles))),
        progress=heard,
    )
    ((early, titles),) = told
    assert ("loading torch" not in titles) == is_first
    assert "other strategies" not in titles
    assert (early.validation, early.advice, early.captured) == (None, None, ())
    assert early.plan.to_csv() == result.plan.to_csv()
    assert result.captured[0][1].pairs() != []
    assert "other strategies" in heard.titles


def test_captured_images_are_charged_and_the_object_of_a_test_is_refused(toys: RenderedSource, tmp_path: Path) -> None:
    split = split_objects(toys.objects)
    things = {name: [name] for name in (split.train[0], split.test[0])}
    paths = {name: manifest(tmp_path, f"{name}.csv", thing, range(0, 360, 45)) for name, thing in things.items()}
    for path in paths.values():
        lines = path.read_text().splitlines()
        path.write_text("\n".join([f"{lines[0]},elevation", *(f"{line},41.5" for line in lines[1:])]) + "\n")
    setup = Rig(source=toys)
    plan = recommend(setup, 60, captured=paths[split.train[0]], backbone="histogram").plan
    assert (plan.captured, len(plan)) == (8, 52)
    plan = recommend(setup, 60, captured=paths[split.test[0]], backbone="histogram", validate=False).plan
    assert (plan.captured, len(plan), len(set(plan.shots.names))) == (8, 52, 9)
    with pytest.raises(BudgetSpent, match="8 of 8"):
        recommend(setup, 8, captured=paths[split.train[0]], backbone="histogram")
    with pytest.raises(SplitError, match=f"line 2: object '{split.test[0]}' is captured already"):
        recommend(setup, 60, captured=paths[split.test[0]], backbone="histogram")


def test_a_space_of_which_all_is_captured_is_exhausted(toys: RenderedSource) -> None:
    every = toys.shots()
    task = Task(
        candidates=every.take([]),
        start=History(shots=every),
        test=every.take([]),
        is_live=True,
        times=Times(per_shot=1.0),
    )
    with pytest.raises(SpaceExhausted, match="all 240 images that can be had"):
        check_budgets(task, None, 60.0)


@pytest.mark.parametrize("budget", [-1, 0, 4, 121])
def test_a_budget_that_cannot_be_planned_is_refused(budget: int, toys: RenderedSource) -> None:
    with pytest.raises(BudgetError, match=f"a budget of {budget} images.*give at (least 5|most 120)"):
        recommend(Rig(source=toys), budget, backbone="histogram")


def test_what_cannot_be_split_names_the_rig(tmp_path: Path) -> None:
    axis = '[[axis]]\nname = "azimuth"\nkind = "circle"\nvalues = [0]\n'
    path = written(tmp_path / "rig.toml", f'source = "toys"\n{axis}[render]\ninstances = 1\n')
    with pytest.raises(SplitError, match=r"rig\.toml: a test on views needs two views .*no-validate"):
        recommend(open_rig(path), 5, backbone="histogram")


def test_the_digest_of_the_plan_follows_the_seed(toys: RenderedSource) -> None:
    plans = [recommend(Rig(source=toys), 30, seed=seed, backbone="histogram", validate=False) for seed in (0, 0, 1)]
    first, same, other = (result.plan.to_csv() for result in plans)
    assert first == same != other


def test_a_live_rig_is_planned_in_one_round_and_not_validated() -> None:
    objects = Objects(names=("a-0", "a-1", "b-0"), labels=("a", "a", "b"))
    setup = Rig(source=LiveSource(space=SPACE, objects=objects))
    result = recommend(setup, 20)
    assert result.validation is None
    assert set(result.plan.rounds.tolist()) == {0}
    assert (result.plan.backbone, result.plan.predicted) == (None, None)
    assert result.advice is not None
    assert result.advice.judged == 0
    renamed = replace(setup, source=LiveSource(space=SPACE, objects=objects), test=("a-0",))
    assert recommend(renamed, 20).plan.to_csv() == result.plan.to_csv()


LIVE = """
import sys
from pathlib import Path
from acqplan import open_rig, recommend
from acqplan.report.result import save
folder = Path(sys.argv[1])
result = recommend(open_rig(folder / "rig.toml"), 120)
print(*sorted(path.name for path in save(result, folder / "out")))
assert "torch" not in sys.modules, "torch was loaded"
"""


def test_a_live_rig_is_planned_and_drawn_without_torch(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "live.toml"
    written(tmp_path / "rig.toml", example.read_text(encoding="utf-8"))
    done = subprocess.run([sys.executable, "-c", LIVE, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "classes.png", "coverage.png", "dial.png", "hemisphere.png", "objects.png", "plan.csv", "plan.json",
        "report.html",
    ]  # fmt: skip
    assert len((tmp_path / "out" / "plan.csv").read_text().splitlines()) == 121


def test_a_live_rig_is_told_of_a_wrong_backbone_before_it_needs_one() -> None:
    live = LiveSource(space=SPACE, objects=Objects(names=("a-0", "b-0"), labels=("a", "b")))
    with pytest.raises(BackboneError, match="did you mean 'resnet18'"):
        recommend(Rig(source=live), 10, backbone="resnt18")
