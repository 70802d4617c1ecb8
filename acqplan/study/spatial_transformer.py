"""The thesis' second question: does a spatial transformer in front of the backbone help?

Its seven experiments on its even sets, and beside them what it did not have: the same layers trained on the same images
without a transformer, so that the gain of the transformer is told from that of more images; and what it suspected, a
wider search for rates and a projective transformation.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from acqplan.errors import UsageError
from acqplan.evaluate.task import opened
from acqplan.features.backbone import Backbone, load_backbone
from acqplan.features.extractor import DEFAULT_BACKBONES, Extractor
from acqplan.files import digest_bytes
from acqplan.numbers import count_noun, duration
from acqplan.pool import one_core_each, one_core_jobs
from acqplan.progress import SILENT, Progress, Titled
from acqplan.rig.source import Source
from acqplan.rig.spec import Rig, open_rig
from acqplan.runtime import Runtime, available_cores
from acqplan.space import Shots
from acqplan.study.cells import Arrays, Cells
from acqplan.study.norb_sets import FULL_SET, IMAGES, parts_of, set_rows
from acqplan.study.softmax import BATCH, DataSet, SoftmaxSetting, train_softmax
from acqplan.study.softmax_plan import fit_share
from acqplan.study.transformer import SIZE
from acqplan.study.transformer_findings import (
    BASE_SET,
    CONTROLS,
    REPORTED_BACKBONE,
    THESIS_CONTROL,
    Case,
    Key,
    TransformerFindings,
)
from acqplan.study.transformer_protocol import (
    QUICK,
    SEARCHES,
    VARIANCE,
    TransformerProtocol,
)
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

# Test images of each class that are shown.
PICTURED = 3


def default_backbone(rig: Rig) -> str:
    """The thesis' network, and toynet for toys."""
    return DEFAULT_BACKBONES.get(rig.source.name, REPORTED_BACKBONE)


def spatial_transformer(
    rig: Rig | Path | str | None = None,
    out: Path | str = "acqplan-spatial-transformer",
    *,
    backbone: str | None = None,
    weights: Path | None = None,
    protocol: TransformerProtocol = QUICK,
    runtime: Runtime | None = None,
    progress: Progress = SILENT,
) -> TransformerFindings:
    """Run the study: ``acqplan study spatial-transformer``; what is finished is kept, so that a killed run goes on.

    Args:
        rig: A rig with the axes of smallNORB and ten objects per class, of square grey images; the toys by default.
        out: Folder of the results.
        backbone: ``name:layer``; by default `default_backbone`.
        weights: File of its weights; downloaded if ``None``.
        protocol: How much to run.
        runtime: Where everything runs; the fastest device by default. The same device gives the same bytes again if
            it is a processor; on a GPU sums of gradients may come in another order.
        progress: Hears about long work.

    Raises:
        UsageError: If the rig has other axes or images, or no gradient passes through the backbone.
        SplitError: If a class has not ten objects.
        InputError: If ``out`` holds another study.
    """
    rig = open_rig(progress=progress) if rig is None else opened(rig, progress)
    shots = rig.source.shots()
    parts = parts_of(shots)  # refuses another rig before anything is captured
    extractor = Extractor.open(
        rig.source,
        backbone=backbone or default_backbone(rig),
        weights=weights,
        runtime=runtime or Runtime.detect(),
        progress=progress,
    )
    check_gradient(extractor.backbone, images_of(rig.source, shots.take([0, len(shots) - 1])))
    about = {
        "study": "spatial-transformer",
        "rig": rig.digest,
        "backbone": extractor.backbone.fingerprint,
        "base": [str(setting) for setting in protocol.base_settings],
        **{name: getattr(protocol, name) for name in ("updates", "base_updates", "test_step")},
    }
    cells = Cells(Path(out), about)
    # only what is trained, validated or tested on is captured
    in_sets = [set_rows(shots, "even", name, 0) for name in (*protocol.sets, BASE_SET)]
    is_test = np.isin(shots.object_rows, parts[2])
    trained = np.setdiff1d(np.concatenate(in_sets), np.flatnonzero(is_test))
    used = shots.take(np.union1d(trained, np.flatnonzero(is_test)[:: protocol.test_step]))
    run = _TransformerRun(
        shots=used,
        parts=parts,
        backbone=extractor.backbone,
        protocol=protocol,
        cells=cells,
        features=torch.from_numpy(extractor(used, progress=progress)),
        images=images_of(rig.source, used, progress),
    )
    return run.findings(rig.source.name, progress)


def images_of(source: Source, shots: Shots, progress: Progress = SILENT) -> Tensor:
    """Take shots: grey bytes in their order, shape ``[shots, 1, size, size]``.

    Raises:
        UsageError: If an image is not a grey square of the size of the others.
    """
    images: np.ndarray | None = None
    for row, image in source.capture(shots, progress=progress):
        images = np.empty((len(shots), 1, *image.shape), dtype=np.uint8) if images is None else images
        if image.ndim != 2 or len({*image.shape, *images.shape[2:]}) > 1:
            said = f"an image of shape {list(image.shape)}, the first of {list(images.shape[2:])}"
            raise UsageError(said, "take a rig of grey squares of one size, as smallNORB and the toys have")
        images[row, 0] = image
    return torch.from_numpy(images)


def estimate(
    protocol: TransformerProtocol,
    *,
    rig: Path | None = None,
    backbone: str = "",
    weights: Path | None = None,
    runtime: Runtime | None = None,
) -> dict[str, str]:
    """What a run would do, and about how long it takes on this device, by training for some updates.

    Args:
        protocol: How much would be run.
        rig: As of `spatial_transformer`; it is asked only for its backbone.
        backbone: As of `spatial_transformer`.
        weights: As of `spatial_transformer`.
        runtime: As of `spatial_transformer`.
    """
    spec, runtime = backbone or default_backbone(open_rig(rig)), runtime or Runtime.detect()
    net, device = load_backbone(spec, weights=weights, runtime=runtime), runtime.device
    width, components, classes, count = net.n_features, 64, 5, 8 * BATCH
    base = BaseHead(
        mean=torch.zeros(width),
        projection=torch.zeros(width, components),
        weight=torch.zeros(components, classes),
        bias=torch.zeros(classes),
    )
    targets = torch.arange(count, device=device) % classes
    of_update, of_image = dict[bool, float](), dict[bool, float]()
    with one_core_each():
        for is_control in (False, True):
            inputs = torch.zeros(count, width) if is_control else torch.randint(256, (count, 1, SIZE, SIZE)).byte()
            setting = TransformerSetting(rate=1e-6, localisation=None if is_control else 1.0)
            training = Training(name="", experiment=EXPERIMENTS[4], base=base, setting=setting, epochs=1, seed=0)
            some = Examples(inputs=inputs.to(device), targets=targets)
            for _ in range(2):  # the first time, everything gets ready
                began = time.perf_counter()
                pipeline, _ = train(training, some, some, net)
                trained = time.perf_counter()
                examine(pipeline, some, net)
                of_image[is_control] = (time.perf_counter() - trained) / count
            # validated at the start and at the end
            of_update[is_control] = (trained - began) * BATCH / count - 2 * of_image[is_control] * BATCH
    n_trainings, seconds = 0, 0.0
    for search, _, name in protocol.cases():
        n_train, n_settings = IMAGES[name] * 3 // 5, len(protocol.searches[search]) * len(protocol.seeds)
        update, image = (costs[search not in CONTROLS] for costs in (of_update, of_image))
        epoch = update * -(-n_train // BATCH) + image * (IMAGES[name] - n_train)
        tested = image * IMAGES[FULL_SET] / protocol.test_step * len(protocol.seeds)
        n_trainings += n_settings
        seconds += n_settings * protocol.epochs(n_train) * epoch + tested
    workers = available_cores() if device == "cpu" else 1
    searches = "; ".join(f"{name}, {count_noun(len(some), 'setting')}" for name, some in protocol.searches.items())
    return {
        "experiments": "; ".join(f"{number}: {EXPERIMENTS[number]}" for number in protocol.experiments),
        "sets": ", ".join(protocol.sets),
        "trainings": f"{n_trainings:,} of about {protocol.updates:,} updates",
        "searches": f"{searches}; {count_noun(len(protocol.seeds), 'seed')}",
        "time": f"about {duration(seconds / workers)}: {1000 * of_update[False]:.0f} ms an update with {net.spec} "
        f"on {device}, and {count_noun(workers, 'training')} run at once; images and base head beside",
    }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _TransformerRun:
    """A run of the study on the shots that it trains, validates and tests on."""

    shots: Shots
    parts: tuple[Int[np.ndarray, " train"], Int[np.ndarray, " rest"], Int[np.ndarray, " test"]]
    backbone: Backbone
    protocol: TransformerProtocol
    cells: Cells
    features: Tensor
    images: Tensor

    def findings(self, rig: str, progress: Progress) -> TransformerFindings:
        """Finish what is not finished, and gather everything."""
        protocol, tests = self.protocol, self.shots.take(self._rows(self.parts[2]))
        bases = [self._base(seed, progress) for seed in protocol.seeds]
        self._train_all({seed: head for seed, (head, _) in zip(protocol.seeds, bases, strict=True)}, progress)
        alone = [Pipeline(EXPERIMENTS[1], head, SEARCHES[THESIS_CONTROL][0], size=0, seed=0) for head, _ in bases]
        cases = {}
        for key in protocol.cases():
            found = [self.cells.load(self._name(key, seed)) or {} for seed in protocol.seeds]
            cases[key] = _case(found, protocol.searches[key[0]])
        return TransformerFindings(
            rig=rig,
            backbone=self.backbone.spec,
            seeds=protocol.seeds,
            updates=protocol.updates,
            base=_case([self._tested(one, self.features) for one in alone]),
            base_settings=tuple(setting for _, setting in bases),
            cases=cases,
            tests=tests,
            train_images={name: len(self._data_set(name).train) for name in dict.fromkeys((*protocol.sets, BASE_SET))},
            pictured=pictured_rows(tests),
        )

    def _name(self, key: Key, seed: int) -> str:
        """Name of a cell; other settings have other names."""
        settings = digest_bytes(repr(self.protocol.searches[key[0]]).encode())[:8]
        return "-".join(map(str, (*key, seed, settings))).replace(", ", "-").replace(" ", "-")

    def _rows(self, objects: Int[np.ndarray, " objects"]) -> Int[np.ndarray, " rows"]:
        return np.flatnonzero(np.isin(self.shots.object_rows, objects))

    def _data_set(self, name: str) -> DataSet:
        rows = set_rows(self.shots, "even", name, 0)
        train, rest = (np.intersect1d(rows, self._rows(part)) for part in self.parts[:2])
        return DataSet(train=train, validation=rest)

    def _examples(self, inputs: Tensor, rows: Int[np.ndarray, " rows"], device: str = "cpu") -> Examples:
        targets = torch.from_numpy(self.shots.class_rows[rows])
        return Examples(inputs=inputs[rows].to(device), targets=targets.to(device))

    def _base(self, seed: int, progress: Progress) -> tuple[BaseHead, SoftmaxSetting]:
        """The thesis' head on the base set, of the setting and the epoch of the least validation loss."""
        settings = [replace(setting, seed=seed) for setting in self.protocol.base_settings]
        kept = self.cells.load(f"base-{seed}")
        if kept is None:
            data, device = self._data_set(BASE_SET), self.backbone.runtime.device
            fits = train_softmax(
                self.features.numpy(),
                self.shots.class_rows,
                [data],
                settings,
                n_classes=len(self.shots.objects.classes),
                updates=self.protocol.base_updates,
                device=device,
                progress=Titled(progress=progress, title=f"base head, seed {seed}"),
            )[0]
            best = int(np.argmin([fit.loss for fit in fits]))
            components = fit_share(self.features[data.train].to(device), VARIANCE)
            mean, projection = components.mean.cpu().numpy(), components.projection.cpu().numpy()
            # the components are folded into a fit: here they are a layer of their own
            weight, bias = projection.T @ fits[best].weight, fits[best].bias + mean @ fits[best].weight
            kept = {"mean": mean, "projection": projection, "weight": weight, "bias": bias, "setting": np.array(best)}
            self.cells.save(f"base-{seed}", kept)
        tensors = {name: torch.from_numpy(kept[name]) for name in ("mean", "projection", "weight", "bias")}
        return BaseHead(**tensors), settings[int(kept["setting"])]

    def _train_all(self, bases: Mapping[int, BaseHead], progress: Progress) -> None:
        """Train and test what is missing; on a processor each on a core of its own, waiting for no other."""
        every = [(key, seed) for key in self.protocol.cases() for seed in self.protocol.seeds]
        missing = [(key, seed) for key, seed in every if self.cells.load(self._name(key, seed)) is None]
        updates = 0
        for (search, _, name), _ in missing:
            n_train = len(self._data_set(name).train)
            updates += len(self.protocol.searches[search]) * self.protocol.epochs(n_train) * -(-n_train // BATCH)
        stop, lock = threading.Event(), threading.Lock()
        workers = available_cores() if self.backbone.runtime.device == "cpu" else 1
        with progress.task("training", updates) as advance:

            def heard(done: int) -> None:
                if stop.is_set():
                    raise KeyboardInterrupt
                with lock:
                    advance(done)

            def finish(one: tuple[Key, int]) -> None:
                self._finish(*one, bases[one[1]], heard)

            for _ in one_core_jobs(finish, missing, workers=workers, stop=stop):
                pass

    def _finish(self, key: Key, seed: int, base: BaseHead, advance: Callable[[int], None]) -> None:
        """Train with each setting of a search, and test the one of the least validation loss."""
        search, experiment, name = key
        data, settings, device = self._data_set(name), self.protocol.searches[search], self.backbone.runtime.device
        inputs = self.features if settings[0].localisation is None else self.images
        seen, unseen = (self._examples(inputs, rows, device) for rows in (data.train, data.validation))
        done = list[tuple[Pipeline, Curves]]()
        for number, setting in enumerate(settings):
            training = Training(
                name=f"{self._name(key, seed)}-{number}",
                experiment=EXPERIMENTS[experiment],
                base=base,
                setting=setting,
                epochs=self.protocol.epochs(len(data.train)),
                seed=seed,
            )
            kept = self.cells, self.protocol.seconds
            done.append(train(training, seen, unseen, self.backbone, kept=kept, advance=advance))
        best = int(np.argmin([curves.loss for _, curves in done]))
        pipeline, curves = done[best]
        found = self._tested(pipeline, inputs)
        found |= {"setting": np.array(best), "training": curves.training, "validation": curves.validation}
        self.cells.save(self._name(key, seed), found)
        for number in range(len(settings)):
            self.cells.forget(f"{self._name(key, seed)}-{number}")

    def _tested(self, pipeline: Pipeline, inputs: Tensor) -> Arrays:
        """What a pipeline says of the test images, and how it shows some of them."""
        tests = self._rows(self.parts[2])
        found = examine(pipeline, self._examples(inputs, tests), self.backbone)
        shown = self.images[tests[pictured_rows(self.shots.take(tests))]]
        if pipeline.transformer is not None:
            with torch.no_grad():
                shown = pipeline.transformer(shown.to(self.backbone.runtime.device))[0].round().byte().cpu()
        arrays = {"losses": found.losses, "correct": found.correct, "parameters": found.parameters}
        return {**arrays, "pictures": shown[:, 0].numpy()}


def pictured_rows(tests: Shots) -> Int[np.ndarray, " pictures"]:
    """Rows of the test images that are shown: one of each of the first objects of a class."""
    rows = []
    for label in tests.objects.classes:
        of_class = np.unique(tests.object_rows[np.array(tests.labels) == label])
        for owner in of_class[:PICTURED]:
            own = np.flatnonzero(tests.object_rows == owner)
            rows.append(own[len(own) // 3])
    return np.array(rows)


def _case(found: Sequence[Arrays], settings: Sequence[TransformerSetting] = ()) -> Case:
    """What was found seed by seed, as one."""
    return Case(
        losses=np.stack([one["losses"] for one in found]),
        correct=np.stack([one["correct"] for one in found]),
        settings=tuple(settings[int(one["setting"])] for one in found if settings),
        curves=tuple(Curves(training=one["training"], validation=one["validation"]) for one in found if settings),
        parameters=np.stack([one["parameters"] for one in found]),
        pictures=found[0]["pictures"],
    )
