"""Lightning's Trainer as the loop: its callbacks, loggers and devices, around the networks of a space.

pip install '.[lightning]'
python examples/lightning_loop.py
"""

import os

import lightning
import optuna
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split

import einmix
from search_spaces import Budget, load, suggest

TRIALS = int(os.environ.get("TRIALS", 20))
EPOCHS = int(os.environ.get("EPOCHS", 10))

SPACE = load("local").on({"h": 8, "w": 8}, channels=1, classes=10)
BUDGET = Budget(max_params=60_000)

digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1  # b c h w
data = TensorDataset(x, torch.tensor(digits.target))
train, validation = random_split(data, [1200, 597], torch.Generator().manual_seed(0))


class Classifier(lightning.LightningModule):
    """Any network that takes `b c h w` and gives `b k` logits."""

    def __init__(self, network: einmix.Architecture, lr: float):
        super().__init__()
        self.model, self.lr = einmix.build(network), lr

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        x, y = batch
        return F.cross_entropy(self.model(x), y)

    def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
        x, y = batch
        self.log("accuracy", (self.model(x).argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


def objective(trial: optuna.Trial) -> float:
    network = suggest(trial, SPACE, BUDGET)
    lightning.seed_everything(0, verbose=False)
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Classifier(network, lr=0.01), DataLoader(train, 64, shuffle=True), DataLoader(validation, 256))
    return float(trainer.callback_metrics["accuracy"])


study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(objective, n_trials=TRIALS)

best = suggest(study.best_trial, SPACE)
print(f"best of {len(study.trials)} trials: {study.best_value:.1%} with {best.params:,} parameters")
print(*best.mixers, sep="\n")
