"""The staggered lattice: balanced for each object, fine for the class, better than lots."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from acqplan.errors import StrategyError
from acqplan.plan import find_strategy
from acqplan.plan.base import History, from_first_levels
from acqplan.plan.designs import van_der_corput_order
from acqplan.plan.lattice import Lattice, counted, discrepancies, good_lattices, pair_imbalance
from acqplan.space import Objects, Shots, Space
from acqplan.space.kernel import mixed_kernel

MakeObjects = Callable[..., Objects]
Split = Callable[..., tuple[Shots, History]]


def unevenness(shots: Shots) -> tuple[float, float]:
    """Discrepancy of objects, on average, and of their class; 1 is what random views have."""
    space = from_first_levels(shots.space)
    levels = shots.space.levels(shots.coordinates)
    parts = [counted(space.shape, levels[shots.object_rows == number]) for number in range(len(shots.objects))]
    found = discrepancies(space.axes, np.stack([*parts, np.sum(parts, axis=0)]))
    return float(found[:-1].mean()), float(found[-1])


def planned(name: str, shots: Shots, n: int, seed: int) -> Shots:
    return shots.take(find_strategy(name).propose(shots, History.empty(shots), n, seed).rows)


@pytest.mark.parametrize("per_object", [6, 12, 32, 97])
def test_beats_random_shots_and_equals_herding(per_object: int, norb: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(norb, objects_of(5))
    lattice, random, herding = (
        np.mean([unevenness(planned(name, shots, 5 * per_object, seed)) for seed in range(3)], axis=0)
        for name in ("lattice", "random-shots", "herding")
    )
    assert (lattice < 0.75 * random).all()
    assert lattice[1] < 0.45 * random[1]
    assert lattice.sum() < 1.15 * herding.sum()


@pytest.mark.parametrize("per_object", [6, 18, 32, 97])
def test_every_object_and_the_class_meet_levels_equally_often(
    per_object: int, norb: Space, objects_of: MakeObjects
) -> None:
    shots = Shots.every(norb, objects_of(5))
    chosen = planned("lattice", shots, 5 * per_object, 1)
    levels = norb.levels(chosen.coordinates)
    for mine in [*(chosen.object_rows == number for number in range(5)), np.ones(len(chosen), dtype=bool)]:
        for column, n_levels in enumerate(norb.shape):
            # two more where two lattice points fell on one view and herding replaced one
            assert np.ptp(np.bincount(levels[mine, column], minlength=n_levels)) <= 1 + 2 * (per_object == 97)


@pytest.mark.parametrize("per_object", [32, 97])
def test_pairs_of_levels_are_met_about_equally_often(per_object: int, norb: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(norb, objects_of(5))
    for seed in range(3):
        levels = norb.levels(planned("lattice", shots, 5 * per_object, seed).coordinates)
        assert pair_imbalance(norb.axes, levels) < 0.7  # lots would have 1.0


@pytest.mark.parametrize("n_first", [40, 80, 160])
def test_the_beginning_of_a_plan_is_spread_too(n_first: int, norb: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(norb, objects_of(5))
    beginning = unevenness(planned("lattice", shots, 485, 0).take(np.arange(n_first)))
    random = unevenness(planned("random-shots", shots, n_first, 0))
    assert beginning[0] < 0.9 * random[0]
    assert beginning[1] < 0.6 * random[1]


def test_a_second_round_completes_the_first(norb: Space, objects_of: MakeObjects, captured: Split) -> None:
    shots = Shots.every(norb, objects_of(5))
    first = Lattice().propose(shots, History.empty(shots), 48, 0).rows
    rest, history = captured(shots, first)
    whole = history.shots.join(rest.take(Lattice().propose(rest, history, 437, 0).rows))
    assert unevenness(whole)[1] < 0.25
    assert unevenness(whole)[0] < 0.35


@pytest.mark.parametrize("ends", [(1, 4), (1, 4, 8), (1, 2, 4, 8, 16)])
def test_rounds_are_as_even_as_one_lay_out(
    ends: tuple[int, ...], norb: Space, objects_of: MakeObjects, captured: Split
) -> None:
    shots = Shots.every(norb, objects_of(5))
    rest, history = shots, History.empty(shots)
    for end in ends:
        rows = Lattice().propose(rest, history, 5 * end - len(history), 0).rows
        taken = history.shots.join(rest.take(rows))
        rest, history = rest.take(np.setdiff1d(np.arange(len(rest)), rows)), History(shots=taken)
    at_once = planned("lattice", shots, 5 * ends[-1], 0)
    assert sum(unevenness(history.shots)) < 1.1 * sum(unevenness(at_once))
    levels = norb.levels(history.shots.coordinates)
    assert all(np.ptp(np.bincount(levels[:, column], minlength=n)) <= 2 for column, n in enumerate(norb.shape))
    assert pair_imbalance(norb.axes, levels) < 1.15 * pair_imbalance(norb.axes, norb.levels(at_once.coordinates))


def test_seeds_draw_equally_good_lattices(norb: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(norb, objects_of(5))
    found = np.array([sum(unevenness(planned("lattice", shots, 160, seed))) for seed in range(5)])
    assert np.ptp(found) < 0.05 * found.mean()


def test_what_cannot_be_taken_is_replaced(norb: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(norb, objects_of(5))
    allowed = shots.take(np.flatnonzero(shots.coordinates[:, 0] < 180.0))
    choice = Lattice().propose(allowed, History.empty(allowed), 100, 0)
    assert len(set(choice.rows.tolist())) == 100
    assert "fills what the lattice leaves open" in choice.reason


def test_reasons_number_the_points_of_each_object(small: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(small, objects_of(2))
    choice = Lattice().propose(shots, History.empty(shots), 8, 0)
    assert sorted(choice.reason) == sorted(
        f"lattice point {k} of 4 of animal-{number:02d}" for k in range(1, 5) for number in range(2)
    )


def test_a_table_says_that_it_has_no_lattice(photographs: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(photographs, objects_of(2))
    choice = Lattice().propose(shots, History.empty(shots), 8, 0)
    assert all(reason.startswith("no lattice on a table of views, herding: ") for reason in choice.reason)


def test_discrepancy_equals_its_definition(small: Space) -> None:
    space = from_first_levels(small)
    chosen = np.random.default_rng(0).integers(0, space.n_views, 10)
    counts = np.bincount(chosen, minlength=space.n_views).astype(float)[None]
    kernel = mixed_kernel(space, space.views(), space.views())
    excess = counts[0] / 10 - 1.0 / space.n_views
    expected = excess @ kernel @ excess * 10 / (1.0 - kernel.mean())
    assert discrepancies(space.axes, counts)[0] == pytest.approx(expected)


def test_lattices_are_remembered_and_cannot_be_written_to(small: Space) -> None:
    axes = from_first_levels(small).axes
    found = good_lattices(axes, 3, 5)
    assert found is good_lattices(axes, 3, 5)
    assert not found.flags.writeable


@pytest.mark.parametrize("n", [1, 2, 7, 8, 97])
def test_van_der_corput_order_is_a_permutation(n: int) -> None:
    assert sorted(van_der_corput_order(n).tolist()) == list(range(n))


def test_van_der_corput_order_of_eight() -> None:
    assert van_der_corput_order(8).tolist() == [0, 4, 2, 6, 1, 5, 3, 7]


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(StrategyError, match="tries"):
        Lattice(tries=0)
