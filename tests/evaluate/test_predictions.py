from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from acqplan.errors import ManifestError
from acqplan.evaluate.compare import compare
from acqplan.statistics.clustered import durkalski, equivalence, mcnemar, obuchowski, sign_flip
from acqplan.statistics.judging import class_interval

HEADER = "image,object,label,predicted"


def write(path: Path, rows: list[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def made(seed: int, accuracy: float) -> tuple[list[str], np.ndarray]:
    """Eight objects of two classes, 20 images each; rows, and which are right."""
    right = np.random.default_rng(seed).random((8, 20)) < accuracy
    rows = []
    for number, image in np.ndindex(8, 20):
        label = ("car", "truck")[number % 2]
        guess = label if right[number, image] else ("truck", "car")[number % 2]
        rows.append(f"{number}/{image:02d}.png,{label}-{number},{label},{guess}")
    return rows, right


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, np.ndarray, np.ndarray]:
    (rows_a, right_a), (rows_b, right_b) = made(1, 0.9), made(2, 0.6)
    return write(tmp_path / "a.csv", rows_a), write(tmp_path / "b.csv", rows_b[::-1]), right_a, right_b


def test_numbers_are_those_of_the_tests_done_by_hand(files: tuple[Path, Path, np.ndarray, np.ndarray]) -> None:
    path_a, path_b, a, b = files
    found = compare(path_a, path_b)
    n10, n01 = (a & ~b).sum(axis=1), (~a & b).sum(axis=1)
    assert found.mcnemar == mcnemar(a.ravel(), b.ravel())
    assert (found.n10, found.n01, found.n11, found.n00) == (n10.sum(), n01.sum(), (a & b).sum(), (~a & ~b).sum())
    assert (found.accuracy_a, found.accuracy_b) == pytest.approx((a.mean(), b.mean()))
    assert found.ci95_a == class_interval(a.mean(axis=1), np.arange(8) % 2)[1:]
    assert found.ci95_b[0] < found.accuracy_b < found.ci95_b[1]
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert found.p_equivalent == pytest.approx(equivalence(a.mean(axis=1) - b.mean(axis=1)).p)
    assert found.p_object == pytest.approx(sign_flip(a.mean(axis=1) - b.mean(axis=1)))
    assert found.obuchowski == obuchowski(n01, n10)
    assert found.durkalski == durkalski(n01, n10, np.full(8, 20))
    assert (found.n_images, found.n_objects, found.verdict) == (160, 8, "better")
    assert found.sentence.startswith(f"{path_a} is better than {path_b} by ")


def test_swapping_the_files_turns_the_answer(files: tuple[Path, Path, np.ndarray, np.ndarray]) -> None:
    one, other = compare(files[0], files[1]), compare(files[1], files[0])
    assert other.difference == -one.difference
    assert other.verdict == "worse"
    assert other.p_object == one.p_object
    assert other.p_mcnemar == one.p_mcnemar


def test_a_file_with_itself_shows_no_difference(files: tuple[Path, Path, np.ndarray, np.ndarray]) -> None:
    found = compare(files[0], files[0])
    assert (found.difference, found.p_object, found.p_mcnemar, found.durkalski.p) == (0.0, 1.0, 1.0, 1.0)
    assert found.verdict == "no difference found"


def test_dictionary_is_json(files: tuple[Path, Path, np.ndarray, np.ndarray], tmp_path: Path) -> None:
    document = json.loads(json.dumps(compare(files[0], files[1]).to_dict(), allow_nan=False))
    assert document["contingency"]["n10"] > document["contingency"]["n01"]
    assert document["mcnemar"]["conditional_on"] == "these objects"
    right = write(tmp_path / "right.csv", ["1,o,x,x", "2,p,y,y"])
    wrong = write(tmp_path / "wrong.csv", ["1,o,x,y", "2,p,y,y"])
    found = compare(right, wrong)
    assert found.mcnemar.odds_ratio == math.inf
    assert found.to_dict()["mcnemar"]["odds_ratio"] is None  # type: ignore[index]


def test_columns_may_stand_in_any_order_beside_others(tmp_path: Path) -> None:
    a = write(tmp_path / "a.csv", ["x,0.5,1.png,y,o", "x,0.5,2.png,x,p"], "predicted,score,image,label,object")
    b = tmp_path / "b.csv"
    b.write_bytes(b"\xef\xbb\xbfimage,object,label,predicted\r\n1.png,o,y,y\r\n2.png,p,x,x\r\n")
    found = compare(a, b)
    assert (found.accuracy_a, found.accuracy_b, found.n_objects) == (0.5, 1.0, 2)


GOOD = ["1,o,x,x", "2,o,x,y", "3,p,y,y"]


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        (GOOD, "image,object,label,prediction", "b.csv: line 1: no column 'predicted'; did you mean 'prediction'"),
        (GOOD, "image,object,label,label", "line 1: column 'label' appears twice"),
        ([], HEADER, "b.csv: no predictions below the header"),
        ([*GOOD, "2,o,x,x"], HEADER, "b.csv: line 5: image '2' appears already in line 3"),
        (GOOD[:2], HEADER, "b.csv: 1 of the 3 images of .*a.csv are missing, the first is '3' .*line 4"),
        ([*GOOD, "4,p,y,y"], HEADER, "a.csv: 1 of the 4 images of .*b.csv are missing, the first is '4'"),
        (["1,q,x,x", *GOOD[1:]], HEADER, "b.csv: line 2: image '1' has object 'q', but 'o' in .*a.csv, line 2"),
        (["1,o,z,x", "2,o,z,y", GOOD[2]], HEADER, "b.csv: line 2: image '1' has label 'z', but 'x'"),
        (["1,o,x,x", "2,o,z,y", GOOD[2]], HEADER, "line 3: object 'o' has label 'z', but 'x' in line 2"),
        (["1,o,x", *GOOD[1:]], HEADER, "b.csv: line 2: 'predicted' is empty"),
        (["1,o,x,x,x", *GOOD[1:]], HEADER, "b.csv: line 2: more values than columns"),
        (['1,o,x,"x', *GOOD[1:]], HEADER, "b.csv: line 2: is not valid CSV"),
    ],
)
def test_bad_files_are_refused_by_name_and_line(tmp_path: Path, rows: list[str], header: str, message: str) -> None:
    a, b = write(tmp_path / "a.csv", GOOD), write(tmp_path / "b.csv", rows, header)
    with pytest.raises(ManifestError, match=message) as caught:
        compare(a, b)
    assert caught.value.exit_code == 3
    assert caught.value.hint


@pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b"\xff\xfei", "not text in UTF-16")])
def test_files_that_are_no_table_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "b.csv").write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        compare(tmp_path / "b.csv", tmp_path / "b.csv")


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ManifestError, match="cannot be read"):
            compare(path, path)


@pytest.mark.parametrize("written", ["1.0", "Car", "car\u200b", "c\u0430r"])
def test_predicted_class_that_no_image_has_is_refused(tmp_path: Path, written: str) -> None:
    labels = {"1.0": ("1", "2")}.get(written, ("car", "cow"))
    rows = [(f"{number}.png", f"o{number % 4}", labels[number % 2]) for number in range(8)]
    good = write(tmp_path / "good.csv", [f"{','.join(row)},{row[2]}" for row in rows])
    # every image is right, but the class is written in another way
    bad = write(tmp_path / "bad.csv", [f"{','.join(row)},{written if row[2] == labels[0] else row[2]}" for row in rows])
    for a, b in ((good, bad), (bad, good)):
        with pytest.raises(ManifestError, match=r"bad.csv: line 2: .* is the label of no image") as caught:
            compare(a, b)
        assert f"labels: {', '.join(labels)};" in caught.value.message
        assert (caught.value.line, caught.value.asked) == (2, written)
        assert caught.value.path == bad


def test_a_long_vocabulary_is_shown_in_part(tmp_path: Path) -> None:
    rows = [f"{number}.png,o{number},class {number:03d},Class {number:03d}" for number in range(200)]
    with pytest.raises(ManifestError) as caught:
        compare(write(tmp_path / "a.csv", rows), write(tmp_path / "b.csv", rows))
    assert "labels: class 000, class 001" in caught.value.message
    assert "predicted: Class 000" in caught.value.message
    assert len(caught.value.message) < 500
