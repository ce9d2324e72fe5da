"""A training step on a GPU: its kernels, and milliseconds plainly and as a graph, by precision, size and replicas.

    python benchmarks/launches.py [--quick]

Prints a line of JSON a case: a network of `mixed` on Fashion-MNIST, its kernels and the microseconds that they take in
sum (of one plain step, by torch's profiler), milliseconds a step of the plain engine and of the graph (of many steps,
and what the CPU has to do for one). Without a GPU, on the CPU: that the cases run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import torch
from reference import MAIN
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from nas.api.search import Session
from nas.runs.job import Job
from nas.training.engine.engine import Engine
from nas.training.engine.examples import Examples
from nas.training.engine.graph import Graph
from nas.training.fit import begun, plain
from nas.training.recipe import Recipe
from nas.training.trainer import build_architecture

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WARM = 8  # steps that are not timed; a graph is recorded in them
CASES = (  # patch, width, batch, replicas, precisions
    (7, 32, 128, 1, ("float32", "tf32", "bfloat16")),
    (7, 32, 128, 4, ("tf32",)),
    (7, 32, 128, 16, ("float32", "tf32", "bfloat16")),
    (2, 32, 128, 1, ("float32", "tf32", "bfloat16")),
    (7, 256, 128, 1, ("float32", "tf32", "bfloat16")),
    (2, 128, 128, 1, ("float32", "tf32", "bfloat16")),
    (2, 256, 512, 1, ("float32", "tf32", "bfloat16")),
)


def wait() -> None:
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def timed(step: Callable[[Tensor, float], Tensor], index: Tensor, steps: int) -> dict[str, float]:
    """Milliseconds a step, and those of them in which the CPU is at it."""
    for _ in range(WARM):
        step(index, 0.01)
    wait()
    begun = time.perf_counter()
    for _ in range(steps):
        step(index, 0.01)
    launched = time.perf_counter() - begun
    wait()
    return {"ms": 1e3 * (time.perf_counter() - begun) / steps, "launching": 1e3 * launched / steps}


def kernels(engine: Engine, index: Tensor) -> dict[str, Any]:
    """How many there are in a step, their microseconds in sum, and those that take most."""
    engine.step(index, 0.01)
    wait()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        engine.step(index, 0.01)
        wait()
    each = [(event.name[:60], event.device_time) for event in found.events() if "CUDA" in str(event.device_type)]
    sums = {name: sum(us for other, us in each if other == name) for name, _ in each}
    most = sorted(sums, key=lambda name: -sums[name])[:8]
    return {"kernels": len(each), "us": sum(sums.values()), "most": {name: round(sums[name]) for name in most}}


def measured(session: Session, batch: int, replicas: int, precision: str, steps: int) -> dict[str, Any]:
    """One case: engines of new trainings each time, since a graph goes on from the plain one."""
    if DEVICE == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    found = session.space.sample(Random(0), session.budget)
    job = Job(json.loads(found.to_json()), found.id, 0.04, 0, 4, phase="final")
    examples = Examples.of(session.dataset.train, session.dataset, DEVICE, precision)
    index = torch.randint(len(examples), (replicas, batch), device=DEVICE).squeeze(0)

    def engine(notes: dict[str, Any] | None = None) -> Engine:
        jobs = [replace(job, seed=seed) for seed in range(replicas)]
        build = partial(build_architecture, job.architecture)
        parts = begun(build, examples, Recipe(batch=batch, lr=0.04), jobs=jobs)
        usual = plain(parts)
        return usual if notes is None else Graph(usual, [each.generator for each in parts], notes)

    row: dict[str, Any] = {"id": found.id, "macs": found.macs, "batch": batch, "replicas": replicas}
    row |= {"precision": precision, "plain": timed(engine().step, index, max(1, steps // 4))}
    if DEVICE == "cuda":
        notes: dict[str, Any] = {}
        row |= kernels(engine(), index) | {"graph": timed(engine(notes).step, index, steps), "engine": notes["engine"]}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the smallest size, fewer steps")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for patch, width, batch, replicas, precisions in CASES[:3] if options.quick else CASES:
        session = MAIN.session(patch=(patch,), width=(width,))
        for precision in precisions if DEVICE == "cuda" else ("float32",):
            row = measured(session, batch, replicas, precision, 8 if options.quick else 100)
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
