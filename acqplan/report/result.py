"""Everything that a recommendation, a benchmark or a study leaves behind in a folder, all of it or nothing."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.evaluate.recommend import Recommendation
from acqplan.evaluate.results import BENCHMARK_FILES, BENCHMARK_MARK
from acqplan.files import check_free, folder, replace_files, replacing, uninterrupted, work_folder
from acqplan.numbers import finite
from acqplan.progress import SILENT, Progress
from acqplan.report.compared import Compared
from acqplan.report.contact import contact_sheets
from acqplan.report.page import benchmark_page_text, page_text, write_page
from acqplan.report.plot import Drawings, benchmark_drawings, plan_drawings, sheet_drawings
from acqplan.report.plot.style import save_png

if TYPE_CHECKING:
    from acqplan.evaluate.findings import Findings

# What writes a file, by its name.
Writers = dict[str, Callable[[Path], None]]
# Every file that a recommendation may leave behind.
FILES = (
    "plan.csv", "plan.json", "validation.json", "report.html", "dial.png", "classes.png", "coverage.png",
    "objects.png", "hemisphere.png", "overview.png", "accuracy.png", "bars.png", "gains.png", "advice.png",
    "surface.png", "images.png", "next.png", "mistakes.png", "worst.png",
)  # fmt: skip
# The file by which a folder of them is known, and keys that it has.
MARK = ("plan.json", ("acqplan", "strategy", "budget", "shots"))


def save(
    result: Recommendation,
    out: Path,
    *,
    facts: Mapping[str, str] | None = None,
    pictures: bool = True,
    progress: Progress = SILENT,
) -> list[Path]:
    """Write all files of a recommendation: tables, report.html and the plots as PNG; see `write_result`.

    Args:
        result: What was recommended.
        out: Folder to write into; made if it is not there.
        facts: More lines for the report's "How it was made".
        pictures: Whether to write the plots as PNG too, most of the time that it takes; the report has its own.
        progress: Hears about the writing.

    Returns:
        The files, in the order of `FILES`; only those that there is material for.

    Raises:
        OutputError: If a file cannot be written, or would replace somebody else's; names it.
    """
    check_free(folder(out), FILES, *MARK)
    plan, validation, compared = result.plan, result.validation, None
    if validation is not None and validation.records:
        compared = Compared.of_validation(validation, plan.strategy, result.sentences)
    writers: Writers = {"plan.csv": plan.write_csv, "plan.json": plan.write_json}
    if validation is not None:
        writers["validation.json"] = validation.write_json
    sheets = contact_sheets(result, progress)
    drawings = plan_drawings(plan, compared, result.advice, result.camera) | sheet_drawings(sheets) if pictures else {}
    return write_result(out, FILES, writers, partial(page_text, result, sheets=sheets, facts=facts), drawings, progress)


def save_benchmark(
    findings: Findings, out: Path, *, facts: Mapping[str, str] | None = None, progress: Progress = SILENT
) -> list[Path]:
    """Write all files of a benchmark beside its cells; the same findings give the same bytes. Otherwise as `save`.

    Returns:
        The files, in the order of `BENCHMARK_FILES`; only those that there is material for.
    """
    if not (out / "design.json").exists():  # a benchmark has checked its folder before it put that there
        check_free(folder(out), BENCHMARK_FILES, *BENCHMARK_MARK)
    writers: Writers = {"results.csv": findings.results.write_csv, "validation.json": findings.write_json}
    page = partial(benchmark_page_text, findings, facts=facts)
    return write_result(out, BENCHMARK_FILES, writers, page, benchmark_drawings(findings), progress)


def save_study(
    out: Path,
    *,
    document: Mapping[str, Any],
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    page: Callable[[], str],
    drawings: Drawings,
    others: Sequence[str] = (),
    progress: Progress = SILENT,
) -> list[Path]:
    """Write what a study leaves behind beside its cells: report.html, results.csv, findings.json and its pictures.

    Args:
        out: Folder to write into, which a study's `Cells` have checked.
        document: Everything that was found, for findings.json; NaN and infinity become null.
        columns: Head of results.csv.
        rows: Its rows.
        page: As of `write_result`.
        drawings: As of `write_result`.
        others: Pictures that the same study has with other options.
        progress: Hears about the writing.

    Returns:
        The files.

    Raises:
        OutputError: If a file cannot be written.
    """

    def results(path: Path) -> None:
        with replacing(path) as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)

    def findings(path: Path) -> None:
        with replacing(path) as handle:
            json.dump(finite(document), handle, indent=1, ensure_ascii=False)
            handle.write("\n")

    writers: Writers = {"results.csv": results, "findings.json": findings}
    # each name once: a file that is moved twice is gone
    names = ["report.html", *writers, *(f"{name}.png" for name in dict.fromkeys((*drawings, *others)))]
    return write_result(folder(out), names, writers, page, drawings, progress)


def write_result(
    out: Path,
    names: Sequence[str],
    writers: Writers,
    page: Callable[[], str],
    drawings: Drawings,
    progress: Progress = SILENT,
) -> list[Path]:
    """Write the files of a result into its folder: all at one moment, or none.

    They are made in a folder of their own within ``out``, so that a full disk, an interruption or a kill leaves what
    was there before. Files of an earlier result that this one does not have are removed: they would speak of another
    plan. All other files in ``out`` are left alone.

    Args:
        out: The folder.
        names: Names of all files that such a result may have.
        writers: What writes each file that is neither page nor picture, by its name.
        page: Gives report.html.
        drawings: What draws each picture, by its name without ``.png``.
        progress: Hears about the writing.

    Returns:
        The files.

    Raises:
        OutputError: If a file cannot be written.
    """
    every: Writers = {**writers, "report.html": lambda path: write_page(path, page())}
    for name, draw in drawings.items():
        every[f"{name}.png"] = lambda path, draw=draw: save_png(draw(), path)  # type: ignore[misc]
    with work_folder(out / "result") as work:
        with progress.task("writing the report", len(every)) as advance:
            for name, write in every.items():
                write(work / name)
                advance(1)
        with uninterrupted():
            replace_files(work, out, names)
    return [out / name for name in every]
