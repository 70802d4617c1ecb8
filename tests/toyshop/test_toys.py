"""The toys that the package ships are those that the toyshop builds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.testing import assert_array_equal

from acqplan.rig.norb import CATEGORIES
from acqplan.rig.rendered import toy_rig
from benchmarks.toyshop.toys import BUILDERS, EMBEDDED, build_toy, main


def test_every_category_is_built() -> None:
    assert tuple(BUILDERS) == CATEGORIES


def test_the_shipped_toys_are_those_of_the_toyshop(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path / "toys.npz")]) == 0
    with np.load(tmp_path / "toys.npz") as built, np.load(EMBEDDED) as shipped:
        assert set(built) == set(shipped)
        assert_array_equal(built["counts"], shipped["counts"])
        assert_array_equal(built["faces"], shipped["faces"])
    assert EMBEDDED.stat().st_size <= 1_000_000


def test_the_shipped_toys_render_as_the_built_ones() -> None:
    shipped = toy_rig(workers=1)
    built = replace(shipped, shape_of=lambda row: build_toy(*toy_of(shipped.objects.names[row])))
    shots = shipped.shots().take(np.arange(0, len(shipped.shots()), 347))
    assert set(shots.names) == set(shipped.objects.names)
    assert shipped.identities(shots) == built.identities(shots)
    for (row, image), (same, expected) in zip(shipped.capture(shots), built.capture(shots), strict=True):
        assert row == same
        assert_array_equal(image, expected)


def toy_of(name: str) -> tuple[str, int]:
    label, number = name.split("-")
    return label, int(number)


def test_toys_beyond_ten_and_of_other_seeds_are_new() -> None:
    assert build_toy("car", 0).digest() != build_toy("car", 10).digest()
    assert build_toy("human", 2, 0).digest() != build_toy("human", 2, 1).digest()
