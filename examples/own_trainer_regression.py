"""A training loop of one's own, for regression: sequences in, a number out, judged by the root mean squared error.

pip install .
python examples/own_trainer_regression.py
"""

import os

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save

import einmix
import nas

TRIALS = int(os.environ.get("TRIALS", 24))
EPOCHS = int(os.environ.get("EPOCHS", 12))


def rmse(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    with torch.no_grad():
        return F.mse_loss(model(x), y).sqrt().item()


def train(job: nas.Job, report, data) -> nas.Outcome:
    """Trains `job.architecture` on `data.train`; at the job's rungs it asks whether to go on."""
    torch.manual_seed(job.seed)
    model = einmix.build(einmix.Architecture.from_json(job.architecture))
    parts = {name: getattr(data, name) for name in ("train", "validation", "judge")}
    x, y = {}, {}
    for name, part in parts.items():  # x: n c t, y: n 1
        x[name], y[name] = torch.tensor(part.x), torch.tensor(part.y)
    optimizer = torch.optim.AdamW(model.parameters(), lr=job.lr)
    losses, scores = [], []
    for epoch in range(1, job.epochs + 1):
        order = torch.randperm(len(x["train"])).split(32)
        total = 0.0
        for batch in order:
            loss = F.huber_loss(model(x["train"][batch]), y["train"][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() / len(order)
        losses.append(total)
        if epoch in job.rungs or epoch == job.epochs:
            error = rmse(model, x["validation"], y["validation"])
            scores.append(nas.Score(epoch, error**2, error))
            if epoch in job.rungs and not report(scores[-1]):
                return nas.Outcome("pruned", tuple(scores), tuple(losses))
    judge = None
    if job.phase == "final":  # finals are judged on examples that chose nothing
        error = rmse(model, x["judge"], y["judge"])
        judge = nas.Score(job.epochs, error**2, error)
    weights = save(model.state_dict()) if job.weights else b""
    return nas.Outcome("complete", tuple(scores), tuple(losses), judge=judge, weights=weights)


rng = np.random.default_rng(0)
frequency = rng.uniform(0.5, 3, size=600).astype(np.float32)
waves = np.sin(frequency[:, None] * np.linspace(0, 6, 32) + rng.uniform(0, 6, size=(600, 1)))
x = (waves + 0.2 * rng.normal(size=waves.shape)).astype(np.float32)[:, None]

run = nas.search(
    data={"x": x, "y": frequency, "axes": "n c t"},
    trainer=train,
    metric=nas.Metric("rmse", better="lower"),
    space="local",
    run="regression",
    trials=TRIALS,
    epochs=EPOCHS,
    top=1,
    seeds=2,
    lr=0.005,
    workers=0,  # in this process; worker processes import a trainer, so it has to be in a module of its own then
)
print(run)
for standing in run.top(3):
    print(standing.id, f"{standing.figure:.3f}", standing.n, *standing.architecture.mixers)
