import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from acqplan.evaluate.compare import compare
from acqplan.evaluate.verdict import Validation
from acqplan.plan.plan import Plan
from acqplan.report.counts import object_counts
from acqplan.report.terminal import facts_table, plan_table, predictions_summary, result_summary, sparkline
from acqplan.space import Objects, Shots
from tests.report.conftest import recommended, some_advice


def shown(table: RenderableType, width: int = 80) -> str:
    console = Console(width=width, record=True, file=None, quiet=False, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def grid_rows(text: str) -> dict[str, list[int]]:
    """Numbers of each line of the picture, by its label."""
    lines = text.split("\n\n")[1].splitlines()
    found = {line.split()[0]: line.split()[1:] for line in lines if line.strip() and not line.startswith("Shots per")}
    return {label: [int(word) for word in words if word.isdigit()] for label, words in found.items()}


def test_cells_and_sums_are_the_plans_counts(toy_plan: Plan) -> None:
    rows = grid_rows(shown(plan_table(toy_plan)))
    elevations = toy_plan.shots.coordinates[:, 1]
    for elevation in range(30, 71, 5):
        *cells, total = rows[f"{elevation}"]
        assert sum(cells) == total == int((elevations == elevation).sum())
    *sums, total = rows["Σ"]
    assert sums == [int((toy_plan.shots.coordinates[:, 0] == azimuth).sum()) for azimuth in range(0, 360, 20)]
    assert total == len(toy_plan) == 2430


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_kind_of_space_fits_the_terminal(any_plan: Plan, width: int) -> None:
    text = shown(plan_table(any_plan, width=width), width=300)
    picture = text.split("\n\n")[1].splitlines()[1:]
    assert max(map(len, picture)) <= width
    assert f"{len(any_plan)}" in text


def test_eighteen_azimuths_by_nine_elevations_keep_every_level_at_80_columns(toy_plan: Plan) -> None:
    rows = grid_rows(shown(plan_table(toy_plan)))
    assert len(rows) == 1 + 9 + 1
    assert len(rows["Σ"]) == 18 + 1


def test_digits_never_touch_even_where_counts_are_large(toy_plan: Plan) -> None:
    many = replace(toy_plan, shots=repeated(toy_plan.shots, 60))
    text = shown(plan_table(many)).split("\n\n")[1]
    *sums, total = map(int, re.findall(r"\d+", text.rpartition("Σ")[2]))
    assert total == 60 * 2430 or total in sums
    assert sum(sums) + total == 2 * 60 * 2430


def repeated(shots: Shots, times: int) -> Shots:
    return shots.take(list(range(len(shots))) * times)


def test_untouched_views_are_marked_and_missing_ones_are_blank(live_plan: Plan) -> None:
    first = live_plan.shots.take(live_plan.shots.object_rows == 0)
    assert "·" in shown(plan_table(replace(live_plan, shots=first)))


def test_table_says_shares_of_lights_and_images_of_classes(toy_plan: Plan) -> None:
    text = shown(plan_table(toy_plan, verbose=True))
    assert re.search(r"lighting\s+\S+\s+L0:.\d\d.%", text)
    for label in toy_plan.shots.objects.classes:
        assert label in text
    assert "each 486 images of 5 objects, 97 or 98 of" in text


def test_markup_and_escape_sequences_in_names_are_shown_not_obeyed(live_plan: Plan) -> None:
    objects = live_plan.shots.objects
    labels = tuple("[red]car\x1b[2J" if label == "car" else label for label in objects.labels)
    shots = replace(live_plan.shots, objects=Objects(names=objects.names, labels=labels))
    for verbose in (False, True):
        text = shown(plan_table(replace(live_plan, shots=shots), verbose=verbose))
        assert "[red]car" in text
        assert "\x1b" not in text


def test_everything_has_every_strategy_and_every_sentence(
    toy_plan: Plan, validation: Validation, sentences: list[str]
) -> None:
    result = recommended(toy_plan, validation, sentences, advice=some_advice())
    text = " ".join(shown(result_summary(result, verbose=True)).split())
    for name in ("auto", "even", "even-staggered", "random", "random-shots"):
        assert name in text
    assert all(" ".join(sentence.split()) in text for sentence in sentences)
    for verdict in validation.verdicts:
        assert f"{100 * verdict.difference:+.1f}" in text


def test_a_recommendation_is_one_screen(toy_plan: Plan, validation: Validation, sentences: list[str]) -> None:
    result = recommended(toy_plan, validation, sentences, advice=some_advice())
    text = shown(plan_table(toy_plan)) + shown(result_summary(result))
    assert len(text.splitlines()) <= 40
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert text.startswith("Take these 2,430 images: 97 or 98 of each of 25 objects.")
    assert result.headline.finding in " ".join(text.split())
    assert result.headline.number in text
    assert " p " not in text, "tests are left to those who ask for them"


def test_a_validation_without_verdicts_is_still_a_table(toy_plan: Plan, validation: Validation) -> None:
    result = recommended(toy_plan, Validation(records=validation.records, verdicts=[]))
    for verbose in (False, True):
        assert "auto" in shown(result_summary(result, verbose=verbose))


def test_classes_with_as_many_images_share_a_line(any_plan: Plan) -> None:
    lines = shown(plan_table(any_plan), width=400).splitlines()
    for label in any_plan.shots.objects.classes[:4]:
        assert any(line.startswith((f"{label}:", f"{label},")) or f" {label}," in line for line in lines[2:]) or any(
            f"{label}:" in line for line in lines
        )
    assert len(lines) <= 28


def test_sparkline_starts_at_zero(toy_plan: Plan) -> None:
    assert sparkline(object_counts(toy_plan.shots) * 0 + 3) == "█" * 25
    assert sparkline(object_counts(toy_plan.shots)[:2] * [0, 1]) == " █"


def test_facts_are_lines_of_key_and_value() -> None:
    assert re.search(r"device\s+cpu \[2 cores\]", shown(facts_table({"device": "cpu [2 cores]"})))


def test_two_classifiers_are_compared_on_objects_first(tmp_path: Path) -> None:
    labels = ["bus" if row < 6 else "car" for row in range(24)]
    rows = [f"{row}.png,o{row // 6},{label},{{}}" for row, label in enumerate(labels)]
    for name, right in (("a", 24), ("b", 15)):
        lines = [row.format(labels[number] if number < right else "bus") for number, row in enumerate(rows)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["image,object,label,predicted", *lines, ""]))
    text = shown(predictions_summary(compare(tmp_path / "a.csv", tmp_path / "b.csv")), width=200)
    assert "100.0 % right (95 % interval " in text
    assert "mean of 4 objects" in text
    assert text.index("p, objects") < text.index("p, McNemar") < text.index("conditional on these objects")
    assert "first 9, second 0" in text


def test_a_plan_says_when_its_last_image_would_be_taken(toy_plan: Plan) -> None:
    plan, now = replace(toy_plan, route_seconds=1800.0, seconds_per_object=20.0), 1.7e9
    assert "takes 30 min." in shown(plan_table(plan))
    assert "begun now" not in shown(plan_table(plan))
    ends = datetime.fromtimestamp(now + 1800).strftime("%H:%M")
    assert f"until {ends} if begun now." in " ".join(shown(plan_table(plan, now=now)).replace("tomorrow ", "").split())
    uncounted = shown(plan_table(replace(plan, seconds_per_object=None), now=now))
    assert "changes of object not counted" in uncounted
    assert "begun now" not in uncounted
