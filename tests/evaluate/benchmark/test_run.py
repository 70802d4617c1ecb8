"""Running a benchmark: once each cell, whatever fails or is interrupted."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from acqplan.advice.advise import advise_history
from acqplan.errors import AcqplanError, InputError
from acqplan.evaluate.benchmark import Workplace, run_benchmark
from acqplan.evaluate.design import Design, draw_up
from acqplan.evaluate.experiment import Material, run_block
from acqplan.evaluate.findings import find
from acqplan.evaluate.results import COLUMNS, BlockResult, Ledger, Results
from acqplan.plan.base import Choice, History
from acqplan.plan.designs import RandomShots
from acqplan.report.page import benchmark_page_text
from acqplan.space import Shots
from tests.evaluate.benchmark.conftest import BROKEN, OBJECTS, SPACE, contents, make_design, shelf

HERE = "tests.evaluate.benchmark.conftest"


def written(results: Results, folder: Path) -> dict[str, bytes]:
    """Everything that results are known by."""
    folder.mkdir(exist_ok=True)
    results.write_csv(folder / "results.csv")
    find(results).write_json(folder / "validation.json")
    return contents(folder)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


class Stopped(Exception):  # noqa: N818
    """Ctrl-C."""


class StopAfter:
    """Progress that ends the work after some cells."""

    def __init__(self, cells: int) -> None:
        self.left = cells

    @contextmanager
    def task(self, _: str, __: int) -> Iterator[Callable[[int], None]]:
        yield self._count

    def _count(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise Stopped


def test_an_interrupted_run_goes_on_and_ends_as_if_nothing_had_happened(
    material: Material, design: Design, tmp_path: Path
) -> None:
    whole = written(run_benchmark(material, design, tmp_path / "whole"), tmp_path / "a")
    for cells in (0, 7):
        with pytest.raises(Stopped):
            run_benchmark(material, design, tmp_path / "parts", progress=StopAfter(cells))
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts" / "cells").iterdir()}
    assert 0 < len(finished) < 6
    time.sleep(0.01)
    assert written(run_benchmark(material, design, tmp_path / "parts"), tmp_path / "b") == whole
    assert {path: path.stat().st_mtime_ns for path in finished} == finished, "finished cells are not computed again"


def test_the_first_block_alone_advises_and_its_advice_is_kept(material: Material, tmp_path: Path) -> None:
    design = make_design(budgets=(6, 24, 48), seeds=range(2))
    results = run_benchmark(material, design, tmp_path / "out")
    first, *others = results.blocks
    assert list(first.advice) == [6, 24, 48]
    assert not any(block.advice for block in others)
    captured = History(
        shots=material.shots.take(first.taken["lattice"]), features=material.features[first.taken["lattice"]]
    )
    assert first.advice[48] == advise_history(captured, test_objects=6)
    for path in (tmp_path / "out" / "cells").iterdir():
        if first.block.name not in path.name:
            path.unlink()
    assert run_benchmark(material, design, tmp_path / "out").blocks[0].advice == first.advice


def test_processes_find_the_same(material: Material, design: Design, tmp_path: Path) -> None:
    one = written(run_benchmark(material, design, tmp_path / "one"), tmp_path / "a")
    two = run_benchmark(material, design, tmp_path / "two", workplace=Workplace(workers=2))
    assert written(two, tmp_path / "b") == one


def test_one_row_for_each_cell_and_test_object(material: Material, design: Design, tmp_path: Path) -> None:
    results = run_benchmark(material, design, tmp_path)
    results.write_csv(tmp_path / "results.csv")
    rows = rows_of(tmp_path / "results.csv")
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 3 * 2 * 3 * 12
    accuracy = results.accuracy()
    for row in rows:
        place = (
            design.strategies.index(row["strategy"]),
            design.budgets.index(int(row["budget"])),
            OBJECTS.names.index(row["object"]),
            design.seeds.index(int(row["seed"])),
        )
        assert float(row["accuracy"]) == pytest.approx(accuracy[place], abs=1e-6)
        assert int(row["correct"]) == round(float(row["accuracy"]) * int(row["tested"]))
        assert int(row["images"]) <= int(row["budget"])


def test_seeds_pair_strategies_and_a_strategy_is_what_it_is_alone(
    material: Material, design: Design, tmp_path: Path
) -> None:
    together = run_benchmark(material, design, tmp_path / "all").accuracy()
    two = run_benchmark(material, make_design(strategies=("even", "lattice")), tmp_path / "two").accuracy()
    np.testing.assert_array_equal(two[0], together[2])
    np.testing.assert_array_equal(two[1], together[0])


@pytest.mark.parametrize("rule", BROKEN)
def test_a_strategy_that_breaks_its_contract_is_named_and_the_others_go_on(
    rule: str, material: Material, tmp_path: Path
) -> None:
    broken = f"{HERE}:{rule}"
    results = run_benchmark(material, make_design(strategies=("lattice", "random-shots", broken)), tmp_path / "with")
    alone = run_benchmark(material, make_design(strategies=("lattice", "random-shots")), tmp_path / "without")
    failed = results.failed()
    assert {cell.strategy for cell in failed} == {broken}
    assert len(failed) == 2 * 6
    assert BROKEN[rule] in failed[0].reason
    np.testing.assert_array_equal(results.accuracy()[:2], alone.accuracy())
    findings = find(results)
    assert [verdict.b for verdict in findings.verdicts] == ["random-shots"]
    assert findings.verdicts == find(alone).verdicts
    assert [standing.strategy for standing in findings.standings] == ["lattice", "random-shots"]
    assert len(findings.to_dict()["failed"]) == len(failed)  # type: ignore[arg-type]


def test_a_strategy_that_fails_at_one_budget_is_compared_at_the_others(material: Material, tmp_path: Path) -> None:
    late = f"{HERE}:LateRaises"
    results = run_benchmark(
        material, make_design(strategies=("lattice", "random-shots", late), primary_budget=12), tmp_path
    )
    findings = find(results)
    assert "KeyError: 'nothing there'" in findings.failed[0].reason
    assert [verdict.b for verdict in findings.verdicts] == ["random-shots", late]
    assert [(verdict.b, verdict.budget) for verdict in findings.others] == [("random-shots", 24)]
    rows = rows_of(_csv(results, tmp_path))
    bad = [row for row in rows if row["strategy"] == late and row["budget"] == "24"]
    assert {(row["accuracy"], row["failure"]) for row in bad} == {("", "KeyError: 'nothing there'")}


def _csv(results: Results, folder: Path) -> Path:
    results.write_csv(folder / "results.csv")
    return folder / "results.csv"


def test_a_claim_without_any_seed_left_is_an_error(material: Material, tmp_path: Path) -> None:
    results = run_benchmark(material, make_design(strategies=(f"{HERE}:Raises", "random-shots")), tmp_path)
    with pytest.raises(AcqplanError, match=r"every cell .* failed at 24 images .*division by zero"):
        find(results)


def test_results_of_another_design_are_refused_and_both_are_named(
    material: Material, design: Design, tmp_path: Path
) -> None:
    run_benchmark(material, design, tmp_path)
    before = contents(tmp_path)
    other = make_design(budgets=(12, 30))
    with pytest.raises(InputError) as refused:
        run_benchmark(material, other, tmp_path)
    assert design.digest[:16] in refused.value.message
    assert other.digest[:16] in refused.value.message
    assert contents(tmp_path) == before


def test_results_of_other_images_are_refused(material: Material, design: Design, tmp_path: Path) -> None:
    run_benchmark(material, design, tmp_path)
    other = replace(material, features=material.features + 1)
    with pytest.raises(InputError, match="other images or features") as refused:
        run_benchmark(other, design, tmp_path)
    assert material.digest[:16] in refused.value.message
    assert other.digest[:16] in refused.value.message


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut short", b"hello"])
def test_damaged_cells_are_computed_again(damage: bytes, material: Material, design: Design, tmp_path: Path) -> None:
    whole = _csv(run_benchmark(material, design, tmp_path), tmp_path).read_bytes()
    path = sorted((tmp_path / "cells").iterdir())[2]
    path.write_bytes(damage)
    assert _csv(run_benchmark(material, design, tmp_path), tmp_path).read_bytes() == whole
    assert Ledger(tmp_path, design).load(design.blocks()[2], material.digest) is not None


def test_a_change_of_any_byte_of_a_file_of_cells_is_noticed(design: Design, tmp_path: Path) -> None:
    ledger, block = Ledger(tmp_path, design), design.blocks()[0]
    rows = np.arange(12)
    made = BlockResult(
        block=block,
        images=np.full(len(design.cells), 6),
        failures=("",) * len(design.cells),
        correct=np.random.default_rng(0).random((len(design.cells), 12)) < 0.5,
        test_rows=rows,
        taken=dict.fromkeys(design.strategies, rows),
        seconds={"plan": 1.5},
    )
    ledger.save(made, "m")
    path = tmp_path / "cells" / f"{block.name}.npz"
    content = path.read_bytes()
    n_noticed = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        found = ledger.load(block, "m")
        n_noticed += found is None
        if found is not None:  # a byte that says nothing, such as the date of a member
            assert _plain(found) == _plain(made)
    assert n_noticed > len(content) // 2


def _plain(result: BlockResult) -> tuple[object, ...]:
    taken = {name: rows.tolist() for name, rows in result.taken.items()}
    arrays = [array.tolist() for array in (result.images, result.correct, result.test_rows)]
    return (*arrays, result.failures, taken, result.seconds, result.advice)


def test_a_design_that_is_no_design_is_refused(material: Material, design: Design, tmp_path: Path) -> None:
    (tmp_path / "design.json").write_text("[]")
    with pytest.raises(InputError, match="no design of a benchmark"):
        run_benchmark(material, design, tmp_path)


def test_no_strategy_profits_from_images_that_it_did_not_take(material: Material, design: Design) -> None:
    block = design.blocks()[0]
    found = run_block(material, design, block)
    noise = np.random.default_rng(1)
    for name, rows in found.taken.items():
        poisoned = material.features.copy()
        others = np.setdiff1d(np.arange(len(poisoned)), np.concatenate([rows, found.test_rows]))
        poisoned[others] = noise.normal(size=(len(others), poisoned.shape[1]))
        again = run_block(replace(material, features=poisoned), design, block)
        cell = design.cells.index((name, design.primary_budget))
        np.testing.assert_array_equal(again.taken[name], rows)
        np.testing.assert_array_equal(again.correct[cell], found.correct[cell])


def test_every_arm_pays_for_what_it_takes(material: Material, design: Design, tmp_path: Path) -> None:
    for result in run_benchmark(material, design, tmp_path).blocks:
        train, _ = design.sides(result.block)
        for name, rows in result.taken.items():
            owners = {OBJECTS.names[row] for row in material.shots.object_rows[rows]}
            assert owners <= set(train)
            assert len(rows) == len(set(rows.tolist())) == result.images[design.cells.index((name, 24))] <= 24


def test_views_that_will_be_met_are_taken_and_tested_as_often(
    material: Material, design: Design, tmp_path: Path
) -> None:
    space = material.shots.space
    weights = np.where(space.views()[:, 1] == 30.0, 1.0, 0.0)
    results = run_benchmark(replace(material, view_weights=weights), design, tmp_path / "low")
    for result in results.blocks:
        assert set(material.shots.coordinates[result.test_rows, 1]) == {30.0}
        for rows in result.taken.values():
            assert set(material.shots.coordinates[rows, 1]) == {30.0}
    halves = np.where(space.views()[:, 1] == 30.0, 3.0, 1.0)
    found = run_benchmark(replace(material, view_weights=halves), design, tmp_path / "halves")
    result = found.blocks[0]
    rows, right = result.test_rows, result.correct[0]
    own = material.shots.object_rows[rows] == material.shots.object_rows[rows[0]]
    share = np.average(right[own], weights=np.where(material.shots.coordinates[rows[own], 1] == 30.0, 3.0, 1.0))
    assert found.accuracy()[0, 0, material.shots.object_rows[rows[0]], 0] == pytest.approx(share)


class FailsOnOneSide(RandomShots):
    """Fails where the first view may be taken."""

    name: ClassVar[str] = "one-sided"

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        if (candidates.coordinates == SPACE.views()[0]).all(axis=1).any():
            raise KeyError("nothing there")
        return RandomShots.propose(self, candidates, history, n, seed)


def test_a_test_on_views_judges_every_object_by_both_halves_of_the_views(material: Material, tmp_path: Path) -> None:
    strategies = ("lattice", "even", f"{__name__}:FailsOnOneSide")
    rig = shelf(test="views")
    design = draw_up(rig, backbone="made up", strategies=strategies, budgets=(24, 48), seeds=range(2))
    results = run_benchmark(material, design, tmp_path / "out")
    for block in results.blocks:
        taken = np.concatenate(list(block.taken.values()))
        assert not set(taken) & set(block.test_rows), "what is tested on was taken"
        assert len(block.test_rows) == len(material.shots) // 2
    right, rows = results.correct("lattice", 24, 0)
    assert sorted(rows) == list(range(len(material.shots)))
    accuracy = results.accuracy()
    of_object = right[material.shots.object_rows[rows] == 3]
    assert accuracy[0, 0, 3, 0] == pytest.approx(of_object.mean())
    assert np.isnan(accuracy[2]).all(), "half of the views is another test than all of them"
    findings = find(results)
    assert [(verdict.b, verdict.n_objects) for verdict in findings.verdicts] == [("even", len(OBJECTS))]
    assert len(findings.failed) == 4
    page = benchmark_page_text(findings)
    assert "12 train and 12 test views, the same of each object" in " ".join(page.split())
    # what advice says of left-out objects stands apart
    verdicts = page.split("How to read the numbers")[0].split("Stop, or go on?")[0]
    assert "new objects" not in verdicts.replace("on\nnew objects or with", "")
