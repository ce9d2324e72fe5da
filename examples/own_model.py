"""A model of one's own with slots, which a search fills with mixers; everything else in it stays as it is.

pip install .
python examples/own_model.py
"""

import os

import torch
from sklearn.datasets import load_digits
from torch import nn

import nas
from einmix.slots import Slot, fill

TRIALS = int(os.environ.get("TRIALS", 24))
EPOCHS = int(os.environ.get("EPOCHS", 8))
WIDTH = 32


class Block(nn.Module):
    """Positions mixed by whatever fills the slot, then channels; on `b c h w`."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(WIDTH)
        self.tokens = Slot("tokens", "b c h w", h=4, w=4, c=WIDTH)  # one mixer for both blocks
        self.channels = nn.Sequential(nn.Conv2d(WIDTH, 2 * WIDTH, 1), nn.GELU(), nn.Conv2d(2 * WIDTH, WIDTH, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.tokens(self.norm(x))
        return x + self.channels(x)


def make_model() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, WIDTH, 2, stride=2),
        Block(),
        Block(),
        nn.Flatten(2),  # b c t
        Slot("last", "b c t", t=16, c=WIDTH, family="local"),  # of a family of its own
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(WIDTH, 10),
    )


digits = load_digits()
run = nas.search(
    model=make_model,
    space="roles",  # what slots are filled from that name no family
    data=(digits.images, digits.target),
    run="own-model",
    trials=TRIALS,
    epochs=EPOCHS,
    top=1,
    seeds=2,
    lr=0.005,
    workers=0,  # in this process; worker processes import a model, so it has to be in a module of its own then
)
print(run)
print(run.export(1).file.read_text())  # the mixers as text, a Mix line a slot

model = fill(make_model(), run.best.architecture)
print(sum(p.numel() for p in model.parameters()), "parameters")
