"""Replicas of one network as one model against each by itself.

    python benchmarks/replicas.py --device cuda [--replicas 16] [--networks 3] [--turns 3]

Prints a line of JSON a network: seconds of one training, of all as one and of all one by one (on a CPU, CPU seconds),
and on a GPU what its memory has. Ways take turns, the first turn is thrown away.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from statistics import median
from typing import Any

import torch
from reference import MAIN

from nas.executors.packing import CONTEXT
from nas.runs.job import Job, Outcome
from nas.training.recipe import Recipe
from nas.training.trainer import ArchitectureTrainer


def used() -> int:
    """Bytes that the first GPU holds, whoever has them; 0 where nobody can say."""
    try:
        said = subprocess.check_output(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"])
    except OSError:
        return 0
    return int(said.split()[0]) * 2**20


WAYS: dict[str, Callable[[ArchitectureTrainer, Sequence[Job]], Sequence[Outcome | Exception]]] = {
    "one": lambda trainer, jobs: [trainer(jobs[0], lambda score: True)],
    "as one": lambda trainer, jobs: trainer.together(jobs),
    "one by one": lambda trainer, jobs: [trainer(job, lambda score: True) for job in jobs],
}


def measured(trainer: ArchitectureTrainer, jobs: Sequence[Job], turns: int, clock: Callable[[], float]) -> Any:
    """Seconds of every way, medians of turns; peaks of memory; what the last one says of itself."""
    seconds: dict[str, list[float]] = defaultdict(list)
    peaks: dict[str, int] = {}
    for _ in range(1 + turns):
        for way, train in WAYS.items():
            begun = clock()
            outcomes = train(trainer, jobs)
            seconds[way].append(clock() - begun)
            told = [each.extra for each in outcomes if isinstance(each, Outcome)]
            peaks[way] = max(each.get("gpu_bytes", 0) for each in told)
    medians = {name: round(median(values[1:]), 4) for name, values in seconds.items()}
    ratios = {f"as one / {way}": round(medians["as one"] / medians[way], 2) for way in ("one", "one by one")}
    return {"seconds": medians, "turns": turns} | ratios | {"peaks": peaks, "engine": told[-1].get("engine")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--replicas", type=int, default=16)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    torch.set_num_threads(1)
    on_gpu, memory = options.device == "cuda", {}
    if on_gpu:
        before = used()
        torch.zeros(1, device="cuda")
        memory = {"context": used() - before, "context assumed": CONTEXT}
    session = MAIN.session(data=options.data, patch=(), width=(), depth=())
    device = "cuda:0" if on_gpu else options.device
    trainer = ArchitectureTrainer(session.dataset, Recipe(batch=128, lr=0.04), device, precision=options.precision)
    trainer.start()
    random = Random(0)
    for _ in range(options.networks):
        found = session.space.sample(random, session.budget)
        one = Job(json.loads(found.to_json()), found.id, 0.04, 0, options.epochs, phase="final")
        jobs = [replace(one, seed=seed) for seed in range(options.replicas)]
        clock = time.perf_counter if on_gpu else time.process_time
        record = {"id": found.id, "params": found.params, "replicas": options.replicas, "epochs": options.epochs}
        print(json.dumps(record | measured(trainer, jobs, options.turns, clock) | memory), flush=True)


if __name__ == "__main__":
    main()
