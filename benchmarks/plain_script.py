"""The search that one would write without this project: Optuna, einops' EinMix, a DataLoader, a training loop.

    python benchmarks/plain_script.py CANDIDATES.json DATA.npz --epochs 5 --jobs 2

It knows nothing of einmix, search_spaces or nas; `versus_plain.py` writes its input and times it.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np
import optuna
import torch
from einops.layers.torch import EinMix, Reduce
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset


class Residual(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


def network(candidate, classes):
    width, hidden = candidate["width"], candidate["width"] * candidate["ratio"]
    blocks = []
    for mixer in candidate["mixers"]:
        mix = EinMix(**mixer)
        if set(mixer["weight_shape"].split()) <= {"g", "c", "one"}:  # only scales: starts as the identity
            nn.init.ones_(mix.weight)
            nn.init.zeros_(mix.bias)
        blocks.append(Residual(nn.LayerNorm(width), mix))
        mlp = nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)
        blocks.append(Residual(nn.LayerNorm(width), *mlp))
    head = nn.LayerNorm(width), Reduce("b h w c -> b c", "mean"), nn.Linear(width, classes)
    return nn.Sequential(EinMix(**candidate["embed"]), *blocks, *head)


def train(candidate, train_set, validation_set, recipe, epochs):
    torch.manual_seed(0)
    model = network(candidate, recipe["classes"])
    loader = DataLoader(train_set, batch_size=recipe["batch"], shuffle=True, drop_last=True)
    decayed = [p for name, p in model.named_parameters() if p.ndim >= 2 and not name.endswith("bias")]
    others = [p for name, p in model.named_parameters() if p.ndim < 2 or name.endswith("bias")]
    groups = [{"params": decayed, "weight_decay": recipe["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe["lr"])
    steps, warmup = epochs * len(loader), recipe["warmup"]

    def schedule(step):
        done = (step + 0.5) / steps
        return done / warmup if done < warmup else (1 + math.cos(math.pi * (done - warmup) / (1 - warmup))) / 2

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    for _ in range(epochs):
        model.train()
        for x, y in loader:
            loss = cross_entropy(model(x), y, label_smoothing=recipe["label_smoothing"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in DataLoader(validation_set, batch_size=256):
            correct += (model(x).argmax(1) == y).sum().item()
    return correct / len(validation_set), sum(p.numel() for p in model.parameters())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("candidates")
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--threads", type=int, help="threads of torch; without it, as torch has it")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    given = json.loads(Path(arguments.candidates).read_text())
    candidates, recipe = given["candidates"], given["recipe"]
    data = np.load(arguments.data)
    sets = [
        TensorDataset(torch.from_numpy(data[f"x_{part}"]), torch.from_numpy(data[f"y_{part}"]))
        for part in ("train", "validation")
    ]

    def objective(trial):
        candidate = candidates[trial.suggest_categorical("candidate", range(len(candidates)))]
        accuracy, params = train(candidate, *sets, recipe, arguments.epochs)
        trial.set_user_attr("params", params)
        return accuracy

    sampler = optuna.samplers.GridSampler({"candidate": list(range(len(candidates)))}, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=len(candidates), n_jobs=arguments.jobs)
    done = {trial.params["candidate"]: trial for trial in study.trials}
    figures = [[done[i].value, done[i].user_attrs["params"]] for i in range(len(candidates))]
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
