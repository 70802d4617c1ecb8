"""The study of transfer and the advice: who is tested, what decides, what is kept, and what patches see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acqplan.errors import BackboneError, BudgetError, InputError, SplitError, UsageError
from acqplan.report.transfer_page import document, save_transfer, spans
from acqplan.rig.altered import AlteredSource
from acqplan.rig.spec import Rig, open_rig
from acqplan.space import Objects, Shots
from acqplan.study import transfer_advice
from acqplan.study.finetune import FineTuning
from acqplan.study.transfer import QUICK, TransferFindings, TransferProtocol, measured, pool_of, sides_of, transfer
from acqplan.study.transfer_advice import advise_transfer, left_out, transfer_sentences, wrong_views
from acqplan.study.transfer_features import LayerFeatures, Side, by_object, read_backbones
from acqplan.study.transfer_heads import USUAL, Recipe
from acqplan.study.transfer_maps import consistency
from acqplan.study.transfer_patches import tiles

TINY = TransferProtocol(recipes=(USUAL, Recipe(head="mean", unit=True)), splits=2, budget=18)
BACKBONES = ("toynet-untrained", "histogram")


def photographs(folder: Path, *, objects: int = 4, classes: int = 3, views: int = 6) -> Rig:
    """A rig of small images whose stripes lean by their class, with the noise of each object and view."""
    draw, lines = np.random.default_rng(0), ["image,label,object,azimuth"]
    y, x = np.mgrid[:32, :32]
    for label in range(classes):
        for thing in range(objects):
            own = draw.normal(0, 20, (32, 32))
            for view in range(views):
                lean = label + 0.25 * np.cos(2 * np.pi * view / views)
                image = 128 + 70 * np.sin(0.7 * (x * np.cos(lean) + y * np.sin(lean))) + own
                image = np.clip(image + draw.normal(0, 10, (32, 32)), 0, 255).astype(np.uint8)
                name = f"{label}-{thing}-{view}.png"
                Image.fromarray(image).save(folder / name)
                lines.append(f"{name},class{label},thing-{label}-{thing},{360 * view // views}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "rig.toml").write_text('source = "folder"\npath = "manifest.csv"\n', encoding="utf-8")
    return open_rig(folder / "rig.toml")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    return photographs(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(scope="module")
def found(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> TransferFindings:
    return transfer(rig, tmp_path_factory.mktemp("whole"), backbones=BACKBONES, protocol=TINY)


class Stop:
    """Progress that stops the work after some steps of the heads."""

    def __init__(self, after: int) -> None:
        self.left = after

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        yield self.step if name == "training heads" else lambda _: None

    def step(self, done: int) -> None:
        self.left -= done
        if self.left < 0:
            raise KeyboardInterrupt


def without_seconds(findings: TransferFindings) -> dict[str, object]:
    told = document(findings)
    ways = [{key: value for key, value in way.items() if "seconds" not in key} for way in told["ways"]]
    return {**told, "ways": ways}


def test_every_layer_is_read_alone_and_side_by_side(found: TransferFindings) -> None:
    assert {str(reading) for reading in found.readings} == {
        "toynet-untrained:stage2",
        "toynet-untrained:stage3",
        "toynet-untrained:pool",
        "toynet-untrained:stage2+stage3+pool",
        "histogram:cells",
    }
    assert len(found.ways) == 10
    levels = [way.mean.mean for way in found.ways]
    assert levels == sorted(levels, reverse=True)
    assert found.same[0]
    assert spans(found)["backbone"] > 0.0
    # every object is tested in every split, by heads that were trained on others
    assert np.isfinite(found.best.accuracy).all()


def test_objects_of_the_test_are_not_trained_on(rig: Rig) -> None:
    shots = pool_of(rig, TINY)
    sides = sides_of(rig, shots, TINY)
    assert [side.split for side in sides] == [0, 0, 1, 1]
    assert by_object(shots, sides)
    assert {len(side.train) for side in sides} == {18}


def test_what_is_not_trained_on_decides_nothing(rig: Rig) -> None:
    shots = pool_of(rig, TINY)
    sides = sides_of(rig, shots, TINY)
    draw = np.random.default_rng(0)
    features = (draw.normal(size=(3, 8))[shots.class_rows] + draw.normal(size=(len(shots), 8))).astype(np.float32)
    poisoned = features.copy()
    spoilt = sides[0].test[::2]
    poisoned[spoilt] = 1e6

    def heads(rows: np.ndarray) -> np.ndarray:
        reading = LayerFeatures(backbone="made", layer="up", depth=0, features=rows)
        ways = measured([reading], shots, sides[:1], QUICK.recipes)
        return np.stack([way.accuracy for way in sorted(ways, key=str)])

    kept = Side(split=0, train=sides[0].train, test=np.setdiff1d(sides[0].test, spoilt))
    sides[0] = kept
    np.testing.assert_array_equal(heads(features), heads(poisoned))


def test_a_stopped_study_goes_on_and_ends_as_one_that_was_not(
    rig: Rig, found: TransferFindings, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        transfer(rig, tmp_path, backbones=BACKBONES, protocol=TINY, progress=Stop(9))
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cells").glob("[0-9]*")}
    assert 0 < len(kept) < 20
    resumed = transfer(rig, tmp_path, backbones=BACKBONES, protocol=TINY)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert without_seconds(resumed) == without_seconds(found)
    for one, other in zip(resumed.maps, found.maps, strict=True):
        np.testing.assert_array_equal(one.places, other.places)
    with pytest.raises(InputError, match="another study"):
        transfer(rig, tmp_path, backbones=BACKBONES[:1], protocol=TINY)


def test_views_are_split_where_every_label_has_one_object(tmp_path: Path) -> None:
    alone = photographs(tmp_path, objects=1, views=12)
    protocol = replace(TINY, splits=1, budget=None, augment=True, patches=True)
    findings = transfer(alone, tmp_path / "out", backbones=["histogram"], protocol=protocol)
    assert findings.tested == "new views"
    assert findings.images == 18
    told = document(findings)
    assert "nothing is known about new objects" in " ".join(told["sentences"])
    # what crops and patches do is measured, and drawn for one image of each class
    assert set(told["altered"]) == {"plain", "augmented", "patches"}
    assert findings.altered is not None
    assert [one.label for one in findings.altered.evidence] == ["class0", "class1", "class2"]
    assert all(0.0 <= one.heat.min() <= one.heat.max() <= 1.0 for one in findings.altered.evidence)
    written = save_transfer(findings, tmp_path / "out")
    assert {path.name for path in written} == {
        "report.html", "results.csv", "findings.json", "ways.png", "maps.png", "evidence.png",
    }  # fmt: skip
    assert all(path.is_file() for path in written)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert all(word in page for word in ("new views", "Crops, rotations and patches", "nearest class mean"))


def test_a_budget_that_cannot_be_is_refused(rig: Rig) -> None:
    for budget in (5, 37):
        with pytest.raises(BudgetError, match="the 6 train objects of a split have 36"):
            sides_of(rig, pool_of(rig, TINY), replace(TINY, budget=budget))


def test_backbones_belong_to_their_weights() -> None:
    named = read_backbones(["mobilenet_v2=a.pth", "mobilenet_v2:pool=b.pth", "toynet"], None, "folder")
    assert [one.label for one in named] == ["mobilenet_v2 (a)", "mobilenet_v2 (b)", "toynet"]
    assert [one.spec for one in named] == [
        "mobilenet_v2:block13+pool",
        "mobilenet_v2:pool",
        "toynet:stage2+stage3+pool",
    ]
    (alone,) = read_backbones(["resnet18"], Path("w.pth"), "folder")
    assert alone.weights == Path("w.pth")
    assert [one.label for one in read_backbones([], None, "toys")] == ["toynet", "histogram"]
    for texts in (["toynet", "histogram"], ["toynet=a.pth"]):
        with pytest.raises(UsageError, match="--weights beside"):
            read_backbones(texts, Path("w.pth"), "folder")
    with pytest.raises(UsageError, match="given twice"):
        read_backbones(["toynet:pool", "toynet:stage2"], None, "folder")
    with pytest.raises(BackboneError, match="toynett") as raised:
        read_backbones(["toynett"], None, "folder")
    assert "toynet" in raised.value.hint


def test_advice_recommends_what_is_best_on_objects_left_out(rig: Rig) -> None:
    shots = rig.source.shots()
    sides = left_out(shots, 0)
    assert by_object(shots, sides)
    assert sorted(np.concatenate([side.test for side in sides])) == list(range(len(shots)))
    backbones = ("toynet-untrained:pool", "histogram")
    advice, again = (
        advise_transfer(rig.source, shots, backbones=backbones, recipes=TINY.recipes, seed=3) for _ in range(2)
    )
    assert str(advice.best) == str(again.best)
    assert (advice.images, advice.objects, advice.per_class, advice.many) == (72, 12, 24, False)
    assert advice.wrong_backbone is not None
    said = " ".join(transfer_sentences(advice))
    assert said.startswith(f"use {advice.best}: ")
    assert "the wrong backbone (" in said
    assert "--fine-tune" in said
    assert "images from one side alone cost" in said


def test_advice_that_cannot_be_given_is_refused(rig: Rig) -> None:
    shots = rig.source.shots()
    with pytest.raises(SplitError, match="one class only"):
        left_out(shots.take(np.flatnonzero(shots.class_rows == 0)), 0)
    first = [int(np.flatnonzero(shots.class_rows == number)[0]) for number in range(3)]
    with pytest.raises(SplitError, match="one image of each class"):
        left_out(shots.take(first), 0)


def test_wrong_views_cost_where_features_show_the_view_alone(rig: Rig) -> None:
    shots = rig.source.shots()
    # each class looks like nothing else from each view, so that views of one side say nothing of the others
    numbers = (shots.coordinates[:, 0] / 60).astype(int) * 3 + shots.class_rows
    features = np.eye(18, dtype=np.float32)[numbers]
    reading = LayerFeatures(backbone="made", layer="up", depth=0, features=features)
    assert wrong_views(reading, shots, left_out(shots, 0), 0).mean > 0.05


def test_neighbours_and_variance_say_what_features_show() -> None:
    objects = Objects(names=tuple(f"o{n}" for n in range(6)), labels=("a", "a", "a", "b", "b", "b"))
    shots = Shots.every(open_rig().source.space, objects)
    shots = shots.take(np.arange(0, len(shots), 40))
    draw = np.random.default_rng(0)
    noise = 0.01 * draw.normal(size=(len(shots), 6)).astype(np.float32)
    of_class = consistency(np.eye(6, dtype=np.float32)[shots.class_rows] + noise, shots)
    assert of_class.neighbours > 0.99
    assert of_class.of_class > 0.95
    assert 0.3 < of_class.by_chance < 0.5
    of_object = consistency(np.eye(6, dtype=np.float32)[shots.object_rows] + noise, shots)
    assert of_object.of_object > 0.6
    of_view = consistency(draw.normal(size=(len(shots), 6)).astype(np.float32), shots)
    assert of_view.of_view > 0.9
    assert abs(of_view.neighbours - of_view.by_chance) < 0.1


def test_patches_cover_an_image_and_have_identities_of_their_own(rig: Rig) -> None:
    shots = rig.source.shots().take([0, 30])
    pieces = tiles(rig.source)
    assert len(pieces) == 14
    covered = np.zeros((32, 32), dtype=int)
    for piece in pieces:
        covered[piece.where(32, 32)] += 1
    assert covered.min() >= 3
    names = {identity for piece in pieces for identity in piece.identities(shots)}
    assert len(names) == 2 * len(pieces)
    (_, whole), (_, corner) = next(pieces[0].capture(shots)), next(pieces[-1].capture(shots))
    np.testing.assert_array_equal(corner, whole[16:, 16:])
    turned = AlteredSource(source=rig.source, degrees=90.0)
    np.testing.assert_allclose(turned.of(whole).astype(int), np.rot90(whole).astype(int), atol=1)


def test_fine_tuning_is_a_way_among_the_others(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_advice, "STAGES", (1,))
    monkeypatch.setattr(transfer_advice, "TUNING", FineTuning(epochs=1, folds=1))
    shots = rig.source.shots()
    shots = shots.take(np.flatnonzero(shots.coordinates[:, 0] < 180))
    asked = {"backbones": ["toynet-untrained:pool"], "recipes": (USUAL,)}
    advice = advise_transfer(rig.source, shots, tune=True, **asked)  # type: ignore[arg-type]
    names = {str(way).partition(", ")[2] for way in advice.ways}
    assert names == {"softmax, PCA", "softmax, last stage fine-tuned"}
    assert all(np.isfinite(way.accuracy).all() for way in advice.ways)
    said = " ".join(transfer_sentences(advice))
    assert "softmax, last stage fine-tuned" in said
    assert "--fine-tune" not in said
