"""[deployment] of rig.toml: which views count how much, and for each mistake the line and remedy that are told."""

from pathlib import Path

import numpy as np
import pytest

from acqplan.errors import ManifestError, SpecError
from acqplan.rig.spec import Rig, open_rig

RIG = """source = "live"
[[axis]]
name = "azimuth"
kind = "circle"
values = "0:315:45"
[[axis]]
name = "elevation"
kind = "interval"
unit = "deg"
values = [30, 45, 60]
[[axis]]
name = "lighting"
kind = "category"
values = ["L0", "L1", "L3"]
[objects.labels]
car = ["car-00", "car-01"]
"""
FIRST = RIG.count("\n") + 1
"""Line of [deployment]."""


def opened(folder: Path, deployment: str = "", table: str | bytes | None = None) -> Rig:
    (folder / "rig.toml").write_text(RIG + deployment)
    if table is not None:
        (folder / "views.csv").write_bytes(table.encode() if isinstance(table, str) else table)
    return open_rig(folder / "rig.toml")


def met(rig: Rig) -> list[dict[str, object]]:
    assert rig.view_weights is not None
    assert set(rig.view_weights.tolist()) == {0.0, 1.0}
    views = rig.source.space.views()[rig.view_weights > 0.0]
    return [dict(rig.source.space.view(view)) for view in views]


def test_no_table_an_empty_one_and_one_that_holds_all_are_the_same(tmp_path: Path) -> None:
    plain = opened(tmp_path)
    assert plain.view_weights is None
    for same in ("[deployment]\n", '[deployment]\nazimuth = "0:360"\nelevation = "0:90"\n'):
        rig = opened(tmp_path, same)
        assert rig.view_weights is None
        assert rig.digest == plain.digest


def test_all_wishes_must_hold_and_both_ends_count(tmp_path: Path) -> None:
    wishes = '[deployment]\nelevation = "30:45"\nlighting = ["L3", "L0"]\nazimuth = [90, -45]\n'
    found = met(opened(tmp_path, wishes))
    assert len(found) == 8
    assert {view["elevation"] for view in found} == {30.0, 45.0}
    assert {view["lighting"] for view in found} == {"L0", "L3"}
    assert {view["azimuth"] for view in found} == {90.0, 315.0}


@pytest.mark.parametrize(
    ("wish", "azimuths"),
    [
        ("315:45", {315, 0, 45}),
        ("-45:45", {315, 0, 45}),
        ("45:-45", {45, 90, 135, 180, 225, 270, 315}),
        ("80:140", {90, 135}),
        ("90:90", {90}),
        ("300:360", {315, 0}),
    ],
)
def test_a_range_of_a_circle_goes_up_and_may_wrap(tmp_path: Path, wish: str, azimuths: set[float]) -> None:
    found = met(opened(tmp_path, f'[deployment]\nazimuth = "{wish}"\n'))
    assert {view["azimuth"] for view in found} == azimuths


def test_a_table_of_weights_is_found_beside_rig_toml_and_the_rest_weighs_nothing(tmp_path: Path) -> None:
    table = "weight,lighting,elevation,azimuth,note\n4,L3,30,-45,x\n\n1,L0,60,45,\n"
    rig = opened(tmp_path, '[deployment]\nweights = "views.csv"\n', table)
    assert rig.view_weights is not None
    space = rig.source.space
    rows = np.flatnonzero(rig.view_weights)
    assert [space.view(space.views()[row]) for row in rows] == [
        {"azimuth": 45.0, "elevation": 60.0, "lighting": "L0"},
        {"azimuth": 315.0, "elevation": 30.0, "lighting": "L3"},
    ]
    assert rig.view_weights[rows].tolist() == [0.25, 1.0]


def test_equal_weights_for_all_views_are_none(tmp_path: Path) -> None:
    views = [f"{azimuth},{elevation},{lamp},0.7" for azimuth in range(0, 360, 45) for elevation in (30, 45, 60)
             for lamp in ("L0", "L1", "L3")]  # fmt: skip
    table = "\n".join(["azimuth,elevation,lighting,weight", *views])
    assert opened(tmp_path, '[deployment]\nweights = "views.csv"\n', table).view_weights is None


def test_the_digest_tells_weights_apart_but_not_their_scale(tmp_path: Path) -> None:
    wish = '[deployment]\nweights = "views.csv"\n'
    header = "azimuth,elevation,lighting,weight\n"
    rows = ["0,30,L0,1\n45,30,L0,2\n", "0,30,L0,10\n45,30,L0,20\n", "0,30,L0,1\n45,30,L0,3\n"]
    digests = [opened(tmp_path, wish, header + own).digest for own in rows]
    assert digests[0] == digests[1]
    assert len({*digests, opened(tmp_path).digest}) == 3


BAD_WISHES = {
    "unknown axis": ('elevatoin = "30:45"', "unknown key 'elevatoin' in [deployment]; did you mean 'elevation'? known"),
    "near weights": ('weigths = "views.csv"', "unknown key 'weigths' in [deployment]; did you mean 'weights'?"),
    "no view": ('elevation = "31:44"', "'31:44' holds no view; its views: 30, 45, 60 deg"),
    "backwards": ('elevation = "45:30"', "'45:30' runs backwards; write e.g. \"30:45\""),
    "with a step": ('elevation = "30:45:5"', "'30:45:5' is not of the form from:to; write e.g."),
    "words": ('elevation = "low:high"', "'low:high' is not of the form from:to"),
    "endless": ('elevation = "30:inf"', "'30:inf' is not finite"),
    "number": ("elevation = 30", "30 is no list of levels and no range; give a list such as [30.0] or a range"),
    "empty list": ("elevation = []", "[] is no list of levels"),
    "unknown level": ('lighting = ["L0", "l3"]', "'l3' is the level of no view; did you mean 'L3'? known: L0, L1, L3"),
    "range of lamps": ('lighting = "L0:L3"', "'L0:L3' is no list of levels; give a list such as [\"L0\"]"),
    "unknown angle": ("azimuth = [0, 50]", "50 is the level of no view; 0, 45, 90"),
    "words in a list": ('azimuth = ["left"]', "'left' is not a number; give a level of the axis"),
    "truth in a list": ("azimuth = [true]", "True is not a number"),
    "NaN in a list": ("azimuth = [nan]", "nan is not a number"),
    "weights of a number": ("weights = 3", "deployment.weights = 3 is no file"),
}


@pytest.mark.parametrize(("wish", "said"), BAD_WISHES.values(), ids=BAD_WISHES)
def test_a_mistake_is_told_with_line_and_remedy(tmp_path: Path, wish: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, f"[deployment]\n{wish}\n")
    assert str(caught.value).startswith(f"{tmp_path / 'rig.toml'}: line {FIRST + 1}: ")
    assert said in str(caught.value)
    assert caught.value.hint


def test_weights_beside_ranges_are_refused_and_so_is_a_table_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=rf"line {FIRST + 2}: both 'weights' and 'azimuth' are given .*; remove one"):
        opened(tmp_path, '[deployment]\nweights = "views.csv"\nazimuth = "0:90"\n')
    with pytest.raises(SpecError, match=r"deployment = \[.*\] cannot be used; input should be a valid dictionary"):
        opened(tmp_path, '[[deployment]]\nazimuth = "0:90"\n')


HEADER = "azimuth,elevation,lighting,weight\n"
BAD_TABLES: dict[str, tuple[str | bytes, int, str]] = {
    "empty": ("", 1, "the file is empty; give a header: azimuth,elevation,lighting,weight"),
    "header alone": (HEADER, 1, "no view has a weight; give one row"),
    "no weight": ("azimuth,elevation,lighting,wieght\n0,30,L0,1\n", 1, "no column 'weight'; did you mean 'wieght'"),
    "axis twice": ("azimuth,azimuth,elevation,lighting,weight\n0,0,30,L0,1\n", 1, "column 'azimuth' appears twice"),
    "negative": (HEADER + "0,30,L0,1\n\n45,30,L0,-2\n", 4, "weight -2 is negative; give 0 or more"),
    "NaN": (HEADER + "0,30,L0,nan\n", 2, "weight 'nan' is not a number; give a number"),
    "infinite": (HEADER + "0,30,L0,inf\n", 2, "weight 'inf' is not finite"),
    "all zero": (HEADER + "0,30,L0,0\n45,30,L0,0\n", 1, "all weights are 0; give"),
    "no such view": (HEADER + "0,30,L0,1\n10,30,L0,1\n", 3, "the rig has no such view; take the line out"),
    "unknown lamp": (HEADER + "0,30,L9,1\n", 2, "lighting 'L9' is no level of this axis; did you mean 'L3'"),
    "view twice": (HEADER + "0,30,L0,1\n360,30,L0,1\n", 3, "this view is already on line 2; remove one"),
    "angle in words": (HEADER + "north,30,L0,1\n", 2, "azimuth 'north' is not a number; give degrees"),
    "short row": (HEADER + "0,30,L0\n", 2, "'weight' is empty; fill it in"),
    "not UTF-8": ((HEADER + "0,30,L0,1\n杯子,1,1,1\n").encode("gb18030"), 3, "is not text in UTF-8"),
    "open quote": (HEADER + '0,30,"L0,1\n', 2, "unexpected end of data"),
}


@pytest.mark.parametrize(("table", "line", "said"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_mistake_in_the_table_is_told_with_line_and_remedy(
    tmp_path: Path, table: str | bytes, line: int, said: str
) -> None:
    with pytest.raises(ManifestError) as caught:
        opened(tmp_path, '[deployment]\nweights = "views.csv"\n', table)
    assert str(caught.value).startswith(f"{tmp_path / 'views.csv'}: line {line}: ")
    assert said in str(caught.value)
    assert caught.value.hint or "; " in caught.value.message


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"views\.csv: cannot be read \(No such file or directory\); check"):
        opened(tmp_path, '[deployment]\nweights = "views.csv"\n')
