"""What the study of the spatial transformer leaves behind: report.html, pictures, results.csv and findings.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from acqplan import __version__
from acqplan.evaluate.results import weighted_shares
from acqplan.numbers import count_noun, percent, points, signed
from acqplan.progress import SILENT, Progress
from acqplan.report.page import STYLE, TEMPLATES
from acqplan.report.plot import Drawings
from acqplan.report.plot.style import svg_element
from acqplan.report.plot.transformer import loss_curves, pictured_cases, transformed_images
from acqplan.report.result import save_study
from acqplan.report.tables import NONE, Column, Table
from acqplan.statistics.objects import TwoWay
from acqplan.study.transformer_findings import (
    BASE_SET,
    CONTROLS,
    HOMOGRAPHY,
    REPORTED_BACKBONE,
    REPORTED_BASE,
    THESIS,
    WIDE,
    Case,
    Key,
    TransformerFindings,
    mean_words,
)
from acqplan.study.transformer_training import EXPERIMENTS

COLUMNS = (
    "search", "experiment", "set", "seed", "train_images", "setting", "epoch", "validation_loss", "object", "label",
    "loss", "accuracy",
)  # fmt: skip
READING = (
    "The thesis' table 3.5, in our reading: PCA and softmax are linear layers behind the backbone, of the base head "
    "and not trained (fixed), of the base head and trained (initialised), or Glorot-uniform and trained (random)."
)


def save_spatial_transformer(
    found: TransformerFindings, out: Path, *, facts: Mapping[str, str] | None = None, progress: Progress = SILENT
) -> list[Path]:
    """Write report.html, the pictures, results.csv and findings.json, all at one moment; see `save_study`."""
    drawings: Drawings = {f"losses-{name}": partial(loss_curves, found, name) for name in found.sets}
    for key in pictured_cases(found):
        drawings[f"transformed-{key[0].replace(' ', '-')}-{key[1]}"] = partial(transformed_images, found, key)
    page = partial(page_text, found, facts=facts)
    return save_study(
        out,
        document=document(found),
        columns=COLUMNS,
        rows=_rows(found),
        page=page,
        drawings=drawings,
        progress=progress,
    )


def _rows(found: TransformerFindings) -> Iterator[tuple[object, ...]]:
    """A row for each case, seed and test object; the base head's are without experiment."""
    objects, rows = found.tests.objects, np.unique(found.tests.object_rows)
    cases: list[tuple[Sequence[object], Case]] = [(("base head", "", BASE_SET), found.base), *found.cases.items()]
    for (search, experiment, name), case in cases:
        shares = [weighted_shares(each, found.tests, None) for each in (case.losses, case.correct)]
        for place, seed in enumerate(found.seeds):
            about: tuple[object, ...] = (found.base_settings[place], "", "")
            if case.curves:
                curves = case.curves[place]
                about = (case.settings[place], curves.best_epoch, f"{curves.loss:.6f}")
            for row, loss, accuracy in zip(rows, shares[0][place], shares[1][place], strict=True):
                tested = (objects.names[row], objects.labels[row], f"{loss:.6f}", f"{accuracy:.6f}")
                yield search, experiment, name, seed, found.train_images[str(name)], *about, *tested


def document(found: TransformerFindings) -> dict[str, Any]:
    """Everything that was found, as JSON."""

    def told(key: Key, case: Case) -> dict[str, Any]:
        compared = {"base": found.base, **({"control": found.control(key)} if key[0] in CONTROLS else {})}
        return {
            "search": key[0],
            "experiment": key[1],
            "set": key[2],
            "train_images": found.train_images[key[2]],
            "settings": [str(setting) for setting in case.settings],
            "epochs": [curves.best_epoch for curves in case.curves],
            "validation_loss": [curves.loss for curves in case.curves],
            "training_losses": [curves.training.tolist() for curves in case.curves],
            "validation_losses": [curves.validation.tolist() for curves in case.curves],
            "test_loss": case.loss,
            "accuracy": case.accuracy,
            "displacement_pixels": case.displacement,
            "mean_parameters": case.parameters.mean(axis=(0, 1), dtype=np.float64).tolist(),
            "minus": {
                name: {"loss": _ends(found.loss_difference([(case, other)])),
                       "accuracy": _ends(found.accuracy_difference([(case, other)]))}
                for name, other in compared.items()
            },
        }  # fmt: skip

    return {
        "study": "spatial-transformer",
        "acqplan": __version__,
        "rig": found.rig,
        "backbone": found.backbone,
        "seeds": list(found.seeds),
        "updates": found.updates,
        "test_images": len(found.tests),
        "base": {"set": BASE_SET, "test_loss": found.base.loss, "accuracy": found.base.accuracy,
                 "settings": [str(setting) for setting in found.base_settings],
                 "reported": REPORTED_BASE if found.is_thesis else None},
        "sentences": sentences(found),
        "cases": [told(key, case) for key, case in found.cases.items()],
    }  # fmt: skip


def _ends(difference: TwoWay) -> dict[str, Any]:
    return {"mean": difference.mean, "ci95": [difference.low, difference.high], "p": difference.p}


def _nats(difference: TwoWay) -> str:
    return f"{signed(difference.mean, 4)} ({signed(difference.low, 4)} to {signed(difference.high, 4)})"


def _shares(difference: TwoWay) -> str:
    return f"{points(difference.mean)} ({points(difference.low)} to {points(difference.high)})"


def _verb(difference: TwoWay) -> str:
    """What a difference of losses does, by its 95 % interval."""
    if difference.low <= 0.0 <= difference.high:
        return "does not measurably change"
    return "lowers" if difference.mean < 0.0 else "raises"


def headline(found: TransformerFindings) -> str:
    """The answer, in one sentence."""
    pairs = found.pairs(THESIS)
    gain = found.loss_difference(pairs)
    return (
        f"A spatial transformer {_verb(gain)} the test log-loss of the same layers trained without one: {_nats(gain)} "
        f"nats ({found.backbone}, {count_noun(len(pairs), 'case')})."
    )


def sentences(found: TransformerFindings) -> list[str]:
    """The thesis' question answered, and what it suspected."""
    pairs, said = found.pairs(THESIS), list[str]()
    for number in dict.fromkeys(experiment for _, experiment, _ in found.keys(THESIS)):
        own = [pair for key, pair in zip(found.keys(THESIS), pairs, strict=True) if key[1] == number]
        gain = found.loss_difference(own)
        said.append(
            f"Experiment {number} ({EXPERIMENTS[number]}), mean of {count_noun(len(own), 'set')}: the transformer "
            f"{_verb(gain)} the test log-loss, {_nats(gain)} nats; accuracy {_shares(found.accuracy_difference(own))} "
            f"points, to {percent(float(np.mean([case.accuracy for case, _ in own])))} %."
        )
    below = sum(case.loss < found.base.loss for case, _ in pairs)
    images = [(control, found.base) for _, control in pairs if control is not found.base]
    said.append(
        f"By the thesis' comparison {below} of {len(pairs)} experiments and sets have a test log-loss below the base "
        f"head's, {found.base.loss:.4f} (accuracy {percent(found.base.accuracy)} %), trained on {BASE_SET} alone."
    )
    if images:
        less = sum(control.loss < found.base.loss for control, _ in images)
        said[-1] += f" Without a transformer, {less} of {len(images)} have, with the same training and images."
    for search, what in ((WIDE, "A wider search for rates with warm-up"), (HOMOGRAPHY, "A projective transformation")):
        if wider := found.keys(search):
            gain, more = found.loss_difference(found.pairs(search)), found.gain_difference(search)
            itself = found.loss_difference([(found.cases[key], found.cases[THESIS, *key[1:]]) for key in wider])
            changes = "does not change" if more.low <= 0.0 <= more.high else "changes"
            said.append(
                f"{what} {changes} the answer: it {_verb(gain)} the test log-loss against its control, {_nats(gain)} "
                f"nats; this gain differs from that of the thesis' search by {_nats(more)} nats, the test log-loss "
                f"itself by {_nats(itself)}."
            )
    if found.is_thesis:
        said.append(f"The thesis reports {REPORTED_BASE} for its base head.")
    else:
        said.append(
            f"These are not the thesis' images and network ({found.rig} with {found.backbone}, not smallNORB with "
            f"{REPORTED_BACKBONE}): its base head's {REPORTED_BASE} and its table 4.1 are no measure here."
        )
    return said


def page_text(found: TransformerFindings, *, facts: Mapping[str, str] | None = None) -> str:
    """The page as text; the same findings give the same text."""
    pairs = found.pairs(THESIS)
    searches = [search for search in CONTROLS if found.keys(search)]
    pictures = [
        {
            "name": f"{key[0]}, experiment {key[1]} ({EXPERIMENTS[key[1]]}), {key[2]}",
            "picture": svg_element(
                transformed_images(found, key),
                name=f"images{number}",
                alt=f"Test images before and after the transformation of experiment {key[1]}",
            ),
            "words": f"Mean transformation of all test images: {mean_words(case.parameters, case.pictures.shape[-1])}. "
            f"A pixel is taken {case.displacement:.2f} px from its own place on average.",
        }
        for number, (key, case) in enumerate(pictured_cases(found).items())
    ]
    made = {
        "rig": found.rig,
        "backbone": f"{found.backbone}, frozen",
        "base head": "; ".join(map(str, found.base_settings)),
        "training": f"Adam, batch 8, about {found.updates:,} updates in whole epochs; best epoch and setting by the "
        "validation loss",
        "train, validation, test": "instances 4, 6, 9; 7, 8; 0, 1, 2, 3, 5 of each class",
        "test images": f"{len(found.tests):,}",
        "seeds": ", ".join(map(str, found.seeds)),
        "acqplan": __version__,
        **(facts or {}),
    }
    gain = found.loss_difference(pairs)
    return TEMPLATES.get_template("spatial_transformer.html").render(
        headline=headline(found),
        sentences=sentences(found),
        tiles=[
            (signed(gain.mean, 4), "nats, with a transformer", f"{signed(gain.low, 4)} to {signed(gain.high, 4)}"),
            (points(found.accuracy_difference(pairs).mean), "points of accuracy", "against the same without one"),
            (f"{found.base.loss:.4f}", "test log-loss of the base head", f"accuracy {percent(found.base.accuracy)} %"),
        ],
        reading=READING,
        losses=[_loss_table(found, search) for search in searches],
        cases=_case_table(found),
        curves=[
            svg_element(loss_curves(found, name), name=f"losses{number}", alt=f"Losses by epoch on {name}")
            for number, name in enumerate(found.sets)
        ],
        pictures=pictures,
        facts=made,
        notes=[
            "The control is the honest measure: the same layers, starts, orders of images and dropout, rates and "
            "epochs, without a transformer. Where only a transformer is trained (experiment 1) it is the base head.",
            f"The base head was trained on {BASE_SET} alone, on fewer images than most sets have: a test log-loss "
            "below it can come from more images as well as from a transformer.",
            "Intervals are over test objects"
            + (
                " and seeds." if len(found.seeds) > 1 else ", for the one seed that was run: other starts would differ."
            ),
            "The setting and the epoch are chosen on the validation objects; no test image chooses anything.",
        ],
        colours=STYLE,
    )


def _loss_table(found: TransformerFindings, search: str) -> Table:
    """The thesis' table 4.1: test log-losses by set and experiment."""
    keys = found.keys(search)
    experiments = sorted({key[1] for key in keys})
    rows = []
    for name in dict.fromkeys(key[2] for key in keys):
        losses = [found.cases[search, experiment, name].loss for experiment in experiments]
        cells = [f"{loss:.4f}{' ↓' if loss < found.base.loss else ''}" for loss in losses]
        rows.append([name, f"{found.train_images[name]:,}", *cells])
    names = ("set", "training images", *(f"{number}: {EXPERIMENTS[number]}" for number in experiments))
    reported = f", the thesis' {REPORTED_BASE}" if found.is_thesis else ""
    return Table(
        columns=[Column(name=name) for name in names],
        rows=rows,
        caption=f"Test log-loss, nats: {search}",
        footnote=f"↓ below the base head's {found.base.loss:.4f}{reported}, as the thesis lists them.",
        label=f"log-losses, {search}",
    )


def _case_table(found: TransformerFindings) -> Table:
    rows, kinds = [], []
    for key, case in found.cases.items():
        search, experiment, name = key
        setting = "; ".join(dict.fromkeys(map(str, case.settings)))
        epochs = ", ".join(str(curves.best_epoch) for curves in case.curves)
        cells = [NONE, NONE, NONE]
        if search in CONTROLS:
            pair = [(case, found.control(key))]
            gain = found.loss_difference(pair)
            cells = [_nats(gain), _shares(found.accuracy_difference(pair)), f"{case.displacement:.2f}"]
        base = _nats(found.loss_difference([(case, found.base)]))
        rows.append(
            [
                f"{experiment}, {name}, {search}",
                setting,
                epochs,
                f"{case.loss:.4f}",
                base,
                cells[0],
                percent(case.accuracy),
                *cells[1:],
            ]
        )
        kinds.append("own" if search == THESIS else "")
    names = (
        "experiment, set, search", "setting chosen", "best epoch", "test log-loss", "minus base head",
        "minus control", "accuracy, %", "minus control, points", "moved, px",
    )  # fmt: skip
    return Table(
        columns=[Column(name=name, text=number < 2) for number, name in enumerate(names)],
        rows=rows,
        kinds=kinds,
        footnote="In brackets 95 % intervals over test objects and seeds. Moved: how far from its own place a pixel is "
        "taken, mean over pixels and test images.",
        label="every case",
    )
