"""Verdicts in plain words."""

from __future__ import annotations

from typing import Protocol

from acqplan.evaluate.records import ALPHA, Answer


class Finding(Protocol):
    """What a sentence can be made of: a `Verdict`, or a comparison of two files of predictions."""

    @property
    def a(self) -> str: ...  # noqa: D102
    @property
    def b(self) -> str: ...  # noqa: D102
    @property
    def difference(self) -> float: ...  # noqa: D102
    @property
    def ci95(self) -> tuple[float, float]: ...  # noqa: D102
    @property
    def p(self) -> float: ...  # noqa: D102
    @property
    def p_object(self) -> float: ...  # noqa: D102
    @property
    def p_mcnemar(self) -> float: ...  # noqa: D102
    @property
    def n01(self) -> int: ...  # noqa: D102
    @property
    def n10(self) -> int: ...  # noqa: D102
    @property
    def n_objects(self) -> int: ...  # noqa: D102
    @property
    def n_seeds(self) -> int: ...  # noqa: D102
    @property
    def verdict(self) -> Answer: ...  # noqa: D102


def answer(difference: float, p: float) -> Answer:
    """The verdict that a difference and its p speak for, at .05."""
    if p >= ALPHA or difference == 0.0:
        return "no difference found"
    return "better" if difference > 0 else "worse"


def sentence(finding: Finding) -> str:
    """A verdict in plain words, with effect, interval, p, number of objects, and what the images alone would say."""
    points, (low, high) = 100.0 * finding.difference, (100.0 * end for end in finding.ci95)
    over = f"over {finding.n_objects} object{'s' if finding.n_objects != 1 else ''}"
    seeds = f" and {finding.n_seeds} seeds" if finding.n_seeds > 1 else ""
    evidence = f"95 % interval {_signed(low)} to {_signed(high)}; p {_p(finding.p)} {over}{seeds}"
    if finding.verdict == "no difference found":
        text = f"no difference found between {finding.a} and {finding.b} ({_plus(points)} points, {evidence})"
    else:
        text = f"{finding.a} is {finding.verdict} than {finding.b} by {abs(points):.1f} points ({evidence})"
    return text + "".join(f"; {remark}" for remark in _remarks(finding))


def _remarks(finding: Finding) -> list[str]:
    """Where tests and interval seem to disagree: that they do, and why."""
    remarks = []
    found = finding.verdict != "no difference found"
    if not found and finding.n_seeds == 1 and 2.0 / 2.0**finding.n_objects >= ALPHA:
        remarks.append(f"with {finding.n_objects} objects no difference could be found at .05, however large")
    elif not found and not finding.ci95[0] <= 0.0 <= finding.ci95[1]:
        remarks.append("the interval is that of this comparison alone, p is corrected for all comparisons")
    if finding.n_seeds == 1 and found:
        remarks.append("one pair of heads: it says nothing of other seeds")
    if finding.n_seeds > 1 and not found and finding.p_object < ALPHA:
        remarks.append(
            f"the objects alone would tell them apart (p {_p(finding.p_object)}), "
            "but two seeds of one rule differ as much"
        )
    images = answer(float(finding.n10 - finding.n01), finding.p_mcnemar)
    if images != finding.verdict:
        remarks.append(_disagreement(finding, images))
    return remarks


def _disagreement(finding: Finding, images: Answer) -> str:
    if images == "no difference found":
        return f"McNemar's test on one pair of heads does not see it (p {_p(finding.p_mcnemar)})"
    return (
        f"McNemar's test on images says {images} (p {_p(finding.p_mcnemar)}), but images of one object are not "
        "independent: that holds for these heads on these objects and not for new ones"
    )


def _p(p: float) -> str:
    """A p-value as journals print it: without the leading zero, three decimals."""
    if p < 0.0005:
        return "< .001"
    return "= 1" if p > 0.9995 else f"= {p:.3f}".replace("0.", ".")


def _signed(points: float) -> str:
    """One decimal, a true minus sign, no negative zero."""
    text = f"{points:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def _plus(points: float) -> str:
    text = _signed(points)
    return text if text.startswith("−") or text == "0.0" else f"+{text}"
