"""smallNORB is downloaded from a server of the test: checked, whole or absent, and going on where it stopped."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from acqplan.errors import InputError, MissingError
from acqplan.rig.norb import smallnorb_rig
from acqplan.rig.norb_files import PARTS, PUBLISHED, fetch_smallnorb, file_name
from tests.rig.norb_set import DAT, FACTS, write

SIDE = 900  # of images that do not compress: several blocks of a download


class Home(ThreadingHTTPServer):
    """A home page that serves files, and can be told to fail."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.knows_ranges = True
        self.most = 1 << 40  # bytes of an answer before the line is cut
        self.asked: list[tuple[str, str]] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    @property
    def published(self) -> dict[tuple[str, str], tuple[int, str]]:
        contents = {key: self.files[f"{file_name(*key)}.gz"] for key in PUBLISHED}
        return {key: (len(content), hashlib.sha256(content).hexdigest()) for key, content in contents.items()}


class Answer(BaseHTTPRequestHandler):
    server: Home

    def do_GET(self) -> None:
        name, wish = self.path.lstrip("/"), self.headers.get("Range", "")
        self.server.asked.append((name, wish))
        if name not in self.server.files:
            self.send_error(404)
            return
        content, first = self.server.files[name], 0
        if wish and self.server.knows_ranges:
            first = int(wish.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.wfile.write(content[first : first + self.server.most])

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - named by the library
        pass


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = tmp_path / "made"
    made.mkdir()
    write(made, side=SIDE)
    with Home() as server:
        server.files = {f"{path.name}.gz": gzip.compress(path.read_bytes(), 1) for path in made.iterdir()}
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_all_six_files_are_downloaded_and_read(tmp_path: Path, home: Home) -> None:
    fetch_smallnorb(tmp_path / "data", home=home.address, published=home.published)
    assert names(tmp_path / "data") == {*home.files}
    source = smallnorb_rig(tmp_path / "data", whole=False).source
    image = next(source.capture(source.shots().take([4])))[1]
    assert np.array_equal(image, np.random.default_rng(1).integers(0, 256, (2, 2, SIDE, SIDE), dtype=np.uint8)[1, 0])


def test_what_is_there_is_not_downloaded(tmp_path: Path, home: Home) -> None:
    write(tmp_path, side=SIDE)
    (tmp_path / DAT).unlink()
    fetch_smallnorb(tmp_path, home=home.address, published=home.published)
    fetch_smallnorb(tmp_path, home=home.address, published=home.published)
    assert home.asked == [(f"{DAT}.gz", "")]


def test_progress_tells_every_megabyte(tmp_path: Path, home: Home) -> None:
    class Listener:
        total = done = 0

        def task(self, name: str, total: int) -> "Listener":
            self.total = total
            return self

        def __enter__(self) -> "Listener":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __call__(self, steps: int) -> None:
            self.done += steps

    listener = Listener()
    fetch_smallnorb(tmp_path, listener, home=home.address, published=home.published)
    assert listener.done == listener.total == sum(-(-len(content) // 2**20) for content in home.files.values())


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_download_that_was_cut_goes_on(tmp_path: Path, home: Home, knows_ranges: bool) -> None:
    home.most, home.knows_ranges = 3_000_000, knows_ranges
    with pytest.raises(MissingError, match=r"it ended after 3,000,000 of .* bytes\); try again, it goes on where it"):
        fetch_smallnorb(tmp_path, home=home.address, published=home.published)
    assert not (tmp_path / f"{DAT}.gz").exists()
    home.most = 1 << 40
    home.asked.clear()
    fetch_smallnorb(tmp_path, home=home.address, published=home.published)
    assert home.asked[0] == (f"{DAT}.gz", "bytes=3000000-")
    assert names(tmp_path) - {"made"} == {*home.files}
    assert (tmp_path / f"{DAT}.gz").read_bytes() == home.files[f"{DAT}.gz"]


@pytest.mark.parametrize("change", [lambda content: content[:-1] + b"?", lambda content: content + b"?"])
def test_a_file_that_is_not_the_published_one_is_refused(tmp_path: Path, home: Home, change: object) -> None:
    published = home.published
    assert callable(change)
    home.files[f"{DAT}.gz"] = change(home.files[f"{DAT}.gz"])
    with pytest.raises(InputError, match="its size or checksum is not the published one; try again"):
        fetch_smallnorb(tmp_path, home=home.address, published=published)
    assert not [name for name in names(tmp_path) if DAT in name]


def test_a_partial_file_of_something_else_does_not_stay(tmp_path: Path, home: Home) -> None:
    part = tmp_path / f".{DAT}.gz.part"
    for found in (bytes(1000), bytes(len(home.files[f"{DAT}.gz"]) + 1)):
        part.write_bytes(found)
        with pytest.raises(InputError, match="its size or checksum"):
            fetch_smallnorb(tmp_path, home=home.address, published=home.published)
        assert not part.exists()


def test_a_server_without_the_file_is_told(tmp_path: Path, home: Home) -> None:
    published = home.published
    del home.files[f"{DAT}.gz"]
    with pytest.raises(MissingError, match=r"dat.mat.gz cannot be downloaded \(HTTP Error 404: Not Found\)") as caught:
        fetch_smallnorb(tmp_path, home=home.address, published=published)
    assert caught.value.exit_code == 4


def test_a_full_disk_is_told_and_the_download_goes_on(tmp_path: Path, home: Home) -> None:
    from tests.full_disk import room_for  # skips this test where files cannot be limited

    with room_for(2_000_000), pytest.raises(MissingError, match=r"dat.mat.gz cannot be downloaded \(.*File too large"):
        fetch_smallnorb(tmp_path, home=home.address, published=home.published)
    fetch_smallnorb(tmp_path, home=home.address, published=home.published)
    assert (tmp_path / f"{DAT}.gz").read_bytes() == home.files[f"{DAT}.gz"]


def test_no_server_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"refused.*put the six files there by hand; or write another rig"):
        fetch_smallnorb(tmp_path, home="http://127.0.0.1:1/")
    assert names(tmp_path) == set()


def test_the_published_files_are_those_of_the_format() -> None:
    assert {file_name(*key) for key in PUBLISHED} == {
        f"{stem}-{kind}.mat" for stem in PARTS.values() for kind in ("dat", "cat", "info")
    }
    assert round(sum(size for size, _ in PUBLISHED.values()) / 1e6) == 263
    assert len({digest for _, digest in PUBLISHED.values()}) == len(PUBLISHED)
    assert FACTS.keys() == PARTS.keys()
