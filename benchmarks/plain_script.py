"""The search that one would write without this project: einops' EinMix, a DataLoader, and Optuna or Ray Tune.

    python benchmarks/plain_script.py CANDIDATES.json DATA.npz --epochs 4 --lr 0.04 --jobs 2

It knows nothing of einmix, search_spaces or nas; `peers.py` writes its input (`--write FOLDER`) and times it. Each of
its choices is the one of a manual, named where it is made.
"""

import argparse
import json
import math
import multiprocessing
import sys
from pathlib import Path

import numpy as np
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


def train(candidate, sets, recipe, device="cpu", report=None):
    """Validation accuracy at the end; with `report` it is told after every epoch, and may raise."""
    torch.manual_seed(0)
    model = network(candidate, recipe["classes"]).to(device)
    # no worker processes: torch.utils.data, "Single-process data loading (default)": "when the entire dataset is small
    # and can be loaded entirely in memory"; pinned for a GPU: the same page, "Memory Pinning"
    pinned = {"pin_memory": device != "cpu"}
    loader = DataLoader(sets[0], batch_size=recipe["batch"], shuffle=True, drop_last=True, **pinned)
    decayed = [p for name, p in model.named_parameters() if p.ndim >= 2 and not name.endswith("bias")]
    others = [p for name, p in model.named_parameters() if p.ndim < 2 or name.endswith("bias")]
    groups = [{"params": decayed, "weight_decay": recipe["weight_decay"]}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=recipe["lr"])
    steps, warmup = recipe["epochs"] * len(loader), recipe["warmup"]

    def schedule(step):
        done = (step + 0.5) / steps
        return done / warmup if done < warmup else (1 + math.cos(math.pi * (done - warmup) / (1 - warmup))) / 2

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    for epoch in range(1, recipe["epochs"] + 1):
        model.train()
        for x, y in loader:
            x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
            loss = cross_entropy(model(x), y, label_smoothing=recipe["label_smoothing"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        if report or epoch == recipe["epochs"]:
            accuracy = evaluate(model, sets[1], device)
        if report:
            report(epoch, accuracy)
    return accuracy


@torch.no_grad()
def evaluate(model, validation_set, device):
    model.eval()
    correct = 0
    for x, y in DataLoader(validation_set, batch_size=256, pin_memory=device != "cpu"):
        correct += (model(x.to(device)).argmax(1).cpu() == y).sum().item()
    return correct / len(validation_set)


def with_optuna(candidates, sets, recipe, options):
    """Threads or processes of trials: "Easy Parallelization" in Optuna's tutorial has both.

    The candidates are given, so that they are enqueued (`Study.enqueue_trial`), and no sampler is asked. Pruning
    ("Efficient Optimization Algorithms") halves from the first epoch on, as ASHA below.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial):
        candidate = candidates[trial.suggest_categorical("candidate", range(len(candidates)))]

        def report(epoch, accuracy):
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        return train(candidate, sets, recipe, options.device, report if options.prune else None)

    def stop_when_done(study, trial):
        if not study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.WAITING]):
            study.stop()

    def journal():  # "JournalStorage": the one that the tutorial has for processes of one machine, each with its own
        return optuna.storages.JournalStorage(JournalFileBackend("journal.log"))

    def work():
        study = optuna.load_study(study_name="plain", storage=journal(), pruner=pruner)
        study.optimize(objective, callbacks=[stop_when_done])

    halving = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
    pruner = halving if options.prune else optuna.pruners.NopPruner()
    storage = journal() if options.processes > 1 else None
    study = optuna.create_study(study_name="plain", storage=storage, pruner=pruner, direction="maximize")
    for i in range(len(candidates)):
        study.enqueue_trial({"candidate": i})
    if options.processes > 1:
        workers = [multiprocessing.Process(target=work) for _ in range(options.processes)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    else:
        study.optimize(objective, n_trials=len(candidates), n_jobs=options.jobs)
    ended = {trial.params["candidate"]: trial for trial in study.trials}
    return {i: (trial.last_step or recipe["epochs"], trial.value) for i, trial in ended.items()}


def with_ray(candidates, sets, recipe, options):
    """A function that reports every epoch: "Getting Started with Ray Tune"; large data by `tune.with_parameters`.

    ASHA halves from the first epoch on, as in PyTorch's "Hyperparameter tuning using Ray Tune". A trial is a process of
    one CPU, for which Ray sets OMP_NUM_THREADS to 1. `reuse_actors` is off by default; on, it spares those processes'
    start: its documentation has "This can drastically speed up experiments that start and stop actors often".
    """
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    def trainable(config, sets):
        def report(epoch, accuracy):
            tune.report({"accuracy": accuracy})

        train(candidates[config["candidate"]], sets, recipe, options.device, report)

    schedulers = {
        "ray-fifo": FIFOScheduler,
        "ray-asha": lambda: ASHAScheduler(max_t=recipe["epochs"], grace_period=1, reduction_factor=2),
    }
    ray.init(num_cpus=options.jobs)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, sets=sets), {"cpu": 1}),
        param_space={"candidate": tune.grid_search(list(range(len(candidates))))},
        tune_config=tune.TuneConfig(
            metric="accuracy", mode="max", scheduler=schedulers[options.tuner](), reuse_actors=options.reuse_actors
        ),
        run_config=tune.RunConfig(storage_path=str(Path("ray").resolve()), verbose=0),
    )
    results = tuner.fit()
    return {r.config["candidate"]: (r.metrics["training_iteration"], r.metrics["accuracy"]) for r in results}


def parse(words=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("candidates")
    parser.add_argument("data")
    parser.add_argument("--tuner", choices=["optuna", "ray-fifo", "ray-asha"], default="optuna")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's")
    parser.add_argument("--lr", type=float, help="instead of the recipe's")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=2, help="trials at once: Optuna's threads, Ray's processes")
    parser.add_argument("--processes", type=int, default=1, help="instead of threads, for Optuna")
    parser.add_argument("--threads", type=int, help="threads of torch; without it, as torch has it")
    parser.add_argument("--prune", action="store_true", help="with Optuna; Ray's ASHA does so anyhow")
    parser.add_argument("--reuse-actors", action="store_true", help="with Ray: a process for many trials")
    return parser.parse_args(words)


def main():
    options = parse()
    if options.threads:
        torch.set_num_threads(options.threads)
    given = json.loads(Path(options.candidates).read_text())
    candidates, recipe = given["candidates"], given["recipe"]
    recipe |= {name: getattr(options, name) for name in ("epochs", "lr") if getattr(options, name) is not None}
    data = np.load(options.data)
    sets = [
        TensorDataset(torch.from_numpy(data[f"x_{part}"]), torch.from_numpy(data[f"y_{part}"]))
        for part in ("train", "validation")
    ]
    search = with_optuna if options.tuner == "optuna" else with_ray
    out, sys.stdout = sys.stdout, sys.stderr  # Ray prints
    found = search(candidates, sets, recipe, options)
    for i, candidate in enumerate(candidates):
        epochs, accuracy = found[i]
        print(json.dumps({"id": candidate["id"], "epochs": epochs, "accuracy": accuracy}), file=out)


if __name__ == "__main__":
    main()
