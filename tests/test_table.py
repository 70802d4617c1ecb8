"""CSV tables: what is read, and the line and remedy of what is refused."""

from pathlib import Path

import pytest

from acqplan.errors import ManifestError
from acqplan.table import CsvTable, read_table


def read(folder: Path, content: str | bytes, *, others: bool = False) -> CsvTable:
    path = folder / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, required=("image", "label"), others=others)


def test_further_columns_are_kept_if_asked_for(tmp_path: Path) -> None:
    content = 'label,image,note\ncar,a.png,"one, two"\n\ncow,b.png,\n'
    assert read(tmp_path, content).columns == {"image": ("a.png", "b.png"), "label": ("car", "cow")}
    kept = read(tmp_path, content, others=True)
    assert kept.column("note") == ("one, two", "")
    assert (kept.lines, kept.where(1)) == ((2, 4), f"{tmp_path / 'table.csv'}: line 4")


def test_further_columns_that_are_not_kept_need_no_name_of_their_own(tmp_path: Path) -> None:
    content = ",image,label,x,x\n0,a.png,car,1,2\n"
    assert set(read(tmp_path, content).columns) == {"image", "label"}
    for found in ("column 1 has no name", "column 'x' appears twice"):
        with pytest.raises(ManifestError, match=found):
            read(tmp_path, content if "name" in found else content.replace(",image", "n,image", 1), others=True)


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    assert len(read(tmp_path, "image,label\n")) == 0


BAD: dict[str, tuple[str | bytes, int, str, object]] = {
    "empty": ("", 1, "the file is empty; give a header: image,label", None),
    "blank lines alone": ("\n\n", 1, "the file is empty", None),
    "missing column": ("image,lable\na.png,car\n", 1, "no column 'label'; did you mean 'lable'?", "label"),
    "tabs": ("image\tlabel\na.png\tcar\n", 1, "separate columns by ',', not by '\\t'", "image"),
    "column twice": ("image,label,label\na.png,car,car\n", 1, "column 'label' appears twice; rename one", "label"),
    "header below blank lines": ("\n\nimage,lable\n", 3, "no column 'label'", "label"),
    "blank cell": ("image,label\na.png,car\n ,car\n", 3, "'image' is empty; fill it in, or take the line out", ""),
    "zero byte": ("image,label\na.png,c\0r\n", 2, "'label' is no text", "c\0r"),
    "short row": ("image,label\na.png\n", 2, "'label' is empty; fill it in", ""),
    "long row": ("image,label\na.png,car,x\n", 2, "more values than columns (3, 2); give one for each", None),
    "row without a further cell": ("image,label,x\na.png,car\n", 2, "fewer values than columns (2, 3)", None),
    "open quote": (
        'image,label\na.png,"car\n',
        2,
        "is not valid CSV (unexpected end of data); write CSV",
        None,
    ),
    "not UTF-8": (b"image,label\na.png,v\xe9lo\n", 2, "is not text in UTF-8; save the file as CSV in UTF-8", None),
}


@pytest.mark.parametrize(("content", "line", "said", "asked"), BAD.values(), ids=BAD)
def test_a_mistake_is_told_with_file_line_and_remedy(
    tmp_path: Path, content: str | bytes, line: int, said: str, asked: object
) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'table.csv'}: line {line}: ")
    assert said in str(caught.value)
    assert (caught.value.path, caught.value.line, caught.value.asked) == (tmp_path / "table.csv", line, asked)
    assert caught.value.hint


def test_a_file_that_cannot_be_read_says_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.csv: cannot be read .*; check 'weights' in rig\.toml"):
        read_table(tmp_path / "none.csv", required=("a",), named_by="'weights' in rig.toml")
    with pytest.raises(ManifestError, match="cannot be read"):
        read_table(tmp_path, required=("a",))


def test_numbers_are_finite_and_angles_within_a_turn(tmp_path: Path) -> None:
    def angles(cell: str) -> list[float]:
        return read(tmp_path, f"image,label,azimuth\na.png,car,{cell}\n", others=True).numbers("azimuth", unit="deg")

    assert angles("-40.5") == [-40.5]
    for cell, said in {
        "ninety": "azimuth 'ninety' is not a number; give degrees, e.g. 90",
        "": "azimuth '' is not a number",
        "1_0": "azimuth '1_0' is not a number",
        "inf": "azimuth 'inf' is not finite",
        "725": "azimuth '725' is more than a full turn; give degrees from -360 to 360",
    }.items():
        with pytest.raises(ManifestError, match=said) as caught:
            angles(cell)
        assert caught.value.line == 2
