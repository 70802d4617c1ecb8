"""How well families never trained on are told apart: the number by which recipes are chosen."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from acqplan.features.toynet import ToyNet
from benchmarks.toyshop.pretrain.augment import plain_light, standardised
from benchmarks.toyshop.pretrain.data import Poses
from benchmarks.toyshop.pretrain.recipe import Recipe

_N_TRAIN_MEMBERS = 5
_N_MEMBERS = 32
_N_LIGHTS = 6
_RIDGE = 10.0


def held_out_accuracy(net: ToyNet, poses: Poses, recipe: Recipe) -> float:
    """Accuracy of a ridge classifier on new shapes of new families.

    Args:
        net: In evaluation mode; gives features.
        poses: Of families that ``net`` was not trained on.
        recipe: How many poses make a shape.

    Returns:
        Mean over four splits with five training shapes a family, under the rig's six lightings.
    """
    n_members = min(_N_MEMBERS, recipe.members)
    pose = torch.arange(n_members * recipe.views)
    rows = (torch.arange(len(poses.families))[:, None] * recipe.poses_a_family + pose).flatten()
    features = _features(net, poses, rows)
    labels = poses.labels[rows]
    member = pose.div(recipe.views, rounding_mode="floor").repeat(len(poses.families))
    n_train = min(_N_TRAIN_MEMBERS, n_members // 2)
    scores = []
    for split in range(4):
        train = (member - split * n_train) % n_members < n_train
        scores.append(_ridge_accuracy(features, labels, train))
    return sum(scores) / len(scores)


def _features(net: ToyNet, poses: Poses, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows features"]:
    found = []
    with torch.inference_mode():
        for number, part in enumerate(torch.split(rows, 64)):
            image = plain_light(poses.gather(part), number % _N_LIGHTS)
            found.append(net(standardised(image)).float())
    return torch.cat(found)


def _ridge_accuracy(features: Float[Tensor, "rows features"], labels: Int[Tensor, " rows"], train: Tensor) -> float:
    mean, spread = features[train].mean(0), features[train].std(0) + 1e-4
    x = functional.pad((features - mean) / spread, (0, 1), value=1.0)
    targets = functional.one_hot(labels).float()
    gram = x[train].T @ x[train] + _RIDGE * torch.eye(x.shape[1])
    weights = torch.linalg.solve(gram, x[train].T @ targets[train])
    return float(((x[~train] @ weights).argmax(1) == labels[~train]).float().mean())
