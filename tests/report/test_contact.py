"""Contact sheets show captured images only, in order, with what heads say of them; nothing before anything is taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acqplan import open_rig, recommend
from acqplan.evaluate.recommend import Recommendation
from acqplan.report.contact import EDGE, contact_sheets
from acqplan.report.page import page_text
from acqplan.report.plot import sheet_drawings
from tests.cli.conftest import LIVE, TOYS, manifest, written
from tests.report.conftest import drawn


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Recommendation:
    folder = tmp_path_factory.mktemp("toys")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACQPLAN_CACHE", str(folder / "cache"))
        rig = open_rig(written(folder / "toys.toml", TOYS.replace("instances = 2", "instances = 4")))
        return recommend(rig, 60, backbone="histogram")


def test_sheets_hold_images_of_the_shots_that_they_name(taken: Recommendation) -> None:
    sheets = {sheet.name: sheet for sheet in contact_sheets(taken)}
    assert set(sheets) == {"images", "mistakes", "worst"}
    source, shots = taken.captured[0]
    assert list(sheets["images"].groups) == list(shots.objects.classes)
    views = list(zip(shots.names, shots.views(), strict=True))
    for label, thumbnails in sheets["images"].groups.items():
        azimuths = [float(one.words[1].partition("°")[0]) for one in thumbnails]
        assert azimuths == sorted(azimuths)
        for one in thumbnails:
            words = one.words[1].split()
            row = next(
                row
                for row, (name, view) in enumerate(views)
                if (name, view["lighting"]) == (one.words[0], words[2])
                and [f"{view[axis]:g}°" for axis in ("azimuth", "elevation")] == words[:2]
            )
            assert shots.labels[row] == label
            ((_, pixels),) = source.capture(shots.take([row]))
            np.testing.assert_array_equal(one.pixels, pixels)


def test_mistakes_and_objects_are_those_of_the_head(taken: Recommendation) -> None:
    predictions = taken.predictions
    assert predictions is not None
    assert predictions.whose == "new objects"
    own = next(one for one in taken.validation.records if one.strategy == "auto")  # type: ignore[union-attr]
    shares = [own.per_object[name] for name in own.per_object]
    sheets = {sheet.name: sheet for sheet in contact_sheets(taken)}
    (objects,) = sheets["worst"].groups.values()
    said = [float(one.words[1].partition(" %")[0]) for one in objects]
    assert said == sorted(said)
    np.testing.assert_allclose(said, 100 * np.sort(shares), atol=0.051)
    for label, thumbnails in sheets["mistakes"].groups.items():
        for one in thumbnails:
            assert one.words[0].startswith(label)
            assert one.words[1] != f"→ {label}"
    n_wrong = int((~predictions.is_right).sum())
    assert f"of {n_wrong:,} mistakes in {len(predictions.shots):,} images" in sheets["mistakes"].note


def test_page_and_pictures_show_them_and_stay_light(taken: Recommendation, tmp_path: Path) -> None:
    sheets = contact_sheets(taken)
    page = page_text(taken, sheets=sheets)
    n_images = sum(len(group) for sheet in sheets for group in sheet.groups.values())
    assert page.count("data:image/jpeg;base64,") == n_images
    assert len(page.encode()) < 2_000_000
    assert len(drawn(tmp_path, sheet_drawings(sheets))) == 3


def test_before_images_are_captured_there_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "cache"))
    told: list[Recommendation] = []
    recommend(written(tmp_path / "toys.toml", TOYS), 40, backbone="histogram", on_plan=told.append)
    assert contact_sheets(told[0]) == []
    live = recommend(written(tmp_path / "live.toml", LIVE), 8)
    assert contact_sheets(live) == []


def test_what_comes_next_is_shown_by_the_nearest_captured_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "cache"))
    rig = written(tmp_path / "live.toml", LIVE.replace('values = "0:270:90"', 'unit = "deg"\nvalues = "0:350:10"'))
    captured = manifest(tmp_path, "captured.csv", ["car-0", "car-1", "cow-0", "cow-1"], range(0, 360, 120))
    result = recommend(rig, 20, captured=captured, backbone="histogram")
    sheets = {sheet.name: sheet for sheet in contact_sheets(result)}
    assert {"images", "next"} <= set(sheets)
    source, shots = result.captured[0]
    proposed = set(
        zip(result.plan.shots.names, (f"{view['azimuth']:g}°" for view in result.plan.shots.views()), strict=True)
    )
    for thumbnails in sheets["next"].groups.values():
        for one in thumbnails:
            assert one.words in proposed
            name, azimuth = one.words[0], float(one.words[1].removesuffix("°"))
            mine = [
                (abs((float(view["azimuth"]) - azimuth + 180) % 360 - 180), row)
                for row, view in enumerate(shots.views())
                if shots.names[row] == name
            ]
            ((_, pixels),) = source.capture(shots.take([min(mine)[1]]))
            assert one.pixels.shape == pixels.shape
            np.testing.assert_array_equal(one.pixels, pixels)
    assert max(pixels.shape) <= EDGE
