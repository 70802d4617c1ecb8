"""Everything that a recommendation or a benchmark leaves behind in a folder, all of it or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from acqplan.errors import OutputError
from acqplan.evaluate.recommend import Recommendation
from acqplan.files import folder, uninterrupted
from acqplan.progress import SILENT, Progress
from acqplan.report.benchmark import benchmark_page_text
from acqplan.report.compared import Compared
from acqplan.report.page import write_page
from acqplan.report.plot import Drawings, benchmark_drawings, plan_drawings
from acqplan.report.plot.style import save_png
from acqplan.report.recommendation import page_text

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

Writers = dict[str, Callable[[Path], None]]
"""What writes each file, by its name."""


def save(
    result: Recommendation | Findings,
    out: Path,
    *,
    facts: Mapping[str, str] | None = None,
    progress: Progress = SILENT,
) -> list[Path]:
    """Write all files of a result: tables, report.html and the plots as PNG.

    The files are made in a folder of their own within ``out`` and moved into place when the last one is
    whole, so that a full disk or an interruption leaves what was there before. Files of an earlier
    result that this one does not have are removed: they would speak of another plan. All other files in
    ``out`` are left alone. The same findings of a benchmark give the same bytes.

    Args:
        result: What was recommended, or what a benchmark found.
        out: Folder to write into; made if it is not there.
        facts: More lines for the report's "How it was made" or its design.
        progress: Hears about the writing.

    Returns:
        The files, in the order of `FILES` or `BENCHMARK_FILES`; only those that there is material for.

    Raises:
        OutputError: If a file cannot be written.
    """
    names: tuple[str, ...] = FILES if isinstance(result, Recommendation) else BENCHMARK_FILES
    writers = _plan_writers(result, facts) if isinstance(result, Recommendation) else _findings_writers(result, facts)
    # Seen before anything is made: a folder cannot be replaced by a file.
    taken = [name for name in names if (folder(out) / name).is_dir()]
    if taken:
        raise OutputError(f"{out / taken[0]}: a folder is where a file shall be written", "choose another folder")
    try:
        with tempfile.TemporaryDirectory(prefix=".acqplan-", dir=out, ignore_cleanup_errors=True) as work:
            with progress.task("writing the report", len(writers)) as advance:
                for name, write in writers.items():
                    write(Path(work) / name)
                    advance(1)
            with uninterrupted():
                written = [(Path(work) / name).replace(out / name) for name in writers]
                for name in names:
                    if name not in writers:
                        (out / name).unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{out}: cannot be written ({reason})", "choose another folder, or make room") from error
    return written


write_result = write_benchmark = save
"""`save` by the names of what it saves."""


def _plan_writers(result: Recommendation, facts: Mapping[str, str] | None) -> Writers:
    plan, validation, advice = result.plan, result.validation, result.advice
    compared = None
    if validation is not None and validation.records:
        compared = Compared.of_validation(validation, plan.strategy, result.sentences)
    writers: Writers = {"plan.csv": plan.write_csv, "plan.json": plan.write_json}
    if validation is not None:
        writers["validation.json"] = validation.write_json
    writers["report.html"] = lambda path: write_page(
        path, page_text(plan, validation, result.sentences, advice=advice, facts=facts)
    )
    return writers | _png_writers(plan_drawings(plan, compared, advice))


def _findings_writers(findings: Findings, facts: Mapping[str, str] | None) -> Writers:
    return {
        "results.csv": findings.results.write_csv,
        "validation.json": findings.write_json,
        "report.html": lambda path: write_page(path, benchmark_page_text(findings, facts=facts)),
        **_png_writers(benchmark_drawings(findings)),
    }


def _png_writers(drawings: Drawings) -> Writers:
    return {
        f"{name}.png": lambda path, draw=draw: save_png(draw(), path)  # type: ignore[misc]
        for name, draw in drawings.items()
    }
