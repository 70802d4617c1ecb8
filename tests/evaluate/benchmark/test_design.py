"""The design of a benchmark: settled beforehand, and known by its digest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from acqplan.errors import AcqplanError, BudgetError, StrategyError, UsageError
from acqplan.evaluate.design import Design, draw_up, read_digest, seed_of, strategy_of
from acqplan.space import Objects
from tests.evaluate.benchmark.conftest import OBJECTS, Shelf, make_design, shelf

CHANGES: dict[str, dict[str, object]] = {
    "strategies": {"strategies": ("lattice", "random-shots", "even-staggered")},
    "budgets": {"budgets": (12, 30)},
    "seeds": {"seeds": range(1, 4)},
    "splits": {"n_splits": 2},
    "swap": {"swap": False},
    "primary": {"primary": "even"},
    "baseline": {"baseline": "even"},
    "primary_budget": {"primary_budget": 12},
    "backbone": {"backbone": "another"},
}


def test_the_same_options_give_the_same_digest(design: Design) -> None:
    assert make_design().digest == design.digest


@pytest.mark.parametrize("change", CHANGES)
def test_every_choice_is_in_the_digest(change: str, design: Design) -> None:
    assert make_design(**CHANGES[change]).digest != design.digest


def test_settings_and_version_are_in_the_digest(design: Design) -> None:
    assert replace(design, version="9.9").digest != design.digest
    assert replace(design, parameters={**design.parameters, "even": {"x": 1}}).digest != design.digest


def test_design_json_is_whole(design: Design, tmp_path: Path) -> None:
    design.write_json(tmp_path / "design.json")
    written = json.loads((tmp_path / "design.json").read_text())
    assert written["digest"] == design.digest == read_digest(tmp_path / "design.json")
    assert written["primary_budget"] == 24
    assert written["primary"] == "lattice"
    assert written["baseline"] == "random-shots"
    assert len(written["splits"]) == 3


def test_each_seed_has_a_split_and_each_split_is_used_from_both_sides(design: Design) -> None:
    blocks = design.blocks()
    assert [(block.seed, block.number, block.swapped) for block in blocks] == [
        (seed, seed, swapped) for seed in range(3) for swapped in (False, True)
    ]
    for one, other in zip(blocks[::2], blocks[1::2], strict=True):
        train, test = design.sides(one)
        assert (test, train) == design.sides(other)
        assert set(train) | set(test) == set(OBJECTS.names)
        assert not set(train) & set(test)
    assert len({design.sides(block) for block in blocks}) == len(blocks)
    assert [block.number for block in make_design(n_splits=2, swap=False).blocks()] == [0, 1, 0]


def test_named_test_objects_make_one_split() -> None:
    test = ("car-0", "cow-1", "jug-2")
    found = draw_up(
        shelf(test=test), backbone="b", strategies=("even", "random"), budgets=(24,), seeds=(0, 1), swap=False
    )
    assert [split.test for split in found.splits] == [test]
    assert [block.number for block in found.blocks()] == [0, 0]


def test_copies_of_a_rule_draw_from_streams_of_their_own() -> None:
    assert type(strategy_of("random-shots#2")) is type(strategy_of("random-shots"))
    assert seed_of("random-shots", 3) == seed_of("random-shots#1", 3) == 3
    assert len({seed_of(f"random-shots#{copy}", seed) for copy in range(1, 4) for seed in range(5)}) == 15


REFUSED: dict[str, tuple[dict[str, object], type[AcqplanError], str]] = {
    "one strategy": ({"strategies": ("even",)}, UsageError, "two or more"),
    "twice": ({"strategies": ("even", "even")}, UsageError, "each once"),
    "unknown strategy": ({"strategies": ("even", "latice")}, StrategyError, "did you mean 'lattice'"),
    "unknown primary": ({"primary": "latice"}, UsageError, "did you mean 'lattice'"),
    "unknown baseline": ({"baseline": "evn"}, UsageError, "did you mean 'even'"),
    "against itself": ({"baseline": "lattice"}, UsageError, "cannot be compared with itself"),
    "no budgets": ({"budgets": ()}, BudgetError, "give at least one"),
    "small budget": ({"budgets": (5, 24)}, BudgetError, "a budget of 5 images for 6 objects"),
    "large budget": ({"budgets": (12, 145)}, BudgetError, "6 objects can be shot 144 times"),
    "primary budget": ({"primary_budget": 13}, UsageError, "known: 12, 24"),
    "no seeds": ({"seeds": (), "n_splits": 1}, UsageError, "no seeds"),
    "no copy": ({"strategies": ("even", "random#x")}, UsageError, "write random#2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_design_that_cannot_be_run_is_refused(case: str) -> None:
    changes, kind, said = REFUSED[case]
    with pytest.raises(kind, match=said):
        make_design(**changes)


def drawn_up(objects: Objects, budget: int, **changes: object) -> Design:
    rig = shelf(source=Shelf(objects=objects), **changes)
    return draw_up(rig, backbone="b", strategies=("even", "random"), budgets=(budget,), seeds=(0, 1))


def test_the_only_object_of_a_label_trains_on_both_sides_and_is_never_tested() -> None:
    found = drawn_up(Objects(names=("a", "b", "c"), labels=("x", "x", "y")), 9)
    for block in found.blocks():
        train, test = found.sides(block)
        assert "c" in train
        assert (len(train), len(test)) == (2, 1)
    assert found.to_dict()["splits"][0]["alone"] == ["c"]  # type: ignore[index]


def test_objects_that_are_each_a_label_of_their_own_are_tested_on_other_views() -> None:
    names = ("a", "b", "c")
    found = drawn_up(Objects(names=names, labels=names), 9)
    shots, sides = Shelf(objects=Objects(names=names, labels=names)).shots(), []
    for block in found.blocks():
        train, test = found.split_of(block).sides(shots)
        assert found.sides(block) == (names, names)
        assert sorted([*train, *test]) == list(range(len(shots)))
        sides.append((tuple(train), tuple(test)))
    assert [side[::-1] for side in sides[::2]] == sides[1::2], "each split is used from both sides"
    assert sides[0] != sides[2], "each seed has its own"
    with pytest.raises(BudgetError, match="3 objects can be shot 36 times"):
        drawn_up(Objects(names=names, labels=names), 37)


def test_a_test_on_views_may_be_asked_for_where_labels_have_several_objects() -> None:
    found = drawn_up(OBJECTS, 24, test="views", test_fraction=0.25)
    assert [(len(split.train_views), len(split.test_views)) for split in found.splits] == [(18, 6), (18, 6)]


def test_splits_by_object_keep_the_digest_that_they_had(design: Design) -> None:
    assert set(design.to_dict()["splits"][0]) == {"train", "test"}  # type: ignore[index]
    assert design.digest == "f882ca6b44945ee4eda1305b0c353405020b304a88cbe9e660cbca2121102b31"
