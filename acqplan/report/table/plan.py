"""The plan as one picture in the terminal: shots per view, other axes, images per object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Int
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from acqplan.numbers import count_range, printable, shortened
from acqplan.plan.plan import Plan
from acqplan.plan.route import route_words
from acqplan.report.plot.style import heat_step
from acqplan.report.summary import Bins, cut, object_counts, picture_axes
from acqplan.space import Axis, Category, Shots

HEAT_STYLES = (
    "#ffffff on #26456e",
    "#ffffff on #4a5a74",
    "#ffffff on #66676d",
    "#000000 on #b0a26d",
    "#000000 on #f0d04a",
)
"""Few shots to many: from blue to yellow (as cividis), readable on dark and light terminals."""

MOST_COLUMNS = 18
MOST_ROWS = 12
MOST_CLASSES = 12
BAR = "█"
EIGHTHS = " ▁▂▃▄▅▆▇█"


def plan_table(plan: Plan, *, width: int = 80) -> RenderableType:
    """A plan as one picture: shots per view with totals, other axes, and images per object.

    Args:
        plan: The plan.
        width: Columns of the terminal; 80 hold 18 azimuths by 9 elevations.
    """
    parts: list[RenderableType] = [_plan_title(plan), Text(), *_grid_lines(plan.shots, width), Text()]
    if plan.route_seconds:
        parts[1:1] = [Text(f"Taking them lasts {route_words(plan)}", style="not bold")]
    if plan.sensitivity:
        parts[1:1] = [Text(f"Learned from the images: {plan.sensitivity}", style="not bold")]
    across, down = picture_axes(plan.shots.space)
    others = [axis for axis in range(len(plan.shots.space.axes)) if axis not in (across, down)]
    if others:
        parts += [_other_axes(plan.shots, others), Text()]
    return Group(*parts, _classes(plan, width))


def _plan_title(plan: Plan) -> Text:
    objects = plan.shots.objects
    title = Text(f"{len(plan):,} images", style="bold")
    title.append(f" of {len(objects)} objects, {count_range(object_counts(plan))} each", style="not bold")
    title.append(f"; strategy {printable(plan.strategy)}, seed {plan.seed}", style="not bold")
    if plan.captured:
        title.append(f"; {plan.captured:,} more captured before", style="not bold")
    return title


def _grid_lines(shots: Shots, width: int) -> Iterator[Text]:
    counts, allowed, columns, rows = _grid(shots, width)
    labels = rows.labels if rows else ("shots",)
    margin, total = _margins(counts, labels)
    cell = _cell_width(counts, len(columns), width - margin - total)
    yield _grid_caption(columns, rows)
    yield from _margin_lines(columns.starts, cell, margin, ("", "Σ".rjust(total)), "bold")
    for row in range(len(labels))[::-1] if rows and not isinstance(rows.axis, Category) else range(len(labels)):
        line = Text(labels[row].rjust(margin - 1) + " ", style="bold")
        for column in range(len(columns)):
            line.append_text(_cell(counts[row, column], allowed[row, column], counts.max(), cell))
        yield line.append(f"{counts[row].sum()}".rjust(total), style="not bold")
    if rows:
        sums = [str(count) for count in counts.sum(axis=0)]
        yield from _margin_lines(sums, cell, margin, ("Σ ", f"{counts.sum()}".rjust(total)), "")


def _grid(shots: Shots, width: int) -> tuple[Int[np.ndarray, "rows columns"], np.ndarray, Bins, Bins | None]:
    """Shots and allowed views per cell, in as many columns as fit without touching digits."""
    for most in range(MOST_COLUMNS, 0, -1):
        counts, allowed, columns, rows = _counted(shots, most)
        labels = rows.labels if rows else ("shots",)
        room = width - sum(_margins(counts, labels))
        longest = max(len(f"{counts.sum(axis=0).max()}"), *map(len, columns.starts))
        cell = _cell_width(counts, len(columns), room)
        if cell * len(columns) <= room and (longest < 2 * cell or isinstance(columns.axis, Category)):
            break
        if isinstance(columns.axis, Category):
            break
    return counts, allowed, columns, rows


def _counted(shots: Shots, most: int) -> tuple[Int[np.ndarray, "rows columns"], np.ndarray, Bins, Bins | None]:
    space = shots.space
    across, down = picture_axes(space)
    both = np.concatenate([space.views(), shots.coordinates])
    columns = cut(space.axes[across], both[:, across], most=most)
    rows = None if down is None else cut(space.axes[down], both[:, down], most=MOST_ROWS)
    cells = columns.rows + (0 if rows is None else rows.rows * len(columns))
    shape = (1 if rows is None else len(rows), len(columns))
    size = shape[0] * shape[1]
    counts = np.bincount(cells[space.n_views :], minlength=size).reshape(shape)
    allowed = np.bincount(cells[: space.n_views], minlength=size).reshape(shape) > 0
    return counts, allowed, columns, rows


def _margins(counts: Int[np.ndarray, "rows columns"], labels: Sequence[str]) -> tuple[int, int]:
    """Widths of the labels on the left and of the sums on the right."""
    return max(2, max(map(len, labels))) + 1, len(f"{counts.sum()}") + 1


def _cell_width(counts: Int[np.ndarray, "rows columns"], n_columns: int, room: int) -> int:
    """Wide enough for every count and a space, up to 6 where there is room."""
    return max(len(f"{counts.max()}") + 1, min(6, room // n_columns))


def _cell(count: int, allowed: bool, most: int, width: int) -> Text:
    if count == 0:
        return Text(("·" if allowed else " ").rjust(width), style="not bold dim")
    return Text(f"{count}".rjust(width - 1) + " ", style="not bold " + HEAT_STYLES[heat_step(int(count), int(most))])


def _margin_lines(labels: Sequence[str], cell: int, margin: int, ends: tuple[str, str], style: str) -> Iterator[Text]:
    """Labels over columns; where they would touch, every other one goes to a second line."""
    fit = [shortened(label, 2 * cell - 1) for label in labels]
    lines = 1 if max(map(len, fit)) < cell else 2
    for number in range(lines):
        shown = [label if row % lines == number else "" for row, label in enumerate(fit)]
        text = Text((ends[0] if number == 0 else "").rjust(margin), style="bold")
        text.append(_spread(shown, cell), style=style or "not bold")
        yield text.append(ends[1] if number == 0 else "", style="bold")


def _spread(labels: Sequence[str], cell: int) -> str:
    """Labels ending one letter before the right edge of their cells, as counts do."""
    line = " " * (cell * len(labels))
    for number, label in enumerate(labels):
        stop = max((number + 1) * cell - 1, len(label))
        line = line[: stop - len(label)] + label + line[stop:] if label else line
    return line


def _grid_caption(columns: Bins, rows: Bins | None) -> Text:
    across = f"{_axis_title(columns.axis)} across"
    if columns.width:
        across += f", each column {columns.width:.3g} wide from its number on"
    down = f"{_axis_title(rows.axis)} down, " if rows else ""
    return Text(f"Shots per view: {down}{across}", style="italic")


def _axis_title(axis: Axis) -> str:
    return printable(axis.name) + (f" ({axis.unit})" if axis.unit else "")


def _other_axes(shots: Shots, others: Sequence[int]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for column in others:
        axis = shots.space.axes[column]
        bins = cut(axis, shots.coordinates[:, column], most=9)
        counts = bins.count()
        shares = "  ".join(
            f"{shortened(label, 14)}: {100 * count / max(len(shots), 1):.0f} %".replace(" ", "\N{NO-BREAK SPACE}")
            for label, count in zip(bins.labels, counts, strict=True)
        )
        table.add_row(_axis_title(axis), Text(f"{sparkline(counts)}  {shares}"))
        table.add_row("", Text(_levels_per_pose(shots, column), style="dim"))
    return table


def _levels_per_pose(shots: Shots, column: int) -> str:
    rest = np.delete(shots.coordinates, column, axis=1).round(6)
    n_poses = len(np.unique(np.column_stack([shots.object_rows, rest]), axis=0))
    levels = len(shots.space.axes[column].values)
    return f"an object is shot at {len(shots) / max(n_poses, 1):.1f} of {levels} levels from each of its poses"


def _classes(plan: Plan, width: int) -> Table:
    objects, counts = plan.shots.objects, object_counts(plan)
    table = Table.grid(padding=(0, 2))
    for justify in ("left", "right", "left", "left"):
        table.add_column(justify=justify, no_wrap=True)
    sums = np.bincount(objects.class_rows, weights=counts).astype(np.int64)
    for number, label in enumerate(objects.classes[:MOST_CLASSES]):
        mine = counts[objects.class_rows == number]
        bar = BAR * max(1, round(20 * sums[number] / max(sums.max(), 1)))
        each = f"{len(mine)} {'object' if len(mine) == 1 else 'objects'}, {count_range(mine)} each"
        table.add_row(Text(shortened(label, 18), style="bold"), f"{sums[number]:,}", Text(bar, style="blue"), each)
    if len(objects.classes) > MOST_CLASSES:
        rest = sums[MOST_CLASSES:]
        table.add_row(f"{len(rest)} more classes", f"{rest.sum():,}", "", f"{count_range(rest)} a class")
    return table


def sparkline(counts: Int[np.ndarray, " levels"]) -> str:
    """Counts as a row of small bars that start at zero."""
    most = max(int(counts.max()), 1)
    return "".join(EIGHTHS[-(-8 * int(count) // most)] for count in counts)
