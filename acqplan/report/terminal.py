"""What commands print: a plan as one picture, tables, advice and facts, drawn by rich."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Int
from rich import table as rich_table
from rich.console import Group, RenderableType
from rich.text import Text

from acqplan.advice.answers import Advice
from acqplan.advice.sentences import advice_headline, advice_in_short, advice_sentences
from acqplan.evaluate.headline import Headline, taking
from acqplan.numbers import clock_words, count_noun, count_range, p_text, percent, points, printable, shortened
from acqplan.plan.plan import Plan
from acqplan.plan.route import change_words, route_words
from acqplan.report.compared import Compared
from acqplan.report.counts import axis_title, cut, object_counts, picture_axes
from acqplan.report.plot.style import heat_step
from acqplan.report.tables import Table, accuracy_table, gains_table, learning_table
from acqplan.space import Category, Shots

if TYPE_CHECKING:
    from acqplan.evaluate.compare import Comparison
    from acqplan.evaluate.findings import Findings
    from acqplan.evaluate.recommend import Recommendation

ROW_STYLES = {"own": "bold", "end": "dim"}
# Styles of rows, and of their last cells, by the kind of row.
LAST_STYLES = {"better": "bold green", "worse": "bold red", "no": "yellow", "failed": "dim"}
# Few shots to many: from blue to yellow (as cividis), readable on dark and light terminals.
HEAT_STYLES = (
    "#ffffff on #26456e",
    "#ffffff on #4a5a74",
    "#ffffff on #66676d",
    "#000000 on #b0a26d",
    "#000000 on #f0d04a",
)
MOST_COLUMNS = 18
MOST_ROWS = 12
MOST_CLASSES = 12
MOST_LINES = 4
EIGHTHS = " ▁▂▃▄▅▆▇█"

# Letters of a benchmark's last column: a signed difference and one word.
VERDICT_WIDTH = 14


def drawn_table(table: Table) -> RenderableType:
    """A table without lines, its footnote below it; columns that only a page has room for are left out."""
    drawn = rich_table.Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    shown = [row for row, column in enumerate(table.columns) if column.short is not None]
    for row in shown:
        column = table.columns[row]
        if not column.below:
            align: Literal["left", "right"] = "left" if column.text else "right"
            one_line = column.width is None or row == 0
            drawn.add_column(column.short or "", justify=align, no_wrap=one_line, max_width=column.width)
    for number, cells in enumerate(table.rows):
        kind = table.kinds[number] if table.kinds else ""
        parts: list[Text] = []
        # Cells are Text, so that brackets in names are not read as markup.
        for row in shown:
            if not table.columns[row].below:
                parts.append(Text(printable(cells[row])))
            elif cells[row]:
                parts[-1].append(f"\n{printable(cells[row])}")
        parts[-1].stylize(LAST_STYLES.get(kind, ""))
        drawn.add_row(*parts, style=ROW_STYLES.get(kind, ""))
    return Group(drawn, Text(), Text(printable(table.footnote), style="dim")) if table.footnote else drawn


def bullets(sentences: Sequence[str]) -> RenderableType:
    """Sentences one below the other, each with a dot before it."""
    words = rich_table.Table.grid(padding=(0, 1))
    words.add_column()
    words.add_column(overflow="fold")
    for sentence in sentences:
        words.add_row("•", Text(printable(sentence)))
    return words


def facts_table(facts: Mapping[str, str]) -> RenderableType:
    """Keys and values in two columns."""
    table = rich_table.Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        table.add_row(Text(printable(key)), Text(printable(value)))
    return table


def headline_lines(first: Headline) -> RenderableType:
    """The number that matters most, and what was found."""
    return Group(
        Text.assemble((f"{first.number} {first.about}.", "bold")), Text(printable(first.finding), style="bold")
    )


def result_summary(result: Recommendation, *, verbose: bool = False) -> RenderableType:
    """What a plan gains, whether to stop, and every strategy beside it: half a screen, or everything.

    Args:
        result: What was recommended; its plan is printed before, by `plan_table`.
        verbose: Whether to print tests, verdicts and advice in words as well.
    """
    first = result.headline
    is_known = result.validation is not None or result.plan.predicted is not None  # else the plan has said the number
    parts: list[RenderableType] = [headline_lines(first) if is_known else Text(first.finding, style="bold")]
    if result.advice is not None and not verbose:
        parts += [Text(printable(advice_headline(result.advice)))]
    if result.validation is not None and result.validation.records:
        compared = Compared.of_validation(result.validation, result.plan.strategy, result.sentences)
        parts += [Text(), drawn_table(gains_table(compared))]
        if verbose:
            parts += [Text(), bullets(compared.sentences)]
    if verbose and result.plan.sensitivity:
        parts += [Text(), Text(f"Learned from the images: {result.plan.sensitivity}")]
    if result.advice is not None and verbose:
        parts += [Text(), Text("Stop, or go on?", style="bold"), bullets(advice_in_short(result.advice))]
    return Group(*parts)


def benchmark_summary(findings: Findings, *, width: int = 80, verbose: bool = False) -> RenderableType:
    """The claim in a sentence, accuracy of every strategy at every budget, and with ``verbose`` all verdicts in words.

    Args:
        findings: What the benchmark found.
        width: Columns of the terminal; budgets that do not fit are left out, the primary one never.
        verbose: Whether to print the verdicts.
    """
    compared = Compared.of_findings(findings)
    # Budgets that fit, the primary one first.
    longest = max(len(shortened(name, 16)) for name in compared.strategies)
    left = width - max(longest, len("strategy")) - 1 - VERDICT_WIDTH
    kept: list[int] = []
    for budget in dict.fromkeys([compared.budget, *budget_ranks(compared.budgets)]):
        left -= max(len(f"{budget:,}"), len("100.0")) + 1
        if left >= 0 or not kept:
            kept.append(budget)
    table = drawn_table(accuracy_table(compared, sorted(kept)))
    parts: list[RenderableType] = [headline_lines(findings.headline), Text(), table]
    if verbose:
        parts += [Text(), bullets(compared.sentences)]
    if findings.failed:
        names = sorted({cell.strategy for cell in findings.failed})[:8]
        some = ", ".join(shortened(name, 16) for name in names)
        failures = f"{count_noun(len(findings.failed), 'cell')} failed: {some}; report.html names them all"
        parts += [Text(), Text(failures, style="bold red")]
    return Group(*parts)


def budget_ranks(budgets: Sequence[int]) -> list[int]:
    """Budgets in the order in which to keep them: the ends, then the middle, then the middles of what is left."""
    order = sorted(budgets)
    kept: list[int] = []
    parts = [(0, len(order) - 1)]
    while parts:
        low, high = parts.pop(0)
        kept += [order[row] for row in (high, low, (low + high) // 2) if row >= 0]
        middle = (low + high) // 2
        parts += [part for part in ((low, middle), (middle, high)) if part[1] - part[0] > 1]
    return list(dict.fromkeys(kept))


def predictions_summary(comparison: Comparison) -> RenderableType:
    """Two classifiers on the same images: the test on objects first, those on images below it."""
    low, high = map(points, comparison.ci95)
    first, second = (f"{percent(ends[0])} to {percent(ends[1])}" for ends in (comparison.ci95_a, comparison.ci95_b))
    facts = {
        "first": f"{comparison.a}: {percent(comparison.accuracy_a)} % right (95 % interval {first}), mean of "
        f"{comparison.n_objects:,} objects",
        "second": f"{comparison.b}: {percent(comparison.accuracy_b)} % ({second})",
        "difference": f"{points(comparison.difference)} points (95 % interval {low} to {high})",
        "p, objects": f"{p_text(comparison.p_object)} (signs flipped; decides the verdict)",
        "p, equality": f"{p_text(comparison.p_equivalent)} (small: equal to within a point)",
        "p, clustered": f"Obuchowski {p_text(comparison.obuchowski.p)}, Durkalski {p_text(comparison.durkalski.p)}",
        "p, McNemar": f"{p_text(comparison.p_mcnemar)} ({comparison.n_images:,} images; conditional on these objects)",
        "only one right": f"first {comparison.n10:,}, second {comparison.n01:,}",
    }
    return facts_table(facts)


def advice_report(advice: Advice, *, verbose: bool = False) -> RenderableType:
    """The advice in two sentences, the learning curve on left-out objects, and the most important sentences, or all."""
    title = f"{advice.images:,} images of {advice.objects:,} objects, {advice.classes:,} classes"
    if advice.points:
        title += f": {percent(advice.points[-1].accuracy.estimate)} % right on objects left out in turn"
    parts: list[RenderableType] = [Text(f"{title}."), Text(printable(advice_headline(advice)), style="bold"), Text()]
    if advice.points:
        parts += [drawn_table(learning_table(advice)), Text()]
    short = advice_in_short(advice)  # of which the headline has said the first and the best use
    some = short[1 : len(short) - (advice.best is not None)]
    return Group(*parts, bullets(advice_sentences(advice) if verbose else some))


def plan_table(plan: Plan, *, width: int = 80, verbose: bool = False, now: float | None = None) -> RenderableType:
    """A plan as one picture: what to take and how long it lasts, shots per view with totals, other axes, and classes.

    Args:
        plan: The plan.
        width: Columns of the terminal; 80 hold 18 azimuths by 9 elevations.
        verbose: Whether to say how it was made and what is kept aside.
        now: When it is shown, in seconds since 1970, to say when the last image would be taken; no clock if ``None``.
    """
    shots, lasting = plan.shots, ""
    if plan.route_seconds:
        ends = "" if now is None else f", until {clock_words(now + plan.route_seconds, now)} if begun now"
        uncounted = ", changes of object not counted" if plan.seconds_per_object is None else ends
        lasting = f" That takes {route_words(plan).partition(';')[0]}{uncounted}."
    parts: list[RenderableType] = [Text(printable(taking(plan) + lasting), style="bold")]
    if verbose:
        parts.append(Text(f"Strategy {printable(plan.strategy)}, seed {plan.seed}"))
        parts += [Text(f"Taking them lasts {route_words(plan)}")] if plan.route_seconds else []
        parts += [Text(f"In this order: {printable(changes)}")] if (changes := change_words(plan)) else []
    for said in plan.kept_aside.get("words", ()):  # names of objects only where all is asked for
        parts.append(Text(printable(f"{said[0].upper()}{said[1:] if verbose else said[1:].partition(':')[0]}.")))
    parts += [Text(), *views_picture(shots, width), Text()]
    others = [column for column in range(len(shots.space.axes)) if column not in picture_axes(shots.space)]
    if others:
        parts.append(_other_axes(shots, others, verbose=verbose))
    return Group(*parts, _classes(plan))


def views_picture(shots: Shots, width: int = 80) -> Iterator[Text]:
    """Shots per view: a caption, labels of columns, one line per row, and sums; a dot where no shot is taken."""
    space = shots.space
    across, down = picture_axes(space)
    both = np.concatenate([space.views(), shots.coordinates])
    rows = None if down is None else cut(space.axes[down], both[:, down], most=MOST_ROWS)
    labels = ("shots",) if rows is None else rows.labels
    margin, total = max(2, *map(len, labels)) + 1, len(f"{len(shots)}") + 1
    left = width - margin - total
    # As many columns as fit without touching digits; levels of a category cannot be put together.
    for most in range(MOST_COLUMNS, 0, -1):
        columns = cut(space.axes[across], both[:, across], most=most)
        bins = columns.rows + (0 if rows is None else rows.rows * len(columns))
        shape = (len(labels), len(columns))
        counts, allowed = (
            np.bincount(bins[part], minlength=shape[0] * shape[1]).reshape(shape)
            for part in (slice(space.n_views, None), slice(space.n_views))
        )
        cell = max(len(f"{counts.max()}") + 1, min(6, left // len(columns)))
        longest = max(len(f"{counts.sum(axis=0).max()}"), *map(len, columns.starts))
        if isinstance(columns.axis, Category) or (cell * len(columns) <= left and longest < 2 * cell):
            break
    wide = f", each column {columns.width:.3g} wide from its number on" if columns.width else ""
    caption = f"{axis_title(rows.axis)} down, " if rows else ""
    yield Text(f"Shots per view: {caption}{axis_title(columns.axis)} across{wide}", style="italic")
    yield from _margin_lines(columns.starts, cell, ("".rjust(margin), "Σ".rjust(total)), "bold")
    # Large numbers at the top, as in a plot.
    upwards = rows is not None and not isinstance(rows.axis, Category)
    for row in reversed(range(len(labels))) if upwards else range(len(labels)):
        line = Text(labels[row].rjust(margin - 1) + " ", style="bold")
        for count, is_allowed in zip(counts[row], allowed[row], strict=True):
            if count:
                heat = HEAT_STYLES[heat_step(int(count), int(counts.max()))]
                line.append(f"{count}".rjust(cell - 1) + " ", style=f"not bold {heat}")
            else:
                line.append(("·" if is_allowed else " ").rjust(cell), style="not bold dim")
        yield line.append(f"{counts[row].sum()}".rjust(total), style="not bold")
    if rows:
        sums = [str(count) for count in counts.sum(axis=0)]
        yield from _margin_lines(sums, cell, ("Σ ".rjust(margin), f"{counts.sum()}".rjust(total)), "not bold")


def _margin_lines(labels: Sequence[str], cell: int, ends: tuple[str, str], style: str) -> Iterator[Text]:
    """Labels over columns; where they would touch, every other one goes to a second line."""
    fit = [shortened(label, 2 * cell - 1) for label in labels]
    n_lines = 1 if max(map(len, fit)) < cell else 2
    for number in range(n_lines):
        # Labels end one letter before the right edge of their cells, as counts do.
        line = " " * (cell * len(fit))
        for column, label in enumerate(fit):
            if column % n_lines == number:
                stop = max((column + 1) * cell - 1, len(label))
                line = line[: stop - len(label)] + label + line[stop:]
        left, right = ends if number == 0 else (" " * len(ends[0]), "")
        yield Text(left, style="bold").append(line, style=style).append(right, style="bold")


def _other_axes(shots: Shots, columns: Sequence[int], *, verbose: bool) -> RenderableType:
    """Axes that the picture does not show: shares of their levels, and how many levels each pose gets."""
    table = rich_table.Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for column in columns:
        axis = shots.space.axes[column]
        bins = cut(axis, shots.coordinates[:, column], most=9)
        counts = bins.count()
        shares = "  ".join(
            f"{shortened(label, 14)}: {100 * count / max(len(shots), 1):.0f} %".replace(" ", "\N{NO-BREAK SPACE}")
            for label, count in zip(bins.labels, counts, strict=True)
        )
        table.add_row(Text(axis_title(axis)), Text(f"{sparkline(counts)}  {shares}"))
        if not verbose:
            continue
        # A pose: an object with all other axes.
        rest = np.delete(shots.coordinates, column, axis=1).round(6)
        n_poses = len(np.unique(np.column_stack([shots.object_rows, rest]), axis=0))
        levels = f"{len(shots) / max(n_poses, 1):.1f} of {len(axis.values)} levels"
        table.add_row("", Text(f"an object is shot at {levels} from each of its poses", style="dim"))
    return table


def sparkline(counts: Int[np.ndarray, " levels"]) -> str:
    """Counts as a row of small bars that start at zero."""
    most = max(int(counts.max()), 1)
    return "".join(EIGHTHS[-(-8 * int(count) // most)] for count in counts)


def _classes(plan: Plan) -> RenderableType:
    """Images of each class and of each object, a line for all classes that have as many."""
    objects, counts, alike = plan.shots.objects, object_counts(plan.shots), dict[str, list[str]]()
    for number, label in enumerate(objects.classes):
        mine = counts[objects.class_rows == number]
        images = count_noun(int(mine.sum()), "image")
        said = f"{images} of {count_noun(len(mine), 'object')}, {count_range(mine)} of each"
        alike.setdefault(said, []).append(shortened(label, 18))
    lines = []
    for said, labels in alike.items():
        rest = f" and {len(labels) - MOST_CLASSES} more" if len(labels) > MOST_CLASSES else ""
        each = "each " if len(labels) > 1 else ""
        lines.append(f"{', '.join(labels[:MOST_CLASSES])}{rest}: {each}{said}")
    more = f"{len(lines) - MOST_LINES} other numbers of images: see plan.csv"
    return Group(*map(Text, lines[:MOST_LINES]), *[Text(more)] * (len(lines) > MOST_LINES))
