"""A Ray Tune experiment of one's own, in which every candidate is a trial of Tune's: ASHA stops the weak ones.

pip install '.[ray]'
python examples/ray_tuner.py
"""

import os
from typing import Any

import torch
import torch.nn.functional as F
from optuna import Trial, TrialPruned
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch
from sklearn.datasets import load_digits

import einmix
from search_spaces import Budget, load, suggest

TRIALS = int(os.environ.get("TRIALS", 40))
EPOCHS = int(os.environ.get("EPOCHS", 10))

SPACE = load("subgrid").on({"h": 8, "w": 8}, channels=1, classes=10)
BUDGET = Budget(max_params=60_000)


def candidate(trial: Trial) -> dict[str, Any]:
    """The config of a trial: a network as text, or none where what was asked for is no candidate."""
    trial.suggest_float("lr", 1e-3, 2e-2, log=True)  # OptunaSearch puts it into the config
    try:
        return {"network": suggest(trial, SPACE, BUDGET).to_json()}
    except TrialPruned as refused:
        return {"network": None, "refused": str(refused)}


def train(config: dict[str, Any]) -> None:
    if config["network"] is None:
        return  # a trial without a result, of which Optuna learns that it was pruned
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1  # b c h w
    y = torch.tensor(digits.target)
    torch.manual_seed(0)
    model = einmix.build(einmix.Architecture.from_json(config["network"]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=config["lr"])
    for _ in range(EPOCHS):
        for batch in torch.randperm(1200).split(64):
            loss = F.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model(x[1200:]).argmax(1) == y[1200:]).float().mean().item()
        tune.report({"accuracy": accuracy})


tuner = tune.Tuner(
    train,
    tune_config=tune.TuneConfig(
        metric="accuracy",
        mode="max",
        num_samples=TRIALS,
        search_alg=OptunaSearch(candidate, metric="accuracy", mode="max", seed=0),
        scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=2),
        reuse_actors=True,
    ),
    run_config=tune.RunConfig(name="mixing", verbose=1),
)
results = tuner.fit()

best = results.get_best_result()
network = einmix.Architecture.from_json(best.config["network"])
print(f"best of {len(results)} trials: {best.metrics['accuracy']:.1%} with {network.params:,} parameters")
print(*network.mixers, sep="\n")
