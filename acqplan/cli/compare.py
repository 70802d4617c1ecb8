"""``acqplan compare``: do two sets of predictions differ, on these images and on new objects?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from acqplan.cli.console import exit_codes, print_json, print_result


def command(
    a: Annotated[
        Path, typer.Argument(metavar="A.csv", help="Predictions of one classifier: image,object,label,predicted.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B.csv", help="Predictions of the other, on the same images.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare two classifiers' predictions: McNemar on images, and tests on objects."""
    with exit_codes():
        from acqplan.evaluate.compare import compare

        comparison = compare(a, b)
        if as_json:
            print_json(comparison.to_dict())
            return
        from acqplan.report.terminal import predictions_summary

        print_result(predictions_summary(comparison), "", comparison.sentence)
