"""Photographs of the embedded toys, with names and EXIF as people have them, so that `acqplan init` can be tried:

    python examples/photographs/make.py photographs

writes six folders below `photographs`, of 6 toys of 3 classes each; ../README.md says what to do with each.
"""

import argparse
import csv
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from acqplan.rig.rendered import toy_rig
from acqplan.space import Category, Circle, Interval, Space

CLASSES, WIDTH, HEIGHT = ("car", "animal", "airplane"), 320, 240
SPACE = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 30))),
        Interval(name="elevation", values=(30.0, 60.0), unit="deg"),
        Category(name="lighting", values=("L0",)),
    )
)
Shot = tuple[str, int, int, int, Image.Image]  # class, number of the toy, azimuth, elevation, photograph


def photographs() -> Iterator[Shot]:
    """Colour photographs of 4:3 with the toy in the middle, as a camera takes them of a table."""
    source = toy_rig(space=SPACE, n_instances=2)
    shots = source.shots()
    shots = shots.take([row for row, name in enumerate(shots.names) if name[:-3] in CLASSES])

    for row, pixels in source.capture(shots):
        name, view = shots.names[row], shots.take([row]).views()[0]
        frame = Image.new("L", (WIDTH, HEIGHT), int(np.median(pixels[0])))
        toy = Image.fromarray(pixels).resize((192, 192))
        frame.paste(toy, ((WIDTH - 192) // 2, (HEIGHT - 192) // 2))
        tints = [frame.point([min(255, int(value * tint)) for value in range(256)]) for tint in (1.0, 0.97, 0.9)]
        picture = Image.merge("RGB", tints)
        yield name[:-3], int(name[-2:]) + 1, int(view["azimuth"]), int(view["elevation"]), picture


def saved(picture: Image.Image, path: Path, *, taken: datetime | None = None, turned: bool = False) -> None:
    """A JPEG; a telephone held upright stores its picture lying, and says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if taken:
        exif[0x010F], exif.get_ifd(0x8769)[0x9003] = "Telephone", f"{taken:%Y:%m:%d %H:%M:%S}"
    if turned:
        exif[0x0112], picture = 6, picture.transpose(Image.Transpose.ROTATE_90)
    picture.save(path, quality=88, exif=exif)


def pose(azimuth: float, elevation: float, distance: float = 0.6) -> list[list[float]]:
    """Camera-to-world beside a table that turned by an azimuth: axes right, up and backwards, z up."""
    around, height = np.radians(-azimuth), np.radians(elevation)
    back = np.array([np.cos(height) * np.cos(around), np.cos(height) * np.sin(around), np.sin(height)])
    right = np.array([-np.sin(around), np.cos(around), 0.0])
    matrix = np.eye(4)
    matrix[:3] = np.column_stack([right, np.cross(back, right), back, distance * back])
    return matrix.round(9).tolist()


def main(folder: Path) -> None:
    shots, clock = list(photographs()), datetime(2026, 5, 1, 10, 0, 0)
    names: dict[str, Callable[[str, int, int, int], str]] = {
        "turntable": lambda label, number, a, e: f"{label}_{number:02d}_az{a:03d}_el{e}.jpg",
        "eth80": lambda label, number, a, e: f"{label}{number}-{90 - e:03d}-{a:03d}.jpg",
    }
    for kind, name in names.items():
        for *shown, picture in shots:
            saved(picture, folder / kind / name(*shown))
    # one turn of each toy, 30 degrees from frame to frame: COIL's names, a telephone's
    for label, number, azimuth, elevation, picture in shots:
        if elevation == 30:
            saved(picture, folder / "frames" / f"{label}{number}__{azimuth // 30}.jpg")
            clock += timedelta(seconds=9)
            stamp = f"IMG_{clock:%Y%m%d_%H%M%S}.jpg"
            saved(picture, folder / "telephone" / label / f"{label}-{number}" / stamp, taken=clock, turned=True)
    # a spreadsheet as Excel writes it where decimals have commas
    (folder / "spreadsheet").mkdir(parents=True, exist_ok=True)
    with (folder / "spreadsheet" / "photos.csv").open("w", encoding="cp1252", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(["File", "Class", "Object", "Azimuth", "Elevation", "Größe"])
        for row, (label, number, azimuth, elevation, picture) in enumerate(shots):
            saved(picture, folder / "spreadsheet" / "photos" / f"{row:04d}.jpg")
            cells = [f"photos\\{row:04d}.jpg", label, f"{label} {number}", f"{azimuth},0", f"{elevation},0", "groß"]
            table.writerow(cells)
    # what nerfstudio and its relatives read: a folder per scan
    for scan in sorted({(label, number) for label, number, *_ in shots}):
        frames = []
        for label, number, azimuth, elevation, picture in shots:
            if (label, number) == scan:
                path = f"images/{len(frames):04d}.jpg"
                saved(picture, folder / "scans" / f"{label}-{number}" / path)
                frames.append({"file_path": path, "transform_matrix": pose(azimuth, elevation)})
        place = folder / "scans" / f"{scan[0]}-{scan[1]}" / "transforms.json"
        place.write_text(json.dumps({"frames": frames}, indent=1), encoding="utf-8")
    print(f"{sum(1 for _ in folder.rglob('*.jpg'))} photographs in {folder}")


if __name__ == "__main__":  # rendering starts processes, which import this file
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("folder", nargs="?", type=Path, default=Path("photographs"), help="default: %(default)s")
    main(asked.parse_args().folder)
