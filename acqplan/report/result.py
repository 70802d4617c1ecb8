"""Everything that a recommendation or a benchmark leaves behind in a folder, all of it or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from acqplan.errors import OutputError
from acqplan.evaluate.recommend import Recommendation
from acqplan.evaluate.results import BENCHMARK_FILES, BENCHMARK_MARK
from acqplan.files import check_free, clear_abandoned, folder, replace_files, uninterrupted, work_folder
from acqplan.progress import SILENT, Progress
from acqplan.report.compared import Compared
from acqplan.report.page import benchmark_page_text, page_text, write_page
from acqplan.report.plot import benchmark_drawings, plan_drawings
from acqplan.report.plot.style import save_png

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

# Every file that a recommendation may leave behind.
FILES = (
    "plan.csv", "plan.json", "validation.json", "report.html", "dial.png", "classes.png", "coverage.png",
    "objects.png", "overview.png", "accuracy.png", "bars.png", "gains.png", "advice.png",
)  # fmt: skip
# The file by which a folder of them is known, and keys that it has.
MARK = ("plan.json", ("acqplan", "strategy", "budget", "shots"))


def save(
    result: Recommendation | Findings,
    out: Path,
    *,
    facts: Mapping[str, str] | None = None,
    progress: Progress = SILENT,
) -> list[Path]:
    """Write all files of a result: tables, report.html and the plots as PNG.

    The files are made in a folder of their own within ``out`` and come into place all at one moment when the last one
    is whole, so that a full disk, an interruption or a kill leaves what was there before. Files of an earlier result
    that this one does not have are removed: they would speak of another plan. All other files in ``out`` are left
    alone. The same findings of a benchmark give the same bytes.

    Args:
        result: What was recommended, or what a benchmark found.
        out: Folder to write into; made if it is not there.
        facts: More lines for the report's "How it was made" or its design.
        progress: Hears about the writing.

    Returns:
        The files, in the order of `FILES` or `BENCHMARK_FILES`; only those that there is material for.

    Raises:
        OutputError: If a file cannot be written, or would replace somebody else's; names it.
    """
    of_plan = isinstance(result, Recommendation)
    names, mark = (FILES, MARK) if of_plan else (BENCHMARK_FILES, BENCHMARK_MARK)
    writers = _writers(result, facts)
    # A benchmark has checked its folder before it put design.json there.
    if of_plan or not (out / "design.json").exists():
        check_free(folder(out), names, *mark)
    clear_abandoned(out)
    try:
        work = work_folder(out)
        try:
            with progress.task("writing the report", len(writers)) as advance:
                for name, write in writers.items():
                    write(work / name)
                    advance(1)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        with uninterrupted():
            replace_files(work, out, names)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{out}: cannot be written ({reason})", "choose another folder, or make room") from error
    return [out / name for name in writers]


def _writers(result: Recommendation | Findings, facts: Mapping[str, str] | None) -> dict[str, Callable[[Path], None]]:
    """What writes each file, by its name."""
    if isinstance(result, Recommendation):
        plan, validation, advice, compared = result.plan, result.validation, result.advice, None
        if validation is not None and validation.records:
            compared = Compared.of_validation(validation, plan.strategy, result.sentences)
        writers: dict[str, Callable[[Path], None]] = {"plan.csv": plan.write_csv, "plan.json": plan.write_json}
        if validation is not None:
            writers["validation.json"] = validation.write_json
        page = partial(page_text, plan, validation, result.sentences, advice=advice, facts=facts)
        drawings = plan_drawings(plan, compared, advice)
    else:
        writers = {"results.csv": result.results.write_csv, "validation.json": result.write_json}
        page = partial(benchmark_page_text, result, facts=facts)
        drawings = benchmark_drawings(result)
    writers["report.html"] = lambda path: write_page(path, page())
    for name, draw in drawings.items():
        writers[f"{name}.png"] = lambda path, draw=draw: save_png(draw(), path)  # type: ignore[misc]
    return writers
