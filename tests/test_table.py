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
    content = ",image,label,x,x\na,a.png,car,1,2\n"
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
    "no text": (b"image,label\na.png,v\x81lo\n", 2, "is not text in UTF-8; save the file as CSV in UTF-8", None),
    "another encoding": ("image,label\na.png,杯子\n".encode("gb18030"), 2, "is not text in UTF-8", None),
    "half of UTF-16": ("image,label\na.png,car\n".encode("utf-16")[:-1], 1, "is not text in UTF-16", None),
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


PLAIN = "image,label,azimuth\na.png,vélo,12.5\nb.png,car,340\n"
COMMAS = PLAIN.replace(",", ";").replace("12.5", "12,5")
DIALECTS: dict[str, tuple[str | bytes, str]] = {
    "commas": (PLAIN, ""),
    "a byte order mark": (PLAIN.encode("utf-8-sig"), ""),
    "semicolons": (PLAIN.replace(",", ";"), "semicolons"),
    "semicolons and decimal commas": (COMMAS, "semicolons, decimal commas"),
    "tabs": (PLAIN.replace(",", "\t"), "tabs"),
    "tabs and decimal commas": (COMMAS.replace(";", "\t"), "tabs, decimal commas"),
    "bars": (PLAIN.replace(",", "|"), "bars"),
    "UTF-16": (COMMAS.encode("utf-16"), "semicolons, UTF-16, decimal commas"),
    "UTF-16 without its mark": (PLAIN.encode("utf-16-be"), "commas, UTF-16"),
    "Windows-1252": (COMMAS.encode("cp1252"), "semicolons, Windows-1252, decimal commas"),
    "Excel's first line": ("sep=;\r\n" + COMMAS.replace("\n", "\r\n"), "semicolons, decimal commas"),
    "headers in capitals": (PLAIN.replace("image,label,azimuth", "Image,LABEL,Azimuth"), ""),
}


@pytest.mark.parametrize(("content", "dialect"), DIALECTS.values(), ids=DIALECTS)
def test_a_table_says_the_same_in_every_dialect(tmp_path: Path, content: str | bytes, dialect: str) -> None:
    table = read(tmp_path, content, others=True)
    assert table.column("label") == ("vélo", "car")
    assert table.numbers("azimuth", unit="deg") == [12.5, 340.0]
    assert table.dialect == dialect


DOUBTFUL = {
    "a list or a decimal": (
        'image,label,x\na.png,car,"12,5"\n',
        "line 2: x '12,5' may be one number or two; write 12.5",
    ),
    "points and commas": (
        "image;label;x\na.png;car;12,5\nb.png;car;3.25\n",
        "line 2: x '12,5' has a comma, but '3.25'",
    ),
    "thousands or decimals": ("image;label;x\na.png;car;1,250\nb.png;car;2,500\n", "x '1,250' may be 1250 or 1.250"),
}


@pytest.mark.parametrize(("content", "said"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_numbers_that_may_mean_two_things_are_refused(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, content, others=True).numbers("x")
    assert said in str(caught.value)


def test_a_number_that_starts_with_zero_shows_that_commas_are_decimal(tmp_path: Path) -> None:
    table = read(tmp_path, "image;label;x\na.png;car;0,000\nb.png;car;1,250\n", others=True)
    assert table.numbers("x") == [0.0, 1.25]


def test_row_numbers_of_a_data_frame_are_a_column_like_others(tmp_path: Path) -> None:
    table = read(tmp_path, ",image,label\n0,a.png,car\n1,b.png,cow\n", others=True)
    assert table.columns["row number"] == ("0", "1")


def test_names_lead_to_the_columns_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("Datei;Sorte\na.png;car\n", encoding="utf-8")
    names = {"image": "Datei", "label": "Sorte"}
    assert read_table(path, required=("image", "label"), names=names).column("label") == ("car",)
    with pytest.raises(
        ManifestError, match=r"no column 'Date', which \[columns\] of rig.toml names; did you mean 'Datei'"
    ):
        read_table(path, required=("image",), names={"image": "Date"})
