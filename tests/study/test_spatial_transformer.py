"""The study of the spatial transformer: what is frozen, what learns, what it says; a killed run goes on."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from acqplan.cli.commands import app
from acqplan.errors import UsageError
from acqplan.features.backbone import Backbone, load_backbone
from acqplan.report.spatial_transformer_page import document, headline, save_spatial_transformer, sentences
from acqplan.runtime import Runtime
from acqplan.study.cells import Cells
from acqplan.study.softmax import SoftmaxSetting
from acqplan.study.spatial_transformer import estimate, pictured_rows, spatial_transformer
from acqplan.study.transformer_findings import (
    HOMOGRAPHY,
    THESIS,
    THESIS_CONTROL,
    TransformerFindings,
    displacements,
    mean_words,
)
from acqplan.study.transformer_protocol import BEYOND, FULL, QUICK, SEARCHES, TransformerProtocol
from acqplan.study.transformer_training import (
    EXPERIMENTS,
    BaseHead,
    Curves,
    Examples,
    Pipeline,
    Training,
    TransformerSetting,
    check_gradient,
    examine,
    train,
)

SIDE = 24
# The views of smallNORB under one light, as small images: 135 training images in the smallest set.
RIG = f"""source = "toys"
[[axis]]
name = "azimuth"
kind = "circle"
values = "0:340:20"
[[axis]]
name = "elevation"
kind = "interval"
values = "30:70:5"
[[axis]]
name = "lighting"
kind = "category"
values = ["L0"]
[render]
size = {SIDE}
"""
TINY = TransformerProtocol(
    experiments=(1, 7),
    sets=("A120E15",),
    searches={name: some[1:] for name, some in SEARCHES.items()},
    updates=34,
    seeds=(0,),
    base_settings=(SoftmaxSetting(dropout=0.0, rate=1e-3, variance=0.9),),
    base_updates=300,
    test_step=27,
    seconds=0.0,
)
SCRIPT = """
import sys
from dataclasses import replace
from pathlib import Path
from acqplan.report.spatial_transformer_page import save_spatial_transformer
from acqplan.runtime import Runtime
from acqplan.study.spatial_transformer import spatial_transformer
from tests.study.test_spatial_transformer import TINY
protocol = replace(TINY, experiments=(1,))
found = spatial_transformer(Path(sys.argv[1]), Path(sys.argv[2]), protocol=protocol, runtime=Runtime(workers=1))
save_spatial_transformer(found, Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone("toynet", runtime=Runtime())


@pytest.fixture(scope="module")
def base(backbone: Backbone) -> BaseHead:
    draw = torch.Generator().manual_seed(0)
    projection = torch.linalg.qr(torch.randn(backbone.n_features, 6, generator=draw)).Q
    weight = torch.randn(6, 5, generator=draw)
    return BaseHead(mean=torch.rand(backbone.n_features), projection=projection, weight=weight, bias=torch.ones(5))


def examples(n: int = 12, seed: int = 0) -> Examples:
    draw = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (n, 1, SIDE, SIDE), generator=draw, dtype=torch.uint8)
    return Examples(inputs=images, targets=torch.arange(n) % 5)


def training(experiment: int, base: BaseHead, setting: TransformerSetting, epochs: int = 2) -> Training:
    return Training(name="one", experiment=EXPERIMENTS[experiment], base=base, setting=setting, epochs=epochs, seed=3)


def bytes_of(tensors: dict[str, torch.Tensor]) -> dict[str, bytes]:
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_what_is_frozen_stays_and_what_is_trained_moves(experiment: int, base: BaseHead, backbone: Backbone) -> None:
    before = bytes_of(dict(backbone.module.state_dict()))
    setting = TransformerSetting(rate=1e-3)
    start = Pipeline(EXPERIMENTS[experiment], base, setting, size=SIDE, seed=3)
    after, _ = train(training(experiment, base, setting), examples(), examples(6, 1), backbone)
    assert bytes_of(dict(backbone.module.state_dict())) == before
    first, last = bytes_of(dict(start.named_parameters())), bytes_of(dict(after.named_parameters()))
    moved = {name.split(".")[0] for name in first if first[name] != last[name]}
    kinds = EXPERIMENTS[experiment]
    trained = {"pca": kinds.pca in ("initialised", "random"), "softmax": kinds.softmax != "fixed", "transformer": True}
    assert moved == {part for part, is_trained in trained.items() if is_trained}
    # what starts from the base head is the base head, and what starts by chance is not
    if kinds.softmax == "random":
        assert not torch.equal(start.softmax.weight, base.weight.mT)
    else:
        assert torch.equal(start.softmax.weight, base.weight.mT)
    assert (start.pca is None) == (kinds.pca == "none")
    assert start.dropout == {"fixed": 0.0, "initialised": 0.25, "random": 0.5}[kinds.softmax]


def test_batch_normalisation_of_a_backbone_stays(base: BaseHead) -> None:
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 5), torch.nn.BatchNorm2d(4), torch.nn.AdaptiveAvgPool2d(8), torch.nn.Flatten()
    )
    own = load_backbone("toynet-untrained", runtime=Runtime())
    own = replace(own, module=net.eval().requires_grad_(False))
    before = bytes_of(dict(net.state_dict()))
    train(training(1, base, TransformerSetting(rate=1e-3)), examples(), examples(6, 1), own)
    assert bytes_of(dict(net.state_dict())) == before
    assert "1.running_mean" in before


def test_a_transformer_that_does_not_learn_leaves_the_base_head(base: BaseHead, backbone: Backbone) -> None:
    seen = examples(10)
    setting = TransformerSetting(rate=1e-3, localisation=0.0)
    _, curves = train(training(1, base, setting), seen, seen, backbone)
    features = torch.from_numpy(backbone.features(seen.inputs))
    logits = (features - base.mean) @ base.projection @ base.weight + base.bias
    expected = float(torch.nn.functional.cross_entropy(logits, seen.targets))
    np.testing.assert_allclose(curves.validation, expected, rtol=0, atol=1e-5)


def test_forms_start_equal_and_gradients_reach_the_localisation_network(base: BaseHead, backbone: Backbone) -> None:
    losses = []
    for projective in (False, True):
        setting = TransformerSetting(rate=1e-3, projective=projective)
        pipeline = Pipeline(EXPERIMENTS[1], base, setting, size=SIDE, seed=0)
        losses.append(examine(pipeline, examples(), backbone).losses)
        moved, _ = train(training(1, base, setting), examples(), examples(6, 1), backbone)
        assert moved.transformer is not None
        # the second update moves the layers behind the zeros too
        pairs = zip(pipeline.named_parameters(), moved.named_parameters(), strict=True)
        changed = {name for (name, a), (_, b) in pairs if name.startswith("transformer") and not torch.equal(a, b)}
        assert len(changed) == 8
    np.testing.assert_allclose(losses[0], losses[1], rtol=0, atol=1e-4)


def test_the_rates_are_those_asked_for(base: BaseHead, backbone: Backbone) -> None:
    # Adam's first step is of the size of the rate
    def step(setting: TransformerSetting) -> tuple[float, float]:
        start = Pipeline(EXPERIMENTS[2], base, setting, size=SIDE, seed=3)
        after, _ = train(training(2, base, setting, epochs=1), examples(8), examples(6, 1), backbone)
        pairs = [(start.softmax.bias, after.softmax.bias)]
        assert start.transformer is not None
        assert after.transformer is not None
        pairs.append((list(start.transformer.parameters())[-1], list(after.transformer.parameters())[-1]))
        behind, moved = (float((b - a).abs().max().detach()) for a, b in pairs)
        return behind, moved

    assert step(TransformerSetting(rate=1e-3)) == pytest.approx((1e-3, 1e-3), rel=0.02)
    assert step(TransformerSetting(rate=1e-3, localisation=0.1)) == pytest.approx((1e-3, 1e-4), rel=0.02)
    # one update in all, half-way up the rise
    assert step(TransformerSetting(rate=1e-3, warm_up=2.0)) == pytest.approx((5e-4, 5e-4), rel=0.02)


class KilledError(Exception):
    """The process ends here."""


@pytest.mark.parametrize("experiment", [4, 7])
def test_a_training_goes_on_from_its_last_epoch(
    experiment: int, base: BaseHead, backbone: Backbone, tmp_path: Path
) -> None:
    own, seen, unseen = training(experiment, base, TransformerSetting(rate=1e-3), 4), examples(20), examples(6, 1)
    whole, curves = train(own, seen, unseen, backbone, kept=(Cells(tmp_path / "a", {}), 0.0))
    cells, heard = Cells(tmp_path / "b", {}), [0]

    def ends(done: int) -> None:
        heard[0] += done
        if heard[0] == 8:  # in the middle of the third epoch of three updates
            raise KilledError

    with pytest.raises(KilledError):
        train(own, seen, unseen, backbone, kept=(cells, 0.0), advance=ends)
    state = cells.load("one")
    assert state is not None
    assert len(state["training"]) == 2
    updates = list[int]()
    resumed, again = train(own, seen, unseen, backbone, kept=(cells, 0.0), advance=updates.append)
    assert updates == [6, *[1] * 6]
    assert bytes_of(dict(resumed.state_dict())) == bytes_of(dict(whole.state_dict()))
    np.testing.assert_array_equal(again.validation, curves.validation)
    np.testing.assert_array_equal(again.training, curves.training)
    assert (tmp_path / "a/cells/one.cell").read_bytes() == (tmp_path / "b/cells/one.cell").read_bytes()


def test_the_best_epoch_counts_and_a_loss_that_is_no_number_never_is(base: BaseHead, backbone: Backbone) -> None:
    seen, unseen = examples(8), examples(6, 1)
    wild, curves = train(training(2, base, TransformerSetting(rate=1.0), 3), seen, unseen, backbone)
    assert examine(wild, unseen, backbone).loss == pytest.approx(curves.loss, abs=1e-6)
    assert curves.loss == curves.validation[1:].min()
    odd = Curves(training=np.zeros(3), validation=np.array([0.1, np.inf, 0.3, 0.2]))
    assert (odd.best_epoch, odd.loss) == (3, 0.2)


def test_the_control_starts_as_its_twin(base: BaseHead, backbone: Backbone) -> None:
    seen = examples(10)
    features = Examples(inputs=torch.from_numpy(backbone.features(seen.inputs)), targets=seen.targets)
    for experiment in (2, 7):
        own, other = (
            Pipeline(EXPERIMENTS[experiment], base, TransformerSetting(rate=1e-5, localisation=on), size=SIDE, seed=1)
            for on in (1.0, None)
        )
        a, b = examine(own, seen, backbone), examine(other, features, backbone)
        np.testing.assert_allclose(a.losses, b.losses, rtol=0, atol=1e-4)
        assert b.parameters.shape == (10, 0)


def test_a_backbone_without_gradient_is_refused() -> None:
    images = torch.zeros(2, 1, SIDE, SIDE, dtype=torch.uint8)
    with pytest.raises(UsageError, match="histogram:cells: no finite gradient"):
        check_gradient(load_backbone("histogram", runtime=Runtime()), images)
    check_gradient(load_backbone("toynet", runtime=Runtime()), images)


def test_displacements_are_counted_in_pixels() -> None:
    shifted = np.array([[1, 0, 0.5, 0, 1, 0], [1, 0, 0, 0, 1, 0]], dtype=np.float32)
    np.testing.assert_allclose(displacements(shifted, 96), [24.0, 0.0], atol=1e-6)
    same = np.pad(shifted, ((0, 0), (0, 2)))
    np.testing.assert_allclose(displacements(same, 96), [24.0, 0.0], atol=1e-6)
    turn = np.radians(10.0)
    turned = np.array([[[np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn), 0.25]]], dtype=np.float32)
    assert mean_words(turned, 96) == "from +0.00 px right, +12.00 px down, 1.000 of the size, turned +10.00°"


def test_what_is_not_there_is_refused() -> None:
    runner = CliRunner()
    for option, word, known in (
        (("--experiments", "9"), "no experiment 9", "1, 2, 3, 4, 5, 6, 7"),
        (("--experiments", "1,two"), "no experiment two", "1, 2, 3, 4, 5, 6, 7"),
        (("--sets", "A60E99"), "no set A60E99", "A120E15"),
        (("--seeds", "0"), "--seeds 0", "at least 1"),
        (("--fetch",), "--fetch without --data", "smallnorb"),
    ):
        done = runner.invoke(app, ["study", "spatial-transformer", *option])
        assert done.exit_code == 2
        assert word in done.stderr
        assert known in done.stderr


def test_the_full_protocol_is_the_thesis() -> None:
    assert len(FULL.sets) == 12
    assert len(FULL.cases()) == 12 * (7 + 6)
    assert [setting.rate for setting in FULL.searches[THESIS]] == [1e-6, 1e-5]
    assert len(FULL.base_settings) == 16
    assert FULL.epochs(14_580) == 25
    beyond = replace(FULL, searches={**SEARCHES, **BEYOND})
    assert len(beyond.cases()) == 12 * (7 + 6 + 7 + 6 + 7)
    assert QUICK.epochs(810) == 4


def test_a_plan_says_how_much_and_how_long() -> None:
    said = estimate(replace(TINY, seeds=(0, 1)), backbone="toynet", runtime=Runtime())
    assert said["sets"] == "A120E15"
    assert said["trainings"] == "6 of about 34 updates"
    assert said["searches"] == "affine, 1 setting; affine, control, 1 setting; 2 seeds"
    assert "with toynet:pool on cpu" in said["time"]


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rig") / "rig.toml"
    path.write_text(RIG, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def found(rig: Path, tmp_path_factory: pytest.TempPathFactory) -> TransformerFindings:
    """A whole study with a control and both forms."""
    searches = {**TINY.searches, HOMOGRAPHY: BEYOND[HOMOGRAPHY][1:]}
    protocol = replace(TINY, searches=searches, seeds=(0, 1), updates=17)
    out = tmp_path_factory.mktemp("study")
    return spatial_transformer(rig, out / "a", protocol=protocol, runtime=Runtime())


def test_everything_is_tested_and_compared(found: TransformerFindings) -> None:
    assert [key[:2] for key in found.cases] == [
        (THESIS, 1), (THESIS, 7), (THESIS_CONTROL, 7), (HOMOGRAPHY, 1), (HOMOGRAPHY, 7)
    ]  # fmt: skip
    assert found.base.losses.shape == (2, 150)
    assert found.cases[THESIS, 1, "A120E15"].parameters.shape == (2, 150, 6)
    assert found.cases[HOMOGRAPHY, 1, "A120E15"].parameters.shape == (2, 150, 8)
    assert np.isnan(found.cases[THESIS_CONTROL, 7, "A120E15"].displacement)
    assert found.control((THESIS, 1, "A120E15")) is found.base
    control = found.control((HOMOGRAPHY, 7, "A120E15"))
    assert control is found.cases[THESIS_CONTROL, 7, "A120E15"]
    # means over objects are those of the images, as every object has as many
    difference = found.loss_difference([(control, found.base)])
    assert difference.mean == pytest.approx(control.loss - found.base.loss, abs=1e-6)
    # with a control in common, gains differ as the cases themselves do
    own = [(found.cases[HOMOGRAPHY, number, "A120E15"], found.cases[THESIS, number, "A120E15"]) for number in (1, 7)]
    assert found.gain_difference(HOMOGRAPHY).mean == pytest.approx(found.loss_difference(own).mean, abs=1e-6)
    assert found.gain_difference(THESIS).mean == 0.0
    labels = np.array(found.tests.labels)[found.pictured]
    assert {label: (labels == label).sum() for label in labels} == dict.fromkeys(found.tests.objects.classes, 3)
    assert found.base.pictures.shape == (15, SIDE, SIDE)
    np.testing.assert_array_equal(found.pictured, pictured_rows(found.tests))


def test_the_page_says_what_was_found_and_whose_data_it_is(found: TransformerFindings, tmp_path: Path) -> None:
    # the base head's set is known, even if it is not among those asked for
    more = replace(found, train_images={**found.train_images, "A20E5": 2_430})
    names = {path.name for path in save_spatial_transformer(more, tmp_path)}
    assert names >= {"losses-A120E15.png", "transformed-affine-7.png", "transformed-projective-1.png"}
    assert "losses-A20E5.png" not in names
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert headline(found) in page
    assert "not the thesis' images and network (toys with toynet:pool" in " ".join(sentences(found))
    assert "in our reading" in page
    assert "Mean transformation of all test images" in page
    assert "The thesis reports" not in page
    same = replace(found, rig="norb", backbone="vgg16:fc15")
    assert "The thesis reports 0.3736 for its base head." in sentences(same)
    assert json.loads(json.dumps(document(same)))["base"]["reported"] == 0.3736
    assert document(found)["base"]["reported"] is None


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_killed_study_goes_on_and_ends_as_one_that_was_not(rig: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    with running(str(rig), str(cut)) as process:
        end = time.monotonic() + 120
        while not list(cut.glob("cells/affine-*-0.cell")):  # a training's, not yet that of an experiment
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < end
            time.sleep(0.02)
        process.kill()
    assert not (cut / "report.html").exists()
    for out in (cut, whole):
        with running(str(rig), str(out)) as process:
            _, said = process.communicate(timeout=240)
            assert process.returncode == 0, said.decode()
    files = {path.relative_to(whole): path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    assert {path.relative_to(cut): path.read_bytes() for path in cut.rglob("*") if path.is_file()} == files
    assert {str(path) for path in files} >= {"report.html", "results.csv", "findings.json", "losses-A120E15.png"}
    assert sum(path.parts[0] == "cells" for path in files) == 2, "trainings are removed once they are tested"
    with (whole / "results.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 2 * 25
    assert {row["search"] for row in rows} == {"base head", THESIS}
