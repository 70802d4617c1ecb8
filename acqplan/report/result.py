"""Everything that a recommendation or a benchmark leaves behind in a folder, all of it or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from acqplan.errors import OutputError
from acqplan.evaluate.recommend import Recommendation
from acqplan.files import folder, uninterrupted
from acqplan.progress import SILENT, Progress
from acqplan.report.benchmark_page import write_benchmark_page
from acqplan.report.page import write_page
from acqplan.report.plot import write_benchmark_plots, write_plots

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

FILES = (
    "plan.csv", "plan.json", "validation.json", "report.html", "dial.png", "classes.png", "coverage.png",
    "objects.png", "overview.png", "accuracy.png", "bars.png", "gains.png", "advice.png",
)  # fmt: skip
"""Every file that a recommendation may leave behind."""

BENCHMARK_FILES = (
    "results.csv", "validation.json", "report.html", "curves.png", "strategies.png", "verdicts.png", "objects.png",
    "views.png", "ideas.png", "ranks.png",
)  # fmt: skip
"""Every file that a benchmark may leave behind, beside its design.json and its cells."""


def write_result(
    result: Recommendation, out: Path, *, facts: Mapping[str, str] | None = None, progress: Progress = SILENT
) -> list[Path]:
    """Write plan.csv, plan.json, validation.json, report.html and the plots as PNG.

    The files are made in a folder of their own within ``out`` and moved into place when the last one is
    whole, so that a full disk or an interruption leaves what was there before. Files of an earlier
    validation that this result does not have are removed: they would speak of another plan.

    Args:
        result: What was recommended.
        out: Folder to write into; made if it is not there.
        facts: More lines for the report's "How it was made".
        progress: Hears about the writing.

    Returns:
        The files, in the order named above; validation.json only if there is a validation,
        advice.png only if a learning curve could be measured.

    Raises:
        OutputError: If a file cannot be written.
    """
    return _publish(out, FILES, lambda work: _write_plan(result, work, facts, progress))


def write_benchmark(
    findings: Findings, out: Path, *, facts: Mapping[str, str] | None = None, progress: Progress = SILENT
) -> list[Path]:
    """Write results.csv, validation.json, report.html and the plots as PNG, as `write_result` does.

    design.json and the finished cells, which are in the same folder, are left alone. The same findings give the
    same bytes.

    Args:
        findings: What the benchmark found.
        out: Folder to write into; made if it is not there.
        facts: More lines for the report's design.
        progress: Hears about the writing.

    Returns:
        The files, in the order named above.

    Raises:
        OutputError: If a file cannot be written.
    """
    return _publish(out, BENCHMARK_FILES, lambda work: _write_findings(findings, work, facts, progress))


def _publish(out: Path, names: Sequence[str], make: Callable[[Path], list[Path]]) -> list[Path]:
    """Make files in a folder of their own, and move them into place when all are whole."""
    _check_places(folder(out), names)
    try:
        with tempfile.TemporaryDirectory(prefix=".acqplan-", dir=out, ignore_cleanup_errors=True) as work:
            made = make(Path(work))
            with uninterrupted():
                written = _move(made, out, names)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{out}: cannot be written ({reason})", "choose another folder, or make room") from error
    return written


def _move(made: Sequence[Path], out: Path, names: Sequence[str]) -> list[Path]:
    """Replace the files of an earlier result, and remove those that this one does not have."""
    written = [path.replace(out / path.name) for path in made]
    for name in names:
        if out / name not in written:
            (out / name).unlink(missing_ok=True)
    return written


def _check_places(out: Path, names: Sequence[str]) -> None:
    taken = [name for name in names if (out / name).is_dir()]
    if taken:
        raise OutputError(f"{out / taken[0]}: a folder is where a file shall be written", "choose another folder")


def _write_plan(result: Recommendation, work: Path, facts: Mapping[str, str] | None, progress: Progress) -> list[Path]:
    plan, validation = result.plan, result.validation
    made = [work / "plan.csv", work / "plan.json"]
    with progress.task("writing the report", 3) as advance:
        plan.write_csv(made[0])
        plan.write_json(made[1])
        if validation is not None:
            made.append(work / "validation.json")
            validation.write_json(made[-1])
        advance(1)
        made.append(work / "report.html")
        write_page(made[-1], plan, validation, result.sentences, advice=result.advice, facts=facts)
        advance(1)
        made.extend(write_plots(work, plan, validation, result.advice))
        advance(1)
    return made


def _write_findings(findings: Findings, work: Path, facts: Mapping[str, str] | None, progress: Progress) -> list[Path]:
    made = [work / "results.csv", work / "validation.json", work / "report.html"]
    with progress.task("writing the report", 3) as advance:
        findings.results.write_csv(made[0])
        findings.write_json(made[1])
        advance(1)
        write_benchmark_page(made[2], findings, facts=facts)
        advance(1)
        made.extend(write_benchmark_plots(work, findings))
        advance(1)
    return made
