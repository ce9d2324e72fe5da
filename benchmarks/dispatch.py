"""Measures what Ray takes to hand out one candidate: this project's lanes against plain Tune, without and with reuse.

    python benchmarks/dispatch.py

The trainings are empty, on one local cluster of two CPUs a measurement, each in a process of its own, in turns. The
overhead of a candidate is (end of the last - end of the first) / (candidates - 1): no start is in it. For lanes it also
has a rung, at which the driver answers, the way through the driver's queue and back; for Tune it has neither.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from stub_trainer import make_stub

CPUS = 2
WAYS = {"lanes": 1000, "Tune": 20, "Tune, reuse_actors": 60}
"""Candidates a measurement: enough for some seconds of each."""


def lanes(candidates: int) -> list[float]:
    """When each candidate had ended, with this project's executor."""
    from nas.executors.cluster.messages import LOCAL, Settings
    from nas.executors.cluster.workers import RayWorkers
    from nas.executors.executor import Done
    from nas.runs.job import Job

    ended: list[float] = []
    with RayWorkers(make_stub, Settings(LOCAL, workers=CPUS, cpus=CPUS)) as executor:
        submitted = 0
        while len(ended) < candidates:
            while submitted < min(candidates, len(ended) + 2 * CPUS):  # as a search does
                executor.submit(submitted, Job({}, f"net{submitted}", 0.01, 0, 2, rungs=(1,)))
                submitted += 1
            ended += [time.perf_counter() for event in executor.wait(lambda *_: True) if isinstance(event, Done)]
    return ended


def plain_tune(candidates: int, *, reuse: bool) -> list[float]:
    """The same with Tune as its documentation shows it: a function, or with reuse a class that can be reset."""
    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    import ray
    from ray import tune

    class Ends(tune.Callback):
        def __init__(self) -> None:
            self.at: list[float] = []

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            self.at.append(time.perf_counter())

    class Resettable(tune.Trainable):
        def step(self) -> dict[str, Any]:
            return {"accuracy": 0.5, "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

    def function(config: dict[str, Any]) -> None:
        tune.report({"accuracy": 0.5})

    ends = Ends()
    with tempfile.TemporaryDirectory(prefix="tune-", dir="/tmp") as folder:
        ray.init(address="local", num_cpus=CPUS, include_dashboard=False, _temp_dir=folder, log_to_driver=False)
        tune.Tuner(
            Resettable if reuse else function,
            param_space={"x": tune.uniform(0, 1)},
            tune_config=tune.TuneConfig(num_samples=candidates, reuse_actors=reuse),
            run_config=tune.RunConfig(
                storage_path=folder,
                verbose=0,
                callbacks=[ends],
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        ).fit()
        ray.shutdown()
    return ends.at


def measure(way: str, candidates: int) -> float:
    """Milliseconds a candidate, in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--candidates", str(candidates)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--candidates", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        count = asked.candidates
        ended = lanes(count) if asked.way == "lanes" else plain_tune(count, reuse=asked.way != "Tune")
        print(1000 * (ended[-1] - ended[0]) / (len(ended) - 1))
        return
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(asked.repeats):
        for way, count in WAYS.items():
            found[way].append(measure(way, count))
            print(f"{way:20} {found[way][-1]:8.1f} ms a candidate", file=sys.stderr)
    for way, values in found.items():
        ratios = [value / ours for value, ours in zip(values, found["lanes"], strict=True)]
        spread = f"({min(values):.1f} to {max(values):.1f}, n={len(values)})"
        print(f"{way:20} {median(values):8.1f} ms a candidate {spread:28} {median(ratios):6.1f} x lanes")


if __name__ == "__main__":
    main()
