"""The study of sets of views: its sets, its heads, what it keeps, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from acqplan.errors import InputError, SplitError, UsageError
from acqplan.report.norb_sampling_answers import document
from acqplan.report.norb_sampling_page import save_norb_sampling
from acqplan.rig.norb import CATEGORIES, norb_space
from acqplan.space import Circle, Objects, Shots, Space
from acqplan.study.cells import Cells
from acqplan.study.norb_findings import view_gaps
from acqplan.study.norb_sampling import QUICK, NorbSampling, layer_findings
from acqplan.study.norb_sets import IMAGES, RANDOM_SETS, TEST, TRAIN, VALIDATION, parts_of, set_rows, steps_of
from acqplan.study.norb_surface import accuracies, designs_of

NAMES = tuple(f"{label}-{number:02d}" for label in CATEGORIES for number in range(10))
TOYS = Objects(names=NAMES, labels=tuple(name[:-3] for name in NAMES))
TINY = replace(
    QUICK,
    settings=QUICK.settings[-1:],
    updates=24,
    seeds=(0, 1),
    strategies=("random-shots",),
    lights=(1,),
    objects=(1, 2),
    most=30,
)


@pytest.fixture(scope="module")
def shots() -> Shots:
    return Shots.every(norb_space(), TOYS)


@pytest.fixture(scope="module")
def features(shots: Shots) -> np.ndarray:
    """Features that show the class, the object and the view."""
    draw = np.random.default_rng(0)
    classes, objects = draw.normal(size=(5, 12)), draw.normal(size=(50, 12))
    angle = np.radians(shots.coordinates[:, 0])
    views = np.stack([np.cos(angle), np.sin(angle), shots.coordinates[:, 1] / 40.0], axis=1) @ draw.normal(size=(3, 12))
    noise = draw.normal(size=(len(shots), 12))
    return (classes[shots.class_rows] + objects[shots.object_rows] + views + 0.5 * noise).astype(np.float32)


def places(rows: np.ndarray) -> set[int]:
    return {int(TOYS.names[row][-2:]) for row in rows}


def test_objects_are_split_as_in_the_thesis(shots: Shots) -> None:
    assert tuple(map(places, parts_of(shots))) == (set(TRAIN), set(VALIDATION), set(TEST))


@pytest.mark.parametrize("name", IMAGES)
def test_sets_are_as_large_as_in_the_tables(shots: Shots, name: str) -> None:
    train, rest, _ = parts_of(shots)
    seen = shots.take(np.flatnonzero(np.isin(shots.object_rows, [*train, *rest])))
    for rule in ("even", "random"):
        rows = set_rows(seen, rule, name, 0)
        assert len(rows) == IMAGES[name]
        own = seen.take(rows)
        # 60 % are trained on, and every pose has all lights
        assert 10 * int(np.isin(own.object_rows, train).sum()) == 6 * len(rows)
        assert set(np.bincount(own.coordinates[:, 2].astype(int)).tolist()) == {len(rows) // 6}


def test_even_sets_have_even_steps_and_random_ones_are_drawn_anew(shots: Shots) -> None:
    even = shots.take(set_rows(shots, "even", "A40E15", 0)).coordinates
    assert sorted(set(even[:, 0])) == list(range(0, 360, 40))
    assert sorted(set(even[:, 1])) == [30, 45, 60]
    drawn = [frozenset(shots.take(set_rows(shots, "random", "A40E15", seed)).coordinates[:, 0]) for seed in range(8)]
    assert {len(one) for one in drawn} == {9}
    assert len(set(drawn)) == 8
    assert steps_of("A120E5") == (120, 5)


def test_other_rigs_are_refused(shots: Shots) -> None:
    ring = Space(axes=(Circle(name="azimuth", values=(0.0, 90.0)),))
    with pytest.raises(UsageError, match="views of smallNORB"):
        parts_of(Shots.every(ring, TOYS))
    fewer = Objects(names=NAMES[1:], labels=TOYS.labels[1:])
    with pytest.raises(SplitError, match="'animal' has 9 objects"):
        parts_of(Shots.every(norb_space(), fewer))


def test_designs_have_as_many_images_as_they_say(shots: Shots, features: np.ndarray) -> None:
    designs = designs_of(shots, lights=(1, 6), objects=(1, 2), most=60)
    assert (5 * designs.prod(axis=1) <= 60).all()
    assert {tuple(design) for design in designs.tolist()} >= {(1, 1, 1, 1), (2, 3, 1, 2), (1, 1, 6, 2)}
    train = np.union1d(*parts_of(shots)[:2])
    found = accuracies(shots, features, designs, train=train, seed=0)
    assert found.shape == (3, len(designs))
    assert ((found >= 0.0) & (found <= 1.0)).all()
    again = accuracies(shots, features, designs, train=train, seed=0)
    np.testing.assert_array_equal(found, again)
    # features of test objects decide the accuracy, and nothing else
    poisoned = features.copy()
    unseen = np.isin(shots.object_rows, train) & (shots.coordinates[:, 1] == 35.0)
    poisoned[unseen & (shots.coordinates[:, 0] == 20.0)] = np.nan
    few = np.array([[1, 1, 1, 1]])
    np.testing.assert_array_equal(
        accuracies(shots, poisoned, few, train=train, seed=0), accuracies(shots, features, few, train=train, seed=0)
    )


def test_gaps_are_those_to_the_nearest_view_that_is_taken(shots: Shots) -> None:
    """Features are the angles, a step of each axis 1 long; two objects of neighbouring numbers are 100 apart."""
    azimuth, elevation = (shots.coordinates[:, shots.space.index(name)] for name in ("azimuth", "elevation"))
    features = np.column_stack([azimuth / 20.0, elevation / 5.0, shots.object_rows * 100.0]).astype(np.float32)
    train = np.flatnonzero(np.isin(shots.object_rows, np.concatenate(parts_of(shots)[:2])))
    names = ("A40E5", "A20E10", "A60E5", "A20E5")
    found = view_gaps(
        shots, features, {("even", name): train[set_rows(shots.take(train), "even", name, 0)] for name in names}
    )
    members, labels = np.unique(shots.object_rows[train]).tolist(), shots.objects.labels
    apart = np.mean([abs(a - b) * 100.0 for a, b in combinations(members, 2) if labels[a] == labels[b]])
    # every view that is left out has a neighbour one step away; features do not know that the circle closes, so that
    # of the 3 x 6 azimuths of A60E5 the last, 340, is two steps from 300
    steps = {"A40E5": 1.0, "A20E10": 1.0, "A60E5": 13 / 12, "A20E5": 0.0}
    assert found == {("even", name): pytest.approx(steps[name] / apart) for name in names}


class Stop:
    """Progress that stops the work after some steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        yield self.step

    def step(self, done: int) -> None:
        self.left -= done
        if self.left < 0:
            raise KeyboardInterrupt


def test_a_stopped_study_goes_on_and_ends_as_one_that_was_not(
    shots: Shots, features: np.ndarray, tmp_path: Path
) -> None:
    about = {"study": "norb-sampling"}
    whole = layer_findings(shots, features, backbone="made:up", protocol=TINY, cells=Cells(tmp_path / "whole", about))
    with pytest.raises(KeyboardInterrupt):
        layer_findings(
            shots, features, backbone="made:up", protocol=TINY, cells=Cells(tmp_path / "cut", about), progress=Stop(40)
        )
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cut" / "cells").iterdir()}
    assert 0 < len(kept) < len(list((tmp_path / "whole" / "cells").iterdir()))
    resumed = layer_findings(shots, features, backbone="made:up", protocol=TINY, cells=Cells(tmp_path / "cut", about))
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    studies = [NorbSampling(rig="made up", protocol=TINY, layers=[layer]) for layer in (whole, resumed)]
    assert document(studies[0]) == document(studies[1])
    assert len(whole.pairs) == len(RANDOM_SETS) == 11
    assert sum(whole.wins()) <= 11
    # what is written, and that it is the same each time
    for study, name in zip(studies, ("a", "b"), strict=True):
        written = save_norb_sampling(study, tmp_path / name)
        assert {path.name for path in written} >= {"report.html", "results.csv", "findings.json", "sets.png"}
    for file in ("report.html", "results.csv", "findings.json", "sets.png", "designs-0.png", "strategies-0.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    found = json.loads((tmp_path / "a" / "findings.json").read_text(encoding="utf-8"))
    assert len(found["layers"][0]["pairs"]) == 11
    assert "not the thesis' images" in " ".join(found["sentences"])


def test_cells_that_are_damaged_are_made_again(tmp_path: Path) -> None:
    cells = Cells(tmp_path, {"study": "one"})
    cells.save("a", {"numbers": np.arange(5)})
    found = cells.load("a")
    assert found is not None
    np.testing.assert_array_equal(found["numbers"], np.arange(5))
    assert cells.load("b") is None
    file = next((tmp_path / "cells").iterdir())
    content = file.read_bytes()
    for place in range(0, len(content), 7):
        file.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        assert cells.load("a") is None
    file.write_bytes(content[:50])
    assert cells.load("a") is None
    with pytest.raises(InputError, match="another study"):
        Cells(tmp_path, {"study": "two"})
