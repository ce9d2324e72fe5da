"""How early an order is known in a space as it is searched, and which rungs that is good for: on a recorded pool.

    python benchmarks/pool.py                  # 400 networks of `mixed` on digits, two seeds: 25 minutes of two cores
    python benchmarks/pool.py --networks 80 --seeds 4      # minutes

Random networks of a space within its default budget (patch 2, one learning rate) are trained with curves, in the run
`runs/pool/SPACE-DATA`: what is there is not trained again. Then, by validation losses:

- Spearman's correlation of the order after some epochs with the one at the end, and of two seeds' orders at the end.
- That of what a surrogate predicts of networks that it has not seen with their ends: the process of `nas.surrogate`
  against extremely randomised trees on the same features, by how many networks it has seen.
- Searches whose space is the pool, with rungs as named, by what they would choose after so many full trainings: how
  far its loss is above the least, by the seed that they see; and at their end its loss with the other seed, which chose
  nothing. Means over searcher seeds, of the latter with a standard error.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from random import Random
from statistics import fmean

import numpy as np
from methods import EARLY, LATE, Method
from scipy.stats import spearmanr

from einmix import Architecture
from nas.api.defaults import RUNGS
from nas.api.resources import local_executor
from nas.api.search import Session
from nas.loop.past import make_job
from nas.loop.progress import shown
from nas.loop.status import Status
from nas.loop.trainings import trainings_in
from nas.options.search import Search
from nas.runs.folder import RunFolder
from nas.runs.job import CURVES, Job, Score
from nas.runs.result import Result
from nas.surrogate.features import features
from nas.surrogate.process import Places, Process
from nas.tabular.replay import Step, regret_at, replay
from nas.training.worker import MakeTrainer
from search_spaces import Budget
from search_spaces.bound.part import Part

LR = 0.015
RUNS = Path("runs/pool")
SEEN = 20, 40, 80, 160
SPENT = 5, 10, 15, 20, 30
TRIALS = 64
WAYS: dict[str, tuple[tuple[int, ...], float, int]] = {
    "none": ((), 2.0, 1),
    "25, 50%, best half, 4 first": (LATE, 2.0, 4),
    "25, 50%, best half": (LATE, 2.0, 1),
    "50%, best third": (RUNGS, 3.0, 1),
    "15, 40%, best third": (EARLY, 3.0, 1),
    "10, 30%, best third": ((10, 30), 3.0, 1),
    "5, 10, 25, 50%, best quarter": ((5, 10, 25, 50), 4.0, 1),
}


class Pool:
    """Recorded trainings of some networks of a space, as `nas.tabular.replay` takes them; a training costs 1."""

    lr = LR

    def __init__(self, session: Session, results: Sequence[Result]):
        self.done = {(each.id, each.seed): each for each in results if each.state == "complete"}
        networks = {each.id: Architecture.from_json(each.architecture) for each in self.done.values()}
        self.networks = {id: each for id, each in networks.items() if (id, 0) in self.done and (id, 1) in self.done}
        self.space, self._size = Part(session.space, self.networks.values()), len(session.dataset.validation)

    def curve(self, id: str, seed: int = 0) -> list[tuple[float, int]]:
        """The validation loss and the right examples after every epoch."""
        return list(self.done[id, seed].extra[CURVES]["validation"])

    @cached_property
    def logs(self) -> np.ndarray:
        """Logarithms of the losses, by network, seed, epoch."""
        return np.log([[[loss for loss, _ in self.curve(id, seed)] for seed in (0, 1)] for id in self.networks])

    def seconds(self, job: Job) -> float:
        return 1.0

    def score(self, job: Job, epoch: int) -> Score:
        loss, right = self.curve(job.id)[epoch - 1]
        return Score(epoch, loss, right / self._size)

    def losses(self, job: Job) -> list[float]:
        return list(self.done[job.id, 0].train_loss)

    @cached_property
    def true_losses(self) -> dict[str, float]:
        """Of the seed that searches see."""
        return {id: self.curve(id)[-1][0] for id in self.networks}

    def regret(self, id: str) -> float:
        return self.true_losses[id] - min(self.true_losses.values())


def recorded(space: str, data: str, networks: int) -> Pool:
    """The pool, trained as far as it is not."""
    asked = Search(space=space, data=data, lr=LR, device="cpu", strategy="random", patch=(2,))
    session, rng = Session(asked), Random(0)
    drawn: dict[str, Architecture] = {}
    while len(drawn) < networks:
        network = session.space.sample(rng, session.budget)
        drawn[network.id] = network
    jobs = [
        (make_job(each, LR, seed, session.recipe.epochs, "train"), each) for seed in (0, 1) for each in drawn.values()
    ]
    make = MakeTrainer(session.dataset, session.recipe, "cpu", curves=True)
    with (
        RunFolder.create_or_open(RUNS, f"{space}-{data}", {"space": space, "data": data, "lr": LR}) as run,
        shown(None, False) as watching,
        trainings_in(run, lambda storage: local_executor(make, None), watching) as trainings,
    ):
        done = trainings.completed(jobs, watching, Status("train", 0, title="pool"), tries=2)
    return Pool(session, list(done.values()))


def predicted(pool: Pool, seen: int, draws: int = 5) -> tuple[float, float]:
    """How well the process, and trees, order the networks that they have not seen."""
    from sklearn.ensemble import ExtraTreesRegressor

    described, ends = [features(each) for each in pool.networks.values()], pool.logs[:, 0, -1]
    process, x, found = Process(), Places(described).of(described), []
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(ends))
        mine, others = order[:seen], order[seen:]
        process.fit(x[mine], ends[mine], np.zeros(seen))
        trees = ExtraTreesRegressor(200, min_samples_leaf=2, random_state=draw).fit(x[mine], ends[mine])
        both = process.predict(x[others])[0], trees.predict(x[others])
        found.append([spearmanr(each, ends[others]).statistic for each in both])
    one, other = np.mean(found, axis=0)
    return float(one), float(other)


def searched(pool: Pool, strategy: str, rungs: str, seed: int) -> list[Step]:
    shares, eta, grace = WAYS[rungs]
    way = Method(strategy, shares, eta, grace)
    make = partial(way.make, budget=Budget(), seed=seed)
    return replay(pool, make, way.plan(TRIALS, pool.logs.shape[2], LR, 0), seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="mixed")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--networks", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=20, help="searcher seeds")
    asked = parser.parse_args()
    pool = recorded(asked.space, asked.data, asked.networks)
    logs, epochs = pool.logs, pool.logs.shape[2]
    print(f"\n{asked.space}, {asked.data}: {len(logs)} networks\n\n| epochs | Spearman with the end |\n|---|---|")
    for epoch in sorted({1, 2, epochs // 4, epochs // 2}):
        print(f"| {epoch} of {epochs} | {spearmanr(logs[:, 0, epoch - 1], logs[:, 0, -1]).statistic:.2f} |")
    print(f"| {epochs}, another seed | {spearmanr(logs[:, 1, -1], logs[:, 0, -1]).statistic:.2f} |")
    print("\n| networks seen | Gaussian process | randomised trees |\n|---|---|---|")
    for seen in (seen for seen in SEEN if seen <= len(logs) / 2):
        print("| {} | {:.2f} | {:.2f} |".format(seen, *predicted(pool, seen)))
    print(
        f"\n| strategy | rungs | {' | '.join(f'after {n}' for n in SPENT)} | {TRIALS} candidates | by the other seed |"
    )
    print("|---|---|" + "---|" * (len(SPENT) + 2))
    for rungs in WAYS:
        for strategy in ("surrogate", "random"):
            runs = [searched(pool, strategy, rungs, seed) for seed in range(asked.seeds)]
            regrets = [fmean(regret_at(steps, n) for steps in runs) for n in SPENT]
            last = fmean(steps[-1].regret for steps in runs)
            again = [pool.curve(steps[-1].id, 1)[-1][0] for steps in runs]
            figures = " | ".join(f"{regret:.4f}" for regret in (*regrets, last))
            error = np.std(again, ddof=1) / len(again) ** 0.5
            print(f"| {strategy} | {rungs} | {figures} | {fmean(again):.4f} ± {error:.4f} |", flush=True)


if __name__ == "__main__":
    main()
