"""A loss and a metric of one's own: several labels an image, judged by their F1.

pip install .
python examples/multi_label.py
"""

import os

import numpy as np
import torch
import torch.nn.functional as F

import nas

TRIALS = int(os.environ.get("TRIALS", 24))
EPOCHS = int(os.environ.get("EPOCHS", 12))


def f1(outputs: torch.Tensor, targets: torch.Tensor) -> float:
    """The F1 of all labels of all images together; both are `n k`, outputs are logits."""
    found, there = outputs > 0, targets > 0.5
    return float(2 * (found & there).sum() / (found.sum() + there.sum()).clamp(min=1))


# bars and squares in noise: which of the four are in an image is to be told
rng = np.random.default_rng(0)
there = rng.random((800, 4)) < 0.4
images = 0.7 * rng.normal(size=(800, 12, 12)).astype(np.float32)
for image, (row, column, square, rim) in zip(images, there, strict=True):
    at, to = rng.integers(0, 8, size=2)
    image[at] += row
    image[:, to] += column
    image[at : at + 4, to : to + 4] += square
    image[[0, -1]] += rim

run = nas.search(
    data={"x": images, "y": there, "classes": ["row", "column", "square", "rim"]},
    loss=F.binary_cross_entropy_with_logits,
    metric=nas.Metric("F1", of=f1),
    space="subgrid",
    run="multi-label",
    trials=TRIALS,
    epochs=EPOCHS,
    top=1,
    seeds=2,
    lr=0.01,
    workers=0,  # in this process; worker processes import a metric, so it has to be in a module of its own then
)
print(run)
for standing in run.top(3):
    print(standing.id, f"{standing.figure:.1%}", standing.n, *standing.architecture.mixers)
