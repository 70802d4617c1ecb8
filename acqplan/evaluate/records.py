"""What a validation found: records of single runs and verdicts of comparisons (validation.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from acqplan.files import replacing

ALPHA = 0.05

Answer = Literal["better", "worse", "no difference found"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One arm at one budget with one seed, judged on the test objects.

    Attributes:
        strategy: Name of the strategy.
        budget: Images it was allowed.
        images: Images it took; at most ``budget``.
        seed: Its seed.
        accuracy: Share of test shots classified correctly, mean over test objects.
        per_object: The same for each test object.
    """

    strategy: str
    budget: int
    images: int
    seed: int
    accuracy: float
    per_object: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Answer of a comparison of strategy ``a`` with strategy ``b`` at one budget.

    Attributes:
        a: The strategy asked about.
        b: The one it is compared with.
        budget: Images each was allowed.
        difference: Mean accuracy of ``a`` minus that of ``b``, over test objects, averaged over seeds.
        ci95: 95 % interval of the difference, for other objects and other seeds, of this comparison alone.
        p: Two-sided p for other objects and other seeds (`two_way`), corrected by Holm within the family; with
            one seed that of ``p_object``.
        p_object: Two-sided p of the sign-flip test on objects, corrected by Holm: conditional on these seeds.
        p_equivalent: p that the difference is beyond the margin of equivalence (two one-sided tests).
        p_mcnemar: Two-sided p of McNemar's test on the images of the first seed, conditional on these objects.
        p_obuchowski: p of Obuchowski's test on the same images, clustered by object.
        p_durkalski: The same of Durkalski's.
        n01: Test images that only ``b`` classified correctly (first seed).
        n10: Test images that only ``a`` classified correctly (first seed).
        n_objects: Test objects.
        n_seeds: Seeds that both have.
        verdict: The answer, from ``p`` at 0.05.
        per_object: Difference of each test object, mean over seeds.
    """

    a: str
    b: str
    budget: int
    difference: float
    ci95: tuple[float, float]
    p: float
    p_object: float
    p_equivalent: float
    p_mcnemar: float
    p_obuchowski: float
    p_durkalski: float
    n01: int
    n10: int
    n_objects: int
    n_seeds: int
    verdict: Answer
    per_object: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """All records and verdicts of a validation.

    Attributes:
        records: One per strategy, budget and seed.
        verdicts: One per opponent, at the full budget.
    """

    records: Sequence[Record]
    verdicts: Sequence[Verdict]

    def to_dict(self) -> dict[str, object]:
        """validation.json as a dictionary."""
        return {
            "records": [asdict(record) for record in self.records],
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
        }

    def write_json(self, path: Path) -> None:
        """Write validation.json."""
        with replacing(path) as handle:
            json.dump(self.to_dict(), handle, indent=1)
            handle.write("\n")
