"""Strategies that cannot be made: the hint is about what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from acqplan.errors import StrategyError
from acqplan.plan import find_strategy


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("nowhere_at_all:Rule", "on workers of dask too"),
        ("needs_another:Rule", "its module needs 'another_library': install it"),
        ("acqplan.plan.lattice:Latice", "did you mean 'Lattice'?"),
        ("acqplan.plan.base:Choice", "made without arguments"),
    ],
)
def test_a_strategy_that_cannot_be_made_is_told_with_what_helps(
    target: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needs_another.py").write_text("import another_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StrategyError, match="cannot be made") as caught:
        find_strategy(target)
    assert hint in caught.value.hint
    assert "check its name" not in caught.value.hint
