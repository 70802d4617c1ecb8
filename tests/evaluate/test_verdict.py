from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from acqplan.evaluate.design import Block, Design
from acqplan.evaluate.results import BlockResult, Results
from acqplan.evaluate.task import Split
from acqplan.evaluate.verdict import Verdict, sentence
from acqplan.space import Interval, Objects, Shots, Space
from acqplan.statistics.clustered import holm, mcnemar, sign_flip
from acqplan.statistics.objects import two_way

N_OBJECTS, N_IMAGES = 12, 50
OBJECTS = [f"o-{number:02d}" for number in range(N_OBJECTS) for _ in range(N_IMAGES)]


@dataclass(frozen=True)
class Outcome:
    """What one strategy got right on the test images, by seed."""

    name: str
    correct: Mapping[int, np.ndarray]


def judge(
    mine: Outcome,
    opponents: Sequence[Outcome],
    *,
    budget: int,
    objects: Sequence[str],
    weights: np.ndarray | None = None,
) -> list[Verdict]:
    """Verdicts from results in which an arm failed at the seeds that it lacks; weights are those of views."""
    arms = [mine, *opponents]
    if not opponents:
        return []
    names = sorted(set(objects))
    counts = dict.fromkeys(names, 0)
    levels = []
    for name in objects:
        levels.append(counts[name])
        counts[name] += 1
    space = Space(axes=(Interval(name="view", values=tuple(range(max(counts.values()))), unit="deg"),))
    shots = Shots(
        space=space,
        objects=Objects(names=tuple(names), labels=("thing",) * len(names)),
        object_rows=np.array([names.index(name) for name in objects]),
        coordinates=np.array(levels, dtype=np.float64)[:, None],
    )
    seeds = sorted({seed for arm in arms for seed in arm.correct})
    design = Design(
        rig="", backbone="", strategies=tuple(arm.name for arm in arms), parameters={}, budgets=(budget,),
        seeds=tuple(seeds), splits=(Split(train=(), test=tuple(names)),), swap=False, primary=mine.name,
        baseline=opponents[0].name, primary_budget=budget,
    )  # fmt: skip
    nothing = np.zeros(len(objects), dtype=bool)
    blocks = [
        BlockResult(
            block=Block(seed=seed, number=0, swapped=False),
            images=np.full(len(arms), budget),
            failures=tuple("" if seed in arm.correct else "not run" for arm in arms),
            correct=np.stack([arm.correct.get(seed, nothing) for arm in arms]),
            test_rows=np.arange(len(objects)),
        )
        for seed in seeds
    ]
    results = Results(design=design, shots=shots, blocks=blocks, view_weights=weights)
    return results.verdicts([(mine.name, other.name) for other in opponents], budget)


def outcome(name: str, accuracy: float, *, spread: float = 0.0, seeds: tuple[int, ...] = (0, 1, 2)) -> Outcome:
    random = np.random.default_rng([ord(name[0]), len(name)])
    shares = np.repeat(np.clip(random.normal(accuracy, spread, N_OBJECTS), 0, 1), N_IMAGES)
    return Outcome(name=name, correct={seed: random.random(len(shares)) < shares for seed in seeds})


AUTO = outcome("auto", 0.9)
OTHERS = [outcome("even", 0.7), outcome("lattice", 0.9), outcome("oracle", 0.97)]


def test_answers_go_with_the_sign_and_p() -> None:
    found = judge(AUTO, OTHERS, budget=810, objects=OBJECTS)
    assert [verdict.verdict for verdict in found] == ["better", "no difference found", "worse"]
    assert [(verdict.a, verdict.b, verdict.budget) for verdict in found] == [
        ("auto", "even", 810),
        ("auto", "lattice", 810),
        ("auto", "oracle", 810),
    ]
    for verdict in found:
        assert verdict.ci95[0] < verdict.difference < verdict.ci95[1]
        assert verdict.n_objects == N_OBJECTS


def test_numbers_are_those_of_the_tests_done_by_hand() -> None:
    found = judge(AUTO, OTHERS, budget=810, objects=OBJECTS)
    tables = [
        np.stack([AUTO.correct[s].astype(float) - other.correct[s] for s in (0, 1, 2)])
        .reshape(3, N_OBJECTS, -1)
        .mean(axis=2)
        .T
        for other in OTHERS
    ]
    by_object = holm([sign_flip(table.mean(axis=1)) for table in tables])
    expected = holm([two_way(table).p for table in tables])
    for verdict, table, p, p_object, other in zip(found, tables, expected, by_object, OTHERS, strict=True):
        images = mcnemar(AUTO.correct[0], other.correct[0])
        assert verdict.difference == pytest.approx(table.mean())
        assert verdict.p == pytest.approx(p)
        assert verdict.p_object == pytest.approx(p_object)
        assert verdict.per_object == pytest.approx(dict(zip(sorted(set(OBJECTS)), table.mean(axis=1), strict=True)))
        assert (verdict.p_mcnemar, verdict.n01, verdict.n10) == (images.p, images.n01, images.n10)


def test_seeds_are_paired_by_key_and_not_by_order() -> None:
    other = OTHERS[0]
    backwards = replace(other, correct={seed: other.correct[seed] for seed in (2, 1, 0)})
    one = judge(AUTO, [other], budget=9, objects=OBJECTS)
    assert judge(AUTO, [backwards], budget=9, objects=OBJECTS) == one
    more = replace(other, correct={**other.correct, 9: ~other.correct[0]})
    assert judge(AUTO, [more], budget=9, objects=OBJECTS) == one


def test_objects_count_equally_and_their_order_does_not_matter() -> None:
    order = np.random.default_rng(3).permutation(len(OBJECTS))
    shuffled = [replace(arm, correct={s: c[order] for s, c in arm.correct.items()}) for arm in (AUTO, OTHERS[0])]
    one = judge(AUTO, OTHERS[:1], budget=9, objects=OBJECTS)[0]
    other = judge(shuffled[0], shuffled[1:], budget=9, objects=[OBJECTS[row] for row in order])[0]
    assert other.difference == pytest.approx(one.difference)
    assert other.p_object == one.p_object
    assert other.p == pytest.approx(one.p)
    right, wrong = np.array([True] * 9 + [False]), np.array([False] * 9 + [True])
    uneven = judge(
        Outcome(name="a", correct={0: right}),
        [Outcome(name="b", correct={0: wrong})],
        budget=1,
        objects=["x"] * 9 + ["y"],
    )
    assert uneven[0].difference == 0.0


def test_more_opponents_make_p_no_smaller() -> None:
    alone = judge(AUTO, OTHERS[1:2], budget=9, objects=OBJECTS)[0]
    among = judge(AUTO, OTHERS, budget=9, objects=OBJECTS)[1]
    assert among.p_object >= alone.p_object
    assert among.p >= alone.p
    assert judge(AUTO, [], budget=9, objects=OBJECTS) == []


def test_strategies_without_a_seed_in_common_are_not_compared() -> None:
    assert judge(AUTO, [outcome("even", 0.7, seeds=(7,))], budget=9, objects=OBJECTS) == []
    among = judge(AUTO, [outcome("even", 0.7, seeds=(7,)), OTHERS[1]], budget=9, objects=OBJECTS)
    assert among == judge(AUTO, [OTHERS[1]], budget=9, objects=OBJECTS)


PLAIN = Verdict(
    a="auto",
    b="even",
    budget=810,
    difference=0.031,
    ci95=(0.012, 0.05),
    p=0.002,
    p_object=0.001,
    p_equivalent=0.9,
    p_mcnemar=0.0001,
    p_obuchowski=0.01,
    p_durkalski=0.01,
    n01=10,
    n10=90,
    n_objects=25,
    n_seeds=5,
    verdict="better",
    per_object={},
)
NONE = replace(
    PLAIN, difference=0.004, ci95=(-0.006, 0.014), p=0.4, p_object=0.4, p_mcnemar=0.3, verdict="no difference found"
)


def test_sentence_of_a_difference() -> None:
    expected = "auto is better than even by 3.1 points (95 % interval 1.2 to 5.0; p = .002 over 25 objects and 5 seeds)"
    assert sentence(PLAIN) == expected
    worse = replace(PLAIN, difference=-0.031, ci95=(-0.05, -0.012), verdict="worse", n01=90, n10=10, p=1e-9)
    assert sentence(worse) == (
        "auto is worse than even by 3.1 points (95 % interval −5.0 to −1.2; p < .001 over 25 objects and 5 seeds)"
    )


def test_sentence_of_no_difference() -> None:
    assert sentence(NONE) == (
        "no difference found between auto and even (+0.4 points, 95 % interval −0.6 to 1.4; p = .400 over 25 objects "
        "and 5 seeds)"
    )
    zero = replace(NONE, difference=-0.0001, ci95=(-0.0001, 0.0001), p=1.0, n_objects=7, n_seeds=1)
    assert "(0.0 points, 95 % interval 0.0 to 0.0; p = 1 over 7 objects)" in sentence(zero)


def test_sentence_says_why_mcnemar_sees_what_objects_do_not_show() -> None:
    text = sentence(replace(NONE, p_mcnemar=1e-7))
    assert "McNemar's test on images says better (p < .001)" in text
    assert "images of one object are not independent" in text
    assert "these objects" in text
    assert "says worse" in sentence(replace(NONE, p_mcnemar=1e-7, n01=90, n10=10))


def test_sentence_says_where_one_pair_of_heads_does_not_show_the_difference() -> None:
    assert "McNemar's test on one pair of heads does not see it (p = .300)" in sentence(replace(PLAIN, p_mcnemar=0.3))


def test_sentence_says_when_no_number_of_images_could_have_decided() -> None:
    assert "with 5 objects no difference could be found" in sentence(replace(NONE, n_objects=5, n_seeds=1))
    assert "could be found" not in sentence(replace(NONE, n_objects=6, n_seeds=1))


def test_sentence_explains_an_interval_that_leaves_out_zero() -> None:
    text = sentence(replace(NONE, ci95=(0.001, 0.02), p=0.08))
    assert "p is corrected for all comparisons" in text


def test_sentence_says_where_objects_alone_would_tell_two_rules_apart() -> None:
    text = sentence(replace(NONE, p=0.2, p_object=0.01))
    assert "the objects alone would tell them apart (p = .010), but two seeds of one rule differ as much" in text
    assert "the objects alone" not in sentence(replace(NONE, p=0.2, p_object=0.01, n_seeds=1))


def test_one_seed_is_judged_by_the_objects() -> None:
    one = [replace(arm, correct={0: arm.correct[0]}) for arm in (AUTO, *OTHERS)]
    for verdict in judge(one[0], one[1:], budget=9, objects=OBJECTS):
        assert (verdict.p, verdict.n_seeds) == (verdict.p_object, 1)


def test_two_copies_of_a_rule_whose_heads_differ_are_not_told_apart() -> None:
    random = np.random.default_rng(0)
    verdicts = []
    for _ in range(60):
        luck = {name: random.normal(0.0, 0.03, size=4) for name in "ab"}  # what a head is off on all objects
        arms = [
            Outcome(name=name, correct={s: random.random(len(OBJECTS)) < 0.8 + luck[name][s] for s in range(4)})
            for name in "ab"
        ]
        verdicts += judge(arms[0], arms[1:], budget=9, objects=OBJECTS)
    assert np.mean([verdict.p_object < 0.05 for verdict in verdicts]) > 0.3
    assert np.mean([verdict.p < 0.05 for verdict in verdicts]) <= 0.1


def test_sentence_says_that_one_pair_of_heads_says_nothing_of_other_seeds() -> None:
    assert sentence(replace(PLAIN, n_seeds=1)).endswith("one pair of heads: it says nothing of other seeds")
    assert "other seeds" not in sentence(replace(NONE, n_seeds=1))


def test_images_count_as_often_as_their_views_will_be_met() -> None:
    weights = np.repeat([2.0, 1.0], N_IMAGES // 2)
    found = judge(AUTO, OTHERS[:1], budget=9, objects=OBJECTS, weights=weights)[0]
    table = np.stack([AUTO.correct[s].astype(float) - OTHERS[0].correct[s] for s in (0, 1, 2)])
    per_object = np.average(table.reshape(3, N_OBJECTS, -1), axis=2, weights=weights)
    assert found.difference == pytest.approx(per_object.mean())
    alike = judge(AUTO, OTHERS[:1], budget=9, objects=OBJECTS, weights=np.full(N_IMAGES, 0.5))[0]
    assert alike.p == pytest.approx(judge(AUTO, OTHERS[:1], budget=9, objects=OBJECTS)[0].p)
