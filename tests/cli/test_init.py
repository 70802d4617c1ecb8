"""``acqplan init``: what it shows, asks and writes, and rigs that need no file."""

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from acqplan import open_rig
from tests.cli.conftest import QUICK, Acqplan
from tests.cli.terminal import interrupted
from tests.exchange.photographs import INPUTS, LOW, PLAIN, named, table


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_what_was_understood_is_shown_and_written(acqplan: Acqplan) -> None:
    named(Path("photos"), lambda row: f"{row[1]}_az{row[2]:03d}_el{row[3]}.jpg")
    done = acqplan("init", "photos", "--yes")
    assert done.code == 0
    words = " ".join(done.out.split())
    for said in (
        "48 of 4 objects, 12 each",
        "2: bowl (2), cup (2)",
        "azimuth 0 to 300 deg (6), elevation 30 to 66 deg (2)",
        "names such as {object}_az{azimuth}_el{elevation}.jpg",
        "the light, which is taken as the same in all images",
        "cup-2_az300_el66.jpg cup cup-2 300 66",
        "66 4 4 4 4 4 4 24",
    ):
        assert said in words
    assert "next: acqplan recommend --rig rig.toml" in done.err
    assert acqplan("recommend", "--rig", "rig.toml", "--budget", 12, *QUICK).code == 0
    assert len(Path("acqplan-out/plan.csv").read_text().splitlines()) == 13


@pytest.mark.parametrize("name", ["names alone", "transforms.json", "semicolons, decimal commas"])
def test_a_folder_is_a_rig_without_a_file(name: str, acqplan: Acqplan) -> None:
    INPUTS[name][0](Path("photos"))
    done = acqplan("recommend", "--rig", "photos", "--budget", 12, *QUICK)
    assert done.code == 0
    assert "; understood: " in done.err
    assert not Path("rig.toml").exists()


def test_a_folder_that_says_too_little_names_init(acqplan: Acqplan) -> None:
    INPUTS["COIL-20"][0](Path("photos"))
    done = acqplan("recommend", "--rig", "photos", "--budget", 12, *QUICK)
    assert (done.code, done.out) == (3, "")
    assert "numbers from 0 to 5 may be frames or degrees" in done.err
    assert "acqplan init photos asks, and writes rig.toml" in done.err
    assert not Path("acqplan-out").exists()


def test_options_answer_what_scripts_cannot_be_asked(acqplan: Acqplan) -> None:
    INPUTS["COIL-20"][0](Path("coil"))
    assert acqplan("init", "coil", "--yes").code == 3
    done = acqplan("init", "coil", "--yes", "--step", "turn", "--square", "--json")
    document = json.loads(done.out)
    assert (document["images"], document["axes"], document["files"][-1]) == (24, {"azimuth": 6}, "rig.toml")
    assert 'crop = "square"' in Path("rig.toml").read_text()
    assert acqplan("recommend", "--rig", "rig.toml", "--budget", 8, *QUICK).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("photos", "--step", "five"), 2, "a step of 'five' cannot be; give degrees, e.g. 5, or turn"),
        (("nowhere",), 3, "nowhere: there is no such folder or file"),
        (("photos", "--objects", "cup=6"), 2, "--axis or --objects beside photographs"),
        ((), 2, "nothing says what the rig can set, or what it photographs; give e.g. --axis azimuth=0:340:20"),
        (("--axis", "azimuth", "--objects", "cup=6"), 2, "'azimuth' is not NAME=VALUES"),
        (("--axis", "azimuth=far", "--objects", "cup=6"), 2, "axis 'azimuth': far are no numbers"),
        (("photos", "--pattern", "{label}.png"), 2, "says no view; add e.g. {azimuth}"),
    ],
)
def test_wrong_use_is_told_and_writes_nothing(
    arguments: tuple[str, ...], code: int, said: str, acqplan: Acqplan
) -> None:
    INPUTS["COIL-20"][0](Path("photos"))
    done = acqplan("init", *arguments, "--yes")
    assert done.code == code
    assert said.replace("; ", " ") in " ".join(done.err.split())
    assert not Path("rig.toml").exists()


def test_a_rig_that_is_there_stays(acqplan: Acqplan) -> None:
    Path("rig.toml").write_text("mine")
    done = acqplan("init", "--axis", "azimuth=0:300:60", "--objects", "cup=2", "--yes")
    assert (done.code, Path("rig.toml").read_text()) == (2, "mine")
    assert "rig.toml: is there already" in done.err


def test_a_live_rig_is_written_from_options(acqplan: Acqplan) -> None:
    axes = ("--axis", "azimuth=0:340:20", "--axis", "height=1,2.5", "--axis", "lighting=left,right")
    assert acqplan("init", *axes, "--objects", "cup=2", "--objects", "bowl=blue,red", "--yes").code == 0
    rig = open_rig("rig.toml")
    assert rig.source.space.shape == (18, 2, 2)
    assert rig.source.objects.names == ("blue", "red", "cup-00", "cup-01")
    assert acqplan("recommend", "--rig", "rig.toml", "--budget", 20, "--no-validate").code == 0


def answered(answers: list[tuple[str, str]], *arguments: str) -> tuple[int, str]:
    """Run the program at a terminal and give each answer once its question is shown."""
    master, slave = pty.openpty()
    command = [sys.executable, "-c", "from acqplan.cli.app import main; main()", *arguments]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    text = ""
    while select.select([master], [], [], 60.0)[0]:
        try:
            text += os.read(master, 4096).decode(errors="replace")
        except OSError:  # the other end is closed
            break
        if answers and answers[0][0] in text:
            os.write(master, f"{answers.pop(0)[1]}\n".encode())
    os.close(master)
    return process.wait(60.0), text


def test_a_person_is_asked_for_what_cannot_be_known() -> None:
    named(Path("photos"), lambda row: f"{row[1]}/{row[3]}-{row[2]}.png")
    code, text = answered([("straight above?", "n"), ("Write this?", "y")], "init", "photos")
    assert code == 0, text
    assert "30 to 66 may be elevations" in text
    assert "elevation" in Path("manifest.csv").read_text().splitlines()[0]


def test_a_person_may_say_no_and_nothing_is_written() -> None:
    named(Path("photos"), lambda row: f"{row[1]}/{row[2] // 60:03d}.png", LOW)
    code, text = answered([("goes once around)?", ""), ("Write this?", "n")], "init", "photos")
    assert code == 1, text
    assert not Path("rig.toml").exists()
    assert not Path("manifest.csv").exists()


def test_a_question_is_left_by_ctrl_c_with_its_code() -> None:
    named(Path("photos"), lambda row: f"{row[1]}/{row[3]}-{row[2]}.png")
    command = [sys.executable, "-c", "from acqplan.cli.app import main; main()", "init", "photos"]
    done = interrupted(command, at="straight above?", after=0.2, environment=os.environ)
    assert (done.code, done.left) == (130, [])
    assert not Path("rig.toml").exists()


def test_a_person_is_asked_for_a_live_rig() -> None:
    answers = [
        ("azimuth [", "0:300:60"),
        ("elevation [", ""),
        ("lighting [", "left,right"),
        ("each class?", "cup=3 bowl=2"),
    ]
    code, text = answered(answers, "init")
    assert code == 0, text
    rig = open_rig("rig.toml")
    assert (rig.source.space.shape, len(rig.source.objects)) == ((6, 5, 2), 5)


@pytest.mark.parametrize("arguments", [("photos/photos.csv",), ("--captured", "photos"), ("photos",)])
def test_photographs_are_advised_without_a_rig(arguments: tuple[str, ...], acqplan: Acqplan) -> None:
    table(Path("photos"), PLAIN)
    done = acqplan("advise", *arguments, "--backbone", "histogram", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["images"] == 48
    assert "axes: azimuth, elevation; ignored: note" in done.err


def test_captured_images_of_embedded_toys_stay_those_of_the_embedded_rig(acqplan: Acqplan) -> None:
    table(Path("photos"), PLAIN)
    path = Path("photos/photos.csv")
    path.write_text(path.read_text("utf-8").replace(",cup,cup-1,", ",car,car-01,"), "utf-8")
    done = acqplan("advise", path, "--json")
    assert done.code == 3
    assert "the rig has no object 'cup-2'" in done.err
