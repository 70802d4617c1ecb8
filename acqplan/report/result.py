"""Everything that a recommendation leaves behind in a folder, all of it or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from acqplan.errors import OutputError
from acqplan.evaluate.recommend import Recommendation
from acqplan.files import folder
from acqplan.report.page import write_page
from acqplan.report.plot import write_plots


def write_result(result: Recommendation, out: Path, *, facts: Mapping[str, str] | None = None) -> list[Path]:
    """Write plan.csv, plan.json, validation.json, report.html and the plots as PNG.

    The files are made in a folder of their own within ``out`` and moved into place when the last one is
    whole, so that a full disk or an interruption leaves what was there before.

    Args:
        result: What was recommended.
        out: Folder to write into; made if it is not there.
        facts: More lines for the report's "How it was made".

    Returns:
        The files, in the order named above; validation.json only if there is a validation.

    Raises:
        OutputError: If a file cannot be written.
    """
    try:
        work = Path(tempfile.mkdtemp(prefix=".acqplan-", dir=folder(out)))
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror})", "choose another with --out") from error
    try:
        made = _write_all(result, work, facts)
        return [path.replace(out / path.name) for path in made]
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_all(result: Recommendation, work: Path, facts: Mapping[str, str] | None) -> list[Path]:
    plan, validation = result.plan, result.validation
    made = [work / "plan.csv", work / "plan.json"]
    plan.write_csv(made[0])
    plan.write_json(made[1])
    if validation is not None:
        made.append(work / "validation.json")
        validation.write_json(made[-1])
    made.append(work / "report.html")
    write_page(made[-1], plan, validation, result.sentences, facts=facts)
    return [*made, *write_plots(work, plan, validation)]
