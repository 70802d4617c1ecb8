"""Files of a result come into their folder all at one moment, whatever kills the process, and replace nobody else's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from acqplan.errors import OutputError
from acqplan.evaluate.results import BENCHMARK_FILES, BENCHMARK_MARK
from acqplan.files import check_free, replace_files, work_folder
from acqplan.report.result import FILES, MARK

NAMES = tuple("abcde")
RESULTS = {"one": "abc", "two": "bcd", "three": "ae"}
# Publishes a result, and is killed just before the n-th change of the file system.
PUBLISH = """
import os, signal, sys
from pathlib import Path
from acqplan.files import replace_files, work_folder

out, who, names, fatal = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
for _ in range(int(sys.argv[5])):
    seen = 0

    def count(event, arguments):
        global seen
        if event in ("os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "shutil.rmtree"):
            seen += 1
            if seen == fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    with work_folder(out / "result") as work:
        for name in names:
            (work / name).write_text(who)
        if fatal:
            sys.addaudithook(count)
        replace_files(work, out, "abcde")
"""


def publishing(out: Path, who: str, *, fatal: int = 0, times: int = 1) -> subprocess.Popen[bytes]:
    program = [sys.executable, "-c", PUBLISH, str(out), who, RESULTS[who], str(fatal), str(times)]
    return subprocess.Popen(program)


def published(out: Path, who: str) -> None:
    with work_folder(out / "result") as work:
        for name in RESULTS[who]:
            (work / name).write_text(who)
        replace_files(work, out, NAMES)


def seen(out: Path) -> dict[str, str]:
    return {name: (out / name).read_text() for name in NAMES if (out / name).exists()}


WHOLE = {who: dict.fromkeys(names, who) for who, names in RESULTS.items()}


@pytest.mark.parametrize("before", ["one", None])
def test_a_kill_at_any_moment_leaves_one_whole_result(before: str | None, tmp_path: Path) -> None:
    ends = set()
    for fatal in range(1, 100):
        out = tmp_path / str(fatal)
        out.mkdir()
        (out / "notes.txt").write_text("mine")
        if before:
            published(out, before)
        code = publishing(out, "two", fatal=fatal).wait()
        found = seen(out)
        assert found in (WHOLE[before] if before else {}, WHOLE["two"])
        ends.add(found == WHOLE["two"])
        published(out, "three")  # the next one finishes, and nothing stays of the one that was killed
        assert seen(out) == WHOLE["three"]
        assert {path.name for path in out.iterdir()} == {"notes.txt", *"ae"}
        assert not any(path.is_symlink() for path in out.iterdir())
        if code == 0:
            break
    else:
        pytest.fail("it never came to its end")
    assert fatal > 15
    assert ends == {False, True}, "it was killed before and after"


def test_two_results_at_once_do_not_mix(tmp_path: Path) -> None:
    for _ in range(5):
        processes = [publishing(tmp_path, who, times=40) for who in ("one", "two")]
        assert [process.wait() for process in processes] == [0, 0]
        assert seen(tmp_path) in (WHOLE["one"], WHOLE["two"])
        assert {path.name for path in tmp_path.iterdir()} == set(seen(tmp_path))


def test_the_folder_stays_the_same_folder_for_who_stands_in_it(tmp_path: Path) -> None:
    published(tmp_path, "one")
    before = tmp_path.stat().st_ino
    published(tmp_path, "two")
    assert tmp_path.stat().st_ino == before
    assert seen(tmp_path) == WHOLE["two"]


def test_work_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    with work_folder(tmp_path / "one") as first, work_folder(tmp_path / "two") as second:
        assert set(tmp_path.iterdir()) == {first, second}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("files", "mark"), [(FILES, MARK), (BENCHMARK_FILES, BENCHMARK_MARK)])
@pytest.mark.parametrize("content", [None, "", "[]", "{}", "[" * 100_000, '{"acqplan": "0"}', "\ud800"])
def test_files_of_others_are_not_replaced(
    content: str | None, files: tuple[str, ...], mark: tuple[str, tuple[str, ...]], tmp_path: Path
) -> None:
    check_free(tmp_path, files, *mark)
    (tmp_path / "report.html").write_text("mine")
    if content is not None:
        (tmp_path / mark[0]).write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(OutputError, match="would be replaced") as refused:
        check_free(tmp_path, files, *mark)
    assert refused.value.path is not None
    assert refused.value.path.exists()
