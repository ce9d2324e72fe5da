"""What rankings are held against: the same candidates trained for long, each at its own best rate, on test data.

python benchmarks/reference.py [--quick]

By their loss: of networks as alike as these a seed's accuracies say little (docs/log.md).
A line a training in runs/records/reference-NAME.jsonl; the same command goes on where it was stopped. One thread.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any

from einmix import Architecture
from nas.api.search import Session
from nas.options.search import Search
from nas.runs.job import FIRST_SEEDS, Job, Phase

RECORDS = Path(__file__).parents[1] / "runs" / "records"
STEP = 2.0
"""Between two rates; the sweep goes on by it while its best rate is at an edge."""


@dataclass(frozen=True)
class Setting:
    """What all peers search, as options of `nas search`, and how long the reference trains each network."""

    name: str
    options: dict[str, Any]
    long: int
    rates: tuple[float, ...]
    seeds: int = 3

    def session(self, **more: Any) -> Session:
        """The search of this setting."""
        return Session(Search(**self.options | more))

    @property
    def record(self) -> Path:
        """Where the trainings of the reference are kept."""
        return RECORDS / f"reference-{self.name}.jsonl"


RANDOM = {"space": "mixed", "strategy": "random", "device": "cpu", "seed": 0}
MAIN = Setting(
    "fashion-mnist",
    RANDOM
    | {"data": "fashion-mnist", "images": 10_000, "patch": (7,), "width": (32,), "depth": (4,)}
    | {"trials": 32, "epochs": 4, "batch": 128},
    long=12,
    rates=(0.04, 0.08, 0.16),  # those of the first six networks: 0.01 to 0.16, 0.08 was best for all
)
QUICK = Setting(
    "digits",
    RANDOM | {"data": "digits", "trials": 16, "epochs": 8, "batch": 64, "top": 1, "seeds": 1},
    long=24,
    rates=(0.02, 0.04, 0.08),
)


def candidates(session: Session) -> list[Architecture]:
    """What `nas search --strategy random` of this session tries, in its order."""
    asked = (session.strategy.ask() for _ in range(session.plan.trials))
    return [architecture for architecture in asked if architecture is not None]


def lines(path: Path) -> list[dict[str, Any]]:
    """The trainings of a reference that are kept."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def best_rate(tried: dict[float, float], rates: tuple[float, ...]) -> tuple[float | None, float]:
    """The rate to try next, None where there is none, and the rate of the least loss so far.

    >>> best_rate({0.1: 1.0, 0.2: 0.5}, (0.1, 0.2)), best_rate({0.1: 1.0, 0.2: 0.5, 0.4: 0.7}, (0.1, 0.2))
    ((0.4, 0.2), (None, 0.2))
    """
    if missing := [rate for rate in rates if rate not in tried]:
        return missing[0], missing[0]
    best = min(tried, key=lambda rate: tried[rate])
    edges = {min(tried): best / STEP, max(tried): best * STEP}
    return edges.get(best), best


def truth(path: Path, figure: str = "test_loss", seeds: slice = slice(None)) -> dict[str, float]:
    """Means of `test_loss` or `test` (accuracy) over (some of) the seeds by id, of what has ended with all of them."""
    found: dict[str, list[float]] = defaultdict(list)
    for line in lines(path):
        if line["phase"] == "compare" and figure in line:
            found[line["id"]].append(line[figure])
    most = max(map(len, found.values()), default=0)
    return {id: fmean(values[seeds]) for id, values in found.items() if len(values) == most}


class Reference:
    """The trainings of a setting's reference: those that are kept, and those that are added."""

    def __init__(self, setting: Setting):
        from nas.training.trainer import ArchitectureTrainer

        session = setting.session()
        self.setting, self.candidates = setting, candidates(session)
        self.trainer = ArchitectureTrainer(session.dataset, replace(session.recipe, epochs=setting.long), "cpu")
        self.trainer.start()
        self.known = {(line["id"], line["phase"], line["lr"], line["seed"]): line for line in lines(setting.record)}

    def train(self, architecture: Architecture, phase: Phase, rate: float, seed: int) -> dict[str, Any]:
        """A training's line, from the file or made; a loss that is no number is None."""
        key = architecture.id, phase, rate, FIRST_SEEDS[phase] + seed
        if key not in self.known:
            described = json.loads(architecture.to_json())
            job = Job(described, architecture.id, rate, key[-1], self.setting.long, phase=phase)
            line = dict(zip(("id", "phase", "lr", "seed"), key, strict=True)) | {"epochs": job.epochs}
            try:
                outcome = self.trainer(job, lambda score: True)
            except FloatingPointError:
                line |= {"loss": None, "validation": 0.0}
            else:
                score, test = outcome.scores[-1], outcome.test
                line |= {"loss": score.loss, "validation": score.accuracy, "seconds": round(outcome.seconds, 2)}
                line |= {"test_loss": test.loss, "test": test.accuracy} if test else {}
            with self.setting.record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self.known[key] = line
        return self.known[key]

    def complete(self) -> Iterator[tuple[str, float, list[float]]]:
        """Every candidate's best rate by validation loss, and its test losses there by seed."""
        for architecture in self.candidates:
            tried: dict[float, float] = {}
            rate, best = best_rate(tried, self.setting.rates)
            while rate is not None:
                loss = self.train(architecture, "tune", rate, 0)["loss"]
                tried[rate] = inf if loss is None else loss
                rate, best = best_rate(tried, self.setting.rates)
            trained = [self.train(architecture, "compare", best, seed) for seed in range(self.setting.seeds)]
            yield architecture.id, best, [line.get("test_loss", inf) for line in trained]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="of the digits that `peers.py --quick` searches")
    reference = Reference(QUICK if parser.parse_args().quick else MAIN)
    for number, (id, rate, tested) in enumerate(reference.complete(), start=1):
        shown = " ".join(f"{loss:.4f}" for loss in tested)
        print(f"{number}/{len(reference.candidates)} {id}: rate {rate:g}, test loss {shown}", flush=True)


if __name__ == "__main__":
    main()
