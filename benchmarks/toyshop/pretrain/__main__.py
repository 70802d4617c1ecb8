"""Train the embedded backbone from nothing: ``python -m benchmarks.toyshop.pretrain``.

Renders shapes of many families (none of them a category of the toys), learns to name the families under
random lights, paint and place, and writes the weights in half precision with their recipe.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save

import acqplan
from acqplan.errors import AcqplanError
from acqplan.features.toynet import METADATA, ToyNet
from acqplan.files import digest_file, folder, replacing
from acqplan.progress import SILENT, Progress
from acqplan.runtime import available_cores
from benchmarks.toyshop.pretrain.data import Poses, render_poses
from benchmarks.toyshop.pretrain.loop import Training, begin, folded, resume, train_epoch
from benchmarks.toyshop.pretrain.loop import save as save_checkpoint
from benchmarks.toyshop.pretrain.probe import held_out_accuracy
from benchmarks.toyshop.pretrain.recipe import HELD_OUT, TRAINED, Recipe
from benchmarks.toyshop.pretrain.teacher import Answers, ask_teacher

EMBEDDED = Path(acqplan.__file__).parent / "features" / "embedded" / "toynet.safetensors"
QUICK = Recipe(members=16, views=4, epochs=3)


def pretrain(
    recipe: Recipe,
    work: Path,
    *,
    teacher: Path | None = None,
    families: tuple[Sequence[str], Sequence[str]] = (TRAINED, HELD_OUT),
    workers: int = 1,
    progress: Progress = SILENT,
) -> Training:
    """Train the network, or go on where the same recipe was interrupted.

    Args:
        recipe: All that decides the weights.
        work: Folder for poses and checkpoints.
        teacher: Weights of mobilenet_v2, if the recipe distils.
        families: Trained on, and held out to judge by.
        workers: Processes that render.
        progress: Hears of every step.

    Returns:
        The state after the last epoch; `folded` makes the network to ship of it.
    """
    render = [render_poses(part, recipe, work, workers=workers, progress=progress) for part in families]
    answers = ask_teacher(render[0], recipe, teacher, work, progress=progress) if teacher else None
    checkpoint = folder(work) / f"checkpoint-{recipe.digest()}.pt"
    n_families = len(render[0].families)
    training = resume(checkpoint, recipe, n_families) if checkpoint.exists() else begin(recipe, n_families)
    while training.epoch < recipe.epochs:
        _epoch(training, render, recipe, answers, progress)
        save_checkpoint(training, checkpoint)
    return training


def write_weights(net: ToyNet, path: Path, about: dict[str, object]) -> None:
    """Write the weights in half precision, and beside them what is known about them as JSON.

    Args:
        net: Normalisation folded away.
        path: A ``.safetensors`` file; the JSON gets the same name.
        about: Recipe, run time and the like; part of it goes into the metadata too.
    """
    state = {name: value.detach().half().contiguous() for name, value in net.state_dict().items()}
    metadata = METADATA | {"recipe": json.dumps(about["recipe"])}
    with replacing(path, "wb") as handle:
        handle.write(save(state, metadata=metadata))
    with replacing(path.with_suffix(".json")) as handle:
        json.dump({**about, "sha256": digest_file(path)}, handle, indent=2)
        handle.write("\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    options = _options(arguments)
    recipe = _recipe(options)
    torch.set_num_threads(options.threads)
    try:
        training = pretrain(recipe, options.work, teacher=options.teacher, workers=options.workers, progress=_Lines())
        write_weights(folded(training.net.eval()), options.out, _about(training, recipe, options))
    except AcqplanError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


def _epoch(
    training: Training, poses: Sequence[Poses], recipe: Recipe, answers: Answers | None, progress: Progress
) -> None:
    started = time.monotonic()
    loss = train_epoch(training, poses[0], recipe, answers=answers, progress=progress)
    training.held_out.append(held_out_accuracy(training.net.eval(), poses[1], recipe))
    training.seconds += time.monotonic() - started
    with progress.task(f"loss {loss:.3f}, held-out families {training.held_out[-1]:.3f}", 0):
        pass


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.toyshop.pretrain", description=__doc__)
    parser.add_argument("--out", type=Path, default=EMBEDDED, help="weights to write (default: the embedded ones)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a small run to try things, minutes")
    parser.add_argument("--epochs", type=int, help="passes over all poses")
    parser.add_argument("--teacher", type=Path, metavar="FILE", help="distil from this mobilenet_v2 (safetensors)")
    parser.add_argument("--work", type=Path, default=Path("acqplan-out/pretrain"), help="poses and checkpoints")
    parser.add_argument("--workers", type=int, default=available_cores(), help="processes that render")
    parser.add_argument("--threads", type=int, default=1, help="threads that train; one more prepares images")
    return parser.parse_args(arguments)


def _recipe(options: argparse.Namespace) -> Recipe:
    chosen = asdict(QUICK if options.quick else Recipe()) | {"seed": options.seed}
    chosen |= {"epochs": options.epochs} if options.epochs else {}
    chosen |= {"distillation": 2.0} if options.teacher else {}
    return Recipe(**chosen)


def _about(training: Training, recipe: Recipe, options: argparse.Namespace) -> dict[str, object]:
    return {
        "recipe": asdict(recipe),
        "command": _command(options),
        "teacher": {"file": options.teacher.name, "sha256": digest_file(options.teacher)} if options.teacher else None,
        "families": list(TRAINED),
        "held_out_families": list(HELD_OUT),
        "held_out_accuracy": [round(score, 4) for score in training.held_out],
        "training_seconds": round(training.seconds),
        "device": f"cpu, {options.threads} of {available_cores()} cores, {platform.machine()}",
        "versions": {"acqplan": acqplan.__version__, "torch": torch.__version__},
    }


def _command(options: argparse.Namespace) -> str:
    """What to type to train these weights again."""
    words = ["python -m benchmarks.toyshop.pretrain", f"--seed {options.seed}"]
    words += ["--quick"] if options.quick else []
    words += [f"--epochs {options.epochs}"] if options.epochs else []
    words += [f"--teacher {options.teacher.name}"] if options.teacher else []
    return " ".join(words)


class _Lines:
    """Progress as lines on stderr, at most one every ten seconds."""

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Say how far a task is and how long the rest will take."""
        started = spoken = time.monotonic()
        done = 0

        def advance(steps: int) -> None:
            nonlocal done, spoken
            done += steps
            now = time.monotonic()
            if now - spoken > 10:
                spoken, left = now, (now - started) * (total - done) / done
                print(f"{name}: {done} of {total}, {left:.0f} s left", file=sys.stderr, flush=True)

        yield advance
        print(f"{name}: done in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
