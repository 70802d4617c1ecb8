"""Everything that a recommendation leaves behind in a folder, all of it or nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from acqplan.errors import OutputError
from acqplan.evaluate.recommend import Recommendation
from acqplan.files import folder, uninterrupted
from acqplan.progress import SILENT, Progress
from acqplan.report.page import write_page
from acqplan.report.plot import write_plots

FILES = (
    "plan.csv", "plan.json", "validation.json", "report.html", "dial.png", "classes.png", "coverage.png",
    "objects.png", "overview.png", "accuracy.png", "bars.png", "gains.png",
)  # fmt: skip
"""Every file that a result may leave behind."""


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
        The files, in the order named above; validation.json only if there is a validation.

    Raises:
        OutputError: If a file cannot be written.
    """
    _check_places(folder(out))
    try:
        with tempfile.TemporaryDirectory(prefix=".acqplan-", dir=out, ignore_cleanup_errors=True) as work:
            made = _write_all(result, Path(work), facts, progress)
            with uninterrupted():
                written = _move(made, out)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{out}: cannot be written ({reason})", "choose another folder, or make room") from error
    return written


def _move(made: Sequence[Path], out: Path) -> list[Path]:
    """Replace the files of an earlier result, and remove those that this one does not have."""
    written = [path.replace(out / path.name) for path in made]
    for name in FILES:
        if out / name not in written:
            (out / name).unlink(missing_ok=True)
    return written


def _check_places(out: Path) -> None:
    taken = [name for name in FILES if (out / name).is_dir()]
    if taken:
        raise OutputError(f"{out / taken[0]}: a folder is where a file shall be written", "choose another folder")


def _write_all(result: Recommendation, work: Path, facts: Mapping[str, str] | None, progress: Progress) -> list[Path]:
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
        write_page(made[-1], plan, validation, result.sentences, facts=facts)
        advance(1)
        made.extend(write_plots(work, plan, validation))
        advance(1)
    return made
