"""What the study of freezing leaves behind: report.html, pictures, results.csv and findings.json; its rule in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from acqplan import __version__
from acqplan.numbers import count_noun, percent, points
from acqplan.progress import SILENT, Progress
from acqplan.report.page import STYLE, TEMPLATES
from acqplan.report.plot.freeze import depth_curves, freezing_map, generality, image_curves
from acqplan.report.plot.style import svg_element
from acqplan.report.result import save_study
from acqplan.report.tables import Column, Table
from acqplan.statistics.objects import mean_interval
from acqplan.study.freeze_depth import FreezeDepth
from acqplan.study.freeze_rule import FreezeRule, freeze_rule
from acqplan.study.freeze_training import StudiedNetwork

# What the study that this repeats found.
REPORTED = "the first 2 to 3 layers below about 300 to 900 images per class, and fine-tune all above"
SOURCE_DATA = ("Tiny-ImageNet's layout", "MiniPlaces' layout")
# With fewer, a bootstrap is too sure.
FEW_RUNS = 6
COLUMNS = ("origin", "kept", "frozen", "images", "unit", "accuracy")
PICTURES = {"layers": depth_curves, "images": image_curves, "freezing": freezing_map, "generality": generality}


def save_freeze_depth(
    study: FreezeDepth, out: Path, *, facts: Mapping[str, str] | None = None, progress: Progress = SILENT
) -> list[Path]:
    """Write report.html, the pictures, results.csv and findings.json, all at one moment; see `save_study`."""
    rows = (
        (condition.origin, condition.kept, condition.frozen, condition.images, unit, f"{value:.6f}")
        for condition, values in study.accuracies.items()
        for unit, value in enumerate(values)
    )
    return save_study(
        out,
        document=freezing_document(study),
        columns=COLUMNS,
        rows=rows,
        page=partial(freezing_page_text, study, facts=facts),
        drawings={name: partial(draw, study) for name, draw in PICTURES.items()},
        progress=progress,
    )


def freezing_document(study: FreezeDepth) -> dict[str, Any]:
    """Everything that was found, as JSON; an ``until`` beyond the most images is null."""

    def said(rule: FreezeRule) -> dict[str, Any]:
        return {
            "layers": rule.layer,
            "until": rule.until,
            "until95": [rule.low, rule.high],
            "gain": rule.gain,
            "share_gains": rule.share,
            "share_layers": dict(zip(map(str, study.layers), rule.layers.tolist(), strict=True)),
        }

    return {
        "study": "freeze-depth",
        "acqplan": __version__,
        "data": study.data,
        "network": study.protocol.network.name,
        "repeats": study.protocol.repeats,
        "sentences": freezing_sentences(study),
        "rules": {name: said(freeze_rule(study, tuned=tuned)) for name, tuned in (("tuned", True), ("random", False))},
        "accuracy": {condition.name: values.tolist() for condition, values in study.accuracies.items()},
    }


def _until(images: float, study: FreezeDepth) -> str:
    """A number of images in words, as far as it was measured."""
    if images == 0.0:
        return f"below {study.images[0]:,}"
    return f"above {study.images[-1]:,}" if math.isinf(images) else f"{images:,.0f}"


def _between(rule: FreezeRule, study: FreezeDepth) -> str:
    """The interval of the number of images in words."""
    low, high = _until(rule.low, study), _until(rule.high, study)
    return low if low == high else f"{low} to {high}"


def rule_sentence(study: FreezeDepth, rule: FreezeRule) -> str:
    """The rule in one sentence, without its uncertainty."""
    if not rule.layer:
        return f"Freeze no layer: fine-tuning all is as good from {count_noun(study.images[0], 'image')} per class on."
    layers = "the first layer" if rule.layer == 1 else f"the first {rule.layer} layers"
    if math.isinf(rule.until):
        return f"Freeze {layers}, also at {study.images[-1]:,} images per class, the most that were tried."
    return f"Freeze {layers} until {rule.until:,.0f} images per class, and fine-tune all above."


def freezing_sentences(study: FreezeDepth) -> list[str]:
    """The rule of each way, its uncertainty, and the rule of the study that this repeats."""
    units, few, found = len(next(iter(study.accuracies.values()))), study.images[0], list[str]()
    for tuned in (True, False):
        rule = freeze_rule(study, tuned=tuned)
        said = rule_sentence(study, rule)
        if not tuned:
            against = "If the rest starts at random instead, against a network that starts at random as a whole: "
            count = f"{count_noun(rule.layer, 'frozen layer')} until {_until(rule.until, study)} images per class"
            said = against + (f"{count}." if rule.layer else "freezing gains nothing.")
        gain = f" It gains {points(rule.gain)} points on average there." if rule.layer else ""
        doubt = " One repeat and direction says nothing about others."
        if units > 1:
            shares = zip(study.layers, rule.layers, strict=True)
            listed = ", ".join(f"{layer} in {100 * share:.0f} %" for layer, share in shares if share >= 0.05)
            ends = _between(rule, study)
            doubt = (
                f" Drawn anew from {units} runs (repeats and directions), freezing gains at {few:,} images in "
                f"{100 * rule.share:.0f} % of draws (layers: {listed or 'none'}), until {ends} images (95 %)."
                + (" So few runs say little about others." if units < FEW_RUNS else "")
            )
        found.append(said + gain + doubt)
    is_like = study.data in SOURCE_DATA and study.protocol.network == StudiedNetwork()
    found.append(
        f"The study that this repeats (AlexNet, one run of each network) found: freeze {REPORTED}."
        + ("" if is_like else " These are not its images or its network: numbers of images here are no measure of it.")
    )
    return found


def freezing_page_text(study: FreezeDepth, *, facts: Mapping[str, str] | None = None) -> str:
    """The page as text; the same study gives the same text."""
    rule, protocol, network = freeze_rule(study, tuned=True), study.protocol, study.protocol.network
    headline, (first, *others) = rule_sentence(study, rule), freezing_sentences(study)
    few, most, plan = study.images[0], study.images[-1], protocol.plan
    reach = f"95 %: {_between(rule, study)}"
    gain = study.frozen(0, few, tuned=True).mean() - study.frozen(0, few, tuned=False).mean()
    width = f", {percent(network.width)} % of its width" if network.width != 1.0 else ""
    made = {
        "images": study.data,
        "network": f"{network.name}{width}, {study.depth} layers with weights, mirrored crops of {network.crop} pixels",
        "training": f"SGD, momentum {plan.momentum:g}, rate {plan.rate:g} falling as a cosine, batch {plan.batch}, "
        f"{plan.iterations:,} updates; {protocol.source_iterations:,} on the source",
        "classes": f"{study.classes} of a target",
        "repeats": f"{protocol.repeats}, seed {protocol.seed}",
        "acqplan": __version__,
        **(facts or {}),
    }
    alts = {
        "layers": "Accuracy against frozen layers for each number of images",
        "images": "Accuracy against images per class for each number of frozen layers",
        "freezing": "What freezing adds, by layers and images",
        "generality": "Accuracy after transfer to the own classes and to others, layer by layer",
    }
    return TEMPLATES.get_template("freeze_depth.html").render(
        headline=headline,
        sentences=[first.removeprefix(headline).strip(), *others],
        tiles=[
            (str(rule.layer), f"of {count_noun(study.depth - 1, 'layer')} to freeze", "the rest fine-tuned"),
            (_until(rule.until, study), "images per class", reach),
            (points(gain), "points by transfer", f"at {few:,} images per class"),
        ],
        pictures={name: svg_element(draw(study), name=name, alt=alts[name]) for name, draw in PICTURES.items()},
        table=_table(study),
        most=most,
        updates=plan.iterations,
        facts=made,
        colours=STYLE,
    )


def _table(study: FreezeDepth) -> Table:
    """Accuracy of every network at every number of images."""

    def cells(values: list[Any]) -> list[str]:
        found = []
        for value in values:
            mean, low, high = mean_interval(value)
            found.append(percent(mean) + (f" ({percent(low)} to {percent(high)})" if len(value) > 1 else ""))
        return found

    rows = [
        ["all random (base)", *cells([study.frozen(0, n, tuned=False) for n in study.images])],
        ["all fine-tuned (FTall)", *cells([study.frozen(0, n, tuned=True) for n in study.images])],
    ]
    for layer in study.layers:
        for tuned, word in ((True, "fine-tuned"), (False, "random")):
            values = [study.frozen(layer, n, tuned=tuned) for n in study.images]
            rows.append([f"{layer} frozen, the rest {word}", *cells(values)])
    return Table(
        columns=[Column(name="network", text=True), *(Column(name=f"{n:,} images") for n in study.images)],
        rows=rows,
        caption="Accuracy on test images of the target classes, %",
        footnote="Means over repeats and directions with Student's 95 % interval.",
        label="every network",
    )
