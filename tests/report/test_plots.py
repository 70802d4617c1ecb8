import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from PIL import Image

from acqplan.advice.answers import Advice, Buy
from acqplan.errors import OutputError
from acqplan.evaluate.verdict import Validation
from acqplan.plan.plan import Plan
from acqplan.report.compared import Compared
from acqplan.report.plot import curves, differences, plan_drawings, views
from acqplan.report.plot.advice import design_surface, learning_curve
from acqplan.report.plot.style import save_png, svg_element
from acqplan.report.plot.views import level_counts
from acqplan.space import Circle, Interval, Objects, Shots, Space
from acqplan.space.sphere import Turns
from acqplan.statistics.objects import Estimate
from tests.report.conftest import drawn, some_advice

PLAN_FIGURES: dict[str, Callable[[Shots], Figure]] = {
    "dial": views.dial,
    "small dial": lambda shots: views.dial(shots, size=1.7, title="one"),
    "classes": views.class_dials,
    "coverage": views.coverage,
    "objects": views.images_per_object,
}
VALIDATION_FIGURES: dict[str, Callable[[Compared], Figure]] = {
    "curve": curves.accuracy_curve,
    "bars": curves.accuracy_bars,
    "gains": differences.object_differences,
}


def compared(validation: Validation) -> Compared:
    return Compared.of_validation(validation, "auto")


def svg(figure: Figure) -> str:
    return svg_element(figure, name="x", alt="words")


@pytest.mark.parametrize("kind", PLAN_FIGURES)
def test_every_kind_of_space_can_be_drawn(kind: str, any_plan: Plan) -> None:
    ElementTree.fromstring(svg(PLAN_FIGURES[kind](any_plan.shots)))


def test_a_dome_is_drawn_where_a_camera_turns_and_rises(any_plan: Plan) -> None:
    names = any_plan.shots.space.names
    assert ("hemisphere" in plan_drawings(any_plan)) == ({"azimuth", "elevation"} <= set(names)), names
    if "hemisphere" in plan_drawings(any_plan):
        ElementTree.fromstring(svg(plan_drawings(any_plan)["hemisphere"]()))


def test_a_polar_angle_is_counted_from_the_top_of_a_dome() -> None:
    turn, polar = Circle(name="azimuth", values=(0.0, 90.0)), Interval(name="polar", values=(0.0, 60.0), unit="deg")
    shots = Shots.every(Space(axes=(turn, polar)), Objects(names=("cup-1",), labels=("cup",)))
    (picture,) = views.hemisphere(shots).axes
    (dots,) = (one for one in picture.collections if isinstance(one, PathCollection))
    heights = np.asarray(dots.get_offsets())[:, 1].tolist()
    # twice the top, and two places at 30 degrees, both below it
    assert max(heights) == pytest.approx(np.cos(np.radians(25)))
    assert len(heights) == 4
    assert sum(height > 0.9 for height in heights) == 2
    assert not views.has_dome(Space(axes=(turn, Circle(name="yaw", values=(0.0,)), polar)))


def test_the_camera_of_a_dome_is_where_the_turned_table_puts_it(live_plan: Plan) -> None:
    def dots(turns: Turns) -> dict[str, float]:
        (axes,) = views.hemisphere(live_plan.shots.take([0]), turns=turns).axes
        return {text.get_text(): text.get_position()[0] for text in axes.texts}

    table, camera = dots("table"), dots("camera")
    # who looks stands to the left of the front, and sees what is right of it, +y, on the right
    assert table["90°"] == pytest.approx(camera["270°"])
    assert table["90°"] < table["0°"] < table["270°"]


@pytest.mark.parametrize("kind", VALIDATION_FIGURES)
def test_validations_can_be_drawn(kind: str, validation: Validation) -> None:
    ElementTree.fromstring(svg(VALIDATION_FIGURES[kind](compared(validation))))


def test_one_budget_and_one_seed_can_be_drawn(validation: Validation) -> None:
    few = [record for record in validation.records if record.budget == 2430 and record.seed == 0]
    ElementTree.fromstring(svg(curves.accuracy_curve(compared(Validation(records=few, verdicts=[])))))


@pytest.mark.parametrize(
    "advice",
    [some_advice(), some_advice(images=90, points=1), some_advice(capacity=2430), replace(some_advice(), surface=None)],
    ids=["rising", "one size", "everything captured", "no surface"],
)
def test_learning_curves_can_be_drawn(advice: Advice) -> None:
    drawn = svg(learning_curve(advice))
    ElementTree.fromstring(drawn)
    assert f">{advice.images:,}<" in drawn
    assert (">24,300<" in drawn) is (advice.surface is not None and advice.capacity == 24_300)


def test_a_surface_shows_what_is_captured_and_what_is_best_bought_next() -> None:
    advice = some_advice()
    assert advice.surface is not None
    without = svg(design_surface(advice, advice.surface))
    accuracy = Estimate(estimate=0.9, low=0.88, high=0.92, level=0.8)
    buy = Buy(asked=2430, objects=4, images=2430, shots=108.0, cost=2430, unit="images", accuracy=accuracy)
    shown = svg(design_surface(replace(advice, best=buy), advice.surface))
    assert shown.count("var(--rust)") > without.count("var(--rust)") == 0
    assert "objects of each class" in shown


def test_worths_of_factors_are_drawn_where_they_were_measured() -> None:
    drawn = svg(differences.factor_worths(some_advice()))
    ElementTree.fromstring(drawn)
    assert all(f">{words}<" in drawn for words in ("elevation", "+2.1 over one elevation", "azimuth"))
    assert "lighting" not in drawn


def test_every_arm_is_labelled_at_its_end(validation: Validation) -> None:
    text = svg(curves.accuracy_curve(compared(validation)))
    for name in ("auto", "even", "even-staggered", "random", "random-shots"):
        assert re.search(rf">{name} \d\d\.\d<", text)


def test_the_same_plan_gives_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live_plan: Plan, validation: Validation
) -> None:
    plan = replace(live_plan, strategy="auto")
    drawings = plan_drawings(plan, compared(validation), some_advice())
    first = [(path.name, path.read_bytes()) for path in drawn(tmp_path, drawings)]
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert first == [(path.name, path.read_bytes()) for path in drawn(tmp_path, drawings)]
    names = ["dial", "classes", "coverage", "objects", "hemisphere"]
    names += ["overview", "accuracy", "bars", "gains", "advice", "surface"]
    assert [name for name, _ in first] == [f"{name}.png" for name in names]
    assert svg(views.dial(plan.shots)) == svg(views.dial(plan.shots))


def test_without_validation_there_are_plots_of_the_plan_alone(tmp_path: Path, live_plan: Plan) -> None:
    assert len(drawn(tmp_path, plan_drawings(live_plan))) == 5
    with Image.open(tmp_path / "dial.png") as image:
        assert image.width == 720
        assert "Software" not in image.info


def test_drawing_leaves_the_settings_of_matplotlib_alone(tmp_path: Path, live_plan: Plan) -> None:
    before = dict(mpl.rcParams)
    save_png(views.dial(live_plan.shots), tmp_path / "dial.png")
    assert dict(mpl.rcParams) == before


def test_names_with_dollars_and_foreign_letters_are_drawn(live_plan: Plan, tmp_path: Path) -> None:
    labels = tuple({"car": "$x^$", "bus": "车<b>&"}.get(label, label) for label in live_plan.shots.objects.labels)
    objects = Objects(names=live_plan.shots.objects.names, labels=labels)
    plan = replace(live_plan, shots=replace(live_plan.shots, objects=objects), strategy="$\\frac$")
    drawn(tmp_path, plan_drawings(plan))
    assert "$x^$" in svg(views.dial(views.of_class(plan.shots, "$x^$"), title="$x^$"))


def test_an_svg_says_what_it_shows_and_takes_the_pages_colours(live_plan: Plan) -> None:
    text = svg_element(views.dial(live_plan.shots), name="dial", alt='shots of <"cars">')
    root = ElementTree.fromstring(text)
    assert root.attrib["aria-label"] == 'shots of <"cars">'
    assert "width" not in root.attrib
    assert root.attrib["viewBox"].startswith("0 0 ")
    assert set(re.findall(r"#[0-9a-f]{6}\b", text)) == set()
    assert "<metadata" not in text


def test_identifiers_of_an_svg_are_its_own_and_lead_somewhere(toy_plan: Plan) -> None:
    text = svg_element(views.coverage(toy_plan.shots), name="coverage", alt="")
    identifiers = re.findall(r'\bid="([^"]+)"', text)
    assert all(name.startswith("coverage-") for name in identifiers)
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', text)) <= set(identifiers)


def test_dots_are_as_many_as_positions(live_plan: Plan) -> None:
    axes = views.dial(live_plan.shots).axes[0]
    assert sum(len(np.asarray(dots.get_offsets())) for dots in axes.collections) == 60


def test_even_share_follows_the_allowed_views(any_plan: Plan) -> None:
    for column in range(len(any_plan.shots.space.axes)):
        _, counts, even = level_counts(any_plan.shots, column)
        assert counts.sum() == len(any_plan)
        assert even.sum() == pytest.approx(len(any_plan))


def test_turning_all_azimuths_turns_the_dial(live_plan: Plan) -> None:
    coordinates = live_plan.shots.coordinates.copy()
    coordinates[:, 0] = (coordinates[:, 0] + 90) % 360
    places = [dots(live_plan), dots(replace(live_plan, shots=replace(live_plan.shots, coordinates=coordinates)))]
    turned = np.round(np.column_stack([places[0][:, 1], -places[0][:, 0], places[0][:, 2]]), 4)
    assert sorted(map(tuple, turned + 0.0)) == sorted(map(tuple, np.round(places[1], 4) + 0.0))


def dots(plan: Plan) -> np.ndarray:
    taken = views.dial(plan.shots).axes[0].collections[1]
    assert isinstance(taken, PathCollection)
    return np.column_stack([np.asarray(taken.get_offsets()), taken.get_sizes()])


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path, live_plan: Plan) -> None:
    with pytest.raises(OutputError):
        save_png(views.dial(live_plan.shots), tmp_path / "nowhere" / "dial.png")
