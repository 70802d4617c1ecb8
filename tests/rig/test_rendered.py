from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from acqplan.errors import SpaceError, UsageError
from acqplan.pool import in_order
from acqplan.rig import rendered
from acqplan.rig.camera import Optics
from acqplan.rig.render import RenderSettings
from acqplan.rig.rendered import RenderedSource, toy_rig, toy_shapes
from acqplan.rig.source import Image
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, ViewValue

QUICK = RenderSettings(optics=Optics(size=32, samples=1))


def shots_of(source: RenderedSource, names: list[str], views: list[dict[str, ViewValue]]) -> Shots:
    rows = [source.objects.names.index(name) for name in names]
    return Shots(
        space=source.space,
        objects=source.objects,
        object_rows=np.repeat(rows, len(views)),
        coordinates=np.array([source.space.coordinates(view) for view in views] * len(rows)),
    )


def images(source: RenderedSource, shots: Shots) -> list[Image]:
    taken = dict(source.capture(shots))
    assert sorted(taken) == list(range(len(shots)))
    return [taken[row] for row in range(len(shots))]


def view(azimuth: float, elevation: float, lighting: str = "L0") -> dict[str, ViewValue]:
    return {"azimuth": azimuth, "elevation": elevation, "lighting": lighting}


def halved(number: float) -> float:
    return number / 2


class Counter:
    def __init__(self) -> None:
        self.done = 0
        self.total = 0

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[object]:
        self.total = total
        yield self.advance

    def advance(self, n: int) -> None:
        self.done += n


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(8)))
def test_images_depend_on_the_shot_alone(order: list[int]) -> None:
    source = toy_rig(settings=replace(QUICK, jitter_cm=1.0))
    views = [view(a, e, lighting) for a in (0, 20) for e, lighting in ((30, "L0"), (35, "L3"))]
    shots = shots_of(source, ["car-01", "truck-01"], views)
    expected = images(source, shots)
    for row, image in source.capture(shots.take(order)):
        assert_array_equal(image, expected[order[row]])


def test_two_processes_give_the_bytes_and_the_order_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendered, "_WORTH_PROCESSES", 2)
    monkeypatch.setattr(rendered, "_POSES_A_TASK", 2)
    views = [view(a, 30, lighting) for a in range(0, 100, 20) for lighting in ("L0", "L5")]
    alone, spread = (toy_rig(settings=replace(QUICK, jitter_cm=0.5), workers=n) for n in (1, 2))
    shots = shots_of(alone, ["animal-00", "airplane-03"], views)
    for (row, image), (same_row, same_image) in zip(alone.capture(shots), spread.capture(shots), strict=True):
        assert row == same_row
        assert_array_equal(image, same_image)


def test_a_capture_left_early_ends_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendered, "_WORTH_PROCESSES", 2)
    source = toy_rig(settings=QUICK, workers=2)
    capture = source.capture(source.shots().take(range(972)))
    next(capture)
    capture.close()  # type: ignore[attr-defined]
    assert next(capture, None) is None


def test_results_come_in_the_order_of_tasks() -> None:
    assert list(in_order(halved, range(20), workers=2)) == [number / 2 for number in range(20)]
    assert list(in_order(halved, [], workers=2)) == []


def test_a_shot_asked_twice_comes_twice() -> None:
    source = toy_rig(settings=QUICK)
    shots = shots_of(source, ["car-00"], [view(0, 30), view(0, 30)])
    first, second = images(source, shots)
    assert_array_equal(first, second)


def test_no_shots_no_images() -> None:
    source = toy_rig(settings=QUICK)
    none = source.shots().take(np.arange(0))
    assert list(source.capture(none)) == []
    assert source.identities(none) == []


def test_progress_counts_shots() -> None:
    source, counter = toy_rig(settings=QUICK), Counter()
    list(source.capture(shots_of(source, ["car-00"], [view(0, 30), view(0, 30, "L1"), view(20, 30)]), progress=counter))  # type: ignore[arg-type]
    assert (counter.done, counter.total) == (3, 3)


def test_noise_has_the_strength_asked_for() -> None:
    shots = None
    pictures = []
    for noise in (0.0, 4.0):
        source = toy_rig(settings=RenderSettings(noise=noise, optics=Optics(samples=1)))
        shots = shots or shots_of(source, ["human-00"], [view(0, 30)])
        pictures.append(images(source, shots)[0].astype(float))
    assert_allclose((pictures[1] - pictures[0]).std(), 4.0, rtol=0.05)


def test_lightings_of_a_pose_have_independent_noise() -> None:
    source, still = (toy_rig(settings=RenderSettings(noise=noise, optics=Optics(samples=1))) for noise in (4.0, 0.0))
    shots = shots_of(source, ["car-04"], [view(0, 30, "L0"), view(0, 30, "L3")])
    first, second = (
        a.astype(float) - b.astype(float) for a, b in zip(images(source, shots), images(still, shots), strict=True)
    )
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05


def test_jitter_moves_the_object_anew_in_each_pose() -> None:
    still, moved = (toy_rig(settings=replace(QUICK, noise=0.0, jitter_cm=jitter)) for jitter in (0.0, 2.0))
    shots = shots_of(still, ["car-00"], [view(0, 89.9), view(180, 89.9), view(0, 89.8)])
    before, after = images(still, shots), images(moved, shots)
    assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert not np.array_equal(after[0], after[2])


def test_identities_are_distinct_and_say_what_the_image_depends_on() -> None:
    source = toy_rig(settings=QUICK)
    shots = shots_of(source, ["car-00", "car-01"], [view(0, 30), view(20, 30), view(0, 35), view(0, 30, "L1")])
    keys = source.identities(shots)
    assert len(set(keys)) == len(shots)
    assert keys == toy_rig(settings=QUICK).identities(shots)
    for other in ({"noise": 1.0}, {"seed": 1}, {"jitter_cm": 0.1}, {"eye": "left"}, {"optics": Optics(size=33)}):
        changed = toy_rig(settings=replace(QUICK, **other)).identities(shots)
        assert not set(keys) & set(changed)


def test_identity_changes_with_the_mesh() -> None:
    source = toy_rig(settings=QUICK)
    swapped = replace(source, shape_of=lambda row: toy_shapes()["car-07"])
    shots = shots_of(source, ["car-00"], [view(0, 30)])
    assert source.identities(shots) != swapped.identities(shots)


def test_equal_views_have_equal_identities_and_images() -> None:
    source = toy_rig(settings=QUICK)
    shots = shots_of(source, ["car-00"], [view(20, 30), view(20, 30)])
    shots.coordinates[1, 0] += 360
    first, second = source.identities(shots)
    assert first == second
    pictures = images(source, shots)
    assert np.abs(pictures[0].astype(float) - pictures[1]).mean() < 0.2


def test_views_off_the_grid_can_be_captured() -> None:
    source = toy_rig(settings=QUICK)
    shots = shots_of(source, ["car-00"], [view(0, 30), view(13.7, -20.5), view(359, 120)])
    assert len({image.tobytes() for image in images(source, shots)}) == 3


def test_axes_that_are_not_named_stand_still() -> None:
    space = Space(axes=(Circle(name="azimuth", values=(0.0, 90.0)),))
    source = toy_rig(space=space, settings=QUICK)
    full = toy_rig(settings=QUICK)
    expected = images(full, shots_of(full, ["car-00"], [view(90, 45)]))[0]
    assert_array_equal(images(source, source.shots().take([40 * 2 + 1]))[0], expected)


def test_objects_are_known_by_name_not_by_row() -> None:
    source = toy_rig(settings=QUICK)
    shots = shots_of(source, ["truck-05"], [view(0, 30)])
    few = Objects(names=("truck-05",), labels=("truck",))
    alone = Shots(space=source.space, objects=few, object_rows=np.array([0]), coordinates=shots.coordinates)
    assert source.identities(alone) == source.identities(shots)
    assert_array_equal(images(source, alone)[0], images(source, shots)[0])


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (Circle(name="azimut", values=(0.0,)), "did you mean 'azimuth'"),
        (Category(name="lighting", values=("L0", "L9")), "no lighting is called 'L9'"),
        (Interval(name="elevation", values=(1.0,), unit="rad"), "in 'rad'"),
        (Interval(name="lighting", values=(1.0,), unit="deg"), "no lighting|not a category"),
    ],
)
def test_axes_that_cannot_be_set_are_refused(axis: Circle | Category | Interval, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        toy_rig(space=Space(axes=(axis,)))


def test_unknown_objects_and_views_are_refused() -> None:
    source = toy_rig(settings=QUICK)
    stranger = Shots.every(source.space, Objects(names=("car-77",), labels=("car",)))
    with pytest.raises(UsageError, match="'car-77'"):
        next(iter(source.capture(stranger)))
    shots = shots_of(source, ["car-00"], [view(0, 30)])
    shots.coordinates[0, 1] = np.nan
    with pytest.raises(UsageError, match="not finite"):
        source.identities(shots)


@pytest.mark.parametrize("wrong", [{"noise": -1.0}, {"noise": float("nan")}, {"jitter_cm": 9.0}, {"eye": "third"}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        RenderSettings(**wrong)  # type: ignore[arg-type]
