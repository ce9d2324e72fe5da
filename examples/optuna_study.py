"""An Optuna study of one's own, over the networks of a space: any sampler, pruner and storage.

pip install '.[dashboard]'
python examples/optuna_study.py
optuna-dashboard sqlite:///study.db
"""

import os

import optuna
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits

import einmix
from search_spaces import Budget, load, suggest

TRIALS = int(os.environ.get("TRIALS", 40))
EPOCHS = int(os.environ.get("EPOCHS", 10))
STORAGE = os.environ.get("STORAGE", "sqlite:///study.db")

SPACE = load("subgrid").on({"h": 8, "w": 8}, channels=1, classes=10)
BUDGET = Budget(max_params=60_000)

digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1  # b c h w
y = torch.tensor(digits.target)
train, validation = torch.arange(1200), torch.arange(1200, 1797)


def objective(trial: optuna.Trial) -> float:
    network = suggest(trial, SPACE, BUDGET)  # or TrialPruned: outside the budget, or had before
    lr = trial.suggest_float("lr", 1e-3, 2e-2, log=True)
    torch.manual_seed(0)
    model = einmix.build(network)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    accuracy = 0.0
    for epoch in range(EPOCHS):
        for batch in train[torch.randperm(len(train))].split(64):
            loss = F.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model(x[validation]).argmax(1) == y[validation]).float().mean().item()
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


study = optuna.create_study(
    study_name="mixing",
    storage=STORAGE,
    load_if_exists=True,
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2),
)
study.optimize(objective, n_trials=TRIALS)

best = suggest(study.best_trial, SPACE)  # a finished trial gives its network once more
print(f"best of {len(study.trials)} trials: {study.best_value:.1%} with {best.params:,} parameters")
print(einmix.source(best))
