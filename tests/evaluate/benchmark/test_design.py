"""The design of a benchmark: settled beforehand, and known by its digest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from acqplan.errors import AcqplanError, BudgetError, SplitError, StrategyError, UsageError
from acqplan.evaluate.design import Design, read_digest, seed_of, strategy_of
from tests.evaluate.benchmark.conftest import OBJECTS, make_design, shelf

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
    from acqplan.evaluate.design import draw_up

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


def test_a_label_with_one_object_cannot_be_split() -> None:
    from acqplan.evaluate.design import draw_up
    from acqplan.space import Objects
    from tests.evaluate.benchmark.conftest import Shelf

    alone = Shelf(objects=Objects(names=("a", "b", "c"), labels=("x", "x", "y")))
    with pytest.raises(SplitError, match="one object only"):
        draw_up(shelf(source=alone), backbone="b", strategies=("even", "random"), budgets=(9,), seeds=(0,))
